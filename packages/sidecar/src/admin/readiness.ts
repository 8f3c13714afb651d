/** Whether this sidecar may serve, and what keeps it from serving; computed at each asking from what is, never remembered. */

import { formatInstant, type Instant, type Isolation } from '@sallyport/model';
import type { AppendRefusal, Journal } from '@sallyport/store';
import type { PolicyState } from '@sallyport/trust';
import type { Identity } from '../enrolment/identity-files.ts';
import type { IsolationStanding } from '../isolation/isolation.ts';
import type { IsolationReason } from '../isolation/reasons.ts';
import type { CredentialEntry } from '../secrets/credential-register.ts';
import type { Held } from '../pipeline/ports.ts';

/** Why the sidecar is or is not ready. */
export interface Readiness {
  readonly ready: boolean;
  /** `fresh`, or what keeps it from serving. */
  readonly reason: string;
  readonly state: 'absent' | 'fresh' | 'stale';
  readonly release_seq: number | null;
  readonly policy_age_ms: number | null;
  readonly ttl_ms: number | null;
  readonly identity: string | null;
  /** After this nothing new comes from the control plane, until a renewal or a new join token; what is fresh goes on being enforced. */
  readonly identity_expires_at: string | null;
  readonly connected: boolean;
  readonly development_root: boolean;
  readonly draining: boolean;
  /** Whether the agent is kept from going round this sidecar, and why it is not; calls are judged by it, readiness is not. */
  readonly isolation: Isolation;
  readonly isolation_reasons: readonly IsolationReason[];
  /** Credentials older than the policy wants, by name; calls go on with them. */
  readonly stale_credentials: readonly string[];
  /** Those that are known to have leaked and are still in use, by name; and of these the ones for five days and more. */
  readonly leaked_credentials: readonly string[];
  readonly critical_credentials: readonly string[];
  /** Those that could not be read when last looked at; calls that carry them end when the last value is too old. */
  readonly failing_credentials: readonly string[];
}

export interface ReadinessOf {
  readonly held: Held;
  readonly policy: PolicyState;
  readonly identity: Identity | undefined;
  /** `undefined` before it is open. */
  readonly journal: Pick<Journal, 'refuses'> | undefined;
  /** Whether the audit stream of this start has begun. */
  readonly hasStream: boolean;
  readonly isLeaving: boolean;
  readonly isConnected: boolean;
  readonly allowsDevelopmentRoot: boolean;
  readonly isolation: IsolationStanding;
  readonly credentials: readonly Pick<CredentialEntry, 'name' | 'stale' | 'leak' | 'failure'>[];
}

/** Ready is: a fresh bundle, a journal that takes records, and no drain. */
export function judgeReadiness(of: ReadinessOf): Readiness {
  const { held, policy, identity } = of;
  const obstacle = obstacleOf(of);
  return {
    ready: obstacle === undefined,
    reason: obstacle ?? 'fresh',
    state: held.state,
    release_seq: held.state === 'absent' ? null : held.snapshot.releaseSeq,
    policy_age_ms: held.state === 'absent' ? null : Math.round(held.ageMs),
    ttl_ms: policy.kind === 'absent' ? null : policy.ttlMs,
    identity: identity?.spiffeId ?? null,
    identity_expires_at: identity === undefined ? null : formatInstant(identity.notAfter as Instant),
    connected: of.isConnected,
    development_root: of.allowsDevelopmentRoot,
    draining: of.isLeaving,
    isolation: of.isolation.isolation,
    isolation_reasons: of.isolation.reasons,
    stale_credentials: of.credentials.flatMap(({ name, stale }) => (stale ? [name] : [])),
    leaked_credentials: of.credentials.flatMap(({ name, leak }) => (leak === null ? [] : [name])),
    critical_credentials: of.credentials.flatMap(({ name, leak }) => (leak === 'critical' ? [name] : [])),
    failing_credentials: of.credentials.flatMap(({ name, failure }) => (failure === null ? [] : [name])),
  };
}

/** About what the DECISION of a call takes, with what it reserves. */
const CALL = { kind: 'reservation', bytes: new Uint8Array(2_048) } as const;

const JOURNAL: Readonly<Record<AppendRefusal['code'], (refusal: AppendRefusal) => string>> = {
  full: () => 'journal_full: the collector has to take records before more can be kept',
  failed: (refusal) => `journal_failed: ${refusal.code === 'failed' ? refusal.fault.message : ''}`,
  closed: () => 'journal_closed',
};

function obstacleOf({ held, policy, journal, hasStream, isLeaving }: ReadinessOf): string | undefined {
  if (isLeaving) return 'draining';
  // Without a journal every call is refused, however fresh the bundle is.
  const refusal = journal?.refuses([CALL]);
  if (refusal !== undefined) return JOURNAL[refusal.code](refusal);
  if (held.state === 'absent') return held.why;
  if (policy.kind === 'stale') return policy.reason;
  if (held.state !== 'fresh') return held.state;
  return journal === undefined || !hasStream ? 'starting' : undefined;
}
