/**
 * The pointer to what is enforced. Only the activator moves it; everyone reads it, and each reading says whether it may
 * be enforced at this moment. Nothing here remembers whether it was fresh a moment ago.
 */

import type { AgentName, Clock, Instant } from '@sallyport/model';
import { estimateSignerTime, isRevoked, policyState, type PolicyState, type RevocationState, type Trusted } from '@sallyport/trust';
import type { BundleHolder, Held, Revocations, RevocationSubject, Snapshot } from '../pipeline/ports.ts';
import { snapshotOf } from './snapshot.ts';
import type { TrustedBundle } from './trusted-bundle.ts';

/** What the activator puts here. */
export interface InForce {
  readonly bundle: TrustedBundle;
  readonly trusted: Trusted;
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
  function nextSnapshot({ bundle, trusted }: InForce): Snapshot {
    const held = current;
    const isSame = held?.inForce.bundle === bundle && held.inForce.trusted.revocations.generation === trusted.revocations.generation;
    if (held !== undefined && isSame) return held.snapshot;
    const { parts, policy, release, policyDigest } = bundle;
    const revocations = revocationsOf(
      trusted,
      release.bundles.map(({ digest }) => digest),
    );
    return snapshotOf({ generation: ++generation, releaseSeq: release.releaseSeq, policyDigest, parts, policy, revocations });
  }

  function revocationsOf({ revocations, memory }: Trusted, bundles: Parameters<typeof isRevoked>[1]['bundles']): Revocations {
    const at = (): Instant => estimateSignerTime(memory.signerTime, { wall: clock.wall(), boot: clock.boot() });
    return { seq: revocations.seq, denies: (subject) => denies(revocations, { subject, bundles: bundles ?? [] }, at) };
  }
}

/** Signer time is only asked for when there is something to look up. */
function denies(
  state: RevocationState,
  { subject, bundles }: { subject: RevocationSubject; bundles: NonNullable<Parameters<typeof isRevoked>[1]['bundles']> },
  at: () => Instant,
): boolean {
  if (state.index.size === 0) return false;
  const { principal } = subject;
  const since = principal === undefined ? {} : { authenticatedAt: principal.authenticatedAt };
  return (
    isRevoked(
      state,
      {
        agent: { value: subject.agent satisfies AgentName, ...since },
        bundles,
        ...(subject.tokenId === undefined ? {} : { token: { value: subject.tokenId, ...since } }),
        ...(subject.session === undefined ? {} : { session: { value: subject.session, ...since } }),
        ...(principal === undefined ? {} : { principal: { value: principal.id, ...since } }),
        ...(subject.tool === undefined ? {} : { tool: subject.tool }),
      },
      at(),
    ) !== undefined
  );
}
