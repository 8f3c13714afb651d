/**
 * Alerts: records of kind ALERT in the own stream, a counter and a log line. The same alert about the same place is
 * raised once, and one source raises a bounded number an hour, so that a sidecar gone wrong cannot bury the rest.
 */

import type { Clock } from '@sallyport/model';
import type { Log, Metrics } from '@sallyport/telemetry';
import type { OwnStream } from './own-stream.ts';
import type { Suspicion } from './suspicion.ts';

export interface Alerts {
  /** Resolves when the alert is on disk, or was judged a repetition. Never rejects: what cannot be recorded is logged. */
  raise(suspicion: Suspicion): Promise<void>;
}

const REMEMBERED_MAX = 4_096;
const PER_SOURCE_MAX = 50;
const WINDOW_MS = 3_600_000;
const SOURCES_MAX = 4_096;

export interface AlertsOptions {
  readonly own: OwnStream;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

export function createAlerts({ own, clock, log, metrics }: AlertsOptions): Alerts {
  const raised = metrics.counter({ name: 'sallyport_alerts_total', help: 'Alerts raised, by code', labels: ['code'] });
  const held = metrics.counter({ name: 'sallyport_alerts_held_back_total', help: 'Alerts not recorded: their source raised too many' });
  // Owner: this closure. Both are bounded: the oldest goes.
  const seen = new Set<string>();
  const sources = new Map<string, { since: number; count: number }>();

  const isRepetition = ({ code, subject, detail }: Suspicion): boolean => {
    const key = `${code} ${subject === null ? detail : `${subject.stream} ${subject.seq}`}`;
    if (seen.has(key)) return true;
    seen.add(key);
    for (const oldest of seen) if (seen.size > REMEMBERED_MAX) seen.delete(oldest);
    return false;
  };

  const isTooMany = (source: string): boolean => {
    const now = clock.boot();
    const known = sources.get(source);
    const entry = known === undefined || now - known.since > WINDOW_MS ? { since: now, count: 0 } : known;
    entry.count += 1;
    sources.delete(source);
    sources.set(source, entry);
    for (const oldest of sources.keys()) if (sources.size > SOURCES_MAX) sources.delete(oldest);
    return entry.count > PER_SOURCE_MAX;
  };

  return {
    async raise(suspicion) {
      const { code, subject, detail, source } = suspicion;
      if (isRepetition(suspicion)) return;
      raised.add({ code });
      log.warn('alert', { code, detail, identity: source, ...(subject === null ? {} : { stream: subject.stream, seq: subject.seq }) });
      if (isTooMany(source)) {
        held.add({});
        return;
      }
      try {
        await own.record([{ kind: 'ALERT', code, subject, detail }]);
      } catch (error) {
        // The segments are full or have failed: the counter and the log are what is left, and the owner of the log ends the process.
        log.error('alert.unrecorded', { code, detail }, error);
      }
    },
  };
}
