/**
 * The revocation log as one receiver holds it: contiguous, only ever denying, looked up on every call. A state is an
 * immutable value; a change makes a new one with the next generation. docs/spec/trust-v1.md section 11.
 */

import { fail, ok } from '@sallyport/model';
import type { Digest, Instant, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import { REVOCATIONS_MAX, REVOCATION_HEADS_MAX } from './limits.ts';
import type { RevocationHead } from './objects/freshness.ts';
import { readRevocation, readRevocationSnapshot } from './objects/revocation.ts';
import type { RevocationEntry, SelectorType } from './objects/revocation.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { addEntries, coversAll, entriesOf, liveEntries, noEntries } from './revocation-index.ts';
import type { RevocationIndex } from './revocation-index.ts';
import { replacesKeys } from './roots.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold } from './threshold.ts';

export interface RevocationState extends RevocationHead {
  /** Rises with every change, so that a lease can tell whether it was judged under this state. */
  readonly generation: number;
  /** The highest seq known to exist. Above `seq` there is a gap, and a gap is not fresh. */
  readonly knownSeq: number;
  /** The revocation keys were replaced: only a snapshot signed by the release role goes on from here. */
  readonly awaitsRecovery: boolean;
  readonly index: RevocationIndex;
  /** Digests of the last entries by seq, bounded: tells a statement that lags from a forked log. */
  readonly heads: ReadonlyMap<number, Digest>;
}

/** The state of a start: nothing is held, and everything up to the high-water mark is known to exist. */
export function beginRevocations(mark: RevocationHead & { readonly awaitsRecovery?: boolean }): RevocationState {
  const { seq, head, awaitsRecovery = false } = mark;
  const heads = new Map(head === null ? [] : [[seq, head]]);
  return { generation: 1, seq: 0, head: null, knownSeq: seq, awaitsRecovery, index: noEntries(), heads };
}

export type RevocationStep =
  | { readonly kind: 'already'; readonly state: RevocationState }
  /** `isWhole`: what was held before can be had from this object, and may be forgotten where it is kept; never so of an entry. */
  | { readonly kind: 'applied'; readonly state: RevocationState; readonly isWhole: boolean }
  /** Entries between are missing; nothing is fresh until they come. */
  | { readonly kind: 'gap'; readonly state: RevocationState };

/** Takes the next entry of the log, signed by the revocation role. `at`: estimated signer time, for room. */
export function applyRevocation(
  state: RevocationState,
  bytes: Uint8Array,
  { root, at }: { readonly root: TrustedRoot; readonly at: Instant },
): Result<RevocationStep, Rejection> {
  const parsed = parseEnvelope('Revocation', bytes);
  if (!parsed.ok) return parsed;
  const counted = countThreshold('Revocation', parsed.value, root.role('revocation'));
  if (!counted.ok) return counted;
  const read = readRevocation(parsed.value.payload);
  if (!read.ok) return read;
  const { seq, previous, entry } = read.value;
  const digest = digestOfPayload(parsed.value.payload);
  if (state.awaitsRecovery) return ok({ kind: 'gap', state: { ...state, knownSeq: Math.max(state.knownSeq, seq) } });
  if (seq <= state.seq) return alreadyHeld(state, seq, digest);
  // Withholding one revocation and showing a later one: the gap shows, and stops traffic.
  if (seq > state.seq + 1) return ok({ kind: 'gap', state: { ...state, knownSeq: Math.max(state.knownSeq, seq) } });
  if (previous !== state.head)
    return fail(
      reject('EQUIVOCATION', `revocation ${seq} follows \`${previous ?? 'nothing'}\`, and \`${state.head ?? 'nothing'}\` is held`),
    );
  if (isForked(state, seq, digest)) return fail(reject('EQUIVOCATION', `two revocations are signed under seq ${seq}`));
  const index = withEntries(state.index, [entry], at);
  // Not applied, so its seq stays missing, and what is missing is not fresh.
  if (index === undefined) return fail(reject('RESOURCE', `more than ${REVOCATIONS_MAX} revocations are in force`));
  return ok({ kind: 'applied', state: advance(state, { seq, head: digest, index }), isWhole: false });
}

function alreadyHeld(state: RevocationState, seq: number, digest: Digest): Result<RevocationStep, Rejection> {
  const known = state.heads.get(seq);
  if (known === digest) return ok({ kind: 'already', state });
  if (known === undefined) return fail(reject('ROLLBACK', `revocation ${seq} is long applied; the log stands at ${state.seq}`));
  return fail(reject('EQUIVOCATION', `two revocations are signed under seq ${seq}`));
}

/**
 * Takes a snapshot. Signed by the revocation role it can only add: that key must not be able to lift an entry by
 * leaving it out. Signed by the release role it replaces everything, which is how a stolen revocation key is undone.
 */
export function applySnapshot(
  state: RevocationState,
  bytes: Uint8Array,
  { root, at }: { readonly root: TrustedRoot; readonly at: Instant },
): Result<RevocationStep, Rejection> {
  const parsed = parseEnvelope('RevocationSnapshot', bytes);
  if (!parsed.ok) return parsed;
  const byRelease = countThreshold('RevocationSnapshot', parsed.value, root.role('release')).ok;
  const counted = byRelease ? ok(0) : countThreshold('RevocationSnapshot', parsed.value, root.role('revocation'));
  if (!counted.ok) return counted;
  const read = readRevocationSnapshot(parsed.value.payload);
  if (!read.ok) return read;
  const { seq, head, entries } = read.value;
  if (state.awaitsRecovery && !byRelease)
    return fail(reject('ROOT', 'the revocation keys were replaced: only a snapshot signed by the release role goes on from here'));
  if (!state.awaitsRecovery) {
    if (seq < state.seq) return fail(reject('ROLLBACK', `a snapshot of seq ${seq} comes after seq ${state.seq}`));
    if (isForked(state, seq, head)) return fail(reject('EQUIVOCATION', `two logs are signed up to seq ${seq}`));
    if (seq === state.seq && !byRelease) return ok({ kind: 'already', state });
  }
  const index = withEntries(byRelease ? noEntries() : state.index, entries, at);
  if (index === undefined) return fail(reject('RESOURCE', `more than ${REVOCATIONS_MAX} revocations are in force`));
  const knownSeq = state.awaitsRecovery ? seq : state.knownSeq;
  const isWhole = byRelease || carriesAll(state.index, entries, at);
  return ok({ kind: 'applied', state: { ...advance({ ...state, knownSeq }, { seq, head, index }), awaitsRecovery: false }, isWhole });
}

/** Attack: a stolen revocation key that leaves an entry out, so that a restart from the snapshot alone would have lifted it. */
function carriesAll(held: RevocationIndex, entries: readonly RevocationEntry[], at: Instant): boolean {
  return coversAll(addEntries(noEntries(), entries), liveEntries(held, at));
}

/** Attack: after a restart, another log than the one that was held before it. */
function isForked(state: RevocationState, seq: number, head: Digest | null): boolean {
  if (seq === state.seq) return head !== state.head;
  const known = state.heads.get(seq);
  return known !== undefined && known !== head;
}

function advance(state: RevocationState, next: RevocationHead & { readonly index: RevocationIndex }): RevocationState {
  const heads = new Map(state.heads);
  if (next.head !== null) heads.set(next.seq, next.head);
  for (const seq of heads.keys()) if (heads.size > REVOCATION_HEADS_MAX) heads.delete(seq);
  return { ...state, ...next, heads, generation: state.generation + 1, knownSeq: Math.max(state.knownSeq, next.seq) };
}

/** Adds entries, letting expired ones go only when room is needed; `undefined` when there is none. */
function withEntries(index: RevocationIndex, entries: readonly RevocationEntry[], at: Instant): RevocationIndex | undefined {
  const added = addEntries(index, entries);
  if (added.size <= REVOCATIONS_MAX) return added;
  const live = liveEntries(added, at);
  return live.size <= REVOCATIONS_MAX ? live : undefined;
}

/** After a new root: where it replaces the revocation keys, what is denied stays denied and the log waits for recovery. */
export function revocationsAfterRoot(state: RevocationState, previous: TrustedRoot, next: TrustedRoot): RevocationState {
  if (!replacesKeys(previous, next, 'revocation')) return state;
  return { ...state, generation: state.generation + 1, awaitsRecovery: true, heads: new Map() };
}

/** Whether everything that is known to exist is applied. */
export function isContiguous(state: RevocationState): boolean {
  return !state.awaitsRecovery && state.seq >= state.knownSeq;
}

/** How the log as held stands to the head that a statement attests. Only `reached` lets the statement count. */
export function compareRevocations(state: RevocationState, attested: RevocationHead): 'reached' | 'behind' | 'forked' {
  if (state.awaitsRecovery || attested.seq > state.seq) return 'behind';
  if (attested.seq === state.seq) return attested.head === state.head ? 'reached' : 'forked';
  if (attested.seq === 0) return attested.head === null ? 'reached' : 'forked';
  const known = state.heads.get(attested.seq);
  // So far back that its head is forgotten: too old a statement to count.
  if (known === undefined) return 'behind';
  return known === attested.head ? 'reached' : 'forked';
}

/** A credential or session in use, and when its holder last proved themselves. */
export interface Credential {
  readonly value: string;
  /** Missing counts as earlier than any instant. */
  readonly authenticatedAt?: Instant;
}

/** Everything about a call that a selector can name. What is not given cannot be selected. */
export interface RevocationSubject {
  readonly token?: Credential;
  /** All names of the credential in use: its id, and the hash by which one without an id is named. */
  readonly credentials?: readonly Credential[];
  readonly session?: Credential;
  /** What the session belongs to, as the credential that opened it says. */
  readonly run?: Credential;
  readonly principal?: Credential;
  /** The principal as its issuer vouches for it. */
  readonly account?: Credential;
  readonly agent?: Credential;
  readonly sidecar?: Credential;
  readonly tool?: string;
  readonly bundles?: readonly Digest[];
}

/**
 * The first entry that denies this subject at `at` (estimated signer time: a wall clock set forward must not end a
 * revocation early), or `undefined`. `tool`, `bundle` and `everything` have no authentication of their own and are
 * judged by the earliest of token, session and principal.
 */
export function isRevoked(state: RevocationState, subject: RevocationSubject, at: Instant): RevocationEntry | undefined {
  if (state.index.size === 0) return undefined;
  const holders = [subject.token, subject.session, subject.principal].filter((holder) => holder !== undefined);
  const earliest = holders.length === 0 ? Number.NEGATIVE_INFINITY : Math.min(...holders.map(instantOf));
  const denies = (type: SelectorType, value: string, authenticated: number): RevocationEntry | undefined =>
    entriesOf(state.index, { type, value }).find(
      (entry) => !(at > entry.expiresAt) && (entry.before === 'never' || authenticated < entry.before),
    );
  for (const type of NAMED) {
    const credential = subject[type];
    const entry = credential === undefined ? undefined : denies(type, credential.value, instantOf(credential));
    if (entry !== undefined) return entry;
  }
  for (const credential of subject.credentials ?? []) {
    const entry = denies('credential', credential.value, instantOf(credential));
    if (entry !== undefined) return entry;
  }
  const tool = subject.tool === undefined ? undefined : denies('tool', subject.tool, earliest);
  if (tool !== undefined) return tool;
  for (const bundle of subject.bundles ?? []) {
    const entry = denies('bundle', bundle, earliest);
    if (entry !== undefined) return entry;
  }
  return denies('everything', '*', earliest);
}

const NAMED = ['token', 'session', 'run', 'principal', 'account', 'agent', 'sidecar'] as const;

/** Whether a bundle itself is withdrawn, whoever asks: then no release may name it. */
export function isBundleRevoked(state: RevocationState, digest: Digest, at: Instant): boolean {
  return entriesOf(state.index, { type: 'bundle', value: digest }).some((entry) => !(at > entry.expiresAt));
}

function instantOf(credential: Credential): number {
  return credential.authenticatedAt ?? Number.NEGATIVE_INFINITY;
}
