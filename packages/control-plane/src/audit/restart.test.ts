import { expect, test } from 'vitest';
import type { StreamEnd } from '@sallyport/audit';
import type { SpiffeId } from '@sallyport/identity';
import type { StreamId } from '@sallyport/model';
import { judgeRestart } from './restart.ts';
import type { HeldStream } from './streams.ts';

const WRITER = 'spiffe://t/sidecar/a/1' as SpiffeId;
const headAt = (seq: number): Uint8Array => new Uint8Array(32).fill(seq);
const hexAt = (seq: number): string => Buffer.from(headAt(seq)).toString('hex');
const end = (name: string, seq: number, head = hexAt(seq)): StreamEnd => ({ stream: name.repeat(32) as StreamId, seq, head });

function stream(name: string, seq: number, of: { previous?: StreamEnd | null; isClosed?: boolean } = {}): HeldStream {
  const chain = { stream: name.repeat(32) as StreamId, seq, head: headAt(seq) };
  const auditKey = { alg: 'ed25519', raw: new Uint8Array(32) } as const;
  return {
    stream: chain.stream,
    writer: WRITER,
    agent: 'a',
    chain,
    previous: of.previous ?? null,
    auditKey,
    isClosed: of.isClosed ?? false,
  };
}

const closed = { isClosed: true };

test.each<[string, { earlier: HeldStream[]; previous: StreamEnd | null; reported?: StreamEnd; known?: boolean }, string[]]>([
  ['a first start', { earlier: [], previous: null }, []],
  ['a clean stop that is held whole', { earlier: [stream('a', 9, closed)], previous: end('a', 9) }, []],
  ['a kill whose records are all held', { earlier: [stream('a', 9)], previous: end('a', 9) }, ['UNCLOSED']],
  ['a kill that was alerted before', { earlier: [stream('a', 9)], previous: end('a', 9), known: true }, []],
  ['records that never came', { earlier: [stream('a', 5)], previous: end('a', 9) }, ['GAP', 'UNCLOSED']],
  ['a writer that forgot what is held', { earlier: [stream('a', 9, closed)], previous: end('a', 5) }, ['TRUNCATED']],
  ['a writer with another history', { earlier: [stream('a', 9, closed)], previous: end('a', 9, 'e'.repeat(64)) }, ['FORK']],
  ['a wiped disk', { earlier: [stream('a', 9, closed)], previous: null }, ['UNLINKED_RESTART']],
  ['a stream that was left out', { earlier: [stream('a', 9, closed)], previous: end('b', 3) }, ['UNLINKED_RESTART']],
  ['a past of which nothing is held', { earlier: [], previous: end('b', 3) }, ['UNLINKED_RESTART']],
  [
    'a tail that was told of and never came',
    { earlier: [stream('a', 9, closed)], previous: end('a', 9), reported: end('a', 12) },
    ['TRUNCATED'],
  ],
  ['a head that was told of before', { earlier: [stream('a', 9, closed)], previous: end('a', 9), reported: end('a', 9) }, []],
  [
    'a head told of an older stream',
    { earlier: [stream('a', 9, closed), stream('b', 4, closed)], previous: end('b', 4), reported: end('a', 12) },
    [],
  ],
  ['two earlier streams without CLOSE', { earlier: [stream('a', 9), stream('b', 4)], previous: end('b', 4) }, ['UNCLOSED', 'UNCLOSED']],
])('%s raises %s', (_what, { earlier, previous, reported, known = false }, codes) => {
  const begun = stream('c', 1, { previous });
  expect(judgeRestart({ begun, earlier, reported, isKnownUnclosed: () => known }).map(({ code }) => code)).toEqual(codes);
});
