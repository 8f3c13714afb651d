/** Runs the published audit vectors through `@sallyport/audit`. The files are the contract; this file only reads them. */

import { readFileSync } from 'node:fs';
import { append, encodeRecord, headHex, isStreamId, joinCalls, openStream, readRecord, verifyExport } from '@sallyport/audit';
import type { RecordBody, Report, VerifyOptions } from '@sallyport/audit';
import { decodeBase64, decodeHex } from '@sallyport/crypto';
import { parseInstant } from '@sallyport/model';
import type { StreamId } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { build } from './generate.ts';
import type { Edit, Certificates } from './generate.ts';

const load = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const certificates = JSON.parse(load('certificates.json')) as Certificates;
const options: VerifyOptions = {
  trustDomain: certificates.trust_domain,
  roots: [{ certificate: decodeBase64(certificates.ca_certificate) ?? new Uint8Array(), prefixes: certificates.prefixes }],
};
const exported = load('export.ndjson').split('\n').slice(0, -1);

describe('the committed vectors', () => {
  it('are what the generator writes from the committed certificates, byte for byte', async () => {
    for (const [name, content] of Object.entries(await build(certificates))) expect(load(name), name).toBe(content);
  });
});

interface RecordVector {
  readonly name: string;
  readonly place: { readonly stream: StreamId; readonly seq: number; readonly prev: string; readonly at: string };
  readonly body: RecordBody;
  readonly line: string;
}

describe('records', () => {
  it.each((JSON.parse(load('records.json')) as { records: RecordVector[] }).records)('$name', ({ place, body, line }) => {
    const at = parseInstant(place.at);
    if (at === undefined) throw new Error(`not an instant: ${place.at}`);
    expect(new TextDecoder().decode(encodeRecord({ ...place, at }, body))).toBe(line);
    expect(readRecord(bytes(line)).ok).toBe(true);
  });
});

interface ChainVector {
  readonly stream: string;
  readonly head_before: string;
  readonly lines: readonly string[];
  readonly heads: readonly string[];
}

describe('chains', () => {
  it.each((JSON.parse(load('chain.json')) as { chains: ChainVector[] }).chains)(
    'stream $stream',
    ({ stream, head_before: before, lines, heads }) => {
      if (!isStreamId(stream)) throw new Error('no stream');
      let state = { ...openStream({ stream, previous: null }), head: decodeHex(before) ?? new Uint8Array() };
      for (const [index, line] of lines.entries()) {
        state = append(state, bytes(line));
        expect(headHex(state)).toBe(heads[index]);
      }
    },
  );
});

interface ExportVector {
  readonly name: string;
  readonly edits: readonly Edit[];
  readonly expect: {
    readonly is_sound: boolean;
    readonly reason: string;
    readonly line: number;
    readonly stream: string | null;
    readonly seq: number | null;
    readonly decision_id: string | null;
  };
}

function edited(lines: readonly string[], edit: Edit): readonly string[] {
  const at = edit.line - 1;
  switch (edit.op) {
    case 'replace':
      return lines.with(at, (lines[at] ?? '').replace(edit.from, edit.to));
    case 'delete':
      return lines.toSpliced(at, edit.count);
    case 'copy':
      return lines.toSpliced(edit.before - 1, 0, lines[at] ?? '');
    case 'move':
      return lines.toSpliced(at, 1).toSpliced(edit.before - (edit.before > edit.line ? 2 : 1), 0, lines[at] ?? '');
  }
}

const named = ({ isSound, firstBad }: Report): object =>
  isSound
    ? { is_sound: true }
    : {
        is_sound: false,
        reason: firstBad?.reason,
        line: firstBad?.line,
        stream: firstBad?.stream,
        seq: firstBad?.seq,
        decision_id: firstBad?.decisionId,
      };

describe('exports', () => {
  it.each((JSON.parse(load('exports.json')) as { exports: ExportVector[] }).exports)('$name', ({ edits, expect: expected }) => {
    const lines = edits.reduce(edited, exported);
    expect(edits.length === 0 || lines.join('\n') !== exported.join('\n')).toBe(true);
    expect(named(verifyExport(bytes(`${lines.join('\n')}\n`), options))).toEqual(expected);
  });
});

describe('calls', () => {
  it('are one event each, in the order in which they complete', () => {
    const joiner = joinCalls({ waitingMax: 100 });
    const events = exported.slice(0, -1).flatMap((line) => {
      const record = readRecord(bytes(line));
      if (!record.ok) throw new Error(line);
      return joiner.add(record.value);
    });
    expect([...events, ...joiner.end()]).toEqual((JSON.parse(load('calls.json')) as { calls: unknown[] }).calls);
  });
});
