/** Rules over what an identity provider says of an operator: from a signed token, and from nowhere else. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import type { Instant } from '@sallyport/model';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordOf } from '../../support/audit.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const ATTRIBUTES = 'manager: { claim: manager, type: string }, cost_center: { claim: cost_center, type: string }';

const documents = (approved: readonly string[]): string => `
kind: Environment
values: { approved_cost_centers: { strings: [${approved.join(', ')}] } }
---
kind: Tool
name: orders/receipt_ocr
effect: read
route: { method: POST, path: /receipt_ocr }
arguments: { required: [image_data], properties: { image_data: { type: string } } }
---
kind: Tool
name: orders/send_notification
effect: side_effect
route: { method: POST, path: /notifications }
arguments:
  required: [recipient]
  properties: { recipient: { type: string, format: email }, message: { type: string } }
---
kind: Tool
name: orders/send_anything
effect: side_effect
route: { method: POST, path: /anything }
arguments:
  required: [recipient]
  properties: { recipient: { type: string } }
  additionalProperties: true
---
kind: Policy
agent: support-triage
rules:
  - { id: approved, require: [orders/receipt_ocr], bind: [principal.attributes.cost_center in env.approved_cost_centers] }
  - { id: read-receipt, allow: [orders/receipt_ocr], for: { roles: [support-rep] } }
  - id: tell-manager
    allow: [orders/send_notification, orders/send_anything]
    for: { roles: [support-rep] }
    bind: [args.recipient == principal.attributes.manager]
---
kind: Test
given: { roles: [support-rep], attributes: { manager: bob@company.com, cost_center: ${approved[0] ?? ''} } }
cases:
  - { call: orders/receipt_ocr, args: { image_data: x }, expect: allow }
  - { call: orders/send_notification, args: { recipient: bob@company.com }, expect: allow }
  - { call: orders/send_anything, args: { recipient: carol@company.com }, expect: resource_binding_mismatch }
`;

const MISMATCH = [403, 'resource_binding_mismatch'] as const;
const [MANAGER, OTHER] = ['bob@company.com', 'carol@company.com'];

describe('attributes of an operator', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  /** Requests of earlier tests. */
  let before = 0;
  const forwarded = (): readonly string[] => up.requests.slice(before).map(({ target, body }) => `${target} ${body}`);
  const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [answer.status, answer.json()['code']];
  const notify = (session: string, args: object): Promise<HttpAnswer> => sidecar.call('orders/send_notification', args, session);
  const ocr = (session: string): Promise<HttpAnswer> => sidecar.call('orders/receipt_ocr', { image_data: 'aGk=' }, session);
  const publish = (...approved: string[]): Promise<unknown> =>
    world.admin.publish(ordersPolicy(up.url, documents(approved), world.idp, ATTRIBUTES));

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await publish('eng-team-001', 'sales-004');
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  beforeEach(() => {
    before = up.requests.length;
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  describe('[R3.28] a notification goes to the operator’s own manager', () => {
    it('as the session knows them, and to nobody else', async () => {
      const session = await sidecar.session({ manager: MANAGER });
      expect((await notify(session, { recipient: MANAGER, message: 'filed' })).status).toBe(200);
      const refused = await notify(session, { recipient: OTHER, message: 'filed' });
      expect([...codeOf(refused), refused.json()['fields']]).toEqual([...MISMATCH, ['recipient']]);
      expect(forwarded()).toEqual([`/notifications {"recipient":"${MANAGER}","message":"filed"}`]);
      expect(await recordOf(world, refused)).toMatchObject({ rule_id: 'tell-manager', operator: 'alice@company.com' });
    });

    it.each([
      ['in capitals', 'BOB@company.com'],
      ['with a dot behind it', 'bob@company.com.'],
      ['of a longer name', 'jbob@company.com'],
      ['of two addresses', 'bob@company.com,carol@company.com'],
      ['of another script', 'b\u043Eb@company.com'],
    ])('the address %s is another one', async (_, recipient) => {
      const session = await sidecar.session({ manager: MANAGER });
      expect(codeOf(await sidecar.call('orders/send_anything', { recipient }, session))).toEqual(MISMATCH);
      expect(forwarded()).toEqual([]);
    });

    it('a manager that only the request speaks of is none', async () => {
      const session = await sidecar.session({ manager: MANAGER });
      const claim = { manager: OTHER, principal: { attributes: { manager: OTHER } }, attributes: { manager: OTHER } };
      expect(codeOf(await sidecar.call('orders/send_anything', { recipient: OTHER, ...claim }, session))).toEqual(MISMATCH);
      expect(codeOf(await notify(session, { recipient: OTHER, manager: OTHER }))).toEqual([422, 'field_not_allowed']);
      const headers = { 'content-type': 'application/json', 'sallyport-session': session, 'x-manager': OTHER };
      const body = JSON.stringify({ recipient: OTHER });
      expect(codeOf(await sidecar.request('/tools/orders/send_notification', { body, headers }))).toEqual(MISMATCH);
      expect(codeOf(await sidecar.request('/http/orders/notifications', { body, headers }))).toEqual(MISMATCH);
      expect(forwarded()).toEqual([]);
    });

    it('an operator of whom no manager is known notifies nobody', async () => {
      const session = await sidecar.session();
      expect(codeOf(await notify(session, { recipient: MANAGER }))).toEqual(MISMATCH);
      expect(codeOf(await sidecar.call('orders/send_anything', { recipient: '' }, session))).toEqual(MISMATCH);
      expect(forwarded()).toEqual([]);
    });

    it('each session has its own operator’s, and a later token changes none that is open', async () => {
      const [first, second] = [await sidecar.session({ manager: MANAGER }), await sidecar.session({ manager: OTHER })];
      expect((await notify(first, { recipient: MANAGER })).status).toBe(200);
      expect(codeOf(await notify(first, { recipient: OTHER }))).toEqual(MISMATCH);
      expect((await notify(second, { recipient: OTHER })).status).toBe(200);
      expect(codeOf(await notify(second, { recipient: MANAGER }))).toEqual(MISMATCH);
    });

    it('[R4.02] a change at the identity provider counts from the next session on, and what a body says of it does not', async () => {
      const before = await sidecar.session({ sub: 'dora@company.com', manager: MANAGER });
      expect((await notify(before, { recipient: MANAGER })).status).toBe(200);
      const after = await sidecar.session({ sub: 'dora@company.com', manager: OTHER });
      expect(codeOf(await notify(after, { recipient: MANAGER }))).toEqual(MISMATCH);
      expect((await notify(after, { recipient: OTHER })).status).toBe(200);
      expect((await sidecar.call('orders/send_anything', { recipient: OTHER, manager: MANAGER }, after)).status).toBe(200);
      expect(codeOf(await sidecar.call('orders/send_anything', { recipient: MANAGER, manager: MANAGER }, after))).toEqual(MISMATCH);
    });

    it.each([
      ['a list of managers', [MANAGER, OTHER]],
      ['a number', 7],
      ['null', null],
      ['an object', { address: MANAGER }],
    ])('a token whose claim is %s opens no session', async (_, manager) => {
      const token = world.idp.mint(world.clock.wall() as Instant, { claims: { manager } });
      const answer = await sidecar.request('/session', { headers: { authorization: `Bearer ${token}` } });
      expect(codeOf(answer)).toEqual([401, 'unauthenticated']);
    });
  });

  describe('[R3.39] an operator’s cost center is a condition', () => {
    it('on the approved list the call goes out, off the list it does not', async () => {
      const [listed, unlisted] = [
        await sidecar.session({ cost_center: 'eng-team-001' }),
        await sidecar.session({ cost_center: 'ops-009' }),
      ];
      expect((await ocr(listed)).status).toBe(200);
      const refused = await ocr(unlisted);
      expect(codeOf(refused)).toEqual(MISMATCH);
      expect(await recordOf(world, refused)).toMatchObject({ rule_id: 'approved' });
      expect(forwarded()).toHaveLength(1);
    });

    it.each([
      ['the beginning of an approved one', 'eng-team-00'],
      ['an approved one with white space', 'eng-team-001 '],
      ['in capitals', 'ENG-TEAM-001'],
      ['two in one', 'eng-team-001,ops-009'],
      ['nothing', ''],
    ])('%s is on no list', async (_, center) => {
      expect(codeOf(await ocr(await sidecar.session({ cost_center: center })))).toEqual(MISMATCH);
      expect(forwarded()).toEqual([]);
    });

    it('without a cost center the call is refused', async () => {
      expect(codeOf(await ocr(await sidecar.session()))).toEqual(MISMATCH);
      expect(forwarded()).toEqual([]);
    });

    it('the list is the environment’s: another one counts for sessions that are open', async () => {
      const [eng, ops] = [await sidecar.session({ cost_center: 'eng-team-001' }), await sidecar.session({ cost_center: 'ops-009' })];
      expect([(await ocr(eng)).status, (await ocr(ops)).status]).toEqual([200, 403]);
      await publish('ops-009');
      await eventually(async () => (await ocr(ops)).status === 200, 'the new list in force');
      expect(codeOf(await ocr(eng))).toEqual(MISMATCH);
    });
  });
});
