import { sign, generateKeyPairSync } from 'node:crypto';
import { tokenIssuer } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession } from '../../support/audit.ts';
import { pass, testClock, type HttpAnswer } from '../../support/world.ts';
import { ALICE, BOB, IMAGE, startExpenses, type Begun, type Expenses } from './expenses.ts';

const claimsOf = (token: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>;
const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [
  answer.status,
  answer.status === 200 ? undefined : answer.json()['code'],
];

let told: Expenses;
let before: number;
beforeAll(async () => {
  told = await startExpenses();
});
afterAll(() => told?.close());
beforeEach(() => (before = told.tools.requests.length));

const ocr = ({ session, id }: Begun): Promise<HttpAnswer> =>
  told.tool('ocr', { tool: 'receipt_ocr', image: IMAGE, session_id: id }, session);
const report = ({ session, id }: Begun, amount = 127.5, over: object = {}): Promise<HttpAnswer> => {
  const body = { tool: 'create_expense_report', employee_id: ALICE, amount, cost_center: 'eng-team-001', receipt_text: 'Lunch' };
  return told.tool('accounting-api', { ...body, session_id: id, ...over }, session);
};
const notify = ({ session }: Begun, over: object = {}): Promise<HttpAnswer> =>
  told.tool('notification-api', { tool: 'send_notification', recipient: BOB, message: 'Filed.', ...over }, session);

describe('the walkthrough, request by request', () => {
  it('[R8.05] A.1.1-A.1.5: the agent is invoked, and invokes four tools: five times 200', async () => {
    // A.1.1
    const invoked = await told.invoke({}, { agent_id: 'expense-report-v1', human_operator: ALICE, request: 'Process this receipt' });
    expect(invoked.status).toBe(200);
    const { session_id: id, session_token: token } = invoked.json() as { readonly session_id: string; readonly session_token: string };
    const { iat, exp } = claimsOf(token) as { readonly iat: number; readonly exp: number };
    expect(exp - iat).toBe(900);
    const session = String(told.agent.requests.at(-1)?.headers['sallyport-session']);
    const bearer = told.agent.requests.at(-1)?.headers['authorization'];
    expect(bearer).toBeUndefined();
    const begun = { session, id };

    // A.1.2
    const read = await ocr(begun);
    expect([read.status, read.json()]).toEqual([200, { text: 'Lunch, 127.50' }]);
    const seen = told.tools.requests.at(-1);
    const assertion = claimsOf(String(seen?.headers['sallyport-assertion'])) as { readonly iat: number; readonly exp: number };
    expect(assertion).toMatchObject({ sub: ALICE, act: { sub: 'expense-report' }, tool: 'ocr/receipt_ocr', session_id: id });
    expect(assertion.exp - assertion.iat).toBe(60);
    expect([seen?.headers['authorization'], seen?.headers['sallyport-session']]).toEqual([undefined, undefined]);

    // A.1.3
    const body = { tool: 'get_employee_cost_center', employee_id: ALICE, session_id: id };
    const found = await told.tool('employee-lookup', body, session);
    expect([found.status, found.json()]).toEqual([200, { cost_center: 'eng-team-001' }]);

    // A.1.4
    expect((await report(begun)).status).toBe(200);
    // A.1.5: its body names no session; the session is the token's.
    expect((await notify(begun)).status).toBe(200);

    const calls = await callsOfSession(told.world, session, 5);
    expect(calls.map(({ tool, agent_id: agent, operator, decision }) => [tool, agent, operator, decision])).toEqual([
      ['agents/expense-report', 'expense-report', ALICE, 'allow'],
      ['ocr/receipt_ocr', 'expense-report', ALICE, 'allow'],
      ['employee-lookup/get_employee_cost_center', 'expense-report', ALICE, 'allow'],
      ['accounting-api/create_expense_report', 'expense-report', ALICE, 'allow'],
      ['notification-api/send_notification', 'expense-report', ALICE, 'allow'],
    ]);
  });
});

describe('the refusals', () => {
  it('A.2.1 the cost center of somebody else is `resource_binding_mismatch`, and the tool hears nothing', async () => {
    const begun = await told.begin();
    const answer = await told.tool('employee-lookup', { tool: 'get_employee_cost_center', employee_id: BOB }, begun.session);
    expect(codeOf(answer)).toEqual([403, 'resource_binding_mismatch']);
    expect(told.tools.requests.length).toBe(before);
    const [, refused] = await callsOfSession(told.world, begun.session, 2);
    expect(refused).toMatchObject({ decision: 'deny', rule_id: 'own-cost-center' });
  });

  it('A.2.2 a second receipt in the session is `call_limit_exceeded`', async () => {
    const begun = await told.begin();
    expect(codeOf(await ocr(begun))).toEqual([200, undefined]);
    expect(codeOf(await ocr(begun))).toEqual([403, 'call_limit_exceeded']);
    expect(told.tools.requests.length).toBe(before + 1);
  });

  it('A.2.3 a second report is `call_limit_exceeded`, of the same amount and of another; of 20 at once one succeeds', async () => {
    const begun = await told.begin();
    expect(codeOf(await report(begun))).toEqual([200, undefined]);
    expect(codeOf(await report(begun))).toEqual([403, 'call_limit_exceeded']);
    expect(codeOf(await report(begun, 12))).toEqual([403, 'call_limit_exceeded']);
    const [other, since] = [await told.begin(), told.tools.requests.length];
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => report(other, 100 + index)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
    expect(answers.filter(({ status }) => status !== 200).map((one) => codeOf(one)[1])).toEqual(Array(19).fill('call_limit_exceeded'));
    expect(told.tools.requests.length).toBe(since + 1);
  });

  it('A.2.5 a message to anybody but the manager is 403, also where the body calls them the manager', async () => {
    const begun = await told.begin();
    const carol = { recipient: 'carol@company.com' };
    expect((await notify(begun, carol)).status).toBe(403);
    expect((await notify(begun, { ...carol, manager: 'carol@company.com' })).status).toBe(403);
    expect(told.tools.requests.length).toBe(before);
  });

  it('A.2.6 an operator of a cost center that is not approved reads no receipt', async () => {
    const begun = await told.begin({ cost_center: 'ops-team-009' });
    expect((await ocr(begun)).status).toBe(403);
    expect(told.tools.requests.length).toBe(before);
  });

  it('A.2.7 somebody who may not use the agent is 403, and no employee is 401', async () => {
    const reached = told.agent.requests.length;
    expect(codeOf(await told.invoke({ roles: ['contractor'] }))).toEqual([403, 'no_matching_policy']);
    const foreign = tokenIssuer({ issuer: 'https://partner.test' }).mint(told.world.clock.wall());
    expect(codeOf(await told.invoke({}, undefined, { token: foreign }))).toEqual([401, 'unauthenticated']);
    expect(told.agent.requests.length).toBe(reached);
  });

  it('A.2.8 the session’s token is `token_expired` after 15 minutes and a second', async () => {
    const clock = testClock();
    const later = await startExpenses({ clock });
    try {
      const { session } = await later.begin();
      const body = { tool: 'get_employee_cost_center', employee_id: ALICE };
      expect(codeOf(await later.tool('employee-lookup', body, session))).toEqual([200, undefined]);
      const { iat } = claimsOf(session) as { readonly iat: number };
      await pass(clock, iat * 1_000 + 901_000 - clock.wall(), 2_000);
      expect(codeOf(await later.tool('employee-lookup', body, session))).toEqual([401, 'token_expired']);
    } finally {
      await later.close();
    }
  });
});

describe('a forged identity', () => {
  it('A.33.1 headers and a body that name an admin change nothing: it is alice who is judged', async () => {
    const headers = { 'x-user-id': 'admin', 'x-forwarded-user': 'admin' };
    const answer = await told.invoke({}, { request: 'x', user_id: 'admin' }, { headers });
    expect(answer.status).toBe(200);
    const seen = told.agent.requests.at(-1);
    expect([seen?.headers['x-user-id'], seen?.headers['x-forwarded-user']]).toEqual([undefined, undefined]);
    const session = String(seen?.headers['sallyport-session']);
    expect(claimsOf(session)['sub']).toBe(ALICE);
    const [record] = await callsOfSession(told.world, session, 1);
    expect(record?.operator).toBe(ALICE);
    // Nor does a call of the agent's become somebody else's by its headers.
    const call = await told.sidecar.request('/tools/employee-lookup/invoke', {
      body: JSON.stringify({ tool: 'get_employee_cost_center', employee_id: 'admin' }),
      headers: { 'content-type': 'application/json', 'sallyport-session': session, ...headers },
    });
    expect(codeOf(call)).toEqual([403, 'resource_binding_mismatch']);
  });

  it('A.33.2 headers that name an admin, and no token, are 401', async () => {
    const reached = told.agent.requests.length;
    const headers = { authorization: undefined, 'x-user-id': 'admin', 'x-forwarded-user': 'admin' };
    expect(codeOf(await told.invoke({}, { user_id: 'admin' }, { headers }))).toEqual([401, 'unauthenticated']);
    expect(told.agent.requests.length).toBe(reached);
  });

  it('A.33.3 an address in place of the agent, in the path, the target or the body, is `direct_address_rejected`', async () => {
    const reached = told.agent.requests.length;
    const answers = [
      await told.invoke({}, undefined, { path: '/agents/127.0.0.1:9999/invoke' }),
      await told.invoke({}, undefined, { path: '/agents/agent.internal/invoke' }),
      await told.invoke({}, { agent_id: '127.0.0.1:9999', request: 'x' }),
    ];
    expect(answers.map((answer) => codeOf(answer).join(' '))).toEqual(Array(3).fill('400 direct_address_rejected'));
    expect(told.agent.requests.length).toBe(reached);
  });

  it('A.33.4 a routing header leads to no other agent', async () => {
    const headers = { 'x-agent-id': 'reporting', 'x-forwarded-host': told.tools.url, 'x-original-url': '/agents/reporting/invoke' };
    const reached = told.agent.requests.length;
    expect((await told.invoke({}, undefined, { headers })).status).toBe(200);
    expect([told.agent.requests.length, told.tools.requests.length]).toEqual([reached + 1, before]);
  });

  it('a token of alice’s that somebody else has signed is nobody’s', async () => {
    const [header = '', payload = ''] = told.world.idp
      .mint(told.world.clock.wall(), { claims: { sub: ALICE, roles: ['employee'] } })
      .split('.');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const forged = sign('sha256', Buffer.from(`${header}.${payload}`), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const token = `${header}.${payload}.${forged.toString('base64url')}`;
    expect(codeOf(await told.invoke({}, undefined, { token }))).toEqual([401, 'signature_invalid']);
  });
});
