/** A tool as the bundle pins it: what it does, what it may be asked, where it lives. */

import type { CalledAgent } from './delegation.ts';
import type { ServerName, ToolName } from './ids.ts';
import type { JsonObject } from './json.ts';
import type { ServerTls } from './server-tls.ts';

/** What a call may change. Unknown means `destructive`. */
export type Effect = 'read' | 'write' | 'side_effect' | 'destructive';

export const EFFECTS: readonly Effect[] = ['read', 'write', 'side_effect', 'destructive'];

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** How a call to a tool of a plain HTTP server is spelled (http-tools, section 2). */
export interface HttpRoute {
  readonly method: HttpMethod;
  /** May name arguments in braces, each a whole segment: `/orders/{order_id}`. */
  readonly path: string;
  /** Arguments in the query of a request that has a body; of one that has none, all that are not in the path are there. */
  readonly query?: readonly string[];
}

export interface Tool {
  readonly name: ToolName;
  readonly effect: Effect;
  /** Data and business classes: `pii`, `money`. */
  readonly classes: readonly string[];
  /** Shown in listings in place of the vendor's own words. */
  readonly description: string;
  /** The named subset of JSON Schema (strict, `schema.ts`). */
  readonly arguments: JsonObject;
  readonly route?: HttpRoute;
  /** Arguments that the schema does not know are taken out, and named in the record, instead of refusing the call. */
  readonly unknownArguments?: 'strip';
  /** How far apart two dates may lie. */
  readonly ranges?: readonly DateRange[];
  /** What a session notes of a completed call, by name: where the values stand in its arguments. */
  readonly touches?: Readonly<Record<string, NotedPath>>;
  /** Likewise, where they stand in its result. */
  readonly remember?: Readonly<Record<string, NotedPath>>;
  /** Each call's assertion is for its arguments too, and made for it alone. */
  readonly assertsArguments?: true;
  /** Calls are signed for its server to verify, with these header fields besides what is always covered; lower case. */
  readonly signs?: readonly string[];
  /** Its calls come sealed by the agent, with these header fields besides what is always covered; lower case. */
  readonly envelope?: readonly string[];
  /** How an MCP client is told of a denial. */
  readonly denyAs: 'tool_result' | 'error';
}

export interface ToolServer {
  readonly name: ServerName;
  readonly kind: 'mcp' | 'http' | 'agent';
  /** Absolute `http:` or `https:` URL without query or fragment; a fixed upstream, never taken from a request. */
  readonly url: string;
  /** Of a server of kind `agent`: which agent, behind its own sidecar at `url`. */
  readonly agent?: CalledAgent;
  /** What assertions to it are for; without it a name that is made of the trust domain's and its own (assertions-v1). */
  readonly audience?: string;
  /** Absent: as for any server of the web. */
  readonly tls?: ServerTls;
}

/** Steps into a document: names of members, and `[]` for every item of a list. At least one. */
export type NotedPath = readonly string[];

/** Two arguments, both dates or both instants; `over` says what becomes of a call that asks for more. */
export interface DateRange {
  readonly from: string;
  readonly to: string;
  readonly maxMs: number;
  /** `narrow` moves `from` until it fits, and leaves the later end where it is. */
  readonly over: 'reject' | 'narrow';
}
