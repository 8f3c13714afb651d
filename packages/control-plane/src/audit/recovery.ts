/**
 * What a start finds in the segments: every line is read and chained again, so that what was edited, or went missing,
 * since the last run is noticed before anything new is acknowledged on top of it.
 */

import type { SpiffeId } from '@sallyport/identity';
import { Fault } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { openSegmentLog } from '@sallyport/store';
import type { LocalDatabase, LogProblem, SegmentLog } from '@sallyport/store';
import type { ControlPlaneConfig } from '../config.ts';
import { actName } from './acts.ts';
import type { Adopted } from './adopted.ts';
import { heldStreams, recoverLine } from './held-streams.ts';
import type { HeldStreams } from './held-streams.ts';
import type { AuditTables } from './store.ts';
import type { Suspicion } from './suspicion.ts';

export interface Recovered {
  readonly segments: SegmentLog;
  readonly streams: HeldStreams;
  /** What is worth an alert, once the own stream is open. */
  readonly found: readonly Suspicion[];
  /** Names of the acts that are recorded already. */
  readonly actNames: ReadonlySet<string>;
}

export interface RecoveryOptions {
  readonly config: ControlPlaneConfig;
  readonly disk: FileSystem;
  readonly database: LocalDatabase;
  readonly tables: AuditTables;
  readonly adopted: Adopted;
  /** Of this control plane: its own streams hold the acts. */
  readonly identity: SpiffeId;
}

const FOUND_MAX = 64;
/** One in this many bytes is kept free for the own stream: its acts and alerts matter most when the rest is full. */
const HEADROOM_SHARE = 16;

/** Opens the segments; throws a Fault `store_failed` where they cannot be. */
export async function recoverSegments({ config, disk, database, tables, adopted, identity }: RecoveryOptions): Promise<Recovered> {
  const streams = heldStreams();
  const found: Suspicion[] = [];
  const actNames = new Set<string>();
  const opened = await openSegmentLog({
    disk,
    directory: `${config.state_dir}/audit`,
    segmentBytesMax: config.audit.segment_bytes_max,
    logBytesMax: config.audit.log_bytes_max,
    headroomBytes: Math.floor(config.audit.log_bytes_max / HEADROOM_SHARE),
    onRecovered(frame) {
      const suspicion = recoverLine(frame, { streams, adopted });
      if (suspicion !== undefined && found.length < FOUND_MAX) found.push(suspicion);
      const name = streams.ofWriter(identity).length === 0 ? undefined : actName(frame.bytes);
      if (name !== undefined) actNames.add(name);
    },
  });
  if (!opened.ok) throw faultOf(opened.error);
  const last = opened.value.status.lastSequence;
  const indexed = tables.indexedPlace();
  if (indexed > last) {
    // Somebody took segments away whose records were held: the index is all that is left of them, and it proves nothing.
    found.push({
      code: 'SEGMENT_MISSING',
      subject: null,
      detail: `records up to place ${indexed} were held, and the segments end at ${last}`,
      source: 'segments',
    });
    database.transaction(() => tables.clearIndex());
  }
  return { segments: opened.value, streams, found, actNames };
}

function faultOf(problem: LogProblem): Fault {
  if (problem.code === 'failed') return problem.fault;
  return new Fault('store_failed', 'internal', `while opening \`${problem.path}\`: ${problem.message}`);
}
