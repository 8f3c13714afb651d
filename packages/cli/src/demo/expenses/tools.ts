/** The five tool servers of the expense story. They know nothing of policy: each does what it is asked. */

import { startTogether } from '../start-together.ts';
import { startToolServer } from '../tool-server.ts';
import type { Received, Reply, ToolServer } from '../tool-server.ts';

export const SERVERS = ['ocr', 'employee-lookup', 'accounting-api', 'notification-api', 'handbook'] as const;
export type ServerName = (typeof SERVERS)[number];
export type ExpenseTools = Readonly<Record<ServerName, ToolServer>>;

/** What the receipt says; the agent repeats it in the report. */
export const RECEIPT_TEXT = 'Cafe Central, lunch for two, 127.50 USD';
const COST_CENTERS: Readonly<Record<string, string>> = {
  'alice@company.com': 'eng-team-001',
  'bob@company.com': 'eng-leads-002',
  'dave@company.com': 'ops-team-009',
};

/** Starts all of them on free ports. */
export async function startExpenseTools(): Promise<ExpenseTools> {
  // Owner: the reply of the accounting API.
  let reports = 0;
  const nextReport = (): string => `ER-${(reports += 1)}`;
  const replies: Readonly<Record<ServerName, (received: Received) => Reply>> = {
    ocr: () => called({ text: RECEIPT_TEXT }),
    'employee-lookup': ({ line }) => called({ cost_center: COST_CENTERS[employeeIn(line)] ?? null }),
    'accounting-api': () => called({ report_id: nextReport(), status: 'filed' }),
    'notification-api': () => called({ status: 'sent' }),
    handbook: ({ body }) => handbook(body),
  };
  const started = await startTogether(SERVERS.map(async (name) => startToolServer(replies[name])));
  return Object.fromEntries(SERVERS.map((name, index) => [name, started[index]])) as ExpenseTools;
}

function called(json: object): Reply {
  return { status: 200, json, isCall: true };
}

function employeeIn(line: string): string {
  return decodeURIComponent(/^GET \/employees\/([^/]*)\/cost_center$/.exec(line)?.[1] ?? '');
}

interface McpRequest {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: { readonly protocolVersion?: string; readonly name?: string };
}

/** An MCP server over streamable HTTP, without sessions. It offers two tools, and would run either for anybody. */
function handbook(body: string): Reply {
  const { id, method, params } = parsed(body);
  if (id === undefined) return { status: 202, isCall: false };
  const result = (value: object): object => ({ jsonrpc: '2.0', id, result: value });
  switch (method ?? '') {
    case 'initialize': {
      const serverInfo = { name: 'handbook', version: '1.0.0' };
      const { protocolVersion } = params ?? {};
      return { status: 200, json: result({ protocolVersion, capabilities: { tools: {} }, serverInfo }), isCall: false };
    }
    case 'tools/list':
      return { status: 200, json: result({ tools: ['search', 'edit_page'].map(offered) }), isCall: false };
    case 'tools/call':
      return called(result({ content: [{ type: 'text', text: 'Lunch with guests: up to 150 USD.' }] }));
    default:
      return { status: 200, json: { jsonrpc: '2.0', id, error: { code: -32601, message: 'method not found' } }, isCall: false };
  }
}

function offered(name: string): object {
  return { name, inputSchema: { type: 'object' } };
}

function parsed(body: string): McpRequest {
  try {
    return JSON.parse(body) as McpRequest;
  } catch {
    // Nothing that could be answered under an id.
    return {};
  }
}
