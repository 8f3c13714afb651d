/**
 * The short story: two MCP servers from npm and the official client, all unmodified, under examples/demo-policy. Shows that
 * the gateway speaks with what is out there; what else it does is the other story's to show.
 */

import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { makeFolders } from '@sallyport/runtime';
import { operatorToken } from '../../onboard/dev-issuer.ts';
import type { Operator } from '../../onboard/dev-issuer.ts';
import { createAgent, sessionOf } from '../agent.ts';
import type { Agent, Session } from '../agent.ts';
import { begin } from '../begin.ts';
import { decisionReader, lackText, ruleText } from '../decisions.ts';
import type { SeenDecision } from '../decisions.ts';
import { editFile } from '../example.ts';
import type { Answered } from '../mcp-client.ts';
import { startEverything, startFilesystem } from '../mcp-servers.ts';
import { proveRecord, takeRecord } from '../record.ts';
import { startTogether } from '../start-together.ts';
import { act } from '../telling.ts';
import type { Decided, OpenStory, Story, Telling } from '../telling.ts';
import { startToolServer } from '../tool-server.ts';
import type { ToolServer } from '../tool-server.ts';
import { connectOfficial } from './official-client.ts';

const ALICE: Operator = {
  subject: 'alice@demo.local',
  roles: ['support-rep'],
  scopes: ['orders:read'],
  attributes: { tenant_id: 'demo', ticket_id: 'O-000123' },
};

export const realServersStory: Story = {
  name: 'real-servers',
  agent: 'support-triage',
  issuer: 'https://idp.demo.local',
  example: 'demo-policy',
  acts: 3,
  opening: [
    'A support agent, the official MCP client, calls two MCP servers from',
    'npm and a plain HTTP service, all unmodified, through its sidecar.',
  ],
  open: openStory,
};

interface Tools {
  readonly orders: ToolServer;
  readonly publicFile: string;
  readonly privateFile: string;
  /** The folder that the file server serves; it stands in paths of calls. */
  readonly served: string;
}

async function openStory(): Promise<OpenStory> {
  const served = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-demo-files-')));
  const publicFile = writeServed(served, 'public/hours.txt', 'Open from 9 to 5.\n');
  const privateFile = writeServed(served, 'private/salaries.txt', 'None of your business.\n');
  const publicFolder = `${join(served, 'public')}/`;
  const order = { order_id: 'O-000123', status: 'paid', total: '19.90' };
  try {
    const servers = await startTogether([
      startToolServer(() => ({ status: 200, json: order, isCall: true })),
      startEverything(),
      startFilesystem(served),
    ]);
    const [orders, everything, files] = servers;
    return {
      environment: {
        everything_url: `{ url: ${JSON.stringify(everything.url)} }`,
        files_url: `{ url: ${JSON.stringify(files.url)} }`,
        orders_url: `{ url: ${JSON.stringify(orders.url)} }`,
        public_folder: `{ string: ${JSON.stringify(publicFolder)} }`,
      },
      prepare(policyDir) {
        // The tests name paths; theirs are the example's.
        editFile(join(policyDir, 'tests.yaml'), (text) => text.replaceAll('/srv/demo/public/', publicFolder));
      },
      tell: (telling) => tell(telling, { orders, publicFile, privateFile, served }),
      async close() {
        await Promise.all(servers.map(async (server) => server.close()));
        rmSync(served, { recursive: true, force: true });
      },
    };
  } catch (error) {
    rmSync(served, { recursive: true, force: true });
    throw error;
  }
}

function writeServed(served: string, name: string, content: string): string {
  const path = join(served, name);
  makeFolders(dirname(path), 0o700);
  writeFileSync(path, content);
  return path;
}

interface RealCall {
  readonly server: string;
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** `allow by <rule>`, or `deny <code> by <rule>`. */
  readonly expected: string;
}

const HIDDEN = 'deny tool_not_allowed by gate:tool, told as unknown tool';

function callsOf({ publicFile, privateFile }: Tools): readonly RealCall[] {
  const call = (name: string, args: RealCall['args'], expected: string): RealCall => {
    const [server = '', tool = ''] = name.split('/');
    return { server, tool, args, expected };
  };
  return [
    call('everything/echo', { message: 'hello' }, 'allow by echo'),
    call('everything/get-sum', { a: 2, b: 3 }, 'allow by small-sums'),
    call('everything/get-sum', { a: 2, b: 300 }, 'deny parameter_not_allowed by small-sums'),
    call('everything/get-sum', { a: 'two', b: 3 }, 'deny schema_violation by gate:validation'),
    call('everything/get-env', {}, HIDDEN),
    call('files/read_text_file', { path: publicFile }, 'allow by read-public-files'),
    call('files/read_text_file', { path: privateFile }, 'deny no_matching_policy by read-public-files'),
    call(
      'files/read_text_file',
      { path: publicFile.replace('hours.txt', '../private/salaries.txt') },
      'deny no_matching_policy by read-public-files',
    ),
    call('files/write_file', { path: publicFile, content: 'Closed.' }, 'deny tool_not_allowed by default-deny, told as unknown tool'),
    call('orders/get_order', { order_id: 'O-000123' }, 'allow by read-own-order'),
    call('orders/get_order', { order_id: 'O-000999' }, 'deny resource_binding_mismatch by read-own-order'),
    call('orders/refund', { order_id: 'O-000123', amount: 19.9 }, 'deny insufficient_scope by refund-own-order'),
  ];
}

async function tell(telling: Telling, tools: Tools): Promise<void> {
  const { stage, io } = telling;
  const token = operatorToken(stage.issuer, ALICE, { now: io.clock.wall(), random: io.random });
  await begin(telling, { title: 'A policy: checked, tested, signed, in force', operatorToken: token });
  const agent = createAgent({ port: stage.outboundPort, signal: io.signal, connect: connectOfficial });
  try {
    const decided = await makeCalls(telling, { agent, session: sessionOf(await agent.open(token)), tools });
    await act(telling, { name: 'record', title: 'The record, and what proves it' });
    await takeRecord(telling, decided);
    await proveRecord(telling, decided.at(-1));
  } finally {
    await agent.close();
  }
}

interface Caller {
  readonly agent: Agent;
  readonly session: Session;
  readonly tools: Tools;
}

async function makeCalls(telling: Telling, { agent, session, tools }: Caller): Promise<readonly Decided[]> {
  const { stage, steps, io } = telling;
  await act(telling, { name: 'calls', title: 'Calls of a support rep who works on O-000123' });
  const listed = await (await agent.mcp('everything', session)).listTools();
  steps.take({
    name: 'of the tools of an MCP server it sees those that a rule could allow',
    expected: 'echo, get-sum',
    seen: listed.toSorted().join(', '),
  });
  const decisions = decisionReader(stage, io);
  const decided: Decided[] = [];
  for (const call of callsOf(tools)) {
    const answered =
      call.server === 'orders'
        ? await agent.invoke(call.server, call, { session })
        : await (await agent.mcp(call.server, session)).callTool(call.tool, call.args);
    const told = await decisions.next();
    const { decision } = told;
    const lack = lackText(told);
    decided.push({ id: decision.decision_id, operator: decision.operator });
    const title = `${call.server}/${call.tool} ${JSON.stringify(call.args).replaceAll(tools.served, '')}`;
    steps.take(
      { name: title, expected: call.expected, seen: seenOf(answered, told) },
      {
        mark: decision.decision === 'allow' ? 'ALLOW' : 'DENY',
        title,
        answer: `${decision.code === '-' ? '' : `${decision.code} `}by ${ruleText(told)}`,
        details: lack === undefined ? [] : [lack],
      },
    );
  }
  steps.take({
    name: 'no refused call has reached the orders service',
    expected: 'GET /orders/O-000123',
    seen: tools.orders.calls.map(({ line }) => line).join(', '),
  });
  return decided;
}

/** What was decided and by which rule; and what the agent was told, where that is something else. */
function seenOf({ isAllowed, code: told }: Answered, seen: SeenDecision): string {
  const { decision, code, rule_id: rule } = seen.decision;
  const decided = decision === 'allow' ? `allow by ${rule}` : `deny ${code} by ${rule}`;
  const isTold = isAllowed === (decision === 'allow') && told === (isAllowed ? 'ok' : code);
  return isTold ? decided : `${decided}, told as ${told}`;
}
