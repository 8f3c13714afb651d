import { Bug, Fault, ok } from '@sallyport/model';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Arrival } from '../../../packages/sidecar/src/pipeline/facts.ts';
import { wholeAnswer } from '../../../packages/sidecar/src/pipeline/local-answers.ts';
import { answerRequest } from '../../../packages/sidecar/src/pipeline/pipeline.ts';
import type { Held, Ports } from '../../../packages/sidecar/src/pipeline/ports.ts';
import { breakGate, GATES, PARTS } from '../../support/gates.ts';
import { MCP_HEADERS, toolCall } from '../../support/mcp-clients.ts';
import { pipelineHarness, type Harness } from '../../support/pipeline-harness.ts';

const POLICY = `
apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders, desk]
---
kind: ToolServer
name: orders
http: { url: "http://127.0.0.1:9" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "http://127.0.0.1:9/mcp" }
network: loopback
---
kind: Tool
name: orders/pay
effect: write
route: { method: POST, path: /pay }
arguments: { required: [to], properties: { to: { type: string }, amount: { type: integer } } }
---
kind: Tool
name: desk/pay
effect: write
arguments: { required: [to], properties: { to: { type: string }, amount: { type: integer } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: pay, allow: [orders/pay], for: { roles: [support-rep] }, when: "!has(args.amount) || args.amount <= 10", once: { per: args.to } }
  - { id: desk, allow: [desk/pay], for: { roles: [support-rep] }, when: "!has(args.amount) || args.amount <= 10", once: { per: args.to } }
`;

/** Everything that one call may meet. The first of each list is how things are when nothing is wrong. */
const READINGS: Readonly<Record<string, (held: Held) => Held>> = {
  fresh: (held) => held,
  stale: (held) => (held.state === 'absent' ? held : { ...held, state: 'stale', freshForMs: -1 }),
  absent: () => ({ state: 'absent', why: 'none' }),
  switched: (held) =>
    held.state === 'absent' ? held : { ...held, snapshot: { ...held.snapshot, generation: held.snapshot.generation + 1 } },
};
const GOOD_ARGS = '{"to":"NEW"}';
const WORLDS = fc.record({
  dialect: fc.constantFrom('http', 'mcp'),
  readings: fc.array(mostly(...(Object.keys(READINGS) as [string, ...string[]])), { maxLength: 6 }),
  revoked: fc.array(mostly(false, true), { maxLength: 4 }),
  isDraining: mostly(false, true),
  journal: mostly('writes', 'refuses', 'breaks'),
  session: mostly('good', 'none', 'forged', 'of another agent'),
  method: mostly('POST', 'GET', 'PUT', 'CONNECT'),
  tool: mostly('pay', 'mystery', 'PAY', 'pay/'),
  args: mostly(
    GOOD_ARGS,
    '{"to":"used"}',
    '{"to":"NEW","amount":11}',
    '{"to":"NEW","amount":10}',
    '{"to":1}',
    '{"to":"NEW","x":1}',
    '{"to":"a","to":"b"}',
    '{',
    '[]',
    '',
  ),
  header: mostly(
    undefined,
    ['Host', 'other'],
    ['Origin', 'http://a.example'],
    ['Upgrade', 'websocket'],
    ['Content-Encoding', 'br'],
    ['Mcp-Name', 'x'],
  ),
  broken: fc.oneof(
    { weight: 2, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.constantFrom(...GATES.flatMap((placed) => PARTS[placed.list].map((part) => ({ placed, part })))) },
  ),
  thrown: fc.constantFrom<unknown>(new TypeError('x'), new Bug('x'), new Fault('store_failed', 'internal', 'x'), 'x', undefined, {
    verdict: 'pass',
    facts: {},
  }),
});

/** Nothing wrong more often than not, so that calls get as far as the last gate. */
function mostly<T>(good: T, ...bad: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 15, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) });
}

type Facts = typeof WORLDS extends fc.Arbitrary<infer W> ? W : never;

let gate: Harness;
let sessions: Readonly<Record<Facts['session'], string | undefined>>;
let nth = 0;

beforeAll(async () => {
  gate = await pipelineHarness(POLICY);
  const good = await gate.session();
  const other = await gate.ports.sessionTokens.mint(
    { sessionId: (await openId(good)) as never, operator: 'alice@company.com' as never, agent: 'another-agent' as never },
    gate.clock.wall(),
  );
  sessions = { good, none: undefined, forged: `${good.slice(0, -4)}AAAA`, 'of another agent': other };
  for (const dialect of ['http', 'mcp'] as const) {
    const first: Facts = { ...NOTHING_WRONG, dialect, args: '{"to":"used"}' };
    expect((await run(first, portsOf(first, { ports: gate.ports, events: [] }))).text).toContain('from the tool');
  }
});
afterAll(() => gate.close());

const NOTHING_WRONG: Facts = {
  dialect: 'http',
  readings: [],
  revoked: [],
  isDraining: false,
  journal: 'writes',
  session: 'good',
  method: 'POST',
  tool: 'pay',
  args: GOOD_ARGS,
  header: undefined,
  broken: null,
  thrown: undefined,
};

function openId(token: string): Promise<string> {
  const claims = gate.ports.sessionTokens.verify(token, gate.clock.wall());
  return claims.ok ? Promise.resolve(claims.value.sessionId) : Promise.reject(new Error('no session'));
}

/** What happened, in order. */
type Event = 'allow' | 'deny' | 'forward' | 'outcome';

function portsOf(facts: Facts, { ports, events }: { ports: Ports; events: Event[] }): Ports {
  const readings = [...facts.readings];
  const revoked = [...facts.revoked];
  const write = async (event: Event): Promise<void> => {
    if (facts.journal === 'refuses') throw new Fault('journal_failed', 'internal', 'full');
    if (facts.journal === 'breaks') throw new TypeError('broken');
    events.push(event);
  };
  const judged = (held: Held): Held =>
    held.state === 'absent'
      ? held
      : { ...held, snapshot: { ...held.snapshot, revocations: { seq: 1, denies: () => revoked.shift() ?? false } } };
  return {
    ...ports,
    load: { isDraining: () => facts.isDraining },
    bundle: { ...ports.bundle, read: () => judged((READINGS[readings.shift() ?? 'fresh'] ?? ((held: Held) => held))(ports.bundle.read())) },
    recorder: { decision: (body) => write(body.decision), outcome: () => write('outcome'), state: async () => {} },
    upstream: {
      forward: async (permit) => {
        permit.take();
        events.push('forward');
        return wholeAnswer({ status: 200, headers: {}, body: Buffer.from('from the tool') }, { result: 'ok' });
      },
    },
  };
}

async function run(facts: Facts, ports: Ports): Promise<{ status: number; text: string }> {
  const args = facts.args.replace('NEW', `new-${++nth}`);
  const isMcp = facts.dialect === 'mcp';
  const body = isMcp ? JSON.stringify(toolCall(facts.tool, '@')).replace('"@"', args === '' ? 'null' : args) : args;
  const token = sessions?.[facts.session];
  const headers = { ...MCP_HEADERS, ...(token === undefined ? {} : { 'sallyport-session': token }) };
  const arrival: Arrival = {
    requestId: ports.ids.request(),
    decisionId: ports.ids.decision(),
    receivedAt: ports.clock.boot(),
    leg: 'outbound',
    method: facts.method,
    target: isMcp ? '/mcp/desk' : `/tools/orders/${facts.tool}`,
    httpVersion: '1.1',
    rawHeaders: ['Host', '127.0.0.1', ...Object.entries(headers).flat(), ...(facts.header ?? [])],
    peer: '',
    peerChain: [],
    ends: {},
    serving: { begin: () => {} },
    body: { read: async () => ok(Buffer.from(body)) },
    signal: new AbortController().signal,
  };
  const answer = await answerRequest(arrival, ports);
  let text = '';
  for await (const unit of answer.units) text += Buffer.from(unit.bytes).toString();
  return { status: answer.status, text };
}

const isGoodArgs = (args: string): boolean => args === GOOD_ARGS || args === '{"to":"NEW","amount":10}';

function isNothingWrong(facts: Facts): boolean {
  const { dialect: _, thrown: __, readings, revoked, args, ...rest } = facts;
  const wrong = Object.entries(rest).filter(([name, value]) => value !== NOTHING_WRONG[name as keyof Facts]);
  return wrong.length === 0 && !revoked.includes(true) && readings.every((reading) => reading === 'fresh') && isGoodArgs(args);
}

/** What some gate must deny, told without asking any gate. */
function mustBeRefused(facts: Facts): boolean {
  const { dialect, readings, header, broken } = facts;
  const isOdd = header !== undefined && !(header[0] === 'Mcp-Name' && dialect === 'http');
  const isAged = readings.slice(0, 2).some((reading) => reading === 'stale' || reading === 'absent');
  const isBroken = broken !== null && broken.placed.list !== 'ANSWER';
  const isGood = facts.session === 'good' && facts.method === 'POST' && facts.tool === 'pay' && isGoodArgs(facts.args);
  return !isGood || facts.isDraining || facts.journal !== 'writes' || (facts.revoked[0] ?? false) || isOdd || isAged || isBroken;
}

it('if any gate denies, the upstream is not called, whatever the facts; and never without a record', async () => {
  const seen = { forwarded: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(WORLDS, async (facts) => {
      const events: Event[] = [];
      const mend = facts.broken === null ? (): void => {} : breakGate(facts.broken.placed, facts.broken.part, facts.thrown);
      const answer = await run(facts, portsOf(facts, { ports: gate.ports, events })).finally(mend);
      const forwards = events.filter((event) => event === 'forward').length;
      seen[forwards === 0 ? 'refused' : 'forwarded'] += 1;
      expect(forwards).toBeLessThanOrEqual(1);
      if (events.includes('deny') || mustBeRefused(facts)) expect(forwards).toBe(0);
      if (forwards === 1) expect(events.slice(0, 2)).toEqual(['allow', 'forward']);
      if (answer.text.includes('from the tool')) expect(events).toEqual(['allow', 'forward', 'outcome']);
      if (isNothingWrong(facts)) expect(answer.text).toContain('from the tool');
      // Whatever was refused was said to be: nothing ends in silence or in a stack.
      if (forwards === 0) expect(answer.text).toMatch(/"code":"[a-z_]+"/);
    }),
    { numRuns: 1_500 },
  );
  expect(seen.forwarded).toBeGreaterThan(100);
  expect(seen.refused).toBeGreaterThan(100);
});
