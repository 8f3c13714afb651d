/** Where a tool server is: out of its ToolServer document, or from an address that somebody typed. */

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { fail, formatProblem, nearest, ok } from '@sallyport/model';
import type { Destination, Problem, Result, ServerName } from '@sallyport/model';
import { buildParts, parseDocuments } from '@sallyport/policy';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { readPolicy } from '../policy/read-policy.ts';

export interface ServerPlace {
  readonly url: string;
  readonly destination: Destination;
  readonly path: string;
}

/** What the policy in `dir` says of the server. */
export function placeInPolicy(dir: string, server: ServerName, io: Io): Result<ServerPlace, Refusal> {
  const read = readPolicy(dir, io);
  if (!read.ok) return fail(unknownPlace(server, read.error));
  const { servers, destinations } = read.value.policy.parts;
  const [found, destination] = [servers.find(({ name }) => name === server), destinations.find((one) => one.server === server)];
  if (found === undefined || destination === undefined) {
    const names = servers.map(({ name }) => name);
    const near = nearest(server, names);
    return fail(
      refusal(
        1,
        `\`${dir}\` has no tool server \`${server}\``,
        near === undefined ? 'say where it is with --url, or declare it: kind: ToolServer' : `did you mean ${near}?`,
      ),
    );
  }
  if (found.kind !== 'mcp')
    return fail(refusal(1, `\`${server}\` is a plain HTTP service: it cannot say what tools it has`, 'write its Tool documents by hand'));
  return ok({ url: found.url, destination, path: new URL(found.url).pathname });
}

/** A folder that cannot be read says it itself; of a policy that does not build, one line is enough here. */
function unknownPlace(server: ServerName, { exit, problems }: Refusal): Refusal {
  const errors = problems.filter(({ severity }) => severity === undefined);
  const [first] = errors;
  const remedy = 'or say where the server is with --url';
  if (exit === 64 || first === undefined)
    return {
      exit,
      problems: problems.map((problem) => ({ ...problem, remedy: problem.remedy === undefined ? remedy : `${problem.remedy}, ${remedy}` })),
    };
  const more = errors.length === 1 ? '' : `, and ${errors.length - 1} more`;
  return refusal(
    exit,
    `where \`${server}\` is cannot be read from a policy that does not build: ${formatProblem(first)}${more}`,
    'sallyport policy check tells all of them; or say where the server is with --url',
  );
}

/** An address as a policy would have it, its network guessed by where the name leads at this moment. */
export async function placeOfUrl(url: string, server: ServerName): Promise<Result<ServerPlace, Problem>> {
  const network = await networkOf(url);
  if (!network.ok) return network;
  const document = `apiVersion: sallyport.dev/v1\nkind: ToolServer\nname: ${server}\nmcp: { url: ${JSON.stringify(url)} }\nnetwork: ${network.value}\n`;
  const parsed = parseDocuments([{ path: 'server.yaml', text: document }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  const destination = built.ok ? built.value.policy.parts.destinations[0] : undefined;
  if (destination !== undefined) return ok({ url, destination, path: new URL(url).pathname });
  const [first] = built.ok ? [] : built.error;
  return fail({
    path: '',
    message: first?.message ?? `\`${url}\` is not the address of an MCP server`,
    remedy: first?.remedy ?? 'such as http://127.0.0.1:3001/mcp',
  });
}

/** Loopback and private where every address is; anything else is public, and dialled as such. */
async function networkOf(url: string): Promise<Result<Destination['network'], Problem>> {
  const host = hostOf(url);
  if (host === undefined)
    return fail({ path: '', message: `\`${url}\` is not the address of an MCP server`, remedy: 'such as http://127.0.0.1:3001/mcp' });
  const { addressKind } = await import('@sallyport/net');
  try {
    const addresses = isIP(host) === 0 ? (await lookup(host, { all: true })).map(({ address }) => address) : [host];
    const kinds = new Set(addresses.map(addressKind));
    const [only] = kinds;
    return ok(kinds.size === 1 && (only === 'loopback' || only === 'private') ? only : 'public');
  } catch {
    // Whatever the resolver says of it, there is nothing to dial.
    return fail({ path: '', message: `\`${host}\` does not resolve`, remedy: 'is the name right?' });
  }
}

function hostOf(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const isHttp = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  return isHttp ? parsed.hostname.replace(/^\[(.*)\]$/, '$1') : undefined;
}

/** A name for a server that somebody typed the address of: its own, or that of its host, in our letters. */
export function nameFor(said: string, url: string): string {
  const words = [said.split('/').at(-1) ?? '', hostOf(url) ?? ''].map((text) =>
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^[^a-z]+|-+$/g, '')
      .slice(0, 63),
  );
  return words.find((word) => word !== '' && word !== 'mcp') ?? 'tools';
}
