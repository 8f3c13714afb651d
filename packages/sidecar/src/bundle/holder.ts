/**
 * The pointer to what is enforced. Only the activator moves it; everyone reads it, and each reading says whether it may
 * be enforced at this moment. Nothing here remembers whether it was fresh a moment ago.
 */

import type { Clock, Digest, Instant } from '@sallyport/model';
import {
  estimateSignerTime,
  isRevoked,
  policyState,
  type PolicyState,
  type RevocationState,
  type RevocationSubject as TrustSubject,
  type Trusted,
} from '@sallyport/trust';
import type { BundleHolder, Held, Revocations, RevocationSubject, Snapshot } from '../pipeline/ports.ts';
import { snapshotOf } from './snapshot.ts';
import type { TrustedBundle } from './trusted-bundle.ts';

/** What the activator puts here. */
export interface InForce {
  readonly bundle: TrustedBundle;
  readonly trusted: Trusted;
  /** SPIFFE id of this sidecar, which a revocation may name. */
  readonly sidecar: string;
}

export interface Holder extends BundleHolder {
  /** For the activator alone. */
  hold(inForce: InForce | undefined): void;
  /** Why nothing is held; shown in readiness and the log. */
  explainAbsence(why: string): void;
  /** The state at this moment, with the reason of staleness. */
  state(): PolicyState;
}

export function createHolder({ clock }: { clock: Clock }): Holder {
  // Owner: `hold`, and so the activator. Swapped whole.
  let current: { readonly inForce: InForce; readonly snapshot: Snapshot } | undefined;
  let generation = 0;
  let absence = 'no bundle has been received yet';
  const waiting = new Set<() => void>();
  const state = (): PolicyState => policyState(current?.inForce.trusted, { wall: clock.wall(), boot: clock.boot() });

  return {
    state,
    explainAbsence: (why) => {
      absence = why;
    },
    hold(inForce) {
      current = inForce === undefined ? undefined : { inForce, snapshot: nextSnapshot(inForce) };
      for (const wake of waiting) wake();
    },
    read(): Held {
      if (current === undefined) return { state: 'absent', why: absence };
      const now = state();
      const { snapshot } = current;
      if (now.kind === 'fresh') {
        return { state: 'fresh', snapshot, freshnessSeq: now.statementSeq, ageMs: now.ageMs, freshForMs: now.ttlMs - now.ageMs };
      }
      if (now.kind === 'absent') return { state: 'absent', why: absence };
      const ageMs = now.ageMs ?? now.ttlMs;
      return { state: 'stale', snapshot, freshnessSeq: 0, ageMs, freshForMs: Math.min(0, now.ttlMs - ageMs) };
    },
    changed: (ms, signal) =>
      new Promise((resolve) => {
        const over = new AbortController();
        const wake = (): void => {
          waiting.delete(wake);
          over.abort();
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
        clock.timer(ms, wake, { signal: over.signal });
      }),
  };

  /** A new snapshot only where release or revocations changed; calls compare generations, not contents. */
  function nextSnapshot(inForce: InForce): Snapshot {
    const { bundle, trusted } = inForce;
    const held = current;
    const isSame = held?.inForce.bundle === bundle && held.inForce.trusted.revocations.generation === trusted.revocations.generation;
    if (held !== undefined && isSame) return held.snapshot;
    const { parts, policy, release, policyDigest } = bundle;
    const revocations = revocationsOf(
      inForce,
      release.bundles.map(({ digest }) => digest),
    );
    return snapshotOf({ generation: ++generation, releaseSeq: release.releaseSeq, policyDigest, parts, policy, revocations });
  }

  function revocationsOf({ trusted: { revocations, memory }, sidecar }: InForce, bundles: readonly Digest[]): Revocations {
    const at = (): Instant => estimateSignerTime(memory.signerTime, { wall: clock.wall(), boot: clock.boot() });
    return {
      seq: revocations.seq,
      denies: (subject) => denies(revocations, { ...subjectOf(subject), sidecar: { value: sidecar }, bundles }, at),
    };
  }
}

/** Signer time is only asked for when there is something to look up. */
function denies(state: RevocationState, subject: TrustSubject, at: () => Instant): boolean {
  return state.index.size > 0 && isRevoked(state, subject, at()) !== undefined;
}

/** Agent and sidecar have no instant of their own here, and so count as authenticated before any entry. */
function subjectOf({ tokenId, session, principal, agent, tool }: RevocationSubject): TrustSubject {
  const since = principal === undefined ? {} : { authenticatedAt: principal.authenticatedAt };
  return {
    agent: { value: agent },
    ...(tokenId === undefined ? {} : { token: { value: tokenId, ...since } }),
    ...(session === undefined ? {} : { session: { value: session, ...since } }),
    ...(principal === undefined ? {} : { principal: { value: principal.id, ...since } }),
    ...(tool === undefined ? {} : { tool }),
  };
}
