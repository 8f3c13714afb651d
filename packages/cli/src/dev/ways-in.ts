/** How a client reaches the sidecar: as variables for the command, as a file for a shell, and in words. */

import type { BuiltParts } from '@sallyport/policy';
import type { JsonObject, ToolServer } from '@sallyport/model';

export interface WaysIn {
  /** Base URL with the session in it: a client needs nothing else. */
  readonly url: string;
  /** The sidecar itself, for a client that sends the session as a header. */
  readonly sidecarUrl: string;
  readonly servers: readonly { readonly name: string; readonly kind: ToolServer['kind']; readonly url: string }[];
}

export function waysIn({ policy }: BuiltParts, urls: { readonly url: string; readonly sidecarUrl: string }): WaysIn {
  return {
    ...urls,
    servers: policy.parts.servers.map(({ name, kind }) => ({ name, kind, url: `${urls.url}/${kind === 'mcp' ? 'mcp' : 'http'}/${name}` })),
  };
}

/** `SALLYPORT_MCP_<SERVER>_URL` and the like; names of servers have no underscore, so that no two meet. */
export function variablesOf({ url, sidecarUrl, servers }: WaysIn, sessionToken: string): Readonly<Record<string, string>> {
  const each = servers.map(
    ({ name, kind, url: its }) => [`SALLYPORT_${kind}_${name.replaceAll('-', '_')}_URL`.toUpperCase(), its] as const,
  );
  return { SALLYPORT_URL: url, ...Object.fromEntries(each), SALLYPORT_SIDECAR_URL: sidecarUrl, SALLYPORT_SESSION: sessionToken };
}

/** For `. .sallyport/dev/env`. */
export function shellText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('');
}

export function waysInJson({ url, sidecarUrl, servers }: WaysIn): JsonObject {
  return { url, sidecar_url: sidecarUrl, servers: servers.map(({ name, kind, url: its }) => ({ name, kind, url: its })) };
}

/** For a person who will start the client themselves. */
export function waysInText({ url, servers }: WaysIn, envFile: string): readonly string[] {
  const wide = Math.max(0, ...servers.map(({ name }) => name.length));
  const mcp = servers.filter(({ kind }) => kind === 'mcp');
  return [
    'point a client at these; whoever knows a URL acts in this session:',
    ...servers.map(({ name, kind, url: its }) => `  ${name.padEnd(wide)}  ${kind === 'mcp' ? 'MCP ' : 'HTTP'}  ${its}`),
    `  any tool, with its arguments as JSON:  POST ${url}/tools/<server>/<tool>`,
    `  in another shell:  . ${envFile}`,
    ...mcp
      .slice(0, 1)
      .map(
        ({ url: its }) =>
          `  try:  curl -s ${its} -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'`,
      ),
  ];
}
