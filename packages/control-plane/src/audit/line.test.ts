import { describe, expect, test } from 'vitest';
import { RECORD_BYTES_MAX, appendRecord, openStream } from '@sallyport/audit';
import { utf8 } from '@sallyport/crypto';
import type { Instant, StreamId } from '@sallyport/model';
import { readLineHead } from './line.ts';

const STREAM = 'a'.repeat(32) as StreamId;
const AT = Date.UTC(2026, 10, 20, 8) as Instant;
const LINE = new TextDecoder().decode(
  appendRecord(openStream({ stream: STREAM, previous: null }), AT, { kind: 'ALERT', code: 'GAP', subject: null, detail: 'ü"\\' }).line,
);

test('reads the place of any line that the audit package writes', () => {
  expect(readLineHead(utf8(LINE))).toEqual({ kind: 'ALERT', stream: STREAM, seq: 1, at: AT, prev: '0'.repeat(64) });
});

describe('what is no record line', () => {
  test.each([
    ['nothing', ''],
    ['another version', LINE.replace('"v":1', '"v":2')],
    ['members in another order', LINE.replace(/^\{"v":1,"kind":"ALERT"/, '{"kind":"ALERT","v":1')],
    ['white space between tokens', LINE.replace('"v":1,', '"v":1, ')],
    ['two lines', LINE.replace('"code"', '\n"code"')],
    ['a byte order mark', `\uFEFF${LINE}`],
    ['a place of 0', LINE.replace('"seq":1', '"seq":0')],
    ['a place with a leading zero', LINE.replace('"seq":1', '"seq":01')],
    ['a place beyond what is exact', LINE.replace('"seq":1', '"seq":9007199254740993')],
    ['a stream in capitals', LINE.replace(STREAM, STREAM.toUpperCase())],
    ['an instant that no calendar has', LINE.replace('2026-11-20', '2026-02-30')],
    ['a short hash', LINE.replace('0'.repeat(64), '0'.repeat(63))],
    ['something after the object', `${LINE} `],
    ['a longer line than any', LINE.replace('ALERT"', `ALERT","x":"${'x'.repeat(RECORD_BYTES_MAX)}"`)],
  ])('%s', (_what, line) => {
    expect(readLineHead(utf8(line))).toBeUndefined();
  });
});
