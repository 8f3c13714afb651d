/** Who asks what in the expense story, and what examples/expenses says to it. */

import type { Json } from '@sallyport/model';
import type { Operator } from '../../onboard/dev-issuer.ts';
import type { Arguments } from '../agent.ts';
import { RECEIPT_TEXT } from './tools.ts';
import type { ServerName } from './tools.ts';

export interface ExpenseCall {
  readonly server: ServerName;
  readonly tool: string;
  readonly args: Arguments;
  /** The arguments that people are shown. */
  readonly shown: readonly string[];
}

/** A call, and what is promised of it. */
export interface ToldCall extends ExpenseCall {
  readonly title: string;
  /** What the caller is told: `200 ok`, or status and code. */
  readonly told: string;
  /** The code in the record, where it is not the one that is told: what is hidden is told as what does not exist. */
  readonly code?: string;
  /** The rule that decides, or `gate:<name>`. */
  readonly rule: string;
  /** Of an allowed call: what the tool gets, as method and path, and what it answers. */
  readonly toTool?: string;
  readonly answer?: string;
  /** Where the tool is called by its API's own path, with GET, and not by name. */
  readonly path?: string;
  /** What people are shown in place of server, tool and arguments. */
  readonly text?: string;
  /** For people, where something has to be said. */
  readonly note?: string;
}

const person = (name: string, claims: Readonly<Record<string, Json>>, roles: readonly string[] = ['employee']): Operator => ({
  subject: `${name}@company.com`,
  tenant: 'company',
  roles,
  attributes: claims,
});

export const ALICE: Operator = person('alice', { manager: 'bob@company.com', cost_center: 'eng-team-001', department: 'engineering' });
/** An employee whose cost center is not on the list. */
export const DAVE: Operator = person('dave', { manager: 'bob@company.com', cost_center: 'ops-team-009', department: 'operations' });
/** Her token is as good as any; no rule is for her. */
export const CONTRACTOR: Operator = person('erin', { cost_center: 'eng-team-001' }, ['contractor']);
/** Somebody else's employee, with a token of somebody else's issuer. */
export const STRANGER: Operator = { ...person('mallory', { cost_center: 'eng-team-001' }), subject: 'mallory@partner.com' };

/** A picture of one pixel; the stand-in for OCR sees a receipt in it. */
const IMAGE = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

export const readReceipt: ExpenseCall = { server: 'ocr', tool: 'receipt_ocr', args: { image: IMAGE }, shown: [] };

export function lookUp(employee: string): ExpenseCall {
  return { server: 'employee-lookup', tool: 'get_employee_cost_center', args: { employee_id: employee }, shown: ['employee_id'] };
}

export function fileReport(amount: number): ExpenseCall {
  const args = { employee_id: ALICE.subject, amount, cost_center: 'eng-team-001', receipt_text: RECEIPT_TEXT };
  return { server: 'accounting-api', tool: 'create_expense_report', args, shown: ['amount'] };
}

export function tell(recipient: string, said: Arguments = {}): ExpenseCall {
  const args = { recipient, message: 'Report ER-1 is filed.', ...said };
  return { server: 'notification-api', tool: 'send_notification', args, shown: ['recipient', ...Object.keys(said)] };
}

export const AMOUNT = 127.5;

/** Alice's receipt, from the picture to the message. */
export const WALKTHROUGH: readonly ToldCall[] = [
  {
    ...readReceipt,
    title: 'read the receipt',
    told: '200 ok',
    rule: 'read-receipt',
    toTool: 'POST /receipt_ocr',
    answer: JSON.stringify({ text: RECEIPT_TEXT }),
  },
  {
    ...lookUp(ALICE.subject),
    title: 'look up her cost center',
    told: '200 ok',
    rule: 'own-cost-center',
    toTool: 'GET /employees/alice%40company.com/cost_center',
    answer: '{"cost_center":"eng-team-001"}',
  },
  {
    ...fileReport(AMOUNT),
    title: 'file the report, $127.50',
    told: '200 ok',
    rule: 'file-report',
    toTool: 'POST /expense_reports',
    answer: '{"report_id":"ER-1","status":"filed"}',
  },
  {
    ...tell('bob@company.com'),
    title: 'tell her manager, Bob',
    told: '200 ok',
    rule: 'tell-manager',
    toTool: 'POST /notifications',
    answer: '{"status":"sent"}',
  },
];

const denied = (call: ExpenseCall, title: string, told: string, rule: string, note?: string): ToldCall => ({
  ...call,
  title,
  told,
  rule,
  ...(note === undefined ? {} : { note }),
});

/** In the session of the walkthrough, after it. */
export const REFUSED_LATER: readonly ToldCall[] = [
  denied(lookUp('bob@company.com'), "Bob's cost center instead of hers", '403 resource_binding_mismatch', 'own-cost-center'),
  {
    ...denied(lookUp('bob@company.com'), "the same by the API's own path", '403 resource_binding_mismatch', 'own-cost-center'),
    path: '/employees/bob@company.com/cost_center',
    text: 'GET /http/employee-lookup/employees/bob@company.com/cost_center',
  },
  denied(readReceipt, 'a second receipt in one session', '403 call_limit_exceeded', 'read-receipt'),
  denied(fileReport(20), 'a second report in one session', '403 call_limit_exceeded', 'file-report'),
  denied(tell('carol@company.com'), 'a message to Carol, who is not her manager', '403 resource_binding_mismatch', 'tell-manager'),
  denied(
    tell('carol@company.com', { manager: 'carol@company.com' }),
    'the same, with Carol as manager in the body',
    '403 resource_binding_mismatch',
    'tell-manager',
    'her identity provider says Bob; what stands in a body is no fact',
  ),
];

/** In a session that has just begun. */
export const REFUSED_EARLY: ToldCall = denied(
  fileReport(AMOUNT),
  'a report before any receipt was read',
  '403 session_precondition_failed',
  'file-report',
);

/** In one in which a receipt was read. */
export const REFUSED_ABOVE: ToldCall = denied(
  fileReport(500.01),
  'one cent above the filing limit: $500.01',
  '403 requires_approval',
  'file-report',
  'to come: asking a manager, and filing it once they approve',
);

export const REFUSED_DAVE: ToldCall = denied(
  readReceipt,
  'Dave, whose cost center is not on the list',
  '403 resource_binding_mismatch',
  'approved-cost-center',
);
export const REFUSED_CONTRACTOR: ToldCall = denied(
  readReceipt,
  'a contractor, for whom there is no rule',
  '403 tool_not_allowed',
  'default-deny',
);
export const REFUSED_STRANGER: ToldCall = {
  ...denied(readReceipt, "a token of somebody else's identity provider", '401 unauthenticated', 'gate:authentication'),
  text: 'POST /session',
};
export const REFUSED_NOBODY: ToldCall = denied(
  lookUp(ALICE.subject),
  'a call without a session',
  '401 unauthenticated',
  'gate:authentication',
);

/** Allowed under every release of the story, as often as it is asked. */
export const STEADY: ExpenseCall = lookUp(ALICE.subject);

/** A call as people read it: `employee-lookup/get_employee_cost_center employee_id=bob@company.com`. */
export function callText({ server, tool, args, shown, text }: ExpenseCall & Pick<ToldCall, 'text'>): string {
  if (text !== undefined) return text;
  const texts = shown.map((name) => `${name}=${String(args[name])}`);
  return [`${server}/${tool}`, ...texts, ...(shown.length < Object.keys(args).length ? ['…'] : [])].join(' ');
}
