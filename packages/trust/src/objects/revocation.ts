/** Revocation and RevocationSnapshot: entries that can only deny, in one contiguous log. Spec sections 4.8 and 4.9. */

import { fail, formatInstant, isAgentName, isDigest, isToolName, ok, parseInstant } from '@sallyport/model';
import type { Digest, Instant, Problem, Result } from '@sallyport/model';
import * as z from 'zod/mini';
import { REASON_LENGTH_MAX, REVOCATIONS_MAX, SELECTOR_LENGTH_MAX } from '../limits.ts';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { count, digest, head, instant, positive, textOf } from '../shapes.ts';

/** What an entry can select. Only kinds that this build can match: another one is refused, never skipped. */
export const SELECTOR_TYPES = [
  'token',
  'credential',
  'session',
  'run',
  'principal',
  'account',
  'agent',
  'sidecar',
  'tool',
  'bundle',
  'everything',
] as const;
export type SelectorType = (typeof SELECTOR_TYPES)[number];

export interface Selector {
  readonly type: SelectorType;
  /** Compared byte for byte; `*` for `everything`, and `<issuer> <principal>` for `account`. */
  readonly value: string;
}

export interface RevocationEntry {
  readonly selector: Selector;
  /** Denies what was authenticated before this instant; `never` means never again (a ban). */
  readonly before: Instant | 'never';
  readonly expiresAt: Instant;
  readonly reason: string;
}

export interface Revocation {
  /** 1, 2, 3, … without a gap. */
  readonly seq: number;
  /** Digest of the payload of the entry before; `null` for the first. */
  readonly previous: Digest | null;
  readonly entry: RevocationEntry;
  readonly issuedAt: Instant;
}

/** The log up to `seq` in one object: every entry that has not expired. */
export interface RevocationSnapshot {
  readonly seq: number;
  readonly head: Digest | null;
  readonly entries: readonly RevocationEntry[];
}

const selector: z.ZodMiniType<Selector> = z
  .strictObject({ type: z.enum(SELECTOR_TYPES), value: z.string().check(z.minLength(1), z.maxLength(SELECTOR_LENGTH_MAX)) })
  .check(z.refine(({ type, value }) => type !== 'everything' || value === '*', { error: 'expected `*` for `everything`' }));

const entry: z.ZodMiniType<RevocationEntry> = z.pipe(
  z.strictObject({
    selector,
    before: textOf((text) => (text === 'never' ? text : parseInstant(text)), 'an instant or `never`'),
    expires_at: instant,
    reason: z.string().check(z.maxLength(REASON_LENGTH_MAX)),
  }),
  z.transform((wire): RevocationEntry => ({
    selector: wire.selector,
    before: wire.before,
    expiresAt: wire.expires_at,
    reason: wire.reason,
  })),
);

const revocation: z.ZodMiniType<Revocation> = z.pipe(
  z.strictObject({ ...head('Revocation'), seq: positive, previous: z.nullable(digest), entry, issued_at: instant }),
  z.transform((wire): Revocation => ({ seq: wire.seq, previous: wire.previous, entry: wire.entry, issuedAt: wire.issued_at })),
);

const snapshot: z.ZodMiniType<RevocationSnapshot> = z.pipe(
  z.strictObject({
    ...head('RevocationSnapshot'),
    seq: count,
    head: z.nullable(digest),
    entries: z.array(entry).check(z.maxLength(REVOCATIONS_MAX)),
  }),
  z.transform((wire): RevocationSnapshot => ({ seq: wire.seq, head: wire.head, entries: wire.entries })),
);

export function readRevocation(payload: Uint8Array): Result<Revocation, Rejection> {
  return readPayload('Revocation', payload, revocation);
}

export function readRevocationSnapshot(payload: Uint8Array): Result<RevocationSnapshot, Rejection> {
  return readPayload('RevocationSnapshot', payload, snapshot);
}

/**
 * A selector that can match something, or why it cannot: for whoever is about to sign one. Readers take any value,
 * since refusing an entry of the log would stop every receiver.
 */
export function parseSelector(type: string, value: string): Result<Selector, Problem> {
  const known = SELECTOR_TYPES.find((one) => one === type);
  if (known === undefined)
    return fail({ path: 'type', message: `unknown selector \`${type.slice(0, 80)}\``, remedy: `use one of ${SELECTOR_TYPES.join(', ')}` });
  const expected = EXPECTED[known];
  if (value.length > 0 && value.length <= SELECTOR_LENGTH_MAX && (expected === undefined || expected.fits(value)))
    return ok({ type: known, value });
  return fail({
    path: 'value',
    message: `\`${value.slice(0, 80)}\` selects nothing`,
    remedy: `write ${expected?.words ?? 'its exact value'}`,
  });
}

/** The value of an `account`: a principal as one issuer vouches for it, and no other issuer's of the same id. */
export function accountOf(issuer: string, principal: string): string {
  return `${issuer} ${principal}`;
}

const EXPECTED: Readonly<Partial<Record<SelectorType, { readonly fits: (value: string) => boolean; readonly words: string }>>> = {
  account: { fits: (value) => /^\S+ \S/.test(value), words: 'the issuer, a space, and the principal’s id' },
  agent: { fits: isAgentName, words: 'the name of an agent' },
  sidecar: { fits: (value) => value.startsWith('spiffe://'), words: 'a SPIFFE id' },
  tool: { fits: isToolName, words: 'a tool as `server/tool`' },
  bundle: { fits: isDigest, words: 'the digest of a bundle' },
  everything: { fits: (value) => value === '*', words: '`*`' },
};

function entryToWire({ selector: selected, before, expiresAt, reason }: RevocationEntry): object {
  return {
    selector: { type: selected.type, value: selected.value },
    before: before === 'never' ? before : formatInstant(before),
    expires_at: formatInstant(expiresAt),
    reason,
  };
}

/** The payload bytes to sign. */
export function encodeRevocation({ seq, previous, entry: denied, issuedAt }: Revocation): Uint8Array {
  return encodePayload('Revocation', { seq, previous, entry: entryToWire(denied), issued_at: formatInstant(issuedAt) });
}

/** The payload bytes to sign. */
export function encodeRevocationSnapshot({ seq, head: last, entries }: RevocationSnapshot): Uint8Array {
  return encodePayload('RevocationSnapshot', { seq, head: last, entries: entries.map(entryToWire) });
}
