import { recordingUpstream, type RecordingUpstream, type ScriptedAnswer } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const DOCUMENTS = `
kind: Tool
name: orders/verify_customer
effect: read
route: { method: POST, path: /verify_customer }
---
kind: Tool
name: orders/change_address
effect: write
route: { method: POST, path: /change_address }
arguments:
  required: [street]
  properties: { street: { type: string } }
  additionalProperties: true
---
kind: Tool
name: orders/create_expense_report
effect: write
classes: [money]
route: { method: POST, path: /create_expense_report }
arguments:
  required: [title]
  properties: { title: { type: string } }
---
kind: Tool
name: orders/pay_bonus
effect: write
classes: [money]
route: { method: POST, path: /pay_bonus }
arguments:
  required: [employee, note]
  properties: { employee: { type: string }, note: { type: string } }
---
kind: Policy
agent: support-triage
rules:
  - { id: verify, allow: [orders/verify_customer], for: { roles: [support-rep] }, scopes: ["customers:read"] }
  - { id: address, allow: [orders/change_address], for: { roles: [support-rep] }, after: [orders/verify_customer] }
  - { id: expense-once, allow: [orders/create_expense_report], for: { roles: [support-rep] }, once: {} }
  - id: bonus-monthly
    allow: [orders/pay_bonus]
    for: { roles: [support-rep] }
    once: { per: args.employee, within: 30d }
---
kind: Test
given: { roles: [support-rep], scopes: ["customers:read"], session: { completed: [orders/verify_customer] } }
cases:
  - { call: orders/verify_customer, expect: allow }
  - { call: orders/change_address, args: { street: Main }, expect: allow }
  - { call: orders/create_expense_report, args: { title: Trip }, expect: allow }
  - { call: orders/pay_bonus, args: { employee: e1, note: n }, expect: allow }
`;

const OK: ScriptedAnswer = { kind: 'json', body: { ok: true } };

describe('what a session remembers', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  /** Requests of earlier tests. */
  let before = 0;
  const forwarded = (): readonly string[] => up.requests.slice(before).map(({ target }) => target);
  const open = (claims: Record<string, unknown> = {}): Promise<string> => sidecar.session({ scope: 'customers:read', ...claims });
  const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [answer.status, answer.json()['code']];
  const verify = (session: string): Promise<HttpAnswer> => sidecar.call('orders/verify_customer', {}, session);
  const change = (session: string, more: object = {}): Promise<HttpAnswer> =>
    sidecar.call('orders/change_address', { street: 'Main', ...more }, session);
  const UNMET = [403, 'session_precondition_failed'] as const;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, DOCUMENTS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(() => {
    before = up.requests.length;
    up.answer(OK);
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('[R4.03] one tool only after another, in this very session', async () => {
    const [session, other] = [await open(), await open()];
    expect(codeOf(await change(session))).toEqual(UNMET);
    expect((await verify(session)).status).toBe(200);
    expect((await change(session)).status).toBe(200);
    expect(codeOf(await change(other))).toEqual(UNMET);
    expect(forwarded()).toEqual(['/verify_customer', '/change_address']);
  });

  describe('[R4.16] nobody but the gateway writes its facts', () => {
    const claims = { human_reviewed: true, completed: ['orders/verify_customer'] };
    const json = { 'content-type': 'application/json' };
    const SAYINGS: Readonly<Record<string, (session: string) => Promise<HttpAnswer>>> = {
      'an argument called session': (session) => change(session, { session: claims }),
      'arguments named as the facts': (session) => change(session, claims),
      'a header': (session) =>
        sidecar.request('/tools/orders/change_address', {
          body: '{"street":"Main"}',
          headers: { ...json, 'sallyport-session': session, 'x-session-completed': 'orders/verify_customer', 'sallyport-facts': '{}' },
        }),
      'an argument of the form that names the tool': (session) =>
        sidecar.request('/tools/orders/invoke', {
          body: JSON.stringify({ tool: 'change_address', street: 'Main', session: claims }),
          headers: { ...json, 'sallyport-session': session },
        }),
    };

    it.each(Object.entries(SAYINGS))('%s has no effect on the decision', async (_, say) => {
      const session = await open();
      const [silent, said] = [await change(session), await say(session)];
      expect(codeOf(said)).toEqual(UNMET);
      const [one, two] = [await recordOf(world, silent), await recordOf(world, said)];
      expect([two.gate, two.rule_id, two.code]).toEqual([one.gate, one.rule_id, one.code]);
      expect(forwarded()).toEqual([]);
    });

    it('a member beside the nested arguments is refused as what it is: not one of the form', async () => {
      const body = JSON.stringify({ tool: 'change_address', arguments: { street: 'Main' }, session: claims });
      const answer = await sidecar.request('/tools/orders/invoke', { body, headers: { ...json, 'sallyport-session': await open() } });
      expect(codeOf(answer)).toEqual([400, 'malformed_request']);
      expect(forwarded()).toEqual([]);
    });

    it('a claim that the issuer is not trusted with is no fact either', async () => {
      expect(codeOf(await change(await open({ session: claims, completed: claims.completed })))).toEqual(UNMET);
    });
  });

  describe('[R4.17] only a step that truly succeeded counts', () => {
    it.each<readonly [string, ScriptedAnswer, number]>([
      ['answered with an error', { kind: 'json', status: 500, body: { ok: true } }, 502],
      ['answered with a redirect', { kind: 'redirect', location: '/elsewhere' }, 502],
      ['broke off in the middle', { kind: 'close_mid_body' }, 502],
      ['was closed on', { kind: 'close' }, 502],
    ])('one that %s does not', async (_, script, status) => {
      const session = await open();
      up.answer(script);
      expect((await verify(session)).status).toBe(status);
      up.answer(OK);
      expect(codeOf(await change(session))).toEqual(UNMET);
      expect(forwarded()).not.toContain('/change_address');
    });

    it('one that was refused does not', async () => {
      const session = await open({ scope: 'nothing' });
      expect(codeOf(await verify(session))).toEqual([403, 'insufficient_scope']);
      expect(codeOf(await change(session))).toEqual(UNMET);
      expect(forwarded()).toEqual([]);
    });

    it('one that is still under way does not', async () => {
      const session = await open();
      const { promise, resolve } = Promise.withResolvers<void>();
      up.answer({ kind: 'parts', parts: ['{}'], headers: { 'content-type': 'application/json' }, between: () => promise });
      const running = verify(session);
      await up.arrived(before + 1);
      expect(codeOf(await change(session))).toEqual(UNMET);
      up.answer(OK);
      resolve();
      expect((await running).status).toBe(200);
      expect((await change(session)).status).toBe(200);
    });
  });

  it('[R3.64] once a session: a second use is refused, a new session has its own', async () => {
    const report = (session: string, title: string): Promise<HttpAnswer> =>
      sidecar.call('orders/create_expense_report', { title }, session);
    const session = await open();
    expect((await report(session, 'Trip')).status).toBe(200);
    expect(codeOf(await report(session, 'Another trip'))).toEqual([403, 'call_limit_exceeded']);
    expect((await report(await open(), 'A third trip')).status).toBe(200);
    expect(forwarded()).toHaveLength(2);
  });

  it('[R4.18] twenty at once: exactly one goes through', async () => {
    const session = await open();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => sidecar.call('orders/create_expense_report', { title: `Trip ${i}` }, session)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 200).map((answer) => codeOf(answer).join(' ')))).toEqual(
      new Set(['403 call_limit_exceeded']),
    );
    expect(forwarded()).toEqual(['/create_expense_report']);
    const calls = await callsOfSession(world, session, 20);
    expect(calls.filter(({ decision }) => decision === 'allow')).toHaveLength(1);
  });

  it('[R4.18] twenty at once in twenty sessions, for one value of a limit that outlives them', async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => open()));
    const answers = await Promise.all(
      sessions.map((session, i) => sidecar.call('orders/pay_bonus', { employee: 'e-1', note: `n${i}` }, session)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(forwarded()).toEqual(['/pay_bonus']);
  });

  it('gives a use back only where the tool certainly saw nothing of the call', async () => {
    const [session, employee] = [await open(), 'e-gone'];
    up.answer({ kind: 'json', status: 500, body: {} });
    expect((await sidecar.call('orders/pay_bonus', { employee, note: 'a' }, session)).status).toBe(502);
    up.answer(OK);
    expect(codeOf(await sidecar.call('orders/pay_bonus', { employee, note: 'b' }, session))).toEqual([403, 'call_limit_exceeded']);
  });

  it('[R4.19] a restart opens nothing: the session is over, its facts are gone, what was used is used', async () => {
    const first = await world.startSidecar({ name: 'restarted' });
    await eventually(() => first.ready(), 'readiness');
    const session = await first.session({ scope: 'customers:read' });
    expect((await first.call('orders/verify_customer', {}, session)).status).toBe(200);
    expect((await first.call('orders/pay_bonus', { employee: 'e-2', note: 'a' }, session)).status).toBe(200);
    expect((await first.call('orders/create_expense_report', { title: 'Trip' }, session)).status).toBe(200);
    await first.drain();
    before = up.requests.length;

    const second = await world.startSidecar({ name: 'restarted', withToken: false });
    await eventually(() => second.ready(), 'readiness');
    for (const [tool, args] of [
      ['orders/change_address', { street: 'Main' }],
      ['orders/create_expense_report', { title: 'Again' }],
      ['orders/pay_bonus', { employee: 'e-2', note: 'b' }],
    ] as const) {
      const answer = await second.call(tool, args, session);
      expect(answer.json()).toMatchObject({ status: 401, code: 'session_expired', next_action: 'authenticate' });
    }
    const fresh = await second.session({ scope: 'customers:read' });
    expect(codeOf(await second.call('orders/change_address', { street: 'Main' }, fresh))).toEqual(UNMET);
    expect(codeOf(await second.call('orders/pay_bonus', { employee: 'e-2', note: 'c' }, fresh))).toEqual([403, 'call_limit_exceeded']);
    expect(forwarded()).toEqual([]);
  });
});
