import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Instant, StreamId } from '@sallyport/model';
import { append, appendRecord, headHex, openStream } from './chain.ts';
import { stateAfter } from './resume.ts';
import { bytesOf, outcome } from './testing/fixture.ts';

const STREAM = 'a'.repeat(32) as StreamId;
const OTHER = 'b'.repeat(32) as StreamId;

describe('the chain', () => {
  it('is SHA-256 over domain, stream, place, the hash before and the line, as specified', () => {
    const line = bytesOf('{"v":1}');
    const expected = createHash('sha256')
      .update('sallyport-audit-v1\0')
      .update(STREAM)
      .update(Buffer.from('0000000000000001', 'hex'))
      .update(Buffer.alloc(32))
      .update(line)
      .digest('hex');
    const first = append(openStream({ stream: STREAM, previous: null }), line);
    expect(headHex(first)).toBe(expected);
    expect(first.seq).toBe(1);
  });

  it.each([
    ['another stream', openStream({ stream: OTHER, previous: null })],
    ['another place', { ...openStream({ stream: STREAM, previous: null }), seq: 1 }],
    ['another past', openStream({ stream: STREAM, previous: { stream: OTHER, seq: 1, head: new Uint8Array(32).fill(1) } })],
  ])('gives the same line another hash in %s', (_, state) => {
    const line = bytesOf('{"v":1}');
    expect(headHex(append(state, line))).not.toBe(headHex(append(openStream({ stream: STREAM, previous: null }), line)));
  });

  it('can be taken up after the last line alone, as after a restart', () => {
    let state = openStream({ stream: STREAM, previous: { stream: OTHER, seq: 9, head: new Uint8Array(32).fill(9) } });
    for (let seq = 1; seq <= 3; seq++) {
      const next = appendRecord(state, 0 as Instant, outcome(`d${seq}`));
      expect(stateAfter(next.line)).toEqual(next.state);
      state = next.state;
    }
    expect(stateAfter(bytesOf('{}'))).toBeUndefined();
  });

  it('refuses a stream whose name is not 32 hex digits', () => {
    expect(() => openStream({ stream: 'A'.repeat(32) as StreamId, previous: null })).toThrow(/hex/);
  });
});
