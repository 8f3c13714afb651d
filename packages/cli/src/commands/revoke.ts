/** `sallyport revoke …`: trust taken away from a credential or a person, ahead of any release. It can only deny. */

import { RevokeRequestSchema, create } from '@sallyport/contract';
import { decodeBase64Url, fromUtf8 } from '@sallyport/crypto';
import { addMs, fail, formatInstant, ok, parseInstant } from '@sallyport/model';
import type { Instant, Json, JsonObject, Problem, Result } from '@sallyport/model';
import { parseSelector } from '@sallyport/trust';
import type { Selector } from '@sallyport/trust';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { CALL_MS, LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import { at, readText } from '../files.ts';
import type { Exit } from '../io.ts';
import { duration, flag, text } from '../option.ts';
import type { Options, Values } from '../option.ts';
import { refusal } from '../output.ts';
import { reasonOption } from '../reason.ts';

const REASON = { reason: reasonOption } as const;
const DAY_MS = 86_400_000;
const spanOf = (otherwise: string): { otherwise: string; minMs: number; maxMs: number } => ({
  otherwise,
  minMs: 60_000,
  maxMs: 3_650 * DAY_MS,
});
const TOKEN_BYTES_MAX = 65_536;

const TOKEN_OPTIONS = {
  file: text('--file FILE', 'a file with the token itself (JWT), of which only the id is taken'),
  for: duration('--for SPAN', 'how long to remember it: longer than any session that it opened', spanOf('30d')),
  ...REASON,
  ...LINK_OPTIONS,
} as const;

export const revokeToken: Command = command({
  name: 'revoke token',
  group: 'Operate',
  summary: 'deny one token, and every session that it has opened',
  details: ['The id is the `jti` claim. Sidecars apply it within a second; one that is cut off denies once it is stale.'],
  arguments: [{ name: 'ID', says: 'id of the token, its `jti`', isOptional: true }],
  options: TOKEN_OPTIONS,
  examples: [
    { line: 'revoke token 4f1c… --reason "seen in a log"', says: 'by its id' },
    { line: 'revoke token --file leaked.jwt --reason "seen in a log"', says: 'by the token' },
  ],
  async run(call) {
    const {
      arguments: [id],
      options,
      io,
      out,
    } = call;
    if ((id === undefined) === (options.file === undefined)) return out.refuse(refusal(2, 'name the token once: by its id, or by --file'));
    const named = id === undefined ? tokenIdIn(options.file ?? '', at(io.cwd, options.file ?? '')) : ok(id);
    if (!named.ok) return out.refuse({ exit: 64, problems: [named.error] });
    return revoke({ type: 'token', value: named.value, before: 'never', expiresAt: addMs(io.clock.wall(), options.for) }, call);
  },
});

const PRINCIPAL_OPTIONS = {
  before: text('--before INSTANT', 'deny what was authenticated before this (default: now); signing in anew helps'),
  ban: flag('--ban', 'deny for good, whatever is signed in with'),
  for: duration('--for SPAN', 'how long to remember it (with --ban 3650d unless said otherwise)', spanOf('30d')),
  ...REASON,
  ...LINK_OPTIONS,
} as const;

export const revokePrincipal: Command = command({
  name: 'revoke principal',
  group: 'Operate',
  summary: 'deny a person: everything authenticated so far, or for good',
  details: ['Without --ban it is a sign-out everywhere. Sidecars apply it within a second; one that is cut off denies once it is stale.'],
  arguments: [{ name: 'ID', says: 'the principal, as records name the operator' }],
  options: PRINCIPAL_OPTIONS,
  examples: [
    { line: 'revoke principal alice@company.com --reason "laptop lost"', says: 'sign out everywhere' },
    { line: 'revoke principal mallory@company.com --ban --reason "left"', says: 'for good' },
  ],
  async run(call) {
    const {
      arguments: [id = ''],
      options,
      io,
      out,
    } = call;
    if (options.ban && options.before !== undefined)
      return out.refuse(refusal(2, '`--ban` and `--before` are two different things', 'leave one out'));
    const now = io.clock.wall();
    const before = options.before === undefined || options.before === 'now' ? now : parseInstant(options.before);
    if (before === undefined)
      return out.refuse(refusal(2, `\`${options.before ?? ''}\` is not an instant`, `such as ${formatInstant(now)}`));
    // A ban that lapses quietly after a month would be no ban.
    const isDefaultSpan = options.for === 30 * DAY_MS;
    const span = options.ban && isDefaultSpan ? 3_650 * DAY_MS : options.for;
    return revoke({ type: 'principal', value: id, before: options.ban ? 'never' : before, expiresAt: addMs(now, span) }, call);
  },
});

interface Entry {
  readonly type: Selector['type'];
  readonly value: string;
  readonly before: Instant | 'never';
  readonly expiresAt: Instant;
}

/** Asks for one entry, and says what was asked. */
export async function revoke(
  { type, value, before, expiresAt }: Entry,
  call: Pick<Invocation<Options>, 'io' | 'out'> & {
    readonly options: Values<typeof LINK_OPTIONS> & { readonly reason: string };
  },
): Promise<Exit> {
  const { options, io, out } = call;
  const selector = parseSelector(type, value);
  if (!selector.ok) return out.refuse({ exit: 2, problems: [selector.error] });
  return withLink(options, call, async (link) => {
    const request = create(RevokeRequestSchema, {
      selector: type,
      value,
      beforeMs: before === 'never' ? 0n : BigInt(before),
      expiresAtMs: BigInt(expiresAt),
      reason: options.reason,
    });
    const answer = await link.publish.revoke(request, { deadlineMs: CALL_MS, signal: io.signal });
    if (!answer.ok) return out.refuse(refusedBy('revoking', answer.error, link));
    const seq = Number(answer.value.seq);
    const shownBefore = before === 'never' ? 'never' : formatInstant(before);
    const what = before === 'never' ? 'denied' : `denied where authenticated before ${shownBefore},`;
    await out.answer(
      { seq, selector: { type, value }, before: shownBefore, expires_at: formatInstant(expiresAt), reason: options.reason },
      `revocation ${seq}: ${type} ${value} ${what} until ${formatInstant(expiresAt)}`,
    );
    return 0;
  });
}

/** The `jti` of a token whose signature nobody needs to check: who can deny may deny any id. Never quotes the token. */
function tokenIdIn(shown: string, path: string): Result<string, Problem> {
  const file = readText(path, { bytesMax: TOKEN_BYTES_MAX, shown });
  if (!file.ok) return file;
  const claims = claimsOf(file.value.trim());
  const id = claims?.['jti'];
  if (typeof id === 'string' && id !== '') return ok(id);
  const remedy = 'revoke its principal instead: sallyport revoke principal';
  return fail({
    path: '',
    file: shown,
    message: claims === undefined ? 'holds no JWT' : 'this token has no `jti`',
    ...(claims === undefined ? {} : { remedy }),
  });
}

function claimsOf(token: string): JsonObject | undefined {
  const [, payload] = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/.exec(token) ?? [];
  const bytes = payload === undefined ? undefined : decodeBase64Url(payload);
  try {
    const claims = JSON.parse((bytes === undefined ? undefined : fromUtf8(bytes)) ?? '') as Json;
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? (claims as JsonObject) : undefined;
  } catch {
    // Whatever it holds, it is no token; its content is not repeated.
    return undefined;
  }
}
