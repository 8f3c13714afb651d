/**
 * The demo, top to bottom: policy to enforcement to evidence, with a rule changed and the control plane killed on the
 * way. Every step says what it promises and what was seen; one that differs fails the demo.
 */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '@sallyport/audit';
import type { Clock } from '@sallyport/model';
import { Fault } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { createAgent } from './agent.ts';
import type { Agent, Answered } from './agent.ts';
import { ALICE, CALLS, CHANGED_CALL, STEADY_CALL } from './calls.ts';
import type { DemoCall } from './calls.ts';
import { FRESHNESS_TTL_MS } from './stage.ts';
import type { Stage } from './stage.ts';
import type { Steps } from './steps.ts';
import { answerOf } from './typed.ts';

export interface Telling {
  readonly stage: Stage;
  readonly steps: Steps;
  readonly io: Io;
  /** For people: what comes next. */
  readonly heading: (text: string) => void;
}

/** Plays it. Stops early where going on makes no sense; the steps say why. */
export async function tell(telling: Telling): Promise<void> {
  const { stage, io } = telling;
  const agent = createAgent({ port: stage.outboundPort, signal: io.signal });
  // Owner: this story. Ids of every decision on a call of the agent's, to look for in the record.
  const decided: Decided[] = [];
  try {
    if (!(await begin(telling))) return;
    await agent.open(stage.idp.token(ALICE, io.clock.wall()));
    await makeCalls(telling, agent, decided);
    await changeRule(telling, agent, decided);
    await loseControlPlane(telling, agent);
    await proveRecord(telling, decided);
  } finally {
    await agent.close();
  }
}

async function begin({ stage, steps, heading }: Telling): Promise<boolean> {
  heading('A control plane; a policy, signed and published; a sidecar that enrols with a token');
  await stage.startControlPlane();
  const published = answerOf(await stage.type(['policy', 'publish', 'policy', '--json']));
  const release = published['release'] as { readonly release_seq: number } | undefined;
  const isPublished = steps.take({
    name: 'the policy is tested, signed and released',
    expected: 'release 1',
    seen: release === undefined ? JSON.stringify(published) : `release ${release.release_seq}`,
  });
  const token = await stage.type(['agents', 'join-token', '--agent', 'support-triage', '--out', 'join-token']);
  if (!isPublished || token.exit !== 0) throw new Fault('config_invalid', 'internal', token.said.trim());
  await stage.startSidecar();
  const fleet = answerOf(await stage.type(['fleet', 'status', '--json']));
  const [one] = fleet['sidecars'] as readonly { readonly sidecar: string; readonly connected: boolean }[];
  return steps.take({
    name: 'the sidecar is enrolled and ready',
    expected: 'spiffe://demo.local/sidecar/support-triage/demo',
    seen: one?.connected === true ? one.sidecar : 'nobody',
  });
}

interface Decided {
  readonly id: string;
  readonly call: DemoCall;
}

async function makeCalls({ stage, steps, io, heading }: Telling, agent: Agent, decided: Decided[]): Promise<void> {
  heading(`The agent acts for ${ALICE.subject}, a support rep who works on ${ALICE.ticket}`);
  const listed = await agent.listTools('everything');
  steps.take({
    name: 'of the tools of an MCP server it sees those that a rule could allow',
    expected: 'echo, get-sum',
    seen: listed.toSorted().join(', '),
  });
  for (const make of CALLS) {
    const call = make(stage);
    const answered = await perform(agent, call);
    const decision = await lastDecision(stage, io);
    decided.push({ id: decision.decision_id, call });
    steps.take({ name: nameOf(call, stage), expected: call.expected, seen: seenOf(answered, decision) });
  }
  steps.take({
    name: 'no refused call has reached the orders service',
    expected: 'GET /orders/O-000123',
    seen: stage.orders.requests.join(', '),
  });
}

async function changeRule({ stage, steps, io, heading }: Telling, agent: Agent, decided: Decided[]): Promise<void> {
  heading('A rule is changed and published while the agent works: sums of at most 10');
  const before = await perform(agent, CHANGED_CALL);
  steps.take({
    name: `${nameOf(CHANGED_CALL, stage)}, before`,
    expected: 'allow by small-sums',
    seen: seenOf(before, await lastDecision(stage, io)),
  });
  const rules = join(stage.policyDir, 'rules.yaml');
  writeFileSync(rules, readFileSync(rules, 'utf8').replaceAll('maximum: 100', 'maximum: 10'));
  const published = answerOf(await stage.type(['policy', 'publish', 'policy', '--wait', '--json']));
  const fleet = published['fleet'] as { readonly active: number; readonly missing: readonly object[] } | undefined;
  steps.take({
    name: 'published, and in force',
    expected: 'at 1 sidecar, 0 missing',
    seen: fleet === undefined ? JSON.stringify(published) : `at ${fleet.active} sidecar, ${fleet.missing.length} missing`,
  });
  const after = await perform(agent, CHANGED_CALL);
  const decision = await lastDecision(stage, io);
  decided.push({ id: decision.decision_id, call: CHANGED_CALL });
  steps.take({
    name: `${nameOf(CHANGED_CALL, stage)}, after`,
    expected: 'deny parameter_not_allowed by small-sums',
    seen: seenOf(after, decision),
  });
}

async function loseControlPlane({ stage, steps, io, heading }: Telling, agent: Agent): Promise<void> {
  heading(`The control plane is killed (SIGKILL); sidecars may go on for ${FRESHNESS_TTL_MS / 1_000} seconds, and no longer`);
  const { controlPlane, sidecar } = stage;
  if (controlPlane === undefined || sidecar === undefined) throw new Fault('aborted', 'internal', 'nothing runs');
  controlPlane.kill('SIGKILL');
  await controlPlane.ended;
  const outage = await watchOutage(agent, io.clock, io.signal);
  steps.take({ name: 'without it calls go on', expected: 'allowed', seen: outage.allowed > 0 ? 'allowed' : 'refused at once' });
  const limit = FRESHNESS_TTL_MS + 1_000;
  const isOnTime = outage.lastAllowedMs <= limit;
  steps.take({
    name: 'and then they end',
    expected: `503 policy_stale, nothing allowed after ${limit / 1_000} s`,
    seen: `${outage.end.status} ${outage.end.code}, ${isOnTime ? `nothing allowed after ${limit / 1_000} s` : `allowed ${Math.round(outage.lastAllowedMs)} ms after the kill`}`,
  });
  heading('The control plane is started again; nobody touches the sidecar');
  await stage.startControlPlane();
  const isBack = await stage.until(async () => (await perform(agent, STEADY_CALL)).isAllowed);
  const isSame = stage.sidecar?.pid === sidecar.pid && sidecar.isRunning;
  steps.take({
    name: 'service returns by itself',
    expected: 'allowed, by the same process',
    seen: `${isBack ? 'allowed' : 'refused'}, by ${isSame ? 'the same process' : 'another process'}`,
  });
}

interface Outage {
  readonly allowed: number;
  readonly end: Answered;
  /** When the last call that was allowed was made, from the kill on. */
  readonly lastAllowedMs: number;
}

const OUTAGE_MS_MAX: number = FRESHNESS_TTL_MS * 4;
const ASK_EVERY_MS = 150;

async function watchOutage(agent: Agent, clock: Clock, signal: AbortSignal): Promise<Outage> {
  const killed = clock.boot();
  let lastAllowedMs = 0;
  for (let allowed = 0; ; allowed += 1) {
    const askedMs = clock.boot() - killed;
    const answered = await perform(agent, STEADY_CALL);
    if (!answered.isAllowed || askedMs > OUTAGE_MS_MAX) return { allowed, end: answered, lastAllowedMs };
    lastAllowedMs = askedMs;
    if (!(await delay(clock, ASK_EVERY_MS, { signal }))) throw new Fault('aborted', 'internal', 'stopped');
  }
}

async function proveRecord({ stage, steps, heading }: Telling, decided: readonly Decided[]): Promise<void> {
  heading('The record is exported and proven offline; then one byte of a copy is changed');
  const ids = decided.map(({ id }) => id);
  const recorded = async (): Promise<number> => {
    const calls = Buffer.from((await stage.type(['audit', 'tail', '--json'])).bytes).toString('utf8');
    return ids.filter((id) => calls.includes(`"decision_id":"${id}"`)).length;
  };
  await stage.until(async () => (await recorded()) === ids.length);
  steps.take({
    name: 'every call above is in the record',
    expected: `${ids.length} of ${ids.length}`,
    seen: `${await recorded()} of ${ids.length}`,
  });
  const exported = await stage.type(['audit', 'tail', '--view', 'records']);
  writeFileSync(join(stage.dir, 'export.ndjson'), exported.bytes);
  const proven = await verify(stage, 'export.ndjson');
  steps.take({ name: 'audit verify', expected: 'verified', seen: proven.verified ? 'verified' : proven.summary });
  const target = decided.find(({ call }) => call.isEdited === true);
  const place = editRecord(stage, target?.id ?? '');
  const found = await verify(stage, 'edited.ndjson');
  const bad = found.first_bad;
  const seen = found.verified || bad === null ? 'verified' : `${bad.reason} at line ${bad.line}, decision ${bad.decision_id ?? '-'}`;
  steps.take({ name: 'audit verify, after one byte was changed', expected: `edited at line ${place}, decision ${target?.id ?? ''}`, seen });
}

interface Verified {
  readonly verified: boolean;
  readonly summary: string;
  readonly first_bad: { readonly reason: string; readonly line: number; readonly decision_id: string | null } | null;
}

/** As `audit verify --json` answers. */
async function verify(stage: Stage, file: string): Promise<Verified & Partial<Pick<Report, 'records'>>> {
  return answerOf(await stage.type(['audit', 'verify', file, '--json'])) as unknown as Verified;
}

/** Changes one byte of the record of a decision in a copy; the number of its line. */
function editRecord(stage: Stage, decisionId: string): number {
  const [from, to] = [join(stage.dir, 'export.ndjson'), join(stage.dir, 'edited.ndjson')];
  copyFileSync(from, to);
  const lines = readFileSync(to, 'utf8').split('\n');
  const index = lines.findIndex((line) => line.includes('"kind":"DECISION"') && line.includes(`"decision_id":"${decisionId}"`));
  lines[index] = (lines[index] ?? '').replace('alice@demo.local', 'alicf@demo.local');
  writeFileSync(to, lines.join('\n'));
  return index + 1;
}

function perform(agent: Agent, call: DemoCall): Promise<Answered> {
  return call.way === 'mcp'
    ? agent.callMcp(call.server, call.tool, call.args)
    : agent.callHttp(call.server, call.tool, call.args, { withSession: call.way === 'http' });
}

interface LastDecision {
  readonly decision_id: string;
  readonly decision: 'allow' | 'deny';
  readonly code: string;
  readonly rule_id: string;
}

/** The newest decision of the sidecar: the agent makes one call at a time. */
async function lastDecision(stage: Stage, io: Io): Promise<LastDecision> {
  const answer = await ask({ target: { socketPath: stage.adminSocket }, path: '/decisions', signal: io.signal });
  const { decisions } = JSON.parse(answer.body) as { readonly decisions: readonly { readonly decision: LastDecision }[] };
  const [newest] = decisions;
  if (newest === undefined) throw new Fault('upstream_protocol', 'upstream', 'the sidecar remembers no decision');
  return newest.decision;
}

/** Who asks for what; paths as they look inside the demo's own folder. */
function nameOf({ server, tool, args, way }: DemoCall, { dir }: Stage): string {
  const who = way === 'http without session' ? 'somebody without a session' : ALICE.subject;
  return `${who}: ${server}/${tool} ${JSON.stringify(args).replaceAll(dir, '')}`;
}

/** What was decided and by which rule; and what the agent was told, where that is something else. */
function seenOf({ isAllowed, code: told }: Answered, { decision, code, rule_id: rule }: LastDecision): string {
  const decided = decision === 'allow' ? `allow by ${rule}` : `deny ${code} by ${rule}`;
  const isTold = isAllowed === (decision === 'allow') && told === (isAllowed ? 'ok' : code);
  return isTold ? decided : `${decided}, told as ${told}`;
}
