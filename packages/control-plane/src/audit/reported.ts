/**
 * The heads that sidecars tell of themselves, in beats and Hellos, kept across restarts: a tail that is cut off after
 * its head was told shows when the head goes back or when the next stream begins below it.
 */

import { headHex } from '@sallyport/audit';
import type { StreamEnd } from '@sallyport/audit';
import type { SpiffeId } from '@sallyport/identity';
import type { LocalDatabase } from '@sallyport/store';
import type { HeldStreams } from './held-streams.ts';
import type { AuditTables } from './store.ts';
import type { Suspicion } from './suspicion.ts';

export interface ReportedHeads {
  of(writer: SpiffeId): StreamEnd | undefined;
  /** Takes what a writer says now; the suspicion that it raises, if any. */
  note(writer: SpiffeId, end: StreamEnd): Suspicion | undefined;
  /** Writes what has changed since the last time. */
  flush(): void;
}

export interface ReportedOptions {
  readonly database: LocalDatabase;
  readonly tables: AuditTables;
  readonly streams: HeldStreams;
}

export function reportedHeads({ database, tables, streams }: ReportedOptions): ReportedHeads {
  // Owner: this closure; one entry per sidecar that was ever heard of.
  const heads = new Map<SpiffeId, StreamEnd>(tables.reported().map(({ writer, stream, seq, head }) => [writer, { stream, seq, head }]));
  const changed = new Set<SpiffeId>();
  return {
    of: (writer) => heads.get(writer),
    note(writer, end) {
      const known = heads.get(writer);
      const held = streams.of(end.stream)?.chain;
      if (known?.stream === end.stream && end.seq < known.seq)
        return { code: 'TRUNCATED', subject: known, detail: `seq ${known.seq} was reported, and now ${end.seq}`, source: writer };
      if (held?.seq === end.seq && headHex(held) !== end.head)
        return { code: 'FORK', subject: end, detail: `another head is held at seq ${end.seq}`, source: writer };
      heads.set(writer, end);
      changed.add(writer);
      return undefined;
    },
    flush() {
      if (changed.size === 0) return;
      database.transaction(() => {
        for (const writer of changed) {
          const end = heads.get(writer);
          if (end !== undefined) tables.setReported(writer, end);
        }
      });
      changed.clear();
    },
  };
}
