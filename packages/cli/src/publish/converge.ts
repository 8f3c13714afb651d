/** Waiting until every connected sidecar of a place enforces a release, and saying how long each took. */

import { StatusRequestSchema, create } from '@sallyport/contract';
import type { Sidecar } from '@sallyport/contract';
import { Fault, fail, ok } from '@sallyport/model';
import type { Digest, Json, Result } from '@sallyport/model';
import { deadline } from '@sallyport/runtime';
import { refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { counted, refusal } from '../output.ts';
import type { Output, Refusal } from '../output.ts';
import type { Place } from '../places.ts';

export interface Awaited {
  readonly place: Place;
  readonly release: Digest;
  readonly waitMsMax: number;
}

export interface Converged {
  /** Milliseconds from acceptance to being seen active here, rising. */
  readonly tookMs: readonly number[];
  /** Sidecars that do not enforce it, and why. */
  readonly missing: readonly Missing[];
}

export interface Missing {
  readonly sidecar: string;
  readonly isConnected: boolean;
  readonly why: string;
}

/** Resolves once all connected ones are active, or the wait is over; who is missing is part of the answer. */
export async function converge(
  link: Link,
  { place, release, waitMsMax }: Awaited,
  { io, out }: { readonly io: Io; readonly out: Output },
): Promise<Result<Converged, Refusal>> {
  const begun = io.clock.boot();
  const over = deadline(io.clock, waitMsMax, { signal: io.signal, fault: () => new Fault('aborted', 'internal', 'the wait is over') });
  const seen = new Map<string, number>();
  let last: readonly Sidecar[] = [];
  let shown = '';
  try {
    const watch = link.fleet.watch(create(StatusRequestSchema, {}), { signal: over.signal });
    for await (const { sidecars } of watch) {
      last = sidecars.filter(({ area, ring }) => area === place.area && ring === place.ring);
      for (const { spiffeId, activeRelease } of last)
        if (activeRelease === release && !seen.has(spiffeId)) seen.set(spiffeId, Math.round(io.clock.boot() - begun));
      const connected = last.filter((sidecar) => sidecar.connected);
      const active = connected.filter(({ activeRelease }) => activeRelease === release).length;
      const line = `  ${active} of ${counted(connected.length, 'sidecar')} active`;
      if (line !== shown) out.progress((shown = line));
      if (active === connected.length) return ok(convergedOf(last, seen, release));
    }
    if (over.signal.aborted && !io.signal.aborted) return ok(convergedOf(last, seen, release));
    if (io.signal.aborted) return fail(refusal(130, 'stopped waiting; the release stands'));
    return fail(refusedBy('watching the fleet', await watch.status, link));
  } finally {
    over.clear();
  }
}

function convergedOf(sidecars: readonly Sidecar[], seen: ReadonlyMap<string, number>, release: Digest): Converged {
  const missing = sidecars.filter(({ activeRelease }) => activeRelease !== release);
  return {
    tookMs: [...seen.values()].toSorted((a, b) => a - b),
    missing: missing.map((one) => ({ sidecar: one.spiffeId, isConnected: one.connected, why: whyMissing(one) })),
  };
}

function whyMissing({ connected, lastRejection, state, activeReleaseSeq }: Sidecar): string {
  if (!connected) return `not connected, enforces release ${activeReleaseSeq} while it is fresh`;
  if (lastRejection !== '') return `last rejection: ${lastRejection}`;
  return `${state}, still at release ${activeReleaseSeq}`;
}

/** The value below which `share` of all stand; 0 for none. */
export function percentile(rising: readonly number[], share: number): number {
  return rising[Math.max(0, Math.ceil(rising.length * share) - 1)] ?? 0;
}

export function convergedJson({ tookMs, missing }: Converged): Json {
  return {
    active: tookMs.length,
    p50_ms: percentile(tookMs, 0.5),
    p99_ms: percentile(tookMs, 0.99),
    max_ms: tookMs.at(-1) ?? 0,
    missing: missing.map(({ sidecar, isConnected, why }) => ({ sidecar, connected: isConnected, why })),
  };
}

export function convergedText({ tookMs, missing }: Converged): string {
  const times =
    tookMs.length === 0 ? '' : ` (p50 ${percentile(tookMs, 0.5)} ms, p99 ${percentile(tookMs, 0.99)} ms, max ${tookMs.at(-1) ?? 0} ms)`;
  return [`active at ${counted(tookMs.length, 'sidecar')}${times}`, ...missing.map(({ sidecar, why }) => `  not ${sidecar}: ${why}`)].join(
    '\n',
  );
}

/** Whether somebody who is connected does not enforce it: then the wait has failed. */
export function isIncomplete({ missing }: Converged): boolean {
  return missing.some(({ isConnected }) => isConnected);
}
