/**
 * The pointer to what is enforced. Only the activator moves it; everyone reads it, and each reading says whether it may
 * be enforced at this moment. Nothing here remembers whether it was fresh a moment ago.
 */

import type { Clock, Digest, Instant } from '@sallyport/model';
import {
  accountOf,
  directoryAgeMs,
  estimateSignerTime,
  isRevoked,
  policyState,
  type PolicyState,
  type RevocationSubject as TrustSubject,
  type Trusted,
  type VerifiedDirectory,
} from '@sallyport/trust';
import type { BundleHolder, Held, Revocations, RevocationSubject, Snapshot } from '../pipeline/ports.ts';
import { directoryReading, outdated } from './held-directory.ts';
import { snapshotOf } from './snapshot.ts';
import type { TrustedBundle } from './trusted-bundle.ts';

/** What the activator puts here. */
export interface InForce {
  readonly bundle: TrustedBundle;
  readonly trusted: Trusted;
  /** SPIFFE id of this sidecar, which a revocation may name. */
  readonly sidecar: string;
  /** What is said of principals; absent where nothing is. */
  readonly directory?: VerifiedDirectory | undefined;
}

export interface Holder extends BundleHolder {
  /** For the activator alone. */
  hold(inForce: InForce | undefined): void;
  /** Why nothing is held; shown in readiness and the log. */
  explainAbsence(why: string): void;
  /** The state at this moment, with the reason of staleness. */
  state(): PolicyState;
}

/** `waitingMax`: requests that may wait for a fresh bundle at once; one more is answered as things are. */
export function createHolder({ clock, waitingMax }: { readonly clock: Clock; readonly waitingMax: number }): Holder {
  // Owner: `hold`, and so the activator. Swapped whole.
  let current: { readonly inForce: InForce; readonly snapshot: Snapshot; readonly outdated: string } | undefined;
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
      current = inForce === undefined ? undefined : next(inForce);
      // Ages are charged every second, which changes nothing for those who wait.
      if (waiting.size > 0 && state().kind === 'fresh') for (const wake of waiting) wake();
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
    whenFresh: (ms, signal) =>
      new Promise((resolve) => {
        if (waiting.size >= waitingMax || signal.aborted) {
          resolve();
          return;
        }
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

  /** A new snapshot only where release, revocations or the directory changed; calls compare generations, not contents. */
  function next(inForce: InForce): NonNullable<typeof current> {
    const { bundle, trusted, directory } = inForce;
    const held = current;
    const tooOld = outdated(bundle.parts.issuers, ageOf(inForce));
    const isSame =
      held?.inForce.bundle === bundle &&
      held.inForce.trusted.revocations.generation === trusted.revocations.generation &&
      contentOf(held.inForce) === contentOf(inForce) &&
      held.outdated === tooOld;
    if (held !== undefined && isSame) return { inForce, snapshot: held.snapshot, outdated: tooOld };
    const { parts, policy, release, policyDigest } = bundle;
    const revocations = revocationsOf(
      inForce,
      release.bundles.map(({ digest }) => digest),
    );
    // The same content that was signed again is the same directory, and younger.
    const latest = (): InForce => (current !== undefined && contentOf(current.inForce) === contentOf(inForce) ? current.inForce : inForce);
    const snapshot = snapshotOf({
      generation: ++generation,
      releaseSeq: release.releaseSeq,
      policyDigest,
      parts,
      policy,
      revocations,
      directory: directoryReading(directory, () => ageOf(latest())),
    });
    return { inForce, snapshot, outdated: tooOld };
  }

  function ageOf({ directory, trusted: { memory } }: InForce): number {
    if (directory === undefined) return Number.POSITIVE_INFINITY;
    const now = { wall: clock.wall(), boot: clock.boot() };
    return directoryAgeMs(directory.signed, estimateSignerTime(memory.signerTime, now), now.wall);
  }

  function revocationsOf({ trusted: { revocations, memory }, sidecar }: InForce, bundles: readonly Digest[]): Revocations {
    const at = (): Instant => estimateSignerTime(memory.signerTime, { wall: clock.wall(), boot: clock.boot() });
    return {
      seq: revocations.seq,
      // Subject and signer time are only made when there is something to look up.
      denies: (subject) =>
        revocations.index.size > 0 &&
        isRevoked(revocations, { ...subjectOf(subject), sidecar: { value: sidecar }, bundles }, at()) !== undefined,
    };
  }
}

function contentOf({ directory }: InForce): Digest | undefined {
  return directory?.signed.payload.content.digest;
}

/** Agent and sidecar have no instant of their own here, and so count as authenticated before any entry. */
function subjectOf({ tokenId, tokenDigest, run, session, principal, agent, tool }: RevocationSubject): TrustSubject {
  const since = principal === undefined ? {} : { authenticatedAt: principal.authenticatedAt };
  const shown = [tokenId, tokenDigest].filter((name) => name !== undefined);
  return {
    agent: { value: agent },
    credentials: shown.map((value) => ({ value, ...since })),
    ...(tokenId === undefined ? {} : { token: { value: tokenId, ...since } }),
    ...(session === undefined ? {} : { session: { value: session, ...since } }),
    ...(run === undefined ? {} : { run: { value: run, ...since } }),
    ...(principal === undefined
      ? {}
      : { principal: { value: principal.id, ...since }, account: { value: accountOf(principal.issuer, principal.id), ...since } }),
    ...(tool === undefined ? {} : { tool }),
  };
}
