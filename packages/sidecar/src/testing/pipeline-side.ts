/** A permitted call and the ports around it, for tests of what happens after the permit. Everything is noted, nothing is real but the code under test. */

import type { DecisionBody, OutcomeBody } from '@sallyport/audit';
import { Fault, type AgentName, type DecisionId, type Effect } from '@sallyport/model';
import { noAgentCredential } from '../downstream/agent-credential.ts';
import type { Body, CallFacts } from '../pipeline/facts.ts';
import type { Answer, AnswerUnit, Outcome } from '../pipeline/gate.ts';
import type { Lease } from '../pipeline/leases.ts';
import { mintPermit, type Permit, type Permitted } from '../pipeline/permit.ts';
import type { Ports, UpstreamFailure } from '../pipeline/ports.ts';

/** What was done to the world, in order. */
export interface Noted {
  readonly events: string[];
  readonly decisions: DecisionBody[];
  readonly outcomes: OutcomeBody[];
  bugs: number;
  unrecorded: number;
  readonly failures: string[];
}

export interface PipelineSide {
  readonly noted: Noted;
  readonly ports: Ports;
  readonly call: CallFacts;
  readonly permit: Permit;
  /** The lease of the call that is out. */
  readonly lease: { -readonly [K in keyof Pick<Lease, 'ended'>]: Lease[K] } & { readonly over: AbortController };
}

export interface PipelineSideOptions {
  readonly effect?: Effect;
  readonly dialect?: 'http-tool' | 'mcp';
  /** What forwarding comes to. */
  readonly forward?: () => Promise<Answer | UpstreamFailure>;
  readonly failing?: Partial<Record<'decision' | 'outcome' | 'settle', Error>>;
}

const NO_BODY: Body = {
  read: async () => ({ ok: true, value: new TextEncoder().encode('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t"}}') }),
};

export function pipelineSide({ effect = 'read', dialect = 'http-tool', forward, failing = {} }: PipelineSideOptions = {}): PipelineSide {
  const noted: Noted = { events: [], decisions: [], outcomes: [], bugs: 0, unrecorded: 0, failures: [] };
  const { events } = noted;
  const failed = (what: 'decision' | 'outcome' | 'settle'): void => {
    const error = failing[what];
    if (error !== undefined) throw error;
  };
  const lease: PipelineSide['lease'] = { ended: undefined, over: new AbortController() };
  const ports = {
    agent: 'support-triage',
    agentCredential: noAgentCredential('support-triage' as AgentName),
    clock: { boot: () => 5, wall: () => 0 },
    limits: { requestBodyBytesMax: 10_000 },
    sessions: { find: () => 'unknown' },
    recorder: {
      decision: async (body: DecisionBody) => {
        failed('decision');
        noted.decisions.push(body);
      },
      outcome: async (body: OutcomeBody) => {
        failed('outcome');
        events.push(`outcome ${body.result}`);
        noted.outcomes.push(body);
      },
    },
    upstream: { forward: forward ?? (() => Promise.reject(new Error('nothing was scripted'))) },
    leases: {
      open: () => ({
        signal: lease.over.signal,
        get ended() {
          return lease.ended;
        },
        close: () => void events.push('lease closed'),
      }),
    },
    counters: {
      decision: () => {},
      observed: (code: string) => void events.push(`observed ${code}`),
      shadow: (ruleId: string, would: string) => void events.push(`shadow ${ruleId} would ${would}`),
      bug: () => (noted.bugs += 1),
      unrecorded: () => (noted.unrecorded += 1),
      upstreamFailed: (server: string, code: string) => void noted.failures.push(`${server} ${code}`),
    },
  } as unknown as Ports;
  const call = {
    requestId: 'R1',
    decisionId: 'D1' as DecisionId,
    receivedAt: 0,
    leg: 'outbound',
    method: 'POST',
    target: '/x',
    peer: '127.0.0.1:40112',
    body: NO_BODY,
    dialect,
    caller: { kind: 'session', claims: { sessionId: 's1' } },
    head: { target: { path: '/x', segments: [dialect === 'mcp' ? 'mcp' : 'tools', 'orders'] }, headers: { get: () => undefined } },
    ask: { dialect },
    session: {
      id: 's1',
      principal: { id: 'alice', tenant: 'acme' },
      record: (what: string) => void events.push(`fact ${what}`),
      note: () => void events.push('notes'),
      saw: () => undefined,
    },
    decision: { comparedArguments: [] },
    args: {},
    changes: [],
    narrowed: [],
    tool: { tool: { name: 'orders/get', effect, denyAs: 'tool_result' } },
    reserved: {
      frames: [],
      settle: async (what: string) => {
        failed('settle');
        events.push(`settled ${what}`);
        return [];
      },
      cancel: async () => void events.push('cancelled'),
    },
  } as unknown as CallFacts;
  return { noted, ports, call, lease, permit: mintPermitForTests() };
}

/** Nothing reads what it permits. */
function mintPermitForTests(): Permit {
  return mintPermit({} as unknown as Permitted);
}

/** An upstream's answer of these units, the last one ending in a full stop; an error is thrown in its place. Notes when it is let go of. */
export function scriptedAnswer(
  steps: readonly (string | Error)[],
  { events, outcome = { result: 'ok' } }: { events: string[]; outcome?: Outcome },
): Answer {
  let seen: Outcome = { result: 'cut' };
  const units = async function* read(): AsyncGenerator<AnswerUnit, void, void> {
    for (const step of steps) {
      if (typeof step !== 'string') throw step;
      const isLast = step.endsWith('.');
      if (isLast) seen = outcome;
      yield { bytes: new TextEncoder().encode(step), isLast };
    }
  };
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    delivery: 'messages',
    units: units(),
    outcome: () => seen,
    close: async () => void events.push('answer closed'),
  };
}

/** All the text of an answer, and then it is closed, as the caller's side does. */
export async function heard(answer: Answer): Promise<string> {
  let text = '';
  for await (const { bytes } of answer.units) text += new TextDecoder().decode(bytes);
  await answer.close();
  return text;
}

export const journalFault: Fault = new Fault('journal_failed', 'internal', 'the journal takes nothing');
