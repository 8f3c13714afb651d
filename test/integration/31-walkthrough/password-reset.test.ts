/** A.13: an account is looked at by anybody who serves it; its password is reset after the person has proven who they are. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const tool = (name: string, effect: string): string => `kind: Tool
name: orders/${name}
effect: ${effect}
route: { method: POST, path: /${name} }
arguments: { required: [account], properties: { account: { type: string } } }
---
`;
const DOCUMENTS = `${tool('account_status', 'read')}${tool('request_password_reset', 'side_effect')}${tool('update_security_settings', 'write')}
kind: Policy
agent: support-triage
rules:
  - id: status
    allow: [orders/account_status]
    for: { roles: [customer] }
    bind: [args.account == principal.id]
  - id: reset
    allow: [orders/request_password_reset]
    for: { roles: [customer] }
    bind: [args.account == principal.id]
    step_up: { max_age: 5m, amr: [otp] }
  - id: settings
    allow: [orders/update_security_settings]
    for: { roles: [customer] }
    scopes: [security:write]
    bind: [args.account == principal.id]
    step_up: { max_age: 5m, amr: [otp] }
`;

let world: World;
let up: RecordingUpstream;
let sidecar: RunningSidecar;

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

const CUSTOMER = { sub: 'c-17', roles: ['customer'], scope: 'account:read' };
const nowS = (): number => Math.floor(world.clock.wall() / 1_000);
/** Signed in with a password, an hour ago. */
const before = (): Promise<string> => sidecar.session({ ...CUSTOMER, auth_time: nowS() - 3_600, amr: ['pwd'] });
/** The same person, after the code that they were sent. */
const verified = (scope: string): Promise<string> => sidecar.session({ ...CUSTOMER, scope, auth_time: nowS(), amr: ['pwd', 'otp'] });
const call = (name: string, session: string): Promise<HttpAnswer> => sidecar.call(`orders/${name}`, { account: 'c-17' }, session);
const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [
  answer.status,
  answer.status === 200 ? undefined : answer.json()['code'],
];

it('A.13.1 the status of an account is told without more', async () => {
  expect(codeOf(await call('account_status', await before()))).toEqual([200, undefined]);
});

it('A.13.2 a reset without a recent proof asks for one, in words that say nothing of a rule', async () => {
  const since = up.requests.length;
  const answer = await call('request_password_reset', await before());
  expect(codeOf(answer)).toEqual([403, 'step_up_required']);
  expect(answer.json()).toMatchObject({ next_action: 'step_up', user_message: 'Please verify that it is you to continue.' });
  for (const word of ['reset"', 'otp', '5m', 'rule', 'amr']) expect(answer.text).not.toContain(word);
  expect(up.requests.length).toBe(since);
});

it('A.13.3 after the proof it is done', async () => {
  expect(codeOf(await call('request_password_reset', await verified('account:read')))).toEqual([200, undefined]);
});

it('A.13.4 security settings need their scope besides', async () => {
  expect(codeOf(await call('update_security_settings', await verified('account:read')))).toEqual([403, 'insufficient_scope']);
  expect(codeOf(await call('update_security_settings', await verified('account:read security:write')))).toEqual([200, undefined]);
});

it('A.13.5 a proof in one session is none in another', async () => {
  const old = await before();
  expect(codeOf(await call('request_password_reset', await verified('account:read')))).toEqual([200, undefined]);
  expect(codeOf(await call('request_password_reset', old))).toEqual([403, 'step_up_required']);
});
