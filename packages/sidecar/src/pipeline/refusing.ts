/**
 * What a refusal becomes: one DECISION in the journal, and an answer in the caller's own protocol. Before authentication
 * no body byte is read, so the answer is plain HTTP; after it an MCP request gets its JSON-RPC answer.
 */

import {
  MCP_JUDGE_OPTIONS,
  allowedMethods,
  mcpDenial,
  mcpReplyTo,
  problemAnswer,
  type McpReplyTo,
  type WireAnswer,
} from '@sallyport/dialects';
import { Bug, deny, Fault, publicDenial, type DecisionId, type Denial, type DenialEffect } from '@sallyport/model';
import { judge, type HeaderLookup } from '@sallyport/strict';
import { asDegraded } from './anonymous.ts';
import type { Arrival, CallFacts, Validated } from './facts.ts';
import { hostOf } from './fingerprint.ts';
import type { Ran } from './gate-list.ts';
import type { Answer, Outcome } from './gate.ts';
import { wholeAnswer } from './local-answers.ts';
import type { Ports, Why } from './ports.ts';
import { deniedName, denyBody, type KnownFacts, type Recordable } from './records.ts';
import { settle } from './gates/settlement.ts';
import { whyRefused } from './why.ts';

type Refused = Extract<Ran<unknown>, { end: 'denied' }>;

/** A refusal by a gate of HEAD. `again` and `local` have no gate in HEAD that could say them. */
export async function refuseHead(arrival: Arrival, ran: Exclude<Ran<unknown>, { end: 'passed' }>, ports: Ports): Promise<Answer> {
  if (ran.end !== 'denied') throw new Bug(`HEAD ended in ${ran.end}`);
  return refuseCall(arrival, ran, ports);
}

/** A refusal before anything was forwarded: recorded, counted, answered. */
export async function refuseCall(start: Arrival, refused: Refused, ports: Ports): Promise<Answer> {
  const facts: KnownFacts & Partial<Validated> = { ...start, ...(refused.facts as Partial<KnownFacts & Validated>) };
  const ran = { ...refused, denial: asDegraded(refused.denial, refused.gate, facts.session?.principal) };
  ports.counters.decision('deny', ran.denial.code, ran.gate);
  for (const ruleId of ran.denial.shadow ?? []) ports.counters.shadow(ruleId, 'allow');
  if (ran.denial.code === 'internal') ports.counters.bug();
  const why = whyRefused(facts, ran, ports);
  const denied = deniedName(facts);
  if (denied !== undefined) facts.session?.record('denied', denied);
  const stranger = isStranger(facts, ran) ? sourceOf(start.peer) : undefined;
  await recorded(facts, { ...ran, why, stranger }, ports);
  return denialAnswer(facts, ran.denial, { effect: 'none', outcome: { result: 'denied', code: ran.denial.code }, ports });
}

/** Nobody is known for it, or somebody whom the agent may not act for: whoever has a token of some issuer can send many of those. */
function isStranger({ caller, leg }: KnownFacts, { gate }: Pick<Refused, 'gate'>): boolean {
  return caller === undefined || (leg === 'inbound' && gate === 'route');
}

/**
 * What the listener turned away before it became a request: it answers by itself, and here it is recorded like any other
 * refusal of a head. Gives the id of the DECISION, for that answer.
 */
export function refuseUnread(denial: Denial, { leg, peer }: Pick<Arrival, 'leg' | 'peer'>, ports: Ports): DecisionId {
  const ids = { requestId: ports.ids.request(), decisionId: ports.ids.decision(), receivedAt: ports.clock.boot() };
  ports.counters.decision('deny', denial.code, 'framing');
  void recorded({ ...ids, leg, method: '-', target: '' }, { gate: 'framing', denial, stranger: sourceOf(peer) }, ports);
  return ids.decisionId;
}

/** The last net, under everything else: a plain problem, made of nothing but the id. */
export function failSafe({ decisionId }: Arrival, thrown: unknown, { counters }: Ports): Answer {
  counters.bug();
  counters.unrecorded();
  const denial = deny('internal', thrown instanceof Error ? thrown.message : String(thrown));
  return wholeAnswer(problemAnswer(publicDenial(denial, { decisionId, effect: 'possible' })), { result: 'denied', code: 'internal' });
}

/** The permit was refused at the last moment: the DECISION stands, and an OUTCOME says that nothing went out. */
export async function notForwarded(call: CallFacts, denial: Denial, ports: Ports): Promise<Answer> {
  const outcome: Outcome = { result: 'not_forwarded', code: denial.code, isDefiniteFailure: true };
  call.session.record('attempted', call.tool.tool.name);
  call.opened?.close();
  try {
    await settle(call, outcome, { bytes: 0, ports, detail: denial.detail });
  } catch (thrown) {
    unkept(thrown, ports);
  }
  return denialAnswer(call, denial, { effect: 'none', outcome, ports });
}

/** A client of the agent that proves nobody hears where to get a token (RFC 9728, section 5.1). */
function challenged(wire: WireAnswer, { leg }: KnownFacts, { resourceMetadata }: Ports): WireAnswer {
  const challenge = wire.headers['www-authenticate'];
  if (challenge === undefined || leg !== 'inbound' || resourceMetadata === undefined) return wire;
  return { ...wire, headers: { ...wire.headers, 'www-authenticate': `${challenge}, resource_metadata="${resourceMetadata}"` } };
}

/** A denial in the form of the caller's dialect. Reads the body, within its bound, for the id to answer to and no more. */
export async function denialAnswer(
  facts: KnownFacts,
  denial: Denial,
  more: { effect: DenialEffect; outcome: Outcome; ports: Ports },
): Promise<Answer> {
  const pinned = facts.tool?.tool;
  const context = { decisionId: facts.decisionId, effect: more.effect, ...(pinned === undefined ? {} : { toolEffect: pinned.effect }) };
  const told = publicDenial(denial, context);
  const isMcp = facts.leg === 'outbound' && facts.caller !== undefined && facts.head?.target.segments[0] === 'mcp';
  const wire = isMcp
    ? mcpDenial(told, await replyTo(facts, more.ports), { denyAs: pinned?.denyAs, rpc: denial.rpc })
    : challenged(problemAnswer(told, allowedMethods(facts.target)), facts, more.ports);
  return wholeAnswer(wire, more.outcome);
}

async function replyTo({ body, head }: KnownFacts, { limits }: Ports): Promise<McpReplyTo> {
  const read = await body.read({ bytesMax: limits.requestBodyBytesMax, coding: 'identity' }).catch(() => undefined);
  const judged = read?.ok === true ? judge(read.value, MCP_JUDGE_OPTIONS) : undefined;
  return mcpReplyTo(head?.headers ?? NO_HEADERS, judged?.ok === true ? judged.value : undefined);
}

const NO_HEADERS: HeaderLookup = new Map<string, string>();

/**
 * A refusal that cannot be recorded is still a refusal, whatever the journal's trouble is; a full one shows in readiness
 * and on the next allowed call.
 */
async function recorded(
  facts: Recordable,
  { gate, denial, stranger, why }: Pick<Refused, 'gate' | 'denial'> & { readonly stranger: string | undefined; readonly why?: Why },
  ports: Ports,
): Promise<void> {
  try {
    await ports.recorder.decision(denyBody(facts, { gate, denial }, ports), {
      durability: 'kernel',
      frames: [],
      stranger,
      ...(why === undefined ? {} : { why }),
    });
  } catch (thrown) {
    unkept(thrown, ports);
  }
}

/** The address without its port, which a stranger has a new one of each time; `-` on a Unix socket. */
function sourceOf(peer: string): string {
  return peer === '' ? '-' : hostOf(peer);
}

function unkept(thrown: unknown, { counters }: Ports): void {
  if (!(thrown instanceof Fault)) counters.bug();
  counters.unrecorded();
}
