/** Rules over values: queries, amounts, the case's region and product, one invoice or all of them. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { governed, type Governed } from '../../support/governed.ts';

const ATTRIBUTES = [
  'region: { claim: case_region, type: string }',
  'product: { claim: case_product, type: string }',
  'spending_limit: { claim: spending_limit, type: decimal }',
].join(', ');

const DOCUMENTS = `
kind: Tool
name: orders/query
description: Any SQL, to the reporting database.
effect: write
route: { method: POST, path: /query }
arguments: { required: [sql], properties: { sql: { type: string, maxLength: 4000 } } }
---
kind: Tool
name: orders/pay_expense
effect: write
classes: [money]
route: { method: POST, path: /pay_expense }
arguments: { required: [amount], properties: { amount: { type: number, format: decimal, minimum: 0 } } }
---
kind: Tool
name: orders/ship_battery
effect: write
route: { method: POST, path: /ship_battery }
---
kind: Tool
name: orders/get_invoice
effect: read
classes: [pii]
route: { method: GET, path: "/invoices/{invoice}" }
arguments: { required: [invoice], properties: { invoice: { type: string, pattern: "^I[0-9]{1,9}$" } } }
---
kind: Tool
name: orders/list_all_invoices
effect: read
classes: [pii]
route: { method: GET, path: /invoices }
---
kind: Policy
agent: support-triage
rules:
  # The tool takes any SQL; analysts read with it, administrators do what they want.
  - { id: analysts-read, allow: [orders/query], for: { roles: [analyst] }, arguments: { sql: { format: sql-read } } }
  - { id: administrators, allow: [orders/query], for: { roles: [administrator] } }

  # Up to what the operator may spend alone; above it, or where that is not known, a manager has to approve.
  - id: within-limit
    allow: [orders/pay_expense]
    for: { roles: [employee] }
    approval: { when: args.amount > principal.attributes.spending_limit, by: { role: manager } }

  # Shipped within the US, and only what may fly.
  - id: us-only
    allow: [orders/ship_battery]
    for: { roles: [support-rep] }
    when: principal.attributes.region == "us" && principal.attributes.product in ["laptop", "phone"]

  # To see one is not to see all.
  - { id: one-invoice, allow: [orders/get_invoice], for: { roles: [support-rep] }, scopes: ["invoice:read"] }
  - { id: all-invoices, allow: [orders/list_all_invoices], for: { roles: [support-rep] }, scopes: ["invoices:list"] }
---
kind: Test
given: { roles: [analyst] }
cases:
  - { call: orders/query, args: { sql: SELECT 1 }, expect: allow }
  - { call: orders/query, args: { sql: DROP TABLE orders }, expect: parameter_not_allowed }
---
kind: Test
given: { roles: [employee], attributes: { spending_limit: 500 } }
cases:
  - { call: orders/pay_expense, args: { amount: 500 }, expect: allow }
  - { call: orders/pay_expense, args: { amount: 500.01 }, expect: requires_approval }
`;

describe('rules over values', () => {
  let desk: Governed;

  beforeAll(async () => {
    desk = await governed(DOCUMENTS, { attributes: ATTRIBUTES });
  });
  afterEach(() => desk.arrived());
  afterAll(() => desk?.close());

  describe('[R3.27] SQL that reads', () => {
    const READS = [
      'SELECT 1',
      "select id, total from orders where customer = 'O''Brien' limit 10;",
      'WITH recent AS (SELECT * FROM orders) SELECT count(*) FROM recent',
    ];
    it.each(READS)('goes through: %s', async (sql) => {
      expect(codeOf(await desk.call(await desk.session({ roles: ['analyst'] }), 'query', { sql }))).toEqual(ALLOWED);
      expect(desk.arrived()).toEqual([`POST /query ${JSON.stringify({ sql })}`]);
    });

    it.each([
      'UPDATE orders SET total = 0',
      'DROP TABLE orders',
      'SELECT 1; DELETE FROM orders',
      'SELECT 1 ; \n DROP TABLE orders --',
      'WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone',
      'SELECT * INTO copies FROM orders',
      "SELECT 1 INTO OUTFILE '/var/www/x.php'",
      'SELECT /*!50000 1; DROP TABLE orders */ 1',
      'EXPLAIN ANALYZE DELETE FROM orders',
      "SELECT pg_read_file('/etc/passwd')",
      'TRUNCATE orders',
      "COPY orders TO PROGRAM 'sh'",
      'SELECT * FROM orders FOR UPDATE',
      'SELECT 1\u0000; DROP TABLE orders',
      '',
    ])('what does not is refused: %j', async (sql) => {
      const refused = await desk.call(await desk.session({ roles: ['analyst'] }), 'query', { sql });
      expect([...codeOf(refused), refused.json()['fields']]).toEqual([403, 'parameter_not_allowed', ['sql']]);
      expect(await desk.record(refused)).toMatchObject({ rule_id: 'analysts-read', detail: expect.stringContaining('sql') as string });
      expect(desk.arrived()).toEqual([]);
    });

    it('is the analysts’ rule: an administrator’s own writes', async () => {
      const sql = 'UPDATE orders SET total = 0';
      expect(codeOf(await desk.call(await desk.session({ roles: ['administrator'] }), 'query', { sql }))).toEqual(ALLOWED);
      expect(desk.arrived()).toHaveLength(1);
    });
  });

  describe('[R3.29] an amount within the operator’s limit', () => {
    const pay = async (amount: unknown, limit: unknown): ReturnType<Governed['call']> =>
      desk.call(await desk.session({ roles: ['employee'], spending_limit: limit }), 'pay_expense', { amount });

    it.each([0, 127.5, 500])('%d passes', async (amount) => {
      expect(codeOf(await pay(amount, 500))).toEqual(ALLOWED);
      expect(desk.arrived()).toEqual([`POST /pay_expense {"amount":${amount}}`]);
    });

    it('above it a manager has to approve, by a cent or by a fraction that no double holds', async () => {
      const session = await desk.session({ roles: ['employee'], spending_limit: 500 });
      for (const amount of ['500.01', '500.00000000000000000000000000001', '9999999']) {
        const refused = await desk.sidecar.request('/tools/orders/pay_expense', {
          body: `{"amount":${amount}}`,
          headers: { 'content-type': 'application/json', 'sallyport-session': session },
        });
        expect([amount, ...codeOf(refused), refused.json()['next_action']]).toEqual([amount, 403, 'requires_approval', 'get_approval']);
        const record = await desk.record(refused);
        expect(record.rule_id).toBe('within-limit');
        expect(record.detail).toContain('role manager');
      }
      expect(desk.arrived()).toEqual([]);
    });

    it('each operator has their own, and one of whom none is known has none', async () => {
      expect(codeOf(await pay(50, 49.99))).toEqual([403, 'requires_approval']);
      expect(codeOf(await pay(0.01, undefined))).toEqual([403, 'requires_approval']);
      expect(desk.arrived()).toEqual([]);
      expect(codeOf(await pay(5_000, 5_000))).toEqual(ALLOWED);
      expect(desk.arrived()).toHaveLength(1);
    });

    it('what the operator’s manager could approve is approved by nobody’s saying so', async () => {
      const session = await desk.session({ roles: ['employee', 'manager'], spending_limit: 500, approved: true });
      expect(codeOf(await desk.call(session, 'pay_expense', { amount: 500.01 }))).toEqual([403, 'requires_approval']);
      expect(codeOf(await desk.call(session, 'pay_expense', { amount: 500.01, approved: true }))).toEqual([422, 'field_not_allowed']);
      expect(desk.arrived()).toEqual([]);
    });
  });

  describe('[R3.35] the region and the product of the case', () => {
    const ship = async (claims: Readonly<Record<string, unknown>>): ReturnType<Governed['call']> =>
      desk.call(await desk.session(claims), 'ship_battery');

    it.each(['laptop', 'phone'])('a %s of the US goes through', async (product) => {
      expect(codeOf(await ship({ case_region: 'us', case_product: product }))).toEqual(ALLOWED);
      expect(desk.arrived()).toEqual(['POST /ship_battery {}']);
    });

    it.each<[Readonly<Record<string, unknown>>, string]>([
      [{ case_region: 'eu', case_product: 'laptop' }, 'region'],
      [{ case_region: 'US', case_product: 'laptop' }, 'region'],
      [{ case_region: 'us,eu', case_product: 'laptop' }, 'region'],
      [{ case_product: 'laptop' }, 'region'],
      [{ case_region: 'us', case_product: 'scooter' }, 'product'],
      [{ case_region: 'us' }, 'product'],
      [{}, 'region'],
    ])('%j does not', async (claims, named) => {
      const refused = await ship(claims);
      expect(codeOf(refused)).toEqual([403, 'no_matching_policy']);
      const record = await desk.record(refused);
      expect(record.rule_id).toBe('us-only');
      expect(record.detail).toContain(named);
      expect(desk.arrived()).toEqual([]);
    });
  });

  it('[R3.37] one invoice is read under its scope; to list them all takes another', async () => {
    const [one, all] = [await desk.session({ scope: 'invoice:read' }), await desk.session({ scope: 'invoices:list' })];
    expect(codeOf(await desk.call(one, 'get_invoice', { invoice: 'I7' }))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['GET /invoices/I7']);
    const refused = await desk.call(one, 'list_all_invoices');
    expect(codeOf(refused)).toEqual([403, 'insufficient_scope']);
    expect(await desk.record(refused)).toMatchObject({ rule_id: 'all-invoices', tool: 'orders/list_all_invoices' });
    for (const line of ['GET /invoices', 'GET /invoices?invoice=I7'])
      expect((await desk.http(one, line)).status).toBeGreaterThanOrEqual(400);
    expect(codeOf(await desk.call(all, 'get_invoice', { invoice: 'I7' }))).toEqual([403, 'insufficient_scope']);
    for (const invoice of ['*', 'I7,I8', '%', '']) expect((await desk.call(one, 'get_invoice', { invoice })).status).toBe(422);
    expect(desk.arrived()).toEqual([]);
    expect(codeOf(await desk.call(all, 'list_all_invoices'))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['GET /invoices']);
  });
});
