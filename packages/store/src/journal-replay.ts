/** Rebuilding the journal's state from its frames, in order, on opening (docs/spec/journal-v1.md section 6.4). */

import type { JournalRecord, Recovered, StateFrame } from './journal.ts';
import { readRecordFrame, readSnapshotFrame } from './journal-frames.ts';
import type { LoggedFrame, LogProblem } from './segment-log.ts';
import { unacknowledged } from './unacknowledged.ts';
import type { Unacknowledged } from './unacknowledged.ts';

export interface JournalReplay {
  readonly add: (frame: LoggedFrame) => void;
  /** What makes the log unusable, given the first place that it still holds. */
  problem(directory: string, firstSequence: number): LogProblem | undefined;
  recovered(): Recovered;
  readonly unacknowledged: Unacknowledged;
}

export function journalReplay(): JournalReplay {
  const records = unacknowledged();
  let snapshot: Uint8Array | null = null;
  let mutations: StateFrame[] = [];
  let last: JournalRecord | null = null;
  let keepsFrom = 1;
  let unreadable: { readonly sequence: number; readonly message: string } | undefined;

  const add = (frame: LoggedFrame): void => {
    const refuse = (message: string): void => {
      unreadable ??= { sequence: frame.sequence, message };
    };
    switch (frame.kind) {
      case 'record': {
        const record = readRecordFrame(frame);
        if (record === undefined) return refuse('is no record');
        last = record;
        if (!records.add(record.stream, record.seq, frame.sequence)) refuse('does not continue its stream');
        return;
      }
      case 'snapshot': {
        const read = readSnapshotFrame(frame);
        if (read === undefined) return refuse('is no snapshot that this version reads');
        snapshot = read.owned;
        mutations = [];
        keepsFrom = read.head.keepsFrom;
        last ??= read.head.last;
        for (const [stream, seq] of read.head.acknowledged) records.acknowledge(stream, seq);
        return;
      }
      case 'mark':
        return;
      case 'reservation':
      case 'settlement':
      case 'nonce':
        mutations.push({ kind: frame.kind, bytes: frame.bytes });
    }
  };

  return {
    add,
    problem(directory, firstSequence) {
      if (unreadable !== undefined)
        return {
          code: 'corrupt',
          path: directory,
          position: 0,
          message: `the frame at place ${unreadable.sequence} ${unreadable.message}`,
        };
      if (firstSequence <= keepsFrom) return undefined;
      const message = `the log begins at place ${firstSequence}, and nothing from place ${keepsFrom} on was released for removal`;
      return { code: 'hole', path: directory, position: 0, message };
    },
    recovered: () => ({ snapshot, mutations, last, unacknowledged: records.list() }),
    unacknowledged: records,
  };
}
