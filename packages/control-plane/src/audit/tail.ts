/**
 * Audit.Tail: records to collectors and administrators, from a cursor, in the order in which they became durable. View
 * `records` is the exact bytes, and an export of whole streams from the start ends in a signed manifest; view `calls` is
 * one event per call, as soon as it is complete. A cursor names a place in the log and nothing else.
 */

import { exportWriter, joinCalls, readRecord } from '@sallyport/audit';
import type { AuditRecord, ExportWriter } from '@sallyport/audit';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { utf8 } from '@sallyport/crypto';
import { TailBatchSchema, TailRequest_View, create } from '@sallyport/contract';
import type { TailBatch, TailRequest } from '@sallyport/contract';
import type { SpiffeId } from '@sallyport/identity';
import { Bug, fail, ok } from '@sallyport/model';
import type { Clock, Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus, StreamWriter } from '@sallyport/net';
import type { LoggedFrame, SegmentLog } from '@sallyport/store';
import type { ProvenCall } from '../rpc.ts';
import { streamLife } from '../until.ts';
import type { Indexer } from './indexer.ts';
import type { AuditTables, RecordFilter } from './store.ts';

export interface TailOptions {
  readonly log: SegmentLog;
  readonly tables: AuditTables;
  readonly indexer: Indexer;
  readonly clock: Clock;
  readonly draining: AbortSignal;
  readonly tailStreamsMax: number;
  /** Signs the manifest of an export. */
  readonly exporter: { readonly identity: SpiffeId; readonly signer: LocalSigner; readonly certificates: () => readonly Uint8Array[] };
}

type Tail = (request: TailRequest, out: StreamWriter<TailBatch>, call: ProvenCall) => Promise<Result<void, GrpcStatus>>;

const BATCH_RECORDS_MAX = 256;
/** Bytes of lines in one message; a line is at most 64 KB. */
const BATCH_BYTES_MAX = 128 * 1024;
const OPEN_DECISIONS_MAX = 10_000;
const CURSOR = /^p([0-9]{1,15})$/;

export function tailHandler(options: TailOptions): Tail {
  const { clock, draining, indexer, log } = options;
  // Owner: this handler.
  let running = 0;
  return async (request, out, call) => {
    const after = request.cursor === '' ? 0 : Number(CURSOR.exec(request.cursor)?.[1] ?? Number.NaN);
    if (Number.isNaN(after)) return fail(grpcStatus('invalid_argument', 'the cursor is not one of this log'));
    if (request.view === TailRequest_View.UNSPECIFIED) return fail(grpcStatus('invalid_argument', 'say which view'));
    if (running >= options.tailStreamsMax) return fail(grpcStatus('resource_exhausted', 'too many audit readers'));
    running += 1;
    const life = streamLife({ clock, notAfter: call.caller.notAfter, call: call.signal, draining });
    try {
      const reader = createReader(options, { request, out, signal: life.signal, isFromStart: after === 0 });
      // Everything durable when the request came is shown, whatever the index was doing.
      const upTo = log.status.durableSequence;
      await indexer.reached(upTo, life.signal);
      let place = await reader.show(after, upTo);
      if (!request.follow) await reader.finish(place);
      while (request.follow && (await indexer.beyond(place, life.signal))) place = await reader.show(place, indexer.place);
    } finally {
      running -= 1;
      life.clear();
    }
    return life.reason === undefined || life.reason === 'caller' ? ok(undefined) : fail(grpcStatus('unavailable', 'connect again'));
  };
}

interface Reader {
  /** Shows what stands above `after` up to `upTo`, and returns the place it has come to. */
  show(after: number, upTo: number): Promise<number>;
  /** Ends an export. */
  finish(place: number): Promise<void>;
}

interface Reading {
  readonly request: TailRequest;
  readonly out: StreamWriter<TailBatch>;
  readonly signal: AbortSignal;
  readonly isFromStart: boolean;
}

function createReader(options: TailOptions, { request, out, signal, isFromStart }: Reading): Reader {
  const { tables, log, exporter, clock } = options;
  const filter: RecordFilter = {
    ...(request.stream === '' ? {} : { stream: request.stream }),
    ...(request.agent === '' ? {} : { agent: request.agent }),
    ...(request.session === '' ? {} : { session: request.session }),
  };
  const isRecords = request.view === TailRequest_View.RECORDS;
  // A manifest vouches for whole streams: not for a part from a cursor on, nor for the records of one session.
  let writer = isRecords && isFromStart && !request.follow && request.session === '' ? exportWriter() : undefined;
  const sender = createSender(out, signal);
  const lineAt = lineReader(log);
  const calls: Calls = { lineAt, decisionAt: lineReader(log), tables, filter };
  const linesAt = isRecords
    ? (place: number, _upTo: number): readonly Uint8Array[] => {
        const line = lineAt(place);
        if (line !== undefined && !canVouch(writer, line)) writer = undefined;
        return line === undefined ? [] : [line];
      }
    : (place: number, upTo: number): readonly Uint8Array[] => callsAt(place, upTo, calls);
  return {
    async show(after, upTo) {
      let place = after;
      while (!signal.aborted) {
        const rows = tables.places(isRecords ? { filter } : { filter, calls: true }, { after: place, upTo, limit: BATCH_RECORDS_MAX });
        for (const row of rows) {
          const lines = linesAt(row, upTo);
          place = row;
          for (const line of lines) if (!(await sender.add(line, place))) return place;
        }
        if (rows.length < BATCH_RECORDS_MAX) break;
      }
      const reached = signal.aborted ? place : Math.max(place, upTo);
      await sender.flush(reached);
      return reached;
    },
    async finish(place) {
      if (writer === undefined || signal.aborted) return;
      const line = await writer.finish({
        at: clock.wall(),
        exporter: exporter.identity,
        signer: exporter.signer,
        certificates: exporter.certificates(),
      });
      if (await sender.add(line, place)) await sender.flush(place);
    },
  };
}

interface Sender {
  /** False when the stream is over. */
  add(line: Uint8Array, place: number): Promise<boolean>;
  flush(place: number): Promise<boolean>;
}

/** Gathers lines into messages, and waits for a slow reader: nothing is skipped. */
function createSender(out: StreamWriter<TailBatch>, signal: AbortSignal): Sender {
  let lines: Uint8Array[] = [];
  let bytes = 0;
  let sentPlace = 0;
  const flush = async (place: number): Promise<boolean> => {
    if (lines.length === 0 && place === sentPlace) return true;
    const batch = create(TailBatchSchema, { lines, cursor: `p${place}` });
    [lines, bytes, sentPlace] = [[], 0, place];
    while (!out.isOver && !signal.aborted) {
      if (out.write(batch)) return true;
      await out.drained();
    }
    return false;
  };
  return {
    flush,
    async add(line, place) {
      // The cursor of a message names the last place that is whole in it: the one before, while this one is being added.
      if (lines.length > 0 && (bytes + line.byteLength > BATCH_BYTES_MAX || lines.length >= BATCH_RECORDS_MAX) && !(await flush(place - 1)))
        return false;
      lines.push(line);
      bytes += line.byteLength;
      return !out.isOver && !signal.aborted;
    },
  };
}

type LineAt = (place: number) => Uint8Array | undefined;

const WINDOW_BYTES = 128 * 1024;

/** Lines by place, read a window at a time: places come in order, and what is asked for next stands close by. */
function lineReader(log: SegmentLog): LineAt {
  // Owner: this reader.
  let from = 0;
  let window: readonly LoggedFrame[] = [];
  return (place) => {
    if (place < from || place >= from + window.length) {
      window = log.read({ from: place, bytesMax: WINDOW_BYTES });
      from = window[0]?.sequence ?? place;
    }
    return window[place - from]?.bytes;
  };
}

/** Takes a line into the manifest. False where it does not chain: it was edited on disk, and goes out as it is with nobody vouching. */
function canVouch(writer: ExportWriter | undefined, line: Uint8Array): boolean {
  try {
    writer?.add(line);
    return true;
  } catch (error) {
    if (error instanceof Bug) return false;
    throw error;
  }
}

interface Calls {
  readonly lineAt: LineAt;
  /** Decisions stand further back than what completes them: they have a window of their own. */
  readonly decisionAt: LineAt;
  readonly tables: AuditTables;
  readonly filter: RecordFilter;
}

/**
 * The events that the record at this place completes, for a reader who is shown everything up to `upTo`. A call is shown
 * once: one whose outcome came after its stream was given up is shown as unknown only to a reader who was there before
 * the outcome, and then once more, marked as late.
 */
function callsAt(place: number, upTo: number, calls: Calls): readonly Uint8Array[] {
  const record = parsed(calls.lineAt(place));
  if (record?.kind === 'DECISION') return record.decision === 'deny' ? joined([record]) : [];
  if (record?.kind === 'OUTCOME') {
    const decided = calls.tables.decisionPlace(record.decision_id, record.stream);
    const decision = decided === undefined ? undefined : parsed(calls.decisionAt(decided));
    if (decided === undefined || decision === undefined) return [];
    return joined([decision, record], calls.tables.isGivenUp(record.stream, { after: decided, before: place }));
  }
  // Whoever stopped, cleanly or not, will not write the outcomes that are missing.
  if (record?.kind === 'CLOSE') return unanswered(record.stream, { place, upTo }, calls);
  if (record?.kind === 'ALERT' && record.subject !== null) return unanswered(record.subject.stream, { place, upTo }, calls);
  return [];
}

function unanswered(
  stream: string,
  { place: end, upTo }: { readonly place: number; readonly upTo: number },
  { decisionAt, tables, filter }: Calls,
): readonly Uint8Array[] {
  const places = tables.openDecisions(stream, filter, { upTo: end, answeredUpTo: upTo, limit: OPEN_DECISIONS_MAX });
  return places.flatMap((place) => {
    const decision = parsed(decisionAt(place));
    return decision === undefined ? [] : joined([decision]);
  });
}

function joined(records: readonly AuditRecord[], isLate = false): readonly Uint8Array[] {
  const joiner = joinCalls({ waitingMax: 2 });
  const events = [...records.flatMap((record) => joiner.add(record)), ...joiner.end()];
  return events.map((event) => utf8(JSON.stringify(isLate ? { ...event, late: true } : event)));
}

function parsed(line: Uint8Array | undefined): AuditRecord | undefined {
  const record = line === undefined ? undefined : readRecord(line);
  return record?.ok === true ? record.value : undefined;
}
