/** A long session with failures and retries: every attempt is in its history, and every rule counts what it should. */

import { recordingUpstream, type RecordingUpstream, type ScriptedAnswer } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOfSession } from '../../support/audit.ts';
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
---
kind: Tool
name: orders/look_up
effect: read
route: { method: GET, path: "/orders/{order_id}" }
arguments: { required: [order_id], properties: { order_id: { type: string } } }
---
kind: Tool
name: orders/report
effect: write
classes: [money]
route: { method: POST, path: /report }
---
kind: Tool
name: orders/bonus
effect: write
classes: [money]
route: { method: POST, path: /bonus }
arguments: { required: [employee], properties: { employee: { type: string } } }
---
kind: Tool
name: orders/sum_up
effect: read
route: { method: POST, path: /sum_up }
arguments: { required: [attempts, failures], properties: { attempts: { type: integer }, failures: { type: integer } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: verify, allow: [orders/verify_customer], for: { roles: [support-rep] } }
  - { id: address, allow: [orders/change_address], for: { roles: [support-rep] }, after: [orders/verify_customer] }
  - id: three-look-ups
    allow: [orders/look_up]
    for: { roles: [support-rep] }
    when: session.completed.filter(name, name == tool.name).size() < 3
  - { id: one-report, allow: [orders/report], for: { roles: [support-rep] }, once: {} }
  - { id: one-bonus-each, allow: [orders/bonus], for: { roles: [support-rep] }, once: { per: args.employee } }
  - id: whole-history
    allow: [orders/sum_up]
    for: { roles: [support-rep] }
    when: >-
      session.attempted.size() == args.attempts && session.failed.size() == args.failures
      && session.attempted.size() == session.completed.size() + session.failed.size() + session.denied.size()
  - { id: five-strikes, deny: [{ server: orders }], when: session.denied.size() >= 5, for: { roles: [trainee] } }
---
kind: Test
given: { roles: [support-rep] }
steps:
  - { call: orders/change_address, expect: session_precondition_failed }
  - { call: orders/verify_customer, expect: allow }
  - { call: orders/change_address, expect: allow }
  - { call: orders/look_up, args: { order_id: O-1 }, expect: allow }
  - { call: orders/report, expect: allow }
  - { call: orders/bonus, args: { employee: e1 }, expect: allow }
  - { call: orders/sum_up, args: { attempts: 6, failures: 0 }, expect: allow }
`;

const OK: ScriptedAnswer = { kind: 'json', body: { ok: true } };
const FAILING: ScriptedAnswer = { kind: 'json', status: 500, body: {} };
const BROKEN: ScriptedAnswer = { kind: 'close_mid_body' };

describe('the history of a session', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [answer.status, answer.status < 300 ? '-' : answer.json()['code']];

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, DOCUMENTS, world.idp));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('[R4.14] fifteen calls and three retries are eighteen attempts, and once, after and at most stay exact', async () => {
    const [verify, address, report] = ['orders/verify_customer', 'orders/change_address', 'orders/report'];
    const lookUp = (id: string): readonly [string, object] => ['orders/look_up', { order_id: id }];
    const bonus = (employee: string): readonly [string, object] => ['orders/bonus', { employee }];
    const SCRIPT: readonly (readonly [
      call: readonly [string, object],
      upstream: ScriptedAnswer,
      status: number,
      code: string,
      rule: string,
    ])[] = [
      [[address, {}], OK, 403, 'session_precondition_failed', 'address'],
      [[verify, {}], FAILING, 502, 'upstream_error', 'verify'],
      [[verify, {}], OK, 200, '-', 'verify'], // first retry: what failed has proved nothing, what succeeds does
      [[address, {}], OK, 200, '-', 'address'],
      [lookUp('O-1'), OK, 200, '-', 'three-look-ups'],
      [lookUp('O-2'), BROKEN, 502, 'upstream_error', 'three-look-ups'],
      [lookUp('O-2'), OK, 200, '-', 'three-look-ups'], // second retry: a look-up that broke off is none of the three
      [lookUp('O-3'), OK, 200, '-', 'three-look-ups'],
      [lookUp('O-4'), OK, 403, 'no_matching_policy', 'three-look-ups'],
      [[report, {}], OK, 200, '-', 'one-report'],
      [[report, {}], OK, 403, 'call_limit_exceeded', 'one-report'],
      [bonus('e1'), FAILING, 502, 'upstream_error', 'one-bonus-each'],
      [bonus('e1'), OK, 403, 'call_limit_exceeded', 'one-bonus-each'], // third retry: it may have been paid
      [bonus('e2'), OK, 200, '-', 'one-bonus-each'],
      [bonus('e2'), OK, 403, 'call_limit_exceeded', 'one-bonus-each'],
      [[address, {}], OK, 200, '-', 'address'],
      [[verify, {}], OK, 200, '-', 'verify'],
      [lookUp('O-5'), OK, 403, 'no_matching_policy', 'three-look-ups'],
    ];
    expect(SCRIPT).toHaveLength(18);
    const session = await sidecar.session();
    for (const [[name, args], upstream, status, code] of SCRIPT) {
      up.answer(upstream);
      expect([name, args, ...codeOf(await sidecar.call(name, args, session))]).toEqual([name, args, status, code]);
    }

    const calls = await callsOfSession(world, session, SCRIPT.length);
    const told = calls.map(({ tool, decision, code, rule_id: rule }) => [tool, decision, code, rule]);
    expect(told).toEqual(SCRIPT.map(([[name], , status, code, rule]) => [name, status === 403 ? 'deny' : 'allow', code, rule]));
    expect(new Set(calls.map(({ decision_id: id }) => id)).size).toBe(18);
    expect(up.requests).toHaveLength(12);

    // The same history as rules see it, by one that counts it.
    up.answer(OK);
    expect(codeOf(await sidecar.call('orders/sum_up', { attempts: 18, failures: 2 }, session))).toEqual([403, 'no_matching_policy']);
    expect(codeOf(await sidecar.call('orders/sum_up', { attempts: 19, failures: 3 }, session))).toEqual([200, '-']);
    const another = await sidecar.session();
    expect(codeOf(await sidecar.call('orders/sum_up', { attempts: 19, failures: 3 }, another))).toEqual([403, 'no_matching_policy']);
  });

  it('is not made forgotten by filling it: what was counted once is never less', async () => {
    up.answer(OK);
    const session = await sidecar.session();
    const lookUp = (id: string): Promise<HttpAnswer> => sidecar.call('orders/look_up', { order_id: id }, session);
    for (const id of ['O-1', 'O-2', 'O-3']) expect(codeOf(await lookUp(id))).toEqual([200, '-']);
    expect(codeOf(await lookUp('O-4'))).toEqual([403, 'no_matching_policy']);
    for (let i = 0; i < 110; i++) await Promise.all(Array.from({ length: 10 }, () => sidecar.call('orders/verify_customer', {}, session)));
    expect(codeOf(await lookUp('O-5'))).toEqual([403, 'no_matching_policy']);
    // What counts without looking back goes on; a new session has a history of its own.
    expect(codeOf(await sidecar.call('orders/change_address', {}, session))).toEqual([200, '-']);
    expect(codeOf(await sidecar.call('orders/look_up', { order_id: 'O-9' }, await sidecar.session()))).toEqual([200, '-']);
  });

  it('[R4.20] denials are part of it: after five of them an otherwise allowed call is refused', async () => {
    up.answer(OK);
    const session = await sidecar.session({ roles: ['support-rep', 'trainee'] });
    expect(codeOf(await sidecar.call('orders/verify_customer', {}, session))).toEqual([200, '-']);
    const refused = { attempts: 99, failures: 99 };
    for (let i = 0; i < 5; i++) expect(codeOf(await sidecar.call('orders/sum_up', refused, session))).toEqual([403, 'no_matching_policy']);
    expect(codeOf(await sidecar.call('orders/verify_customer', {}, session))).toEqual([403, 'no_matching_policy']);
    expect(codeOf(await sidecar.call('orders/verify_customer', {}, await sidecar.session({ roles: ['support-rep', 'trainee'] })))).toEqual([
      200,
      '-',
    ]);
    const calls = await callsOfSession(world, session, 7);
    expect(calls.map(({ rule_id: rule }) => rule)).toEqual(['verify', ...Array.from({ length: 5 }, () => 'whole-history'), 'five-strikes']);
  });
});
