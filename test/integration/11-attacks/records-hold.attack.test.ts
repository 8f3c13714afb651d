/**
 * A storm of calls in every protocol, well-formed and not, left by their callers at any moment, at servers that fail in
 * every way: whatever happened, no two DECISIONs have one id, each allowed call has one OUTCOME, nothing else has one, and
 * nothing reached a tool without a DECISION that let it.
 */

import {
  recordingMcpUpstream,
  recordingUpstream,
  type RecordingMcpUpstream,
  type RecordingUpstream,
  type ScriptedAnswer,
} from '@sallyport/testkit';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const EXCHANGES = 400;
const AT_ONCE = 12;
const MODERN = '2026-07-28';

const policyOf = (http: string, mcp: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [orders, desk]
---
kind: ToolServer
name: orders
http: { url: "${http}" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "${mcp}" }
network: loopback
---
kind: Tool
name: orders/get
effect: read
route: { method: GET, path: "/orders/{id}" }
remember: { seen: "result.items[].id" }
unknown_arguments: strip
arguments: { required: [id], properties: { id: { type: string }, n: { type: integer } } }
---
kind: Tool
name: orders/pay
effect: write
classes: [money]
route: { method: POST, path: "/orders/{id}/pay" }
arguments: { required: [id, amount], properties: { id: { type: string }, amount: { type: number, format: decimal } } }
---
kind: Tool
name: desk/look
effect: read
touches: { ticket: args.id }
remember: { seen: "result.items[].id" }
arguments: { required: [id], properties: { id: { type: string, x-mcp-header: Id } } }
---
kind: Tool
name: desk/close
effect: write
arguments: { required: [id], properties: { id: { type: string } } }
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: reads, allow: [orders/get, desk/look], for: { roles: [support-rep] }, max: { count: 1000, within: 1h } }
  - { id: pays, allow: [orders/pay], for: { roles: [support-rep] }, budget: { sum: args.amount, max: "500", within: 1h } }
  - { id: closes, allow: [desk/close], for: { roles: [support-rep] }, sequence: { consecutive: 3 }, max: { count: 20 } }
`;

/** The same storm each time (mulberry32). */
function dice(seed: number): <T>(...of: readonly T[]) => T {
  let state = seed;
  return <T>(...of: readonly T[]) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return of[((t ^ (t >>> 14)) >>> 0) % of.length] as T;
  };
}
const pick = dice(20_261_120);

const FOUND: ScriptedAnswer = { kind: 'json', body: { items: [{ id: 'x' }] } };
const bytes = (text: string, type: string): ScriptedAnswer => ({
  kind: 'bytes',
  body: new TextEncoder().encode(text),
  headers: { 'content-type': type },
});
const FAILURES: readonly ScriptedAnswer[] = [
  { kind: 'json', body: {}, status: 500 },
  { kind: 'close' },
  { kind: 'close_mid_body' },
  { kind: 'redirect', location: 'http://127.0.0.1:1/' },
  bytes('{"items":1,"items":2}', 'application/json'),
  bytes('<html>', 'text/html'),
];
type Result = { readonly result: unknown } | { readonly error: object };
const RESULT = { result: { content: [], structuredContent: { items: [{ id: 'y' }] } } };
const BAD_RESULTS: readonly Result[] = [
  { result: { content: [{ type: 'text', text: 'no' }], isError: true } },
  { result: { content: 'none' } },
  { result: { content: [], resultType: 'input_required' } },
  { error: { code: -32_000, message: 'no', data: { decision_id: 'forged' } } },
  { error: { code: -32_042, message: 'go there' } },
];

let world: World;
let http: RecordingUpstream;
let mcp: RecordingMcpUpstream;
let sidecar: RunningSidecar;

beforeAll(async () => {
  http = await recordingUpstream(() => pick(FOUND, FOUND, pick(...FAILURES)));
  mcp = await recordingMcpUpstream({ form: 'events', call: () => pick<Result>(RESULT, RESULT, pick(...BAD_RESULTS)) });
  world = await startWorld();
  await world.admin.publish(policyOf(http.url, mcp.mcpUrl) + issuerDocument(world.idp));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await http?.close();
  await mcp?.close();
});

interface Made {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly more?: readonly string[];
}

const anId = (): string => pick('T-1', 'T-2', 'T-3', 'T-4', 'é', pick('..', 'a/b', '%2e%2e', '__proto__'));

function httpCall(): Made {
  const path = `/http/orders/orders/${encodeURIComponent(anId())}`;
  return pick<Made>(
    { method: 'GET', path },
    { method: 'GET', path: `${path}?n=${pick('1', '2', '01', '-0')}&${pick('z=1', 'Z=1', 'n=2', '__proto__=1')}` },
    { method: 'POST', path: `${path}/pay`, body: `{"amount":${pick('1', '0.1', '2', '3', '1e2', '-1', '"1"', '99999')}}` },
    pick<Made>({ method: 'GET', path, body: '{}' }, { method: 'HEAD', path }, { method: 'POST', path: `${path}/PAY`, body: '{}' }),
  );
}

function toolCall(): Made {
  const [server = '', tool] = pick('orders/get', 'orders/pay', 'desk/look', 'desk/close', 'desk/none').split('/');
  const args = JSON.stringify({ id: anId(), ...(tool === 'pay' ? { amount: 1 } : {}) });
  return pick<Made>(
    { method: 'POST', path: `/tools/${server}/${tool}`, body: args },
    { method: 'POST', path: `/tools/${server}/${tool}`, body: args },
    { method: 'POST', path: `/tools/${server}/invoke`, body: `{"tool":"${tool}","arguments":${args}}` },
    pick<Made>(
      { method: 'POST', path: `/tools/${server}/${tool}`, body: args.slice(0, -1) },
      { method: 'POST', path: '/session', body: '{}' },
    ),
  );
}

type Id = number | string;
interface Rpc {
  readonly method: string;
  readonly params: object;
  readonly id?: Id;
}
const rpcOf = (method: string, params: object, id?: Id): Rpc => ({ method, params, ...(id === undefined ? {} : { id }) });

function mcpCall(mcpSessions: readonly string[]): Made {
  const [name, id, isModern] = [pick('look', 'look', 'close', 'none'), pick('T-1', 'T-2'), pick(true, false)];
  const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} };
  const envelope = isModern ? { _meta: meta } : {};
  const local = pick('tools/list', 'initialize', 'ping', 'server/discover', 'nope');
  const call = rpcOf('tools/call', { name, arguments: { id }, ...envelope }, pick<Id>(1, 'a'));
  const rpc = pick(
    call,
    call,
    rpcOf(local, { protocolVersion: '2025-11-25', ...envelope }, 2),
    rpcOf('notifications/cancelled', { requestId: pick<Id>(1, 'a') }),
  );
  const lie = pick(false, false, false, true);
  const mirrored = [
    `Mcp-Method: ${lie ? 'tools/list' : rpc.method}`,
    ...(rpc === call ? [`Mcp-Name: ${name}`, `Mcp-Param-Id: ${id}`] : []),
  ];
  const headers = isModern ? [`MCP-Protocol-Version: ${MODERN}`, ...mirrored] : pick([], [`Mcp-Session-Id: ${pick('0', ...mcpSessions)}`]);
  const posted: Made = {
    method: 'POST',
    path: '/mcp/desk',
    body: JSON.stringify({ jsonrpc: '2.0', ...rpc }),
    more: ['Accept: application/json, text/event-stream', ...headers],
  };
  const session = `Mcp-Session-Id: ${pick('0', ...mcpSessions)}`;
  const stream: Made = { method: 'GET', path: '/mcp/desk', more: ['Accept: text/event-stream', session] };
  return pick<Made>(posted, posted, posted, posted, pick<Made>(stream, stream, { method: 'DELETE', path: '/mcp/desk', more: [session] }));
}

/** One request as bytes, right or wrong. */
function requestOf(tokens: readonly string[], mcpSessions: readonly string[]): string {
  const { method, path, body = '', more = [] } = pick(httpCall, toolCall, () => mcpCall(mcpSessions))();
  const token = pick(...tokens, ...tokens, ...tokens, ...tokens, 'forged');
  const framing = body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`];
  const headers = ['Host: 127.0.0.1', `Sallyport-Session: ${token}`, ...more, ...framing];
  return `${method} ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
}

/** Sends it, and leaves at once, as soon as it may have been read, or with the answer. */
async function exchange(request: string, leaves: 'at once' | 'soon' | 'with its answer'): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: sidecar.port });
  socket.on('error', () => undefined);
  socket.write(request);
  const closed = once(socket, 'close');
  if (leaves === 'at once') socket.end();
  // A stream has nothing to say before it is left.
  else await Promise.race([once(socket, leaves === 'soon' || request.startsWith('GET /mcp') ? 'connect' : 'data'), closed]);
  await new Promise((resolve) => setImmediate(resolve));
  socket.destroy();
  await closed;
}

async function mcpSessionOf(token: string): Promise<string> {
  const opened = await sidecar.request('/mcp/desk', {
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'sallyport-session': token },
    body: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}',
  });
  return String(opened.headers['mcp-session-id']);
}

interface Line {
  readonly kind: string;
  readonly decision_id: string;
  readonly decision?: string;
  readonly tool?: string;
  readonly result?: string;
}

it('whatever is sent, and however it ends, the records say the one thing that happened', async () => {
  const tokens = [await sidecar.session(), await sidecar.session()];
  const mcpSessions = await Promise.all(tokens.map(mcpSessionOf));
  const queue = Array.from({ length: EXCHANGES }, () => requestOf(tokens, mcpSessions));
  const worker = async (): Promise<void> => {
    for (let next = queue.pop(); next !== undefined; next = queue.pop())
      await exchange(next, pick('with its answer', 'with its answer', 'with its answer', 'soon', 'at once'));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  await sidecar.drain();
  const lines = await eventually(async () => {
    const all = (await world.admin.tail('records')).map((line) => JSON.parse(line) as Line);
    return all.some(({ kind }) => kind === 'CLOSE') ? all : undefined;
  }, 'the end of the stream');

  const decisions = lines.filter(({ kind }) => kind === 'DECISION');
  const allowed = decisions.filter(({ decision }) => decision === 'allow');
  const outcomes = lines.filter(({ kind }) => kind === 'OUTCOME');
  const idsOf = (some: readonly Line[]): readonly string[] => some.map(({ decision_id: id }) => id).toSorted();
  expect(new Set(idsOf(decisions)).size).toBe(decisions.length);
  expect(idsOf(outcomes)).toEqual(idsOf(allowed));

  const isSent = new Set(idsOf(outcomes.filter(({ result }) => result !== 'not_forwarded')));
  const sent = (tool: string): number => allowed.filter((one) => one.tool === tool && isSent.has(one.decision_id)).length;
  const arrived = (method: string): number => http.requests.filter((request) => request.method === method).length;
  const called = (name: string): number => mcp.calls.filter((call) => call.name === name).length;
  // A call whose caller left may not have got there, and only a read that lost its connection may have been sent again.
  expect(arrived('POST')).toBeLessThanOrEqual(sent('orders/pay'));
  expect(arrived('GET')).toBeLessThanOrEqual(2 * sent('orders/get'));
  expect(called('look')).toBeLessThanOrEqual(sent('desk/look'));
  expect(called('close')).toBeLessThanOrEqual(sent('desk/close'));
  // It was a storm, and not a closed door.
  expect(Math.min(sent('orders/pay'), sent('orders/get'), sent('desk/look'), sent('desk/close'))).toBeGreaterThan(2);
  expect(world.log.filter((line) => line.includes('"event":"bug"'))).toEqual([]);
});
