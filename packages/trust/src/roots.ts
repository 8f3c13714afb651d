/**
 * The chain of roots: from the administrator's pin to the root in force. There is no trust on first use, and no way
 * round a link. Expiry is not judged here but wherever the root is used, so that an expired root can still be
 * followed to its successor. docs/spec/trust-v1.md section 5.
 */

import { fail, formatInstant, ok } from '@sallyport/model';
import type { Digest, Instant, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import { FRESHNESS_TTL_MS_MAX, FRESHNESS_TTL_MS_MIN, ROOT_LINKS_MAX } from './limits.ts';
import { KEY_ROLES, readRoot } from './objects/root.ts';
import type { CertificateAuthorityRecord, KeyRole, Profile, Root, RootRole } from './objects/root.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import { countThreshold, identityOf, resolveRole } from './threshold.ts';
import type { RoleKeys } from './threshold.ts';

/** Every role that a root has; `directory` may be missing. */
export type ResolvedRoles = Readonly<Record<RootRole, RoleKeys>> & { readonly directory?: RoleKeys };

let make: (root: Root, digest: Digest, roles: ResolvedRoles) => TrustedRoot;

/** A root at the end of a verified chain. Only this module makes one. */
export class TrustedRoot {
  readonly #payload: Root;
  readonly #roles: ResolvedRoles;
  /** All that the directory may say; empty where nobody may say anything. */
  readonly directoryAttributes: ReadonlySet<string>;
  readonly number: number;
  readonly digest: Digest;

  private constructor(payload: Root, digest: Digest, roles: ResolvedRoles) {
    this.#payload = payload;
    this.#roles = roles;
    this.number = payload.number;
    this.digest = digest;
    this.directoryAttributes = new Set(payload.ceilings.directoryAttributes);
  }

  static {
    make = (payload, digest, roles) => new TrustedRoot(payload, digest, roles);
  }

  get payload(): Root {
    return this.#payload;
  }

  get profile(): Profile {
    return this.#payload.profile;
  }

  get trustDomain(): string {
    return this.#payload.trustDomain;
  }

  get expiresAt(): Instant {
    return this.#payload.expiresAt;
  }

  get freshnessTtlMsMax(): number {
    return this.#payload.ceilings.freshnessTtlMsMax;
  }

  get certificateAuthorities(): readonly CertificateAuthorityRecord[] {
    return this.#payload.certificateAuthorities;
  }

  role(name: RootRole): RoleKeys {
    return this.#roles[name];
  }

  /** Who may say what the directory says; `undefined` where nobody may. */
  get directory(): RoleKeys | undefined {
    return this.#roles.directory;
  }

  /** Distinct keys that a release which goes back has to carry. */
  get rollbackThreshold(): number {
    return this.#payload.roles.release.rollbackThreshold;
  }

  /** Whether this key already serves a role of the root; then it may serve no other. */
  usesKey(key: { readonly publicRaw: Uint8Array }): boolean {
    const identity = identityOf(key);
    return this.#payload.keys.some((record) => identityOf(record) === identity);
  }
}

export interface RootOptions {
  /** SHA-256 of Root 1's payload, from the administrator's own hand. */
  readonly pin: Digest;
  /** Envelopes of Root 1, 2, 3, … without a gap. */
  readonly chain: readonly Uint8Array[];
  /** `allow_development_root` of the configuration. */
  readonly allowDevelopmentRoot: boolean;
}

/** Walks the whole chain from the pin. Nothing of it is trusted unless all of it is. */
export function trustRoot({ pin, chain, allowDevelopmentRoot }: RootOptions): Result<TrustedRoot, Rejection> {
  const [first, ...links] = chain;
  if (first === undefined) return refuse('there is no root');
  if (links.length >= ROOT_LINKS_MAX) return fail(reject('SIZE', `the chain has more than ${ROOT_LINKS_MAX} roots`));
  const begun = pinnedRoot(first, pin, allowDevelopmentRoot);
  if (!begun.ok) return begun;
  let root = begun.value;
  for (const link of links) {
    const next = followRoot(root, link);
    if (!next.ok) return next;
    root = next.value;
  }
  return ok(root);
}

function pinnedRoot(bytes: Uint8Array, pin: Digest, allowDevelopmentRoot: boolean): Result<TrustedRoot, Rejection> {
  const read = readCandidate(bytes);
  if (!read.ok) return read;
  const { envelope, candidate } = read.value;
  // A root that someone else made: no trust on first use.
  if (candidate.digest !== pin) return refuse(`root 1 has digest \`${candidate.digest}\` and the pin is \`${pin}\``);
  if (candidate.number !== 1) return refuse(`the pinned root has number ${candidate.number}, not 1`);
  // A development root in production.
  if (candidate.profile === 'development' && !allowDevelopmentRoot)
    return refuse('the root has profile `development`, which is accepted only under `allow_development_root: true`');
  const counted = countThreshold('Root', envelope, candidate.role('root'));
  return counted.ok ? ok(candidate) : counted;
}

/** Root n + 1, signed by the old thresholds and the new. The root already held is answered as it is (no-op). */
export function followRoot(held: TrustedRoot, bytes: Uint8Array): Result<TrustedRoot, Rejection> {
  const read = readCandidate(bytes);
  if (!read.ok) return read;
  const { envelope, candidate } = read.value;
  if (candidate.number === held.number && candidate.digest === held.digest) return ok(held);
  // Rollback and fast-forward: exactly one step, forwards.
  if (candidate.number !== held.number + 1 && candidate.number !== held.number)
    return refuse(`root ${candidate.number} does not follow root ${held.number}`);
  // Both thresholds: whoever holds only the new keys, or only the old, cannot replace the other.
  for (const root of [held, candidate]) {
    const counted = countThreshold('Root', envelope, root.role('root'));
    if (!counted.ok) return refuse(`${counted.error.detail} (by the root role of root ${root.number})`);
  }
  if (candidate.number === held.number) return fail(reject('EQUIVOCATION', `two roots are signed under number ${held.number}`));
  if (candidate.profile !== held.profile)
    return refuse(`a root of profile \`${candidate.profile}\` never follows one of \`${held.profile}\``);
  if (candidate.trustDomain !== held.trustDomain)
    return refuse(`the trust domain changes from \`${held.trustDomain}\` to \`${candidate.trustDomain}\``);
  return ok(candidate);
}

/** The refusal of a root that has expired at `at`, the estimated signer time; `undefined` while it is in force. */
export function judgeRootExpiry(root: TrustedRoot, at: Instant): Rejection | undefined {
  if (at <= root.expiresAt) return undefined;
  return reject('ROOT', `root ${root.number} expired at ${formatInstant(root.expiresAt)}`);
}

/** What is asked of two roots. */
type RolesOf = Pick<TrustedRoot, 'role' | 'directory'>;

/**
 * Whether Root n + 1 replaces a role's keys: those that stay could not reach the new threshold by themselves, so
 * nothing old verifies any more, and what the old keys counted may start anew (fast-forward recovery, section 5.4).
 */
export function replacesKeys(previous: RolesOf, next: RolesOf, role: KeyRole): boolean {
  const [before, after] = role === 'directory' ? [previous.directory, next.directory] : [previous.role(role), next.role(role)];
  // A role that is gone verifies nothing any more.
  if (after === undefined) return true;
  const old = new Set(before?.keys.map(identityOf));
  const kept = new Set(after.keys.map(identityOf).filter((identity) => old.has(identity)));
  return kept.size < after.threshold;
}

/** A root that reads and is sound in itself; made before its signatures are counted, because it names their keys. */
function readCandidate(bytes: Uint8Array): Result<{ envelope: Envelope; candidate: TrustedRoot }, Rejection> {
  const parsed = parseEnvelope('Root', bytes);
  if (!parsed.ok) return parsed;
  const sound = readSoundRoot(parsed.value.payload);
  if (!sound.ok) return sound;
  const { root, digest, roles } = sound.value;
  return ok({ envelope: parsed.value, candidate: make(root, digest, roles) });
}

/** A root that could be trusted if enough of its keys signed it. Nothing of it is trusted yet. */
export interface SoundRoot {
  readonly root: Root;
  readonly digest: Digest;
  readonly roles: ResolvedRoles;
}

/** Reads a root's payload and judges everything but its signatures: for who drafts and signs one, and for the chain. */
export function readSoundRoot(payload: Uint8Array): Result<SoundRoot, Rejection> {
  const read = readRoot(payload);
  if (!read.ok) return read;
  const root = read.value;
  const problems: string[] = [];
  const roles: Partial<Record<KeyRole, RoleKeys>> = {};
  for (const name of KEY_ROLES) {
    const role = root.roles[name];
    if (role === undefined) continue;
    const resolved = resolveRole(name, role, root.keys);
    roles[name] = resolved.role;
    problems.push(...resolved.problems);
  }
  const complete = roles as ResolvedRoles;
  problems.push(...keyProblems(root, complete), ...thresholdProblems(root, complete));
  if (problems.length > 0) return refuse(problems.join('; '));
  return ok({ root, digest: digestOfPayload(payload), roles: complete });
}

/** A key used in two roles: whoever steals it would hold both. A key without a role is a leftover that invites mistakes. */
function keyProblems(root: Root, roles: ResolvedRoles): string[] {
  const problems: string[] = [];
  const roleOf = new Map<string, KeyRole>();
  for (const name of KEY_ROLES) {
    for (const key of roles[name]?.keys ?? []) {
      const other = roleOf.get(identityOf(key));
      if (other !== undefined && other !== name) problems.push(`key \`${key.keyId}\` serves both \`${other}\` and \`${name}\``);
      roleOf.set(identityOf(key), name);
    }
  }
  for (const key of root.keys) if (!roleOf.has(identityOf(key))) problems.push(`key \`${key.keyId}\` serves no role`);
  return problems;
}

function thresholdProblems(root: Root, roles: ResolvedRoles): string[] {
  const problems: string[] = [];
  // A key without a ceiling would say whatever a bundle happens to ask.
  if ((root.roles.directory === undefined) !== (root.ceilings.directoryAttributes === undefined))
    problems.push('role `directory` and `directory_attributes` go together');
  const { threshold, rollbackThreshold } = root.roles.release;
  const releaseKeys = new Set(roles.release.keys.map(identityOf)).size;
  if (rollbackThreshold < threshold) problems.push('`rollback_threshold` is below the threshold of role `release`');
  if (rollbackThreshold > releaseKeys)
    problems.push(`\`rollback_threshold\` asks for ${rollbackThreshold} keys and has ${releaseKeys} distinct ones`);
  // One thief must not suffice in production, where offline roles have more than one holder.
  if (root.profile === 'production')
    for (const name of ['root', 'registrar', 'release'] as const)
      if (root.roles[name].threshold < 2) problems.push(`role \`${name}\` of a production root needs a threshold of at least 2`);
  const ttl = root.ceilings.freshnessTtlMsMax;
  const ttlMin = FRESHNESS_TTL_MS_MIN[root.profile];
  if (ttl < ttlMin || ttl > FRESHNESS_TTL_MS_MAX) problems.push(`\`freshness_ttl_ms_max\` is outside ${ttlMin} to ${FRESHNESS_TTL_MS_MAX}`);
  return problems;
}

function refuse(detail: string): Result<never, Rejection> {
  return fail(reject('ROOT', detail));
}
