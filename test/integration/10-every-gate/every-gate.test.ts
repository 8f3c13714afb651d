import { Bug, Fault } from '@sallyport/model';
import { recordingMcpUpstream, recordingUpstream, type RecordingMcpUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { breakGate, GATES, PARTS, type GatePart, type PlacedGate } from '../../support/gates.ts';
import { MCP_HEADERS, mcpDenialOf, toolCall } from '../../support/mcp-clients.ts';
import { pipelineHarness, type Harness, type HttpAnswer } from '../../support/pipeline-harness.ts';
import type { Held } from '../../../packages/sidecar/src/pipeline/ports.ts';

const POLICY = (http: string, mcp: string): string => `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders, desk]
sessions: { roots: [operator], idle: 5m, max: 8h }
---
kind: ToolServer
name: orders
http: { url: "${http}" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "${mcp}" }
network: loopback
---
kind: Tool
name: orders/pay
effect: write
route: { method: POST, path: /pay }
arguments: { required: [to], properties: { to: { type: string, pattern: "^[a-z]+$" }, amount: { type: integer } } }
---
kind: Tool
name: desk/pay
effect: write
arguments: { required: [to], properties: { to: { type: string, pattern: "^[a-z]+$" }, amount: { type: integer } } }
---
kind: Tool
name: orders/wire
effect: write
route: { method: POST, path: /wire }
arguments: { properties: { to: { type: string } } }
envelope: {}
---
kind: Tool
name: desk/wire
effect: write
arguments: { properties: { to: { type: string } } }
envelope: {}
---
kind: Policy
agent: support-triage
rules:
  - { id: wire, allow: [orders/wire, desk/wire], for: { roles: [support-rep] } }
  - { id: pay, allow: [orders/pay], for: { roles: [support-rep] }, when: "!has(args.amount) || args.amount <= 10", once: { per: args.to } }
  - { id: desk-pay, allow: [desk/pay], for: { roles: [support-rep] }, when: "!has(args.amount) || args.amount <= 10", once: { per: args.to } }
`;

const SECRET = 'what the tool answered';

let http: RecordingUpstream;
let mcp: RecordingMcpUpstream;
let gate: Harness;
/** What the bundle says at its next readings; then what it always says. */
let readings: ((held: Held) => Held)[];
let isDraining: boolean;
let outcomeFailure: Error | undefined;
let unrecorded: number;

beforeEach(async () => {
  http = await recordingUpstream({ kind: 'json', body: { secret: SECRET } });
  mcp = await recordingMcpUpstream({ call: () => ({ result: { content: [{ type: 'text', text: SECRET }] } }) });
  readings = [];
  [isDraining, outcomeFailure, unrecorded] = [false, undefined, 0];
  gate = await pipelineHarness(POLICY(http.url, mcp.mcpUrl), {
    ports: ({ bundle, recorder, counters }) => ({
      load: { isDraining: () => isDraining },
      bundle: { ...bundle, read: () => (readings.shift() ?? ((held: Held) => held))(bundle.read()) },
      recorder: {
        ...recorder,
        outcome: async (body, how) => {
          if (outcomeFailure !== undefined) throw outcomeFailure;
          return recorder.outcome(body, how);
        },
      },
      counters: { ...counters, unrecorded: () => unrecorded++ },
    }),
  });
});
afterEach(async () => {
  await gate.close();
  await Promise.all([http.close(), mcp.close()]);
});

type Dialect = 'http-tool' | 'mcp';
const DIALECTS: readonly Dialect[] = ['http-tool', 'mcp'];

const pay = (dialect: Dialect, session: string | undefined, args: unknown = { to: 'alice' }, tool = 'pay'): Promise<HttpAnswer> => {
  const credential = session === undefined ? {} : { 'sallyport-session': session };
  if (dialect === 'mcp')
    return gate.request('/mcp/desk', { body: JSON.stringify(toolCall(tool, args)), headers: { ...MCP_HEADERS, ...credential } });
  return gate.request(`/tools/orders/${tool}`, {
    body: JSON.stringify(args),
    headers: { 'content-type': 'application/json', ...credential },
  });
};
const callsSeen = (): number => http.requests.length + mcp.calls.length;
const denialOf = (answer: HttpAnswer): { code: string; effect: string } | undefined =>
  mcpDenialOf(answer as Parameters<typeof mcpDenialOf>[0]);

describe.each(DIALECTS)('a call that every gate passes (%s)', (dialect) => {
  it('is forwarded once, and recorded before and after', async () => {
    const session = await gate.session();
    const answer = await pay(dialect, session);
    expect([answer.status, answer.text.includes(SECRET), callsSeen()]).toEqual([200, true, 1]);
    if (dialect === 'mcp') expect(mcp.calls[0]).toMatchObject({ name: 'pay', arguments: { to: 'alice' } });
    else expect(http.requests[0]).toMatchObject({ method: 'POST', target: '/pay', body: '{"to":"alice"}' });
    expect(gate.decisions.map(({ action, decision, gate: place }) => [action, decision, place])).toEqual([
      ['session/open', 'allow', 'session'],
      ['tools/call', 'allow', 'authorization'],
    ]);
    expect(gate.outcomes.map(({ result }) => result)).toEqual(['local', 'ok']);
    expect(gate.account.inFlight).toBe(0);
  });
});

const stale = (held: Held): Held => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 });
const same = (held: Held): Held => held;
const full = new Fault('journal_failed', 'internal', 'the journal is full');

interface Forced {
  /** Makes the gate refuse; gives the call that then meets it. */
  readonly force: (dialect: Dialect) => Promise<HttpAnswer>;
  readonly code: string;
  /** False where what fails is the record itself. */
  readonly isRecorded?: false;
}

/** Each gate's own reason to refuse, brought about from outside. */
const FORCED: Readonly<Record<string, Forced>> = {
  'HEAD admission': {
    code: 'overloaded',
    force: async (dialect) => {
      const session = await gate.session();
      isDraining = true;
      return pay(dialect, session);
    },
  },
  'HEAD framing': {
    code: 'malformed_request',
    force: async (dialect) => {
      const headers = { ...MCP_HEADERS, origin: 'http://evil.example', 'sallyport-session': await gate.session() };
      return gate.request(dialect === 'mcp' ? '/mcp/desk' : '/tools/orders/pay', { body: '{"to":"alice"}', headers });
    },
  },
  'HEAD freshness': {
    code: 'policy_stale',
    force: async (dialect) => {
      const session = await gate.session();
      readings = [stale];
      return pay(dialect, session);
    },
  },
  'HEAD authentication': { code: 'unauthenticated', force: (dialect) => pay(dialect, undefined) },
  'HEAD route': {
    code: 'egress_denied',
    force: async () => gate.request('/nowhere', { body: '{}', headers: { ...MCP_HEADERS, 'sallyport-session': await gate.session() } }),
  },
  'CALL freshness': {
    code: 'policy_stale',
    force: async (dialect) => {
      const session = await gate.session();
      readings = [same, stale];
      return pay(dialect, session);
    },
  },
  'CALL content': {
    code: 'malformed_request',
    force: async (dialect) => {
      const headers = { ...MCP_HEADERS, 'sallyport-session': await gate.session() };
      return gate.request(dialect === 'mcp' ? '/mcp/desk' : '/tools/orders/pay', { body: '{', headers });
    },
  },
  'CALL session': {
    code: 'session_expired',
    force: async (dialect) => {
      const session = await gate.session();
      await gate.clock.advance(300_000);
      return pay(dialect, session);
    },
  },
  'CALL tool': { code: 'tool_not_allowed', force: async (dialect) => pay(dialect, await gate.session(), {}, 'mystery') },
  'CALL envelope': { code: 'signature_invalid', force: async (dialect) => pay(dialect, await gate.session(), { to: 'alice' }, 'wire') },
  'CALL validation': { code: 'schema_violation', force: async (dialect) => pay(dialect, await gate.session(), { to: '' }) },
  'CALL authorization': {
    code: 'no_matching_policy',
    force: async (dialect) => pay(dialect, await gate.session(), { to: 'alice', amount: 11 }),
  },
  'CALL reservation': {
    code: 'call_limit_exceeded',
    force: async (dialect) => {
      const session = await gate.session();
      await pay(dialect, session);
      [http, mcp].forEach((up) => (up.requests as unknown[]).splice(0));
      (mcp.calls as unknown[]).splice(0);
      return pay(dialect, session);
    },
  },
  'CALL accountability': {
    code: 'audit_unavailable',
    isRecorded: false,
    force: async (dialect) => {
      const session = await gate.session();
      gate.breakJournal(full);
      return pay(dialect, session);
    },
  },
  'ANSWER settlement': {
    code: 'audit_unavailable',
    isRecorded: false,
    force: async (dialect) => {
      const session = await gate.session();
      outcomeFailure = full;
      return pay(dialect, session);
    },
  },
};

describe.each(DIALECTS)('[R5.02] whichever gate refuses ends the call (%s)', (dialect) => {
  it('every gate that exists is among them', () => {
    expect(Object.keys(FORCED)).toEqual(GATES.map(({ list, name }) => `${list} ${name}`));
  });

  it.each(GATES)('$list $name', async ({ list, name }) => {
    const forced = FORCED[`${list} ${name}`];
    if (forced === undefined) throw new Error('a gate without a way to make it refuse');
    const answer = await forced.force(dialect);
    expect(denialOf(answer)?.code).toBe(forced.code);
    expect(answer.text).not.toContain(SECRET);
    if (list === 'ANSWER') expect([callsSeen(), denialOf(answer)?.effect]).toEqual([1, 'done']);
    else expect([callsSeen(), denialOf(answer)?.effect]).toEqual([0, 'none']);
    if (forced.isRecorded === false) {
      expect(unrecorded).toBe(1);
      return;
    }
    expect(gate.decisions.at(-1)).toMatchObject({ decision: 'deny', code: forced.code, gate: name });
    expect(gate.bugs()).toBe(0);
  });
});

describe.each(DIALECTS)('[R5.02 R13.07] an exception in any part of any gate is a refusal (%s)', (dialect) => {
  const CASES = GATES.flatMap((placed) =>
    PARTS[placed.list].map((part): readonly [string, PlacedGate, GatePart] => [`${placed.list} ${placed.name}: ${part}`, placed, part]),
  );

  it.each(CASES)('%s', async (_, placed, part) => {
    const session = await gate.session();
    const mend = breakGate(placed, part, new TypeError('x is undefined'));
    let answer: HttpAnswer;
    try {
      answer = await pay(dialect, session);
    } finally {
      mend();
    }
    expect(denialOf(answer)?.code).toBe('internal');
    // Of a write that was sent it is never said that nothing happened.
    expect(placed.list === 'ANSWER' ? ['possible', 'done'] : ['none']).toContain(denialOf(answer)?.effect);
    if (dialect === 'http-tool') expect(answer.status).toBe(500);
    expect(answer.text).not.toMatch(/undefined|TypeError|what the tool answered/);
    expect(gate.bugs()).toBe(1);
    if (placed.list === 'ANSWER') {
      expect(callsSeen()).toBe(1);
      expect(gate.outcomes.slice(1)).toMatchObject([{ result: 'denied', code: 'internal' }]);
    } else {
      expect(callsSeen()).toBe(0);
      expect(gate.decisions.at(-1)).toMatchObject({ decision: 'deny', code: 'internal', gate: placed.name });
      expect(gate.outcomes.slice(1)).toEqual([]);
      // What gates before it took was given back, so that the call goes through once the gate works again. What the gate
      // itself took and could not hand on stays taken, which refuses more and never less.
      const isStillTaken = placed.name === 'reservation' && part === 'decide';
      expect((await pay(dialect, session)).text).toContain(isStillTaken ? 'call_limit_exceeded' : SECRET);
    }
  });

  it.each([
    ['a string', 'out of luck'],
    ['nothing', undefined],
    ['a bug', new Bug('cannot be')],
    ['a fault', new Fault('store_failed', 'internal', 'no time')],
    ['a denial that was thrown instead of returned', { code: 'overloaded', detail: 'x' }],
    ['what looks like a pass', { verdict: 'pass', facts: {} }],
  ])('also where what is thrown is %s', async (_, thrown) => {
    const session = await gate.session();
    for (const placed of GATES.filter(({ list }) => list !== 'ANSWER')) {
      const mend = breakGate(placed, 'decide', thrown);
      const answer = await pay(dialect, session, { to: placed.name.replace(/[^a-z]/g, '') }).finally(mend);
      expect([placed.name, denialOf(answer)?.code]).toEqual([placed.name, 'internal']);
    }
    expect(callsSeen()).toBe(0);
  });
});

it('[R13.07] an exception while a session is opened opens none', async () => {
  for (const placed of GATES.filter(
    ({ list, name }) => list === 'HEAD' || name === 'freshness' || name === 'content' || name === 'session',
  )) {
    const mend = breakGate(placed, 'decide', new TypeError('x is undefined'));
    const token = gate.idp.mint(gate.clock.wall());
    const answer = await gate.request('/session', { headers: { authorization: `Bearer ${token}` } }).finally(mend);
    expect([placed.name, answer.status, answer.json()['code']]).toEqual([placed.name, 500, 'internal']);
  }
  expect(gate.decisions.map(({ code }) => code)).not.toContain('-');
});
