/**
 * Everything that an MCP server says of its tools: handshake, then every page of `tools/list`, in whichever revision the
 * server speaks. The server is not trusted: pages, tools and bytes are bounded, and a cursor may not come twice.
 */

import {
  MODERN_VERSION,
  readUpstreamDiscover,
  readUpstreamInitialize,
  rpcRequest,
  upstreamDiscover,
  upstreamInitialize,
  upstreamInitialized,
} from '@sallyport/dialects';
import type { UpstreamMessage, UpstreamSession } from '@sallyport/dialects';
import { utf8 } from '@sallyport/crypto';
import type { Judged } from '@sallyport/strict';
import { ServerFault } from './mcp-wire.ts';
import type { McpWire } from './mcp-wire.ts';

/** The list, as it came. */
export interface ToolList {
  /** What the server calls itself; it may be anything. */
  readonly serverName: string;
  readonly version: string;
  readonly tools: readonly Judged[];
}

export const LIST_LIMITS = { pagesMax: 200, toolsMax: 2_000, cursorCharsMax: 4_096 } as const;

const BUILD = { name: 'sallyport-import', version: '1' } as const;

/** Asks to the end and closes the wire. Rejects with a Fault, a `ServerFault` where the server is to blame. */
export async function listTools(wire: McpWire): Promise<ToolList> {
  // Owner: this function. What the handshake made, for the goodbye.
  let session: UpstreamSession | undefined;
  try {
    const opened = await open(wire);
    ({ session } = opened);
    return { serverName: opened.serverName, version: opened.version, tools: await pages(wire, opened) };
  } finally {
    await wire.close(session);
  }
}

interface Opened {
  readonly serverName: string;
  readonly version: string;
  readonly session: UpstreamSession;
}

/** `initialize`, as nearly every server knows it; one that does not is asked in the revision that has none. */
async function open(wire: McpWire): Promise<Opened> {
  try {
    return await shakeHands(wire);
  } catch (error) {
    if (!(error instanceof ServerFault) || !error.mayBeRevision) throw error;
    return (await discover(wire)) ?? Promise.reject(error);
  }
}

async function shakeHands(wire: McpWire): Promise<Opened> {
  const { message, sessionId } = await wire.ask(1, upstreamInitialize(1, BUILD), { method: 'initialize', session: undefined });
  const session = readUpstreamInitialize(message, sessionId);
  if (!session.ok) {
    const mayBeRevision = message.kind === 'error' || session.error.code === 'version_not_served';
    throw new ServerFault(`the handshake failed: ${session.error.message}`, { mayBeRevision });
  }
  await wire.tell(upstreamInitialized(), { method: 'notifications/initialized', session: session.value });
  const version = session.value.era === 'legacy' ? session.value.version : MODERN_VERSION;
  return { serverName: nameIn(message, 'serverInfo'), version, session: session.value };
}

/** The question of the revision without sessions; `undefined` where the server does not know it either. */
async function discover(wire: McpWire): Promise<Opened | undefined> {
  const session: UpstreamSession = { era: 'modern' };
  try {
    const { message } = await wire.ask(1, upstreamDiscover(1, BUILD), { method: 'server/discover', session });
    if (readUpstreamDiscover(message) !== 'modern') return undefined;
    return { serverName: nameIn(message, 'serverInfo'), version: MODERN_VERSION, session };
  } catch (error) {
    if (error instanceof ServerFault) return undefined;
    throw error;
  }
}

/** What each message of the revision without sessions says of itself. */
const MODERN_PARAMS = {
  _meta: {
    'io.modelcontextprotocol/protocolVersion': MODERN_VERSION,
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': BUILD,
  },
} as const;

async function pages(wire: McpWire, { session }: Opened): Promise<readonly Judged[]> {
  const params = session.era === 'modern' ? MODERN_PARAMS : {};
  const head = { method: 'tools/list', session };
  const tools: Judged[] = [];
  const seen = new Set<string>();
  let cursor: string | undefined;
  for (let page = 0; page < LIST_LIMITS.pagesMax; page++) {
    const id = page + 2;
    const asked = cursor === undefined ? params : { ...params, cursor };
    const { message } = await wire.ask(id, rpcRequest(id, 'tools/list', utf8(JSON.stringify(asked))), head);
    if (message.kind !== 'result') throw new ServerFault(`\`tools/list\` was answered by ${describe(message)}`);
    const listed = message.judged.at('tools');
    if (listed === undefined || !Array.isArray(listed.tree)) throw new ServerFault('the answer to `tools/list` holds no list of tools');
    for (const index of listed.tree.keys()) {
      const tool = listed.at(index);
      if (tool !== undefined) tools.push(tool);
    }
    if (tools.length > LIST_LIMITS.toolsMax) throw new ServerFault(`the server lists more than ${LIST_LIMITS.toolsMax} tools`);
    const next = message.judged.at('nextCursor')?.tree;
    if (next === undefined || next === null) return tools;
    if (typeof next !== 'string' || next.length > LIST_LIMITS.cursorCharsMax)
      throw new ServerFault('a cursor of `tools/list` is no cursor');
    if (seen.has(next)) throw new ServerFault('the pages of `tools/list` lead in a circle');
    seen.add(next);
    cursor = next;
  }
  throw new ServerFault(`\`tools/list\` has more than ${LIST_LIMITS.pagesMax} pages`);
}

function describe(message: UpstreamMessage): string {
  return message.kind === 'error' ? `error ${message.code}` : message.kind;
}

function nameIn(message: UpstreamMessage, member: string): string {
  const name = message.kind === 'result' ? message.judged.at(member, 'name')?.tree : undefined;
  return typeof name === 'string' ? name.slice(0, 128) : '';
}
