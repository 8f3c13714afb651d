import { describe, expect, it } from 'vitest';
import type { Instant, StreamId } from '@sallyport/model';
import { joinCalls } from './calls.ts';
import type { CallEvent, CallJoiner } from './calls.ts';
import { readRecord } from './read.ts';
import type { AuditRecord } from './read.ts';
import { encodeRecord } from './record.ts';
import type { RecordBody } from './record.ts';
import { decision, outcome } from './testing/fixture.ts';

const A = 'a'.repeat(32) as StreamId;
const B = 'b'.repeat(32) as StreamId;
const CLOSE: RecordBody = { kind: 'CLOSE', reason: 'x', envelope: { payloadType: '', payload: '', signatures: [{ keyid: '', sig: '' }] } };

/** A record as a reader has it: encoded and read. */
function read(seq: number, body: RecordBody, stream: StreamId = A): AuditRecord {
  const result = readRecord(encodeRecord({ stream, seq, prev: '0'.repeat(64), at: Date.UTC(2026, 10, 20) as Instant }, body));
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
const denied = (id: string, latency: number | null = 0.4): RecordBody =>
  decision(id, { decision: 'deny', code: 'no_matching_policy', rule_id: 'default-deny', latency_ms: latency, detail: 'no rule' });
const told = (events: readonly CallEvent[]): string[] =>
  events.map(({ decision_id: id, result, latency_ms: ms }) => `${id} ${result} ${ms}`);
const joiner = (waitingMax = 100): CallJoiner => joinCalls({ waitingMax });

describe('one event per call', () => {
  it('has the decision, its outcome and both places; nothing of the lines but their members', () => {
    const join = joiner();
    expect(join.add(read(5, decision('d1')))).toEqual([]);
    const [event] = join.add(read(9, outcome('d1', { result: 'tool_error', upstream_status: 500 })));
    const { kind: _, latency_ms: __, ...facts } = decision('d1');
    expect(event).toEqual({
      ...facts,
      v: 1,
      kind: 'CALL',
      stream: A,
      seq: 5,
      outcome_seq: 9,
      at: '2026-11-20T00:00:00.000Z',
      actor: 'support-triage',
      policy_version: 7,
      result: 'tool_error',
      upstream_status: 500,
      latency_ms: 12.5,
      bytes: 411,
      late: false,
    });
    expect(join.waiting).toBe(0);
  });

  it('of a denial comes at once, with its latency and without upstream fields', () => {
    const join = joiner();
    const [event] = join.add(read(1, denied('d1')));
    expect(event).toMatchObject({
      result: 'denied',
      latency_ms: 0.4,
      upstream_status: null,
      code: 'no_matching_policy',
      rule_id: 'default-deny',
    });
    expect(join.end()).toEqual([]);
  });

  it('of a refused answer carries the code of the refusal', () => {
    const join = joiner();
    join.add(read(1, decision('d1')));
    expect(join.add(read(2, outcome('d1', { result: 'denied', code: 'response_blocked', detail: 'a key' })))).toMatchObject([
      { decision: 'allow', result: 'denied', code: 'response_blocked', detail: 'a key' },
    ]);
  });

  it('comes whatever the order, interleaved with other calls and other records', () => {
    const join = joiner();
    const state: RecordBody = { kind: 'STATE', state: 'fresh', release_seq: 1, freshness_seq: 1, policy_age_ms: 0 };
    const records = [read(3, outcome('d2')), read(1, decision('d1')), read(4, state), read(2, decision('d2')), read(5, outcome('d1'))];
    expect(records.flatMap((record) => told(join.add(record)))).toEqual(['d2 ok 12.5', 'd1 ok 12.5']);
  });

  it('is not made from the halves of two streams: one writer cannot end the calls of another', () => {
    const join = joiner();
    join.add(read(1, decision('d1'), A));
    expect(join.add(read(1, outcome('d1', { result: 'ok' }), B))).toEqual([]);
    expect(told(join.endStream(A))).toEqual(['d1 unknown null']);
    expect(join.endStream(B)).toEqual([]);
  });
});

describe('a call without outcome', () => {
  it('is told as unknown at the CLOSE of its stream, at its end, or at the end of all', () => {
    const join = joiner();
    join.add(read(1, decision('d1'), A));
    join.add(read(1, decision('d2'), B));
    expect(told(join.add(read(2, CLOSE, A)))).toEqual(['d1 unknown null']);
    expect(told(join.end())).toEqual(['d2 unknown null']);
    expect(join.end()).toEqual([]);
  });

  it('is pushed out, oldest first, when too many wait; its late outcome makes no second event', () => {
    const join = joiner(2);
    join.add(read(1, decision('d1')));
    join.add(read(2, decision('d2')));
    expect(told(join.add(read(3, decision('d3'))))).toEqual(['d1 unknown null']);
    expect(join.add(read(4, outcome('d1')))).toMatchObject([{ decision_id: 'd2' }]);
    expect(join.waiting).toBe(2);
  });

  it('waits also where a denial did not say its latency', () => {
    const join = joiner();
    expect(join.add(read(1, denied('d1', null)))).toEqual([]);
    expect(told(join.add(read(2, outcome('d1', { result: 'denied', latency_ms: 3 }))))).toEqual(['d1 denied 3']);
    join.add(read(3, denied('d2', null)));
    expect(told(join.end())).toEqual(['d2 denied null']);
  });
});
