/**
 * Offline verification of an export (docs/spec/audit-v1.md section 9). It needs the export, the CA certificates that a
 * verified Root lists, and nothing else: no network, no clock.
 */

import { fromUtf8 } from '@sallyport/crypto';
import type { StreamId } from '@sallyport/model';
import { readManifestLine, verifyManifest } from './export.ts';
import type { ExportManifest, ManifestLine } from './export.ts';
import { readHead } from './read.ts';
import type { StreamEnd } from './record.ts';
import { EXPORT_STREAMS_MAX } from './shapes.ts';
import { StreamWalk } from './verify-stream.ts';
import { summarise } from './verify-summary.ts';
import { writerKey } from './writer-key.ts';
import type { WriterTrust } from './writer-key.ts';

export interface VerifyOptions extends WriterTrust {
  /** Heads known from elsewhere (fleet status, an earlier export): each stream must reach them. */
  readonly expectedHeads?: readonly StreamEnd[];
  /** An export without its last line proves nothing about its tail; `optional` is for a raw spool or a tail. */
  readonly manifest?: 'required' | 'optional';
}

/** What is wrong with the record (or with the line where one should be). */
export type FindingReason =
  | 'unreadable'
  | 'edited'
  | 'deleted'
  | 'reordered'
  | 'inserted'
  | 'truncated'
  | 'forked'
  | 'forged_signature'
  | 'untrusted_certificate'
  | 'wrong_identity'
  | 'outside_certificate_life'
  | 'unlinked_restart';

/** The first bad record of a stream, or a bad line that belongs to none. */
export interface Finding {
  readonly reason: FindingReason;
  /** From 1. Of a missing record: the line before which it is missed; of a missing tail: the line that says so, or the last one. */
  readonly line: number;
  readonly stream: StreamId | null;
  /** The place that is wrong: of the edited record, or the first that is missing. */
  readonly seq: number | null;
  readonly decisionId: string | null;
  /** One clause for people. */
  readonly detail: string;
}

export interface StreamReport {
  readonly stream: StreamId;
  /** From the verified certificate; null where none verified. */
  readonly sidecar: string | null;
  readonly lastSeq: number;
  /** The last place that a checkpoint of the stream's own audit key covers; 0 where none does. */
  readonly signedThrough: number;
  /** Records after that, signatures aside: vouched for by the exporter alone. */
  readonly notYetCovered: number;
  readonly isClosed: boolean;
  /** The stream that this one continues, and whether it is part of the export. */
  readonly previous: { readonly stream: StreamId; readonly isInExport: boolean } | null;
  readonly finding: Finding | null;
}

export interface Report {
  readonly isSound: boolean;
  /** What is proven, and whose clock is trusted; one sentence. */
  readonly summary: string;
  /** The finding with the lowest line. */
  readonly firstBad: Finding | null;
  readonly streams: readonly StreamReport[];
  readonly records: number;
  /** Who signed the manifest; null where none verified. */
  readonly exporter: string | null;
  /** Records that this verifier cannot interpret (a later kind, a missing member): chained and covered all the same. */
  readonly uninterpreted: number;
}

/** Takes an export line by line, so that its size is not bounded by memory. */
export interface ExportVerifier {
  /** The next line's bytes; `isTerminated` false for a last line without its line feed. */
  add(line: Uint8Array, isTerminated?: boolean): void;
  end(): Report;
}

const LINE_FEED = 0x0a;

/** Verifies a whole export at once. `lines` are lines without line feeds, or one array of the file's bytes. */
export function verifyExport(lines: Iterable<Uint8Array> | Uint8Array, options: VerifyOptions): Report {
  const verifier = exportVerifier(options);
  if (lines instanceof Uint8Array) addFile(verifier, lines);
  else for (const line of lines) verifier.add(line);
  return verifier.end();
}

function addFile(verifier: ExportVerifier, bytes: Uint8Array): void {
  let from = 0;
  for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, from)) {
    verifier.add(bytes.subarray(from, end));
    from = end + 1;
  }
  if (from < bytes.length) verifier.add(bytes.subarray(from), false);
}

export function exportVerifier(options: VerifyOptions): ExportVerifier {
  return new Verification(options);
}

interface VerifiedManifest {
  readonly manifest: ExportManifest;
  readonly line: number;
}

/** Owner of every mutable field: this verification, from `add` to `end`. */
class Verification implements ExportVerifier {
  readonly #options: VerifyOptions;
  readonly #expected: ReadonlyMap<string, ReadonlyMap<number, string>>;
  readonly #walks: Map<StreamId, StreamWalk> = new Map();
  /** Findings that belong to no stream. */
  readonly #loose: Finding[] = [];
  #lines = 0;
  #records = 0;
  #manifest: { readonly line: number; readonly read: ManifestLine | undefined } | undefined;

  constructor(options: VerifyOptions) {
    this.#options = options;
    const expected = new Map<string, Map<number, string>>();
    for (const { stream, seq, head } of options.expectedHeads ?? [])
      expected.set(stream, (expected.get(stream) ?? new Map<number, string>()).set(seq, head));
    this.#expected = expected;
  }

  add(line: Uint8Array, isTerminated = true): void {
    this.#lines += 1;
    if (this.#manifest !== undefined) this.#find('inserted', 'it stands after the manifest, which is the last line');
    else if (!isTerminated) this.#find('truncated', 'the last line has no line feed: it is cut');
    else if (isManifest(line)) this.#manifest = { line: this.#lines, read: readManifestLine(line) };
    else this.#addRecord(line);
  }

  end(): Report {
    const verified = this.#verifyManifest();
    const ends = new Map(verified?.manifest.streams.map((end) => [end.stream, end]));
    for (const walk of this.#walks.values()) walk.end(ends.get(walk.stream), verified?.line ?? 0);
    if (verified !== undefined) this.#compareStreams(verified, ends);
    this.#compareExpected();
    this.#linkRestarts(verified !== undefined);
    return this.#report(verified?.manifest.exporter ?? null);
  }

  #addRecord(line: Uint8Array): void {
    this.#records += 1;
    const head = readHead(line);
    if (!head.ok) {
      this.#addUnreadable(line, head.error.map(({ path, message }) => (path === '' ? message : `\`${path}\`: ${message}`)).join('; '));
      return;
    }
    const seen = { ...head.value, line: this.#lines, bytes: line };
    const known = this.#walks.get(seen.stream);
    if (known !== undefined) {
      known.add(seen);
      return;
    }
    if (seen.kind !== 'START') {
      // A changed stream name: the line is what another stream waits for.
      const owner = [...this.#walks.values()].find((walk) => walk.wouldTake(seen));
      if (owner !== undefined) {
        owner.find('edited', `its \`stream\` was changed to ${seen.stream}`, {
          line: seen.line,
          seq: seen.seq,
          decisionId: decisionIdIn(line),
        });
        return;
      }
    }
    if (this.#walks.size >= EXPORT_STREAMS_MAX) {
      this.#find('inserted', `an export has at most ${EXPORT_STREAMS_MAX} streams`);
      return;
    }
    const walk = new StreamWalk(seen.stream, { trust: this.#options, expected: this.#expected.get(seen.stream) ?? new Map() });
    this.#walks.set(seen.stream, walk);
    walk.add(seen);
  }

  /** What can still be made out of a damaged line says whose it was; that is a courtesy, and proves nothing. */
  #addUnreadable(line: Uint8Array, detail: string): void {
    const text = new TextDecoder().decode(line);
    const stream = /"stream":"([0-9a-f]{32})"/.exec(text)?.[1];
    const seq = Number(/"seq":(\d{1,16})[,}]/.exec(text)?.[1] ?? 0);
    const walk = this.#walks.get((stream ?? '') as StreamId);
    if (walk !== undefined && walk.finding === null && seq >= walk.lastSeq) walk.addUnreadable(this.#lines, detail, decisionIdIn(line));
    else this.#find('unreadable', detail);
  }

  #verifyManifest(): VerifiedManifest | undefined {
    if (this.#lines === 0) {
      // Of nothing, nothing is proven, whatever may be missing from it.
      this.#find('truncated', 'the export is empty');
      return undefined;
    }
    if (this.#manifest === undefined) {
      if (this.#options.manifest !== 'optional') this.#find('truncated', 'the manifest is missing: nothing says where the streams end');
      return undefined;
    }
    const { line, read } = this.#manifest;
    const bad = (reason: FindingReason, detail: string): undefined => {
      this.#loose.push({ reason, line, stream: null, seq: null, decisionId: null, detail });
    };
    if (read === undefined) return bad('edited', 'the manifest is not as an exporter writes it');
    const manifest = verifyManifest(read);
    if (!manifest.ok) return bad('forged_signature', `the manifest does not verify: ${manifest.error.replaceAll('_', ' ')}`);
    const { exporter, at } = manifest.value;
    if (exporter !== `spiffe://${this.#options.trustDomain}/control-plane`)
      return bad('wrong_identity', `\`${exporter}\` is no control plane of this trust domain`);
    const key = writerKey(read.certificates, exporter, { at, trust: this.#options });
    return key.ok ? { manifest: manifest.value, line } : bad(key.error.reason, key.error.detail);
  }

  #compareStreams({ manifest, line }: VerifiedManifest, ends: ReadonlyMap<StreamId, StreamEnd>): void {
    for (const walk of this.#walks.values())
      if (!ends.has(walk.stream)) walk.find('inserted', 'the manifest does not know this stream', { line: walk.startLine, seq: 1 });
    for (const { stream, seq } of manifest.streams)
      if (!this.#walks.has(stream)) this.#findMissing({ stream, seq, line, by: 'the manifest' });
    if (manifest.records !== this.#records && this.#findings().length === 0)
      this.#loose.push({
        reason: 'inserted',
        line,
        stream: null,
        seq: null,
        decisionId: null,
        detail: `${this.#records} records stand where the manifest says ${manifest.records}`,
      });
  }

  #compareExpected(): void {
    for (const { stream, seq } of this.#options.expectedHeads ?? []) {
      const walk = this.#walks.get(stream);
      if (walk === undefined) this.#findMissing({ stream, seq, line: this.#lines, by: 'a head known before' });
      else if (walk.lastSeq < seq)
        walk.find('truncated', `the stream ends at place ${walk.lastSeq}; a head known before was at ${seq}`, {
          line: this.#lines,
          seq: walk.lastSeq + 1,
        });
    }
  }

  /** A START commits to where its writer's last stream ended; nothing may be missing, added or told twice in between. */
  #linkRestarts(isManifestVerified: boolean): void {
    const continued = new Map<StreamId, StreamWalk>();
    for (const walk of this.#walks.values()) {
      const { previous, startLine, finding } = walk;
      if (previous === null || finding !== null) continue;
      if (continued.has(previous.stream))
        walk.find('forked', `another stream of this export continues ${previous.stream} too`, { line: startLine, seq: 1 });
      continued.set(previous.stream, walk);
      const before = this.#walks.get(previous.stream);
      if (before === undefined || before.finding !== null) continue;
      if (before.lastSeq === previous.seq && before.head === previous.head && before.sidecar === walk.sidecar) continue;
      // Without a manifest the START is the better witness of where the stream before it ended.
      if (!isManifestVerified) before.compareSuccessor(previous, startLine);
      if (before.finding === null)
        walk.find('unlinked_restart', `it says that stream ${previous.stream} ended at place ${previous.seq}, which is not so`, {
          line: startLine,
          seq: 1,
        });
    }
  }

  #findMissing({ stream, seq, line, by }: { stream: StreamId; seq: number; line: number; by: string }): void {
    const detail = `the whole stream is missing; ${by} says that it has ${seq} records`;
    this.#loose.push({ reason: 'deleted', line, stream, seq: 1, decisionId: null, detail });
  }

  #find(reason: FindingReason, detail: string): void {
    this.#loose.push({ reason, line: this.#lines, stream: null, seq: null, decisionId: null, detail });
  }

  #findings(): readonly Finding[] {
    const inStreams = [...this.#walks.values()].flatMap(({ finding }) => (finding === null ? [] : [finding]));
    return [...inStreams, ...this.#loose].toSorted((a, b) => a.line - b.line);
  }

  #report(exporter: string | null): Report {
    const streams = [...this.#walks.values()].map((walk) => this.#streamReport(walk));
    const [firstBad = null] = this.#findings();
    const uninterpreted = [...this.#walks.values()].reduce((sum, walk) => sum + walk.uninterpreted, 0);
    const facts = { isSound: firstBad === null, firstBad, streams, records: this.#records, exporter, uninterpreted };
    return { ...facts, summary: summarise(facts) };
  }

  #streamReport(walk: StreamWalk): StreamReport {
    const { stream, writer, lastSeq, signedThrough, notYetCovered, isClosed, previous, finding } = walk;
    return {
      stream,
      sidecar: writer?.writer ?? null,
      lastSeq,
      signedThrough,
      notYetCovered,
      isClosed,
      previous: previous === null ? null : { stream: previous.stream, isInExport: this.#walks.has(previous.stream) },
      finding,
    };
  }
}

/** By its first bytes: what claims to be a manifest is judged as one. */
function isManifest(line: Uint8Array): boolean {
  return fromUtf8(line.subarray(0, MANIFEST_START.length)) === MANIFEST_START;
}
const MANIFEST_START = '{"v":1,"kind":"EXPORT"';

function decisionIdIn(line: Uint8Array): string | null {
  return /"decision_id":"([^"\\]{1,64})"/.exec(new TextDecoder().decode(line))?.[1] ?? null;
}
