/** What a session knows of itself: what was read, of which kinds, who was validated, how often in a row, and whose it is. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { governed, type Governed } from '../../support/governed.ts';
import type { HttpAnswer } from '../../support/world.ts';

const tool = (name: string, effect: string, route: string, argument: string, more = ''): string => `
kind: Tool
name: orders/${name}
effect: ${effect}
route: ${route}
arguments: { required: [${argument}], properties: { ${argument}: { type: string, pattern: "^[A-Z0-9]{1,9}$" } } }
${more}
---`;

const DOCUMENTS = `
${tool('read_record', 'read', '{ method: GET, path: "/records/{record}" }', 'record', 'touches: { record: args.record }')}
${tool('validate_record', 'read', '{ method: POST, path: "/validations" }', 'record')}
${tool('update_record', 'write', '{ method: PUT, path: "/records/{record}" }', 'record')}
${tool('delete_record', 'destructive', '{ method: DELETE, path: "/records/{record}" }', 'record')}
${tool('read_person', 'read', '{ method: GET, path: "/people/{person}" }', 'person', 'classes: [pii]')}
${tool('send_outside', 'side_effect', '{ method: POST, path: "/outside" }', 'message')}
${tool('validate_user', 'read', '{ method: POST, path: "/users/{user}/validation" }', 'user')}
${tool('reset_user', 'write', '{ method: POST, path: "/users/{user}/reset" }', 'user')}
${tool('look_up', 'read', '{ method: GET, path: "/look-ups/{word}" }', 'word')}
${tool('take_note', 'write', '{ method: POST, path: "/notes" }', 'word')}
${tool('own_record', 'read', '{ method: GET, path: "/customers/{customer}" }', 'customer')}
${tool('list_offers', 'read', '{ method: GET, path: "/offers/{word}" }', 'word')}
{ kind: Tool, name: orders/purge, effect: destructive, route: { method: DELETE, path: /everything } }
---
${tool('find_orders', 'read', '{ method: GET, path: "/orders" }', 'word', 'remember: { order: "result.items[].id" }')}
${tool('cancel_order', 'write', '{ method: POST, path: "/orders/{order}/cancel" }', 'order')}
kind: Policy
agent: support-triage
rules:
  - id: reads
    allow: [orders/read_record, orders/validate_record, orders/read_person, orders/validate_user, orders/take_note, orders/find_orders]
    for: { roles: [support-rep] }

  # Only what was read in this conversation is changed in it.
  - id: update-what-was-read
    allow: [orders/update_record]
    for: { roles: [support-rep] }
    bind: [args.record in session.touched.record]

  # Only what the system itself answered with is cancelled.
  - id: cancel-what-was-found
    allow: [orders/cancel_order]
    for: { roles: [support-rep] }
    bind: [args.order in session.remembered.order]

  # The very record: read first, and validated.
  - id: delete-what-was-checked
    allow: [orders/delete_record]
    for: { roles: [support-rep] }
    after:
      - { tool: orders/read_record, with: { record: args.record } }
      - { tool: orders/validate_record, with: { record: args.record } }

  # The very user, in this session.
  - id: reset-who-was-validated
    allow: [orders/reset_user]
    for: { roles: [support-rep] }
    after: [{ tool: orders/validate_user, with: { user: args.user } }]

  # Who has seen personal data sends nothing outside any more.
  - id: send-before-pii
    allow: [orders/send_outside]
    for: { roles: [support-rep] }
    when: '!("pii" in session.classes)'

  - id: two-look-ups-in-a-row
    allow: [orders/look_up]
    for: { roles: [support-rep] }
    sequence: { consecutive: 2 }

  # Whoever was refused five times is not guessing right.
  - id: fewer-than-five-denials
    allow: [orders/list_offers]
    for: { roles: [support-rep] }
    session: { denials_max: 4 }

  - { id: purge, allow: [orders/purge], for: { roles: [administrator] } }

  - id: own-record
    allow: [orders/own_record]
    for: { roles: [support-rep] }
    bind: [args.customer == session.case]
---
kind: Test
given: { roles: [support-rep], session: { case: C1 } }
steps:
  - { call: orders/update_record, args: { record: R7 }, expect: resource_binding_mismatch }
  - { call: orders/read_record, args: { record: R7 }, expect: allow }
  - { call: orders/update_record, args: { record: R7 }, expect: allow }
  - { call: orders/delete_record, args: { record: R7 }, expect: session_precondition_failed }
  - { call: orders/validate_record, args: { record: R7 }, expect: allow }
  - { call: orders/delete_record, args: { record: R7 }, expect: allow }
`;

const UNMET = [403, 'session_precondition_failed'] as const;
const MISMATCH = [403, 'resource_binding_mismatch'] as const;
const FAILING = { kind: 'json', status: 500, body: {} } as const;
const OK = { kind: 'json', body: { ok: true } } as const;

describe('facts of a session', () => {
  let desk: Governed;

  beforeAll(async () => {
    desk = await governed(DOCUMENTS);
  });
  afterEach(() => {
    desk.up.answer(OK);
    desk.arrived();
  });
  afterAll(() => desk?.close());

  describe('[R4.04] resources that it touched', () => {
    const read = (session: string, record: string): Promise<HttpAnswer> => desk.call(session, 'read_record', { record });
    const update = (session: string, record: string): Promise<HttpAnswer> => desk.call(session, 'update_record', { record });

    it('are what it may change: the record that was read, and no other', async () => {
      const session = await desk.session();
      expect(codeOf(await update(session, '7'))).toEqual(MISMATCH);
      expect(codeOf(await read(session, '7'))).toEqual(ALLOWED);
      expect(codeOf(await update(session, '7'))).toEqual(ALLOWED);
      const refused = await update(session, '8');
      expect(codeOf(refused)).toEqual(MISMATCH);
      const record = await desk.record(refused);
      expect(record.rule_id).toBe('update-what-was-read');
      expect(record.detail).toContain('session.touched.record');
      expect(desk.arrived()).toEqual(['GET /records/7', 'PUT /records/7 {}']);
    });

    it('are none of another session, of the same person', async () => {
      const [one, other] = [await desk.session(), await desk.session()];
      expect(codeOf(await read(one, '7'))).toEqual(ALLOWED);
      expect(codeOf(await update(other, '7'))).toEqual(MISMATCH);
      expect(desk.arrived()).toEqual(['GET /records/7']);
    });

    it('are none by a reading that failed, or that is still under way', async () => {
      const session = await desk.session();
      desk.up.answer(FAILING);
      expect((await read(session, '7')).status).toBe(502);
      expect(codeOf(await update(session, '7'))).toEqual(MISMATCH);
      const { promise, resolve } = Promise.withResolvers<void>();
      desk.up.answer({ kind: 'parts', parts: ['{}'], headers: { 'content-type': 'application/json' }, between: () => promise });
      const before = desk.up.requests.length;
      const running = read(session, '9');
      await desk.up.arrived(before + 1);
      expect(codeOf(await update(session, '9'))).toEqual(MISMATCH);
      resolve();
      expect((await running).status).toBe(200);
      desk.up.answer(OK);
      expect(codeOf(await update(session, '9'))).toEqual(ALLOWED);
    });

    it('and what a tool has answered with: an order that was found is cancelled, an invented one is not', async () => {
      const session = await desk.session();
      expect(codeOf(await desk.call(session, 'cancel_order', { order: 'O1' }))).toEqual(MISMATCH);
      desk.up.answer({ kind: 'json', body: { items: [{ id: 'O1' }, { id: 'O2' }] } });
      expect(codeOf(await desk.call(session, 'find_orders', { word: 'X' }))).toEqual(ALLOWED);
      desk.up.answer(OK);
      expect(codeOf(await desk.call(session, 'cancel_order', { order: 'O2' }))).toEqual(ALLOWED);
      expect(codeOf(await desk.call(session, 'cancel_order', { order: 'O3' }))).toEqual(MISMATCH);
      expect(codeOf(await desk.call(await desk.session(), 'cancel_order', { order: 'O2' }))).toEqual(MISMATCH);
      expect(desk.arrived()).toEqual(['GET /orders?word=X', 'POST /orders/O2/cancel {}']);
    });
  });

  describe('[R4.05] kinds of data that it saw', () => {
    const send = (session: string): Promise<HttpAnswer> => desk.call(session, 'send_outside', { message: 'HELLO' });

    it('nothing goes outside once personal data was read', async () => {
      const session = await desk.session();
      expect(codeOf(await send(session))).toEqual(ALLOWED);
      expect(codeOf(await desk.call(session, 'read_record', { record: '7' }))).toEqual(ALLOWED);
      expect(codeOf(await send(session))).toEqual(ALLOWED);
      expect(codeOf(await desk.call(session, 'read_person', { person: 'P1' }))).toEqual(ALLOWED);
      desk.arrived();
      const refused = await send(session);
      expect(codeOf(refused)).toEqual([403, 'no_matching_policy']);
      const record = await desk.record(refused);
      expect(record.rule_id).toBe('send-before-pii');
      expect(record.detail).toContain('session.classes');
      expect(desk.arrived()).toEqual([]);
      expect(codeOf(await send(await desk.session()))).toEqual(ALLOWED);
    });

    it('a read that brought nothing back has shown nothing', async () => {
      const session = await desk.session();
      desk.up.answer(FAILING);
      expect((await desk.call(session, 'read_person', { person: 'P1' })).status).toBe(502);
      desk.up.answer(OK);
      expect(codeOf(await send(session))).toEqual(ALLOWED);
    });
  });

  it('[R4.07] a validation counts for its user, in its session', async () => {
    const [session, other] = [await desk.session(), await desk.session()];
    const reset = (token: string, user: string): Promise<HttpAnswer> => desk.call(token, 'reset_user', { user });
    const unvalidated = await reset(session, 'U1');
    expect(codeOf(unvalidated)).toEqual(UNMET);
    const record = await desk.record(unvalidated);
    expect(record.rule_id).toBe('reset-who-was-validated');
    expect(record.detail).toContain('orders/validate_user');
    expect(codeOf(await desk.call(session, 'validate_user', { user: 'U1' }))).toEqual(ALLOWED);
    expect(codeOf(await reset(other, 'U1'))).toEqual(UNMET);
    expect(codeOf(await reset(session, 'U2'))).toEqual(UNMET);
    expect(codeOf(await reset(session, 'U1'))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['POST /users/U1/validation {}', 'POST /users/U1/reset {}']);
    // A validation that failed has validated nobody.
    desk.up.answer(FAILING);
    expect((await desk.call(other, 'validate_user', { user: 'U1' })).status).toBe(502);
    desk.up.answer(OK);
    expect(codeOf(await reset(other, 'U1'))).toEqual(UNMET);
  });

  it('[R4.08] what is deleted was first read and validated, itself and in this session', async () => {
    const session = await desk.session();
    const step = (token: string, name: string, record: string): Promise<HttpAnswer> => desk.call(token, name, { record });
    expect(codeOf(await step(session, 'delete_record', 'X'))).toEqual(UNMET);
    expect(codeOf(await step(session, 'read_record', 'X'))).toEqual(ALLOWED);
    expect(codeOf(await step(session, 'delete_record', 'X'))).toEqual(UNMET);
    expect(codeOf(await step(session, 'validate_record', 'Y'))).toEqual(ALLOWED);
    expect(codeOf(await step(session, 'delete_record', 'X'))).toEqual(UNMET);
    expect(codeOf(await step(session, 'delete_record', 'Y'))).toEqual(UNMET);
    expect(codeOf(await step(session, 'validate_record', 'X'))).toEqual(ALLOWED);
    desk.arrived();
    expect(codeOf(await step(session, 'delete_record', 'Y'))).toEqual(UNMET);
    expect(codeOf(await step(await desk.session(), 'delete_record', 'X'))).toEqual(UNMET);
    expect(desk.arrived()).toEqual([]);
    expect(codeOf(await step(session, 'delete_record', 'X'))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['DELETE /records/X']);
  });

  describe('[R4.09] a third of a kind in a row', () => {
    const LIMIT = [403, 'call_limit_exceeded'] as const;
    const lookUp = (session: string, word: string): Promise<HttpAnswer> => desk.call(session, 'look_up', { word });

    it('is refused, until something else has been done', async () => {
      const session = await desk.session();
      expect([codeOf(await lookUp(session, 'A')), codeOf(await lookUp(session, 'B'))]).toEqual([ALLOWED, ALLOWED]);
      const refused = await lookUp(session, 'C');
      expect(codeOf(refused)).toEqual(LIMIT);
      expect(refused.json()['next_action']).toBe('use_allowed_tool');
      expect(await desk.record(refused)).toMatchObject({
        rule_id: 'two-look-ups-in-a-row',
        gate: 'reservation',
        detail: expect.stringContaining('2 calls in a row made (call another tool first)'),
      });
      expect(codeOf(await lookUp(session, 'C'))).toEqual(LIMIT);
      expect(codeOf(await desk.call(session, 'take_note', { word: 'N' }))).toEqual(ALLOWED);
      expect(codeOf(await lookUp(session, 'C'))).toEqual(ALLOWED);
      expect(desk.arrived()).toEqual(['GET /look-ups/A', 'GET /look-ups/B', 'POST /notes {"word":"N"}', 'GET /look-ups/C']);
    });

    it('is not made possible by a call in between that was itself refused, nor by another session’s', async () => {
      const [session, other] = [await desk.session(), await desk.session()];
      expect([codeOf(await lookUp(session, 'A')), codeOf(await lookUp(session, 'B'))]).toEqual([ALLOWED, ALLOWED]);
      expect(codeOf(await desk.call(session, 'delete_record', { record: 'X' }))).toEqual(UNMET);
      expect(codeOf(await desk.call(session, 'no_such_tool'))).toEqual([403, 'tool_not_allowed']);
      expect(codeOf(await desk.call(other, 'take_note', { word: 'N' }))).toEqual(ALLOWED);
      expect(codeOf(await lookUp(session, 'C'))).toEqual(LIMIT);
      expect(codeOf(await lookUp(other, 'C'))).toEqual(ALLOWED);
    });

    it('is exact where twenty come at once', async () => {
      const session = await desk.session();
      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => lookUp(session, `W${i}`)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(2);
      expect(desk.arrived()).toHaveLength(2);
    });
  });

  it('[R4.20] a session with four denials may, with five it may not; another one may', async () => {
    const [session, other] = [await desk.session(), await desk.session()];
    const offers = (token: string): Promise<HttpAnswer> => desk.call(token, 'list_offers', { word: 'W' });
    for (let i = 0; i < 4; i++) expect(codeOf(await desk.call(session, 'update_record', { record: `R${i}` }))).toEqual(MISMATCH);
    expect(codeOf(await offers(session))).toEqual(ALLOWED);
    desk.arrived();
    expect(codeOf(await desk.call(session, 'update_record', { record: 'R5' }))).toEqual(MISMATCH);
    const refused = await offers(session);
    expect(codeOf(refused)).toEqual(UNMET);
    const record = await desk.record(refused);
    expect(record.rule_id).toBe('fewer-than-five-denials');
    expect(record.detail).toContain('at most 4 denials');
    expect(desk.arrived()).toEqual([]);
    expect(codeOf(await offers(other))).toEqual(ALLOWED);
  });

  it.each<[string, (session: string) => Promise<HttpAnswer>]>([
    ['forbidden tools', (session) => desk.call(session, 'purge')],
    ['tools that are not there', (session) => desk.call(session, 'purga')],
    ['forbidden paths', (session) => desk.http(session, 'DELETE /everything')],
    ['paths that are not there', (session) => desk.http(session, 'DELETE /everythink')],
  ])('[R4.20] trying %s counts as well, and alike, or what follows would tell which of them exist', async (_, probe) => {
    const session = await desk.session();
    for (let i = 0; i < 4; i++) expect(codeOf(await probe(session))).toEqual([403, 'tool_not_allowed']);
    expect(codeOf(await desk.call(session, 'list_offers', { word: 'W' }))).toEqual(ALLOWED);
    expect(codeOf(await probe(session))).toEqual([403, 'tool_not_allowed']);
    desk.arrived();
    expect(codeOf(await desk.call(session, 'list_offers', { word: 'W' }))).toEqual(UNMET);
    expect(desk.arrived()).toEqual([]);
  });

  it('[R4.10] one’s own record is the conversation’s: two at once, each its own', async () => {
    const [one, two] = [await desk.session({ ticket_id: 'C1' }), await desk.session({ ticket_id: 'C2' })];
    const own = (session: string, customer: string): Promise<HttpAnswer> => desk.call(session, 'own_record', { customer });
    const rounds = await Promise.all(
      Array.from({ length: 10 }, () => [own(one, 'C1'), own(two, 'C1'), own(two, 'C2'), own(one, 'C2')]).flat(),
    );
    const codes = rounds.map((answer) => codeOf(answer));
    for (let i = 0; i < codes.length; i += 4) expect(codes.slice(i, i + 4)).toEqual([ALLOWED, MISMATCH, ALLOWED, MISMATCH]);
    const seen = desk.arrived();
    expect(seen.filter((line) => line === 'GET /customers/C1')).toHaveLength(10);
    expect(seen.filter((line) => line === 'GET /customers/C2')).toHaveLength(10);
    expect(codeOf(await own(await desk.session(), 'C1'))).toEqual(MISMATCH);
    expect(desk.arrived()).toEqual([]);
  });
});
