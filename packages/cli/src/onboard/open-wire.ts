/** From what was typed to a way to the server, and from its failures to what a person can do about them. */

import { Fault, fail, ok } from '@sallyport/model';
import type { Problem, Result, ServerName } from '@sallyport/model';
import { at, readText } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import { httpWire } from './mcp-http.ts';
import { stdioWire } from './mcp-stdio.ts';
import { ServerFault } from './mcp-wire.ts';
import type { McpWire } from './mcp-wire.ts';
import { placeInPolicy, placeOfUrl } from './server-place.ts';
import type { ServerPlace } from './server-place.ts';
import { visibleLine } from './visible-text.ts';

export interface WireOptions {
  readonly server: ServerName;
  /** A stdio server's command; empty for one that listens. */
  readonly argv: readonly string[];
  readonly url: string | undefined;
  /** Folder of the policy that knows the address, where none is given. */
  readonly policy: string;
  readonly tokenFile: string | undefined;
}

const TOKEN_BYTES_MAX = 16_384;

/** Opens no connection yet. */
export async function openWire({ server, argv, url, policy, tokenFile }: WireOptions, io: Io): Promise<Result<McpWire, Refusal>> {
  const [command, ...rest] = argv;
  if (command !== undefined)
    return url === undefined && tokenFile === undefined
      ? ok(stdioWire([command, ...rest], io))
      : fail(refusal(2, 'a command is a server of its own', 'leave out --url and --token-file, or the command'));
  const token = tokenFile === undefined ? ok(undefined) : readToken(tokenFile, io);
  if (!token.ok) return fail({ exit: 64, problems: [token.error] });
  const place = url === undefined ? placeInPolicy(policy, server, io) : await typedPlace(url, server);
  return place.ok ? ok(await wireTo(place.value, token.value, io)) : place;
}

export async function wireTo(place: ServerPlace, token: string | undefined, io: Pick<Io, 'clock' | 'signal'>): Promise<McpWire> {
  return httpWire({ ...place, ...(token === undefined ? {} : { token }) }, io);
}

async function typedPlace(url: string, server: ServerName): Promise<Result<ServerPlace, Refusal>> {
  const place = await placeOfUrl(url, server);
  return place.ok ? place : fail({ exit: 2, problems: [{ ...place.error, path: '--url' }] });
}

/** One line of visible ASCII: it becomes a header. */
export function readToken(file: string, io: Io): Result<string, Problem> {
  const content = readText(at(io.cwd, file), { bytesMax: TOKEN_BYTES_MAX, shown: file });
  if (!content.ok) return content;
  const token = content.value.trim();
  return /^[\x21-\x7e]+$/.test(token)
    ? ok(token)
    : fail({ path: '', file, message: 'holds no token', remedy: 'one line of letters, digits and signs' });
}

/** Why a server gave no list, as a refusal; `undefined` for what is not the server's doing. */
export function serverRefusal(error: unknown, name: string, io: Pick<Io, 'signal'>): Refusal | undefined {
  if (!(error instanceof Fault) || io.signal.aborted) return undefined;
  const remedy = error instanceof ServerFault ? error.remedy : REMEDIES[error.code];
  return {
    exit: 1,
    code: error.code,
    problems: [{ path: '', message: `${name}: ${visibleLine(ownWords(error.message))}`, ...(remedy === undefined ? {} : { remedy }) }],
  };
}

/** Of a server that is only being got to know: its address says which, and the name that the policy will give it says nothing. */
function ownWords(message: string): string {
  return message.replace(/^while connecting to `[^`]*`: /, '').replace(/^connect ECONNREFUSED (\S+)$/, 'nothing listens at $1');
}

const REMEDIES: Readonly<Partial<Record<Fault['code'], string>>> = {
  upstream_unreachable: 'is the server running, and is this its address?',
  upstream_untrusted: 'is this its address, and does its ToolServer document name the right network?',
  upstream_too_large: 'a server that lists that much cannot be imported',
};
