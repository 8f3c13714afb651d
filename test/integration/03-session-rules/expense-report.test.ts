/** An agent that files expense reports over plain HTTP, step by step: each tool behind an endpoint of its own, and what is refused. */

import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const SERVERS = ['ocr', 'employee-lookup', 'accounting-api', 'notification-api'] as const;
const ATTRIBUTES = 'manager: { claim: manager, type: string }, cost_center: { claim: cost_center, type: string }';

const policyOf = (url: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-finance-tools
uses: [${SERVERS.join(', ')}]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
${SERVERS.map((name) => `kind: ToolServer\nname: ${name}\nhttp: { url: "${url}/${name}" }\nnetwork: loopback\n---\n`).join('')}kind: Tool
name: ocr/receipt_ocr
effect: read
route: { method: POST, path: /receipts }
arguments: { required: [image_data], properties: { image_data: { type: string, maxLength: 10000 } } }
---
kind: Tool
name: employee-lookup/get_employee_cost_center
effect: read
classes: [pii]
route: { method: GET, path: "/employees/{employee_id}/cost_center" }
arguments: { required: [employee_id], properties: { employee_id: { type: string, format: email } } }
---
kind: Tool
name: accounting-api/create_expense_report
effect: write
classes: [money]
route: { method: POST, path: /expense_reports }
arguments:
  required: [employee_id, amount, cost_center]
  properties:
    employee_id: { type: string, format: email }
    amount: { type: number, format: decimal, minimum: 0 }
    cost_center: { type: string }
    receipt_text: { type: string }
---
kind: Tool
name: notification-api/send_notification
effect: side_effect
route: { method: POST, path: /notifications }
arguments: { required: [recipient, message], properties: { recipient: { type: string, format: email }, message: { type: string } } }
---
kind: Environment
values: { approved_cost_centers: { strings: [eng-team-001] } }
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: approved, require: [{ server: ocr }], bind: [principal.attributes.cost_center in env.approved_cost_centers] }
  - { id: read-receipt, allow: [ocr/receipt_ocr], for: { roles: [employee] }, once: {} }
  - id: own-cost-center
    allow: [employee-lookup/get_employee_cost_center]
    for: { roles: [employee] }
    bind: [args.employee_id == principal.id]
  - id: file-report
    allow: [accounting-api/create_expense_report]
    for: { roles: [employee] }
    bind: [args.employee_id == principal.id, args.cost_center == principal.attributes.cost_center]
    arguments: { amount: { maximum: 500 } }
    after: [ocr/receipt_ocr]
    once: {}
  - id: tell-manager
    allow: [notification-api/send_notification]
    for: { roles: [employee] }
    bind: [args.recipient == principal.attributes.manager]
---
kind: Test
given: { principal: a@b.org, roles: [employee], attributes: { manager: m@b.org, cost_center: eng-team-001 } }
steps:
  - { call: ocr/receipt_ocr, args: { image_data: x }, expect: allow }
  - { call: employee-lookup/get_employee_cost_center, args: { employee_id: a@b.org }, expect: allow }
  - { call: accounting-api/create_expense_report, args: { employee_id: a@b.org, amount: 500.01, cost_center: eng-team-001 }, expect: parameter_not_allowed }
  - { call: accounting-api/create_expense_report, args: { employee_id: a@b.org, amount: 500, cost_center: eng-team-001 }, expect: allow }
  - { call: notification-api/send_notification, args: { recipient: m@b.org, message: x }, expect: allow }
`;

const [ALICE, BOB] = ['alice@company.com', 'bob@company.com'];
const REPORT = { employee_id: ALICE, amount: 127.5, cost_center: 'eng-team-001', receipt_text: 'Lunch' };

describe('an expense report', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  /** Requests of earlier tests. */
  let before = 0;
  const forwarded = (): readonly string[] => up.requests.slice(before).map(({ method, target }) => `${method} ${target}`);
  const codeOf = (answer: HttpAnswer): readonly [number, unknown] => [answer.status, answer.json()['code']];
  const open = (claims: object = {}): Promise<string> =>
    sidecar.session({ roles: ['employee'], manager: BOB, cost_center: 'eng-team-001', ...claims });
  /** `POST /tools/<server>/invoke` with the tool and its arguments side by side. */
  const invoke = (session: string, name: string, args: object): Promise<HttpAnswer> => {
    const [server = '', tool = ''] = name.split('/');
    const headers = { 'content-type': 'application/json', 'sallyport-session': session };
    return sidecar.request(`/tools/${server}/invoke`, { body: JSON.stringify({ tool, ...args }), headers });
  };
  const ocr = (session: string): Promise<HttpAnswer> => invoke(session, 'ocr/receipt_ocr', { image_data: 'aGk=' });
  const file = (session: string, more: object = {}): Promise<HttpAnswer> =>
    invoke(session, 'accounting-api/create_expense_report', { ...REPORT, ...more });

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(policyOf(up.url) + issuerDocument(world.idp, ATTRIBUTES));
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

  it('goes through its four tools, each call on record in order', async () => {
    const session = await open();
    const answers = [
      await ocr(session),
      await invoke(session, 'employee-lookup/get_employee_cost_center', { employee_id: ALICE }),
      await file(session),
      await invoke(session, 'notification-api/send_notification', { recipient: BOB, message: 'filed' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(forwarded()).toEqual([
      'POST /ocr/receipts',
      'GET /employee-lookup/employees/alice%40company.com/cost_center',
      'POST /accounting-api/expense_reports',
      'POST /notification-api/notifications',
    ]);
    expect(up.requests.at(-2)?.body).toBe(
      '{"employee_id":"alice@company.com","amount":127.5,"cost_center":"eng-team-001","receipt_text":"Lunch"}',
    );
    const calls = await callsOfSession(world, session, 4);
    expect(calls.map(({ tool, operator, agent_id: agent, result }) => [tool, operator, agent, result])).toEqual([
      ['ocr/receipt_ocr', ALICE, AGENT, 'ok'],
      ['employee-lookup/get_employee_cost_center', ALICE, AGENT, 'ok'],
      ['accounting-api/create_expense_report', ALICE, AGENT, 'ok'],
      ['notification-api/send_notification', ALICE, AGENT, 'ok'],
    ]);
  });

  it('is of one’s own: another employee is neither looked up nor filed for', async () => {
    const session = await open();
    expect((await ocr(session)).status).toBe(200);
    const looked = await invoke(session, 'employee-lookup/get_employee_cost_center', { employee_id: BOB });
    expect(codeOf(looked)).toEqual([403, 'resource_binding_mismatch']);
    expect(await recordOf(world, looked)).toMatchObject({ rule_id: 'own-cost-center' });
    expect(codeOf(await file(session, { employee_id: BOB }))).toEqual([403, 'resource_binding_mismatch']);
    expect(codeOf(await file(session, { cost_center: 'sales-004' }))).toEqual([403, 'resource_binding_mismatch']);
    expect(codeOf(await invoke(session, 'notification-api/send_notification', { recipient: 'carol@company.com', message: 'x' }))).toEqual([
      403,
      'resource_binding_mismatch',
    ]);
    expect(forwarded()).toEqual(['POST /ocr/receipts']);
  });

  it('has one receipt and one report in a session, of whatever amount', async () => {
    const session = await open();
    expect((await ocr(session)).status).toBe(200);
    expect(codeOf(await ocr(session))).toEqual([403, 'call_limit_exceeded']);
    expect((await file(session)).status).toBe(200);
    expect(codeOf(await file(session))).toEqual([403, 'call_limit_exceeded']);
    expect(codeOf(await file(session, { amount: 1 }))).toEqual([403, 'call_limit_exceeded']);
    expect(forwarded()).toHaveLength(2);
  });

  it('is filed once, though twenty ask at once', async () => {
    const session = await open();
    expect((await ocr(session)).status).toBe(200);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => file(session, { amount: 100 + i })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 200).map((answer) => codeOf(answer).join(' ')))).toEqual(
      new Set(['403 call_limit_exceeded']),
    );
    expect(forwarded()).toEqual(['POST /ocr/receipts', 'POST /accounting-api/expense_reports']);
  });

  it('has a limit, which is allowed itself', async () => {
    const session = await open();
    expect((await ocr(session)).status).toBe(200);
    const above = await file(session, { amount: 500.01 });
    expect([...codeOf(above), above.json()['fields']]).toEqual([403, 'parameter_not_allowed', ['amount']]);
    expect(codeOf(await file(session, { amount: '500' }))).toEqual([422, 'schema_violation']);
    expect((await file(session, { amount: 500 })).status).toBe(200);
  });

  it('does not begin for an operator off the list, for one who is no employee, nor before the receipt', async () => {
    expect(codeOf(await ocr(await open({ cost_center: 'ops-009' })))).toEqual([403, 'resource_binding_mismatch']);
    expect(codeOf(await ocr(await open({ roles: ['partner'] })))).toEqual([403, 'tool_not_allowed']);
    expect(codeOf(await file(await open()))).toEqual([403, 'session_precondition_failed']);
    expect(forwarded()).toEqual([]);
  });
});
