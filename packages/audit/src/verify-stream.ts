/**
 * The walk along one stream of an export: chain, places, certificates, checkpoints, in the order of docs/spec/audit-v1.md
 * section 9. It stops at the first record that is bad, and says which one. A line whose `prev` is not the hash of the
 * line before leaves two suspects; the next line of the stream tells which of them is bad, so judgement waits for it.
 */

import { decodeHex, encodeHex } from '@sallyport/crypto';
import type { Instant, StreamId } from '@sallyport/model';
import { append, hashLine, headHex, openStream } from './chain.ts';
import type { ChainState } from './chain.ts';
import { verifyCheckpoint } from './checkpoint.ts';
import type { Envelope } from './envelope.ts';
import { interpretRecord } from './read.ts';
import type { LineHead } from './read.ts';
import type { StreamEnd } from './record.ts';
import type { Finding, FindingReason } from './verify.ts';
import { chainOf, writerKey } from './writer-key.ts';
import type { WriterKey, WriterTrust } from './writer-key.ts';

/** A line as the export holds it. */
export interface SeenLine extends LineHead {
  readonly line: number;
  readonly bytes: Uint8Array;
}

/** Where a record stands, for naming it. */
interface Place {
  readonly line: number;
  readonly seq: number;
  readonly decisionId: string | null;
}

/** A line that took its place in the chain. */
interface Taken extends Place {
  /** Hash of the line before it. */
  readonly before: Uint8Array;
}

/** A taken line that no checkpoint covers yet. */
interface Uncovered extends Place {
  /** The head after it, 64 hex digits. */
  readonly head: string;
  readonly isSignature: boolean;
}

/** Two lines of which one is bad: the last one taken, and the one that does not follow it. */
interface Suspicion {
  readonly second: Taken;
  /** The second line's hash, if what it says of its predecessor is true. */
  readonly hashIfSound: string;
  /** Whether the second line holds a signature over what it says of its predecessor. */
  readonly isSecondProven: boolean;
  readonly onFirst: { readonly reason: FindingReason; readonly detail: string };
  readonly onSecond: { readonly reason: FindingReason; readonly detail: string };
}

/** Owner of every mutable field: this walk; the report reads them at the end. */
export class StreamWalk {
  readonly stream: StreamId;
  readonly #trust: WriterTrust;
  readonly #expected: ReadonlyMap<number, string>;
  finding: Finding | null = null;
  writer: WriterKey | null = null;
  sidecar = '';
  previous: StreamEnd | null = null;
  startLine = 0;
  isClosed = false;
  signedThrough = 0;
  uninterpreted = 0;
  #state: ChainState | undefined;
  #last: Taken | undefined;
  #suspicion: Suspicion | undefined;
  #signedHead = '';
  /** From place `signedThrough + 1` on, without gaps. */
  #uncovered: Uncovered[] = [];

  constructor(stream: StreamId, options: { readonly trust: WriterTrust; readonly expected: ReadonlyMap<number, string> }) {
    this.stream = stream;
    this.#trust = options.trust;
    this.#expected = options.expected;
  }

  /** Records after `signedThrough` that are not signatures themselves. */
  get notYetCovered(): number {
    return this.#uncovered.filter(({ isSignature }) => !isSignature).length;
  }

  get lastSeq(): number {
    return this.#state?.seq ?? 0;
  }

  get head(): string {
    return this.#state === undefined ? '' : headHex(this.#state);
  }

  /** Whether this line would be the next one, but for the stream that it names. */
  wouldTake({ seq, prev }: LineHead): boolean {
    return this.finding === null && this.#suspicion === undefined && seq === this.lastSeq + 1 && prev === this.head;
  }

  add(seen: SeenLine): void {
    if (this.#suspicion !== undefined) this.#settle(seen.prev);
    if (this.finding !== null) this.#noteLate(seen);
    else if (this.#state === undefined) this.#begin(seen);
    else if (this.isClosed) this.#find(seen, 'inserted', 'it stands after the CLOSE of its stream');
    else if (seen.seq === this.lastSeq + 1 && seen.prev === this.head) this.#take(seen);
    else this.#doubt(seen, this.#state);
  }

  /** A line that cannot be read stands where the next one of this stream should. */
  addUnreadable(line: number, detail: string, decisionId: string | null): void {
    if (this.#suspicion !== undefined) this.#settle('');
    this.finding ??= { reason: 'unreadable', line, stream: this.stream, seq: this.lastSeq + 1, decisionId, detail };
  }

  /** The stream's end, as the manifest in this line signs it, where there is one that verifies. */
  end(signed: StreamEnd | undefined, line: number): void {
    if (this.#suspicion !== undefined) this.#settle(signed?.head ?? '');
    if (this.finding === null && signed !== undefined) this.#compareEnd(signed, { what: 'the manifest', line });
  }

  /** What another stream's START says of this one's end; only where nothing better is known. */
  compareSuccessor(end: StreamEnd, startLine: number): void {
    if (this.finding === null && end.seq >= this.lastSeq) this.#compareEnd(end, { what: 'the next START', line: startLine });
  }

  /** The line was brought in, left out or changed as a whole: for what only the report can see. */
  find(
    reason: FindingReason,
    detail: string,
    at: { readonly line: number; readonly seq: number; readonly decisionId?: string | null },
  ): void {
    this.finding ??= { reason, line: at.line, stream: this.stream, seq: at.seq, decisionId: at.decisionId ?? null, detail };
  }

  #begin(seen: SeenLine): void {
    this.startLine = seen.line;
    if (seen.kind !== 'START' || seen.seq !== 1) {
      this.finding = {
        reason: 'deleted',
        line: seen.line,
        stream: this.stream,
        seq: 1,
        decisionId: null,
        detail: 'the stream does not begin with its START',
      };
      return;
    }
    const record = interpretRecord(seen);
    if (!record.ok || record.value.kind !== 'START') {
      this.#find(seen, 'edited', 'its START cannot be read');
      return;
    }
    const { previous, sidecar } = record.value;
    const before = previous === null ? null : { ...previous, head: decodeHex(previous.head) ?? new Uint8Array() };
    const opened = openStream({ stream: this.stream, previous: before });
    if (seen.prev !== headHex(opened)) {
      this.#find(seen, 'edited', 'its `prev` is not the end that it names');
      return;
    }
    [this.#state, this.sidecar, this.previous] = [opened, sidecar, previous];
    this.#signedHead = headHex(opened);
    this.#take(seen);
  }

  /** Takes a line that fits: its place, its `prev`. What it signs or certifies is judged with it. */
  #take(seen: SeenLine): void {
    const state = this.#state as ChainState;
    const isSignature = seen.kind === 'CHECKPOINT' || seen.kind === 'CLOSE';
    this.#last = takenOf(seen, state.head);
    this.#state = append(state, seen.bytes);
    this.#uncovered.push({ line: seen.line, seq: seen.seq, decisionId: decisionIdOf(seen), head: this.head, isSignature });
    const expected = this.#expected.get(seen.seq);
    if (expected !== undefined && expected !== this.head) {
      this.#find(seen, 'edited', 'the head here is not the one that was known before: a record up to it was changed');
      return;
    }
    switch (seen.kind) {
      case 'START':
        if (seen.seq === 1) this.#certify(seen);
        else this.#find(seen, 'inserted', 'a second START in its stream');
        return;
      case 'CERTIFICATE':
        this.#certify(seen);
        return;
      case 'CHECKPOINT':
      case 'CLOSE':
        this.#checkpoint(seen);
        return;
      default:
        if (!interpretRecord(seen).ok) this.uninterpreted += 1;
    }
  }

  #certify(seen: SeenLine): void {
    const record = interpretRecord(seen);
    if (!record.ok || !('certificates' in record.value)) {
      this.#find(seen, 'edited', `its ${seen.kind} cannot be read`);
      return;
    }
    const key = writerKey(chainOf(record.value.certificates), this.sidecar, { at: seen.at, trust: this.#trust });
    if (key.ok) this.writer = key.value;
    else this.#find(seen, key.error.reason, key.error.detail);
  }

  #checkpoint(seen: SeenLine): void {
    const record = interpretRecord(seen);
    if (!record.ok || !('envelope' in record.value) || this.writer === null) {
      this.#find(seen, 'edited', `its ${seen.kind} cannot be read`);
      return;
    }
    const isClose = seen.kind === 'CLOSE';
    if (!this.#judgeSignature(seen, record.value.envelope, this.writer)) return;
    if (!isClose) return;
    this.isClosed = true;
    if (this.signedThrough !== seen.seq - 1) this.#find(seen, 'edited', 'a CLOSE signs the line before it');
  }

  /** Whether the envelope signs a head of this stream; if so, everything up to it is covered. */
  #judgeSignature(seen: SeenLine, envelope: Envelope, writer: WriterKey): boolean {
    const verified = verifyCheckpoint(envelope, writer.key);
    if (!verified.ok)
      return this.#find(
        seen,
        'forged_signature',
        `the ${seen.kind} is not signed by the audit key of its stream: ${verified.error.replaceAll('_', ' ')}`,
      );
    const { stream, seq, head, at, sidecar } = verified.value;
    if (stream !== this.stream || sidecar !== this.sidecar)
      return this.#find(seen, 'forged_signature', 'the signature is over another stream');
    if (seq < this.signedThrough || seq >= seen.seq)
      return this.#find(seen, 'forged_signature', `the signature is over place ${seq}, which is not between the last one and its own`);
    if (!isWithin(at, writer))
      return this.#find(seen, 'outside_certificate_life', 'the signature is dated outside the life of the certificate');
    const held = seq === this.signedThrough ? this.#signedHead : this.#uncovered[seq - this.signedThrough - 1]?.head;
    if (held !== head) return this.#findRewritten(seq);
    this.#uncovered = this.#uncovered.slice(seq - this.signedThrough);
    [this.signedThrough, this.#signedHead] = [seq, head];
    return true;
  }

  /** Every line follows the one before, and yet the signed head is another: somebody recomputed the chain after a change. */
  #findRewritten(seq: number): boolean {
    const [first] = this.#uncovered;
    const range = first === undefined || first.seq >= seq ? `place ${seq}` : `the places ${first.seq} to ${seq}`;
    const detail = `the signed head is another: among ${range} a record was changed and the chain recomputed`;
    const place = first ?? (this.#last as Taken);
    this.finding = { reason: 'edited', line: place.line, stream: this.stream, seq: place.seq, decisionId: place.decisionId, detail };
    return false;
  }

  /** The line does not follow. What it says of itself, and what comes next, tells what happened. */
  #doubt(seen: SeenLine, { head, seq }: ChainState): void {
    const last = this.#last as Taken;
    if (seen.prev === this.head) this.#find({ ...seen, seq: seq + 1 }, 'edited', `its \`seq\` is ${seen.seq} where ${seq + 1} follows`);
    else if (seen.seq === seq + 1)
      this.#suspicion = {
        second: takenOf(seen, head),
        hashIfSound: encodeHex(hashLine({ stream: this.stream, seq: seen.seq, previous: decodeHex(seen.prev) ?? head }, seen.bytes)),
        isSecondProven: this.#signsItsPrev(seen),
        onFirst: { reason: 'edited', detail: 'its hash is not the one that the records after it name' },
        onSecond: { reason: 'edited', detail: 'its `prev` is not the hash of the record before it' },
      };
    else if (seen.seq === seq && seen.prev === encodeHex(last.before))
      this.#suspicion = {
        second: takenOf(seen, last.before),
        hashIfSound: encodeHex(hashLine({ stream: this.stream, seq, previous: last.before }, seen.bytes)),
        isSecondProven: false,
        onFirst: { reason: 'inserted', detail: `two records claim place ${seq}, and those that follow name the other one` },
        onSecond: { reason: 'inserted', detail: `a second record for place ${seq}` },
      };
    else if (seen.seq <= seq) this.#find(seen, 'inserted', `place ${seen.seq} comes a second time, after place ${seq}`);
    else {
      const missing = seen.seq === seq + 2 ? `place ${seq + 1} is missing` : `the places ${seq + 1} to ${seen.seq - 1} are missing`;
      this.finding = {
        reason: 'deleted',
        line: seen.line,
        stream: this.stream,
        seq: seq + 1,
        decisionId: null,
        detail: `${missing} before this line`,
      };
    }
  }

  /** The next witness names the hash of the second line: if it is the sound one, the first line is the bad one. */
  #settle(witness: string): void {
    const { second, hashIfSound, isSecondProven, onFirst, onSecond } = this.#suspicion as Suspicion;
    this.#suspicion = undefined;
    const isFirst = isSecondProven || (witness === hashIfSound && !this.#isTwin(second, hashIfSound));
    const [bad, what] = isFirst ? [this.#last as Taken, onFirst] : [second, onSecond];
    this.finding = {
      reason: what.reason,
      line: bad.line,
      stream: this.stream,
      seq: bad.seq,
      decisionId: bad.decisionId,
      detail: what.detail,
    };
  }

  #signsItsPrev(seen: SeenLine): boolean {
    const record = interpretRecord(seen);
    if (!record.ok || !('envelope' in record.value) || this.writer === null) return false;
    const verified = verifyCheckpoint(record.value.envelope, this.writer.key);
    return verified.ok && verified.value.stream === this.stream && verified.value.seq === seen.seq - 1 && verified.value.head === seen.prev;
  }

  /** An exact copy has the hash of its original; the later one is the copy. */
  #isTwin({ seq }: Taken, hash: string): boolean {
    return seq === this.lastSeq && hash === this.head;
  }

  #noteLate({ seq, line }: SeenLine): void {
    const { finding } = this;
    if (finding?.reason !== 'deleted' || finding.seq !== seq) return;
    this.finding = { ...finding, reason: 'reordered', detail: `place ${seq} comes later, in line ${line}` };
  }

  #compareEnd(signed: StreamEnd, by: { readonly what: string; readonly line: number }): void {
    const last = this.#last as Taken;
    if (this.lastSeq < signed.seq) {
      const detail = `the stream ends at place ${this.lastSeq} in line ${last.line}; ${by.what} says ${signed.seq}`;
      this.finding = { reason: 'truncated', line: by.line, stream: this.stream, seq: this.lastSeq + 1, decisionId: null, detail };
    } else if (this.lastSeq > signed.seq) {
      const detail = `the stream goes on to place ${this.lastSeq}; ${by.what} says ${signed.seq}`;
      this.finding = { reason: 'inserted', line: last.line, stream: this.stream, seq: signed.seq + 1, decisionId: last.decisionId, detail };
    } else if (this.head !== signed.head) {
      // A changed last record looks the same as an earlier one, no signature covering it, and a chain recomputed from there.
      const first = this.#uncovered[0]?.seq ?? last.seq;
      const earlier = first < last.seq ? `, or a record from place ${first} on was changed and the chain recomputed` : '';
      const detail = `its hash is not the one that ${by.what} names${earlier}`;
      this.finding = { reason: 'edited', line: last.line, stream: this.stream, seq: last.seq, decisionId: last.decisionId, detail };
    }
  }

  /** False, so that a check can end with it. */
  #find(seen: SeenLine, reason: FindingReason, detail: string): false {
    this.finding ??= { reason, line: seen.line, stream: this.stream, seq: seen.seq, decisionId: decisionIdOf(seen), detail };
    return false;
  }
}

function takenOf(seen: SeenLine, before: Uint8Array): Taken {
  return { line: seen.line, seq: seen.seq, decisionId: decisionIdOf(seen), before };
}

function decisionIdOf({ members }: LineHead): string | null {
  const id = members['decision_id'];
  return typeof id === 'string' ? id : null;
}

function isWithin(at: Instant, { notBefore, notAfter }: WriterKey): boolean {
  return at >= notBefore && at <= notAfter;
}
