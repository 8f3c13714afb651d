/** The expense report as it is told: callers over TLS, the agent behind its sidecar, its tools under the paths of the story. */

import { certificatePem } from '@sallyport/crypto/keys';
import type { AgentName, Clock, Instant } from '@sallyport/model';
import { recordingUpstream, testAuthority, type RecordedRequest, type RecordingUpstream } from '@sallyport/testkit';
import { askAgent, inboundConfig, inboundPort } from '../../support/inbound.ts';
import { issuerDocument } from '../../support/policies.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

export interface Expenses {
  readonly world: World;
  readonly sidecar: RunningSidecar;
  readonly agent: RecordingUpstream;
  readonly tools: RecordingUpstream;
  /** A caller's request to the agent, with a token of these claims. */
  invoke(claims?: Readonly<Record<string, unknown>>, body?: object, more?: Asked): Promise<HttpAnswer>;
  /** As `invoke` by alice; what the agent was given to call out with, and the session's id. */
  begin(claims?: Readonly<Record<string, unknown>>): Promise<Begun>;
  /** A literal request of the agent's to a tool. */
  tool(name: string, body: object, session: string): Promise<HttpAnswer>;
  close(): Promise<void>;
}

export interface Begun {
  readonly session: string;
  readonly id: string;
}

interface Asked {
  readonly path?: string;
  readonly headers?: Record<string, string | undefined>;
  readonly token?: string;
}

export const ALICE = 'alice@company.com';
export const BOB = 'bob@company.com';
export const IMAGE = 'iVBORw0KGgo=';

const CLAIMS = { sub: ALICE, roles: ['employee'], manager: BOB, cost_center: 'eng-team-001', department: 'engineering' };

const SERVERS = ['ocr', 'employee-lookup', 'accounting-api', 'notification-api'] as const;

const DOCUMENTS = `
kind: Tool
name: ocr/receipt_ocr
effect: read
route: { method: POST, path: /receipt_ocr }
arguments:
  required: [image]
  properties: { image: { type: string, pattern: '^[A-Za-z0-9+/]+=*$' }, session_id: { type: string } }
---
kind: Tool
name: employee-lookup/get_employee_cost_center
effect: read
classes: [pii]
route: { method: POST, path: /get_employee_cost_center }
arguments: { required: [employee_id], properties: { employee_id: { type: string }, session_id: { type: string } } }
---
kind: Tool
name: accounting-api/create_expense_report
effect: write
classes: [money]
route: { method: POST, path: /create_expense_report }
arguments:
  required: [employee_id, amount, cost_center, receipt_text]
  properties:
    employee_id: { type: string }
    amount: { type: number, format: decimal, minimum: 0 }
    cost_center: { type: string }
    receipt_text: { type: string }
    session_id: { type: string }
---
kind: Tool
name: notification-api/send_notification
effect: side_effect
route: { method: POST, path: /send_notification }
arguments:
  required: [recipient, message]
  properties: { recipient: { type: string }, message: { type: string }, manager: { type: string } }
---
kind: Environment
values: { approved_cost_centers: { strings: [eng-team-001, sales-team-004] } }
---
kind: Policy
agent: expense-report
rules:
  - id: approved-cost-center
    require: [{ server: ocr }, { server: accounting-api }]
    bind: [principal.attributes.cost_center in env.approved_cost_centers]
  # The body may name its session, and no other.
  - id: own-session
    require: [{ server: ocr }, { server: employee-lookup }, { server: accounting-api }]
    when: has(args.session_id)
    bind: [args.session_id == session.id]
  - id: read-receipt
    allow: [ocr/receipt_ocr]
    for: { roles: [employee] }
    once: {}
  - id: own-cost-center
    allow: [employee-lookup/get_employee_cost_center]
    for: { roles: [employee] }
    bind: [args.employee_id == principal.id]
  - id: file-report
    allow: [accounting-api/create_expense_report]
    for: { roles: [employee] }
    bind: [args.employee_id == principal.id, args.cost_center == principal.attributes.cost_center]
    approval: { when: args.amount > 500, by: { role: manager } }
    once: {}
  - id: tell-manager
    allow: [notification-api/send_notification]
    for: { roles: [employee] }
    bind: [args.recipient == principal.attributes.manager]
`;

function policyOf(world: World, url: string): string {
  const servers = SERVERS.map((name) => `---\nkind: ToolServer\nname: ${name}\nhttp: { url: "${url}/${name}" }\nnetwork: loopback\n`);
  const attributes = 'manager: { claim: manager, type: string }, cost_center: { claim: cost_center, type: string }, department: department';
  return `apiVersion: sallyport.dev/v1
kind: Agent
name: expense-report
owner: team-finance-tools
uses: [${SERVERS.join(', ')}]
callers: [{ roles: [employee], tenants: [acme] }]
${servers.join('')}---
${DOCUMENTS.trim()}
${issuerDocument(world.idp, attributes)}`;
}

/** What each tool says, by the end of its path. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  receipt_ocr: { text: 'Lunch, 127.50' },
  get_employee_cost_center: { cost_center: 'eng-team-001' },
  create_expense_report: { report_id: 'ER-1' },
  send_notification: { sent: true },
};

export async function startExpenses(options: { readonly clock?: Clock } = {}): Promise<Expenses> {
  const [agent, authority, world] = [await recordingUpstream(), await testAuthority(), await startWorld(options)];
  const tools = await recordingUpstream((request: RecordedRequest) => ({
    kind: 'json',
    body: ANSWERS[request.target.split('/').at(-1) ?? ''] ?? {},
  }));
  await world.admin.publish(policyOf(world, tools.url));
  const inbound = await inboundConfig({ world, authority }, agent.url);
  const sidecar = await world.startSidecar({ agent: 'expense-report' as AgentName, config: { inbound } });
  await eventually(() => sidecar.ready(), 'readiness');
  const [port, ca] = [inboundPort(sidecar), certificatePem(authority.ca.certificate)];
  const self: Expenses = {
    world,
    sidecar,
    agent,
    tools,
    invoke: (
      claims = {},
      body = { request: 'Process this receipt' },
      { path = '/agents/expense-report/invoke', headers = {}, token } = {},
    ) =>
      askAgent(
        { port, ca, path, token: () => token ?? world.idp.mint(world.clock.wall() as Instant, { claims: { ...CLAIMS, ...claims } }) },
        { json: body, headers },
      ),
    async begin(claims) {
      const answer = await self.invoke(claims);
      if (answer.status !== 200) throw new Error(`not invoked: ${answer.status} ${answer.text}`);
      return { session: String(agent.requests.at(-1)?.headers['sallyport-session']), id: String(answer.json()['session_id']) };
    },
    tool: (name, body, session) =>
      sidecar.request(`/tools/${name}/invoke`, {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', 'sallyport-session': session },
      }),
    async close() {
      await world.close();
      await agent.close();
      await tools.close();
    },
  };
  return self;
}
