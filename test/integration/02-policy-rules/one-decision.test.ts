/** One rule with everything in it, a session's task, and a caller who says that all is well. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { governed, type Governed } from '../../support/governed.ts';

const DOCUMENTS = `
kind: Tool
name: orders/close_account
effect: destructive
route: { method: POST, path: /close_account }
arguments: { required: [account], properties: { account: { type: string }, reason: { type: string } } }
---
kind: Tool
name: orders/file_expenses
effect: write
route: { method: POST, path: /file_expenses }
---
kind: Tool
name: orders/delete_customer
effect: destructive
route: { method: POST, path: /delete_customer }
arguments: { required: [customer], properties: { customer: { type: string } } }
---
kind: Tool
name: orders/note
effect: write
route: { method: POST, path: /note }
arguments: { properties: { text: { type: string } }, additionalProperties: true }
---
kind: Policy
agent: support-triage
rules:
  - id: close-account
    allow: [orders/close_account]
    for: { roles: [support-lead] }                # who may at all
    scopes: ["accounts:close"]                    # whether this credential may
    task: [account-closure]                       # why
    bind: [args.account == session.case]          # what
    when: principal.tenant == "acme" && principal.auth_age_s <= 600   # for whom, and when
    step_up: { amr: [otp] }                       # how
  - { id: expenses, allow: [orders/file_expenses], for: { roles: [support-rep] }, task: [expense-report] }
  - { id: cleanup, allow: [orders/delete_customer], for: { roles: [support-rep] }, task: [customer-cleanup] }
  - id: note
    allow: [orders/note]
    for: { roles: [support-rep] }
    scopes: ["notes:write"]
---
kind: Test
given:
  roles: [support-lead]
  tenant: acme
  scopes: ["accounts:close"]
  signed_in: { amr: [otp] }
  session: { case: A1, task: account-closure }
cases:
  - { call: orders/close_account, args: { account: A1 }, expect: allow }
  - { call: orders/close_account, args: { account: A2 }, expect: resource_binding_mismatch }
---
kind: Test
given: { roles: [support-rep], scopes: ["notes:write"], session: { task: expense-report } }
cases:
  - { call: orders/file_expenses, expect: allow }
  - { call: orders/delete_customer, args: { customer: C1 }, expect: out_of_task }
  - { call: orders/note, args: { text: x }, expect: allow }
`;

const secondsAgo = (seconds: number): number => Math.floor(Date.now() / 1_000) - seconds;

describe('one decision', () => {
  let desk: Governed;

  beforeAll(async () => {
    desk = await governed(DOCUMENTS);
  });
  afterEach(() => desk.arrived());
  afterAll(() => desk?.close());

  describe('[R3.09] by who, what, whether, how, when and why', () => {
    const RIGHT = {
      roles: ['support-lead'],
      scope: 'accounts:close',
      task: 'account-closure',
      ticket_id: 'A1',
      amr: ['pwd', 'otp'],
      auth_time: secondsAgo(60),
    };

    it('is an allow while everything holds', async () => {
      expect(codeOf(await desk.call(await desk.session(RIGHT), 'close_account', { account: 'A1' }))).toEqual(ALLOWED);
      expect(desk.arrived()).toEqual(['POST /close_account {"account":"A1"}']);
      const [event] = await desk.allowed('close_account');
      expect(event).toMatchObject({ rule_id: 'close-account', decision: 'allow' });
    });

    it.each<[what: string, change: object, code: string, named: string]>([
      ['who', { roles: ['support-rep'] }, 'tool_not_allowed', 'orders/close_account'],
      ['for whom', { tenant_id: 'umbrella' }, 'no_matching_policy', 'principal.tenant'],
      ['what', { ticket_id: 'A2' }, 'resource_binding_mismatch', 'args.account == session.case'],
      ['what, unknown', { ticket_id: undefined }, 'resource_binding_mismatch', 'args.account == session.case'],
      ['whether', { scope: 'accounts:read' }, 'insufficient_scope', 'accounts:close'],
      ['how', { amr: ['pwd'] }, 'step_up_required', 'otp'],
      ['when', { auth_time: secondsAgo(660) }, 'no_matching_policy', 'principal.auth_age_s'],
      ['why', { task: 'expense-report' }, 'out_of_task', 'account-closure'],
      ['why, unknown', { task: undefined }, 'out_of_task', 'account-closure'],
    ])('is a denial where %s alone does not, and its record names that', async (_, change, code, named) => {
      const refused = await desk.call(await desk.session({ ...RIGHT, ...change }), 'close_account', { account: 'A1' });
      expect(codeOf(refused)).toEqual([403, code]);
      const record = await desk.record(refused);
      expect(record).toMatchObject({ decision: 'deny', code, rule_id: code === 'tool_not_allowed' ? 'default-deny' : 'close-account' });
      expect(record.detail).toContain(named);
      expect(desk.arrived()).toEqual([]);
    });
  });

  it('[R3.11] a call fits the task of its session, whatever the agent may do under another', async () => {
    const [expenses, cleanup, none] = [
      await desk.session({ task: 'expense-report' }),
      await desk.session({ task: 'customer-cleanup' }),
      await desk.session(),
    ];
    const remove = { customer: 'C1' };
    expect(codeOf(await desk.call(expenses, 'file_expenses'))).toEqual(ALLOWED);
    expect(codeOf(await desk.call(cleanup, 'delete_customer', remove))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['POST /file_expenses {}', 'POST /delete_customer {"customer":"C1"}']);
    const refused = await desk.call(expenses, 'delete_customer', remove);
    expect(codeOf(refused)).toEqual([403, 'out_of_task']);
    expect(refused.json()['next_action']).toBe('stop');
    expect(await desk.record(refused)).toMatchObject({ rule_id: 'cleanup', detail: expect.stringContaining('customer-cleanup') as string });
    expect(codeOf(await desk.call(none, 'delete_customer', remove))).toEqual([403, 'out_of_task']);
    expect(codeOf(await desk.call(cleanup, 'file_expenses'))).toEqual([403, 'out_of_task']);
    // A task that merely begins alike, or that the call itself names, is another one.
    expect(codeOf(await desk.call(await desk.session({ task: 'customer-cleanup-2' }), 'delete_customer', remove))).toEqual([
      403,
      'out_of_task',
    ]);
    expect(codeOf(await desk.call(expenses, 'delete_customer', { ...remove, task: 'customer-cleanup' }))).toEqual([
      422,
      'field_not_allowed',
    ]);
    expect(desk.arrived()).toEqual([]);
  });

  describe('[R3.12] what an orchestrator asserts of checks, scopes and approvals is not believed', () => {
    const ASSERTIONS: Readonly<Record<string, object>> = {
      'verified and every scope': { verified: true, scopes: ['*'] },
      'the very scope': { scope: 'notes:write', scopes: ['notes:write'] },
      'a principal': { principal: { id: 'admin', roles: ['support-lead'], scopes: ['notes:write'] } },
      'a session': { session: { scopes: ['notes:write'], completed: ['orders/verify'] } },
      'an approval': { approved: true, approval: { by: 'dana' }, approvals: ['dana'] },
    };

    it.each(Object.entries(ASSERTIONS))('%s in the arguments: the same refusal, by the same rule', async (_, assertion) => {
      const session = await desk.session({ scope: 'orders:read' });
      const [silent, saying] = [
        await desk.call(session, 'note', { text: 'x' }),
        await desk.call(session, 'note', { text: 'x', ...assertion }),
      ];
      expect([codeOf(silent), codeOf(saying)]).toEqual([
        [403, 'insufficient_scope'],
        [403, 'insufficient_scope'],
      ]);
      const [one, two] = [await desk.record(silent), await desk.record(saying)];
      expect([two.gate, two.rule_id, two.code, two.detail]).toEqual([one.gate, one.rule_id, one.code, one.detail]);
      expect(desk.arrived()).toEqual([]);
    });

    it('nor in headers or in the query', async () => {
      const session = await desk.session({ scope: 'orders:read' });
      const headers = {
        'content-type': 'application/json',
        'sallyport-session': session,
        'x-verified': 'true',
        'x-scopes': 'notes:write',
        'x-forwarded-user': 'admin',
        'sallyport-approval': 'dana',
      };
      const said = await desk.sidecar.request('/tools/orders/note', { body: '{"text":"x"}', headers });
      expect(codeOf(said)).toEqual([403, 'insufficient_scope']);
      const asked = await desk.sidecar.request('/http/orders/note?scope=notes%3Awrite', { body: '{"text":"x"}', headers });
      expect(asked.status).toBeGreaterThanOrEqual(400);
      expect(desk.arrived()).toEqual([]);
    });

    it.each(Object.entries(ASSERTIONS))(
      '%s: what is allowed without it is allowed with it, and reaches the tool as data',
      async (_, assertion) => {
        const session = await desk.session({ scope: 'notes:write' });
        expect(codeOf(await desk.call(session, 'note', { text: 'x', ...assertion }))).toEqual(ALLOWED);
        expect(desk.arrived()).toEqual([`POST /note ${JSON.stringify({ text: 'x', ...assertion })}`]);
      },
    );

    it('nor claims that the issuer is not trusted with', async () => {
      const session = await desk.session({ scope: 'orders:read', scopes: ['notes:write'], verified: true, approved: true });
      expect(codeOf(await desk.call(session, 'note', { text: 'x' }))).toEqual([403, 'insufficient_scope']);
      expect(desk.arrived()).toEqual([]);
    });
  });
});
