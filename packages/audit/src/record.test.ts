import { describe, expect, it } from 'vitest';
import type { AgentName, Instant, StreamId } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { RECORD_FIELDS, RECORD_KINDS } from './fields.ts';
import { readRecord } from './read.ts';
import { encodeRecord, RECORD_BYTES_MAX } from './record.ts';
import type { RecordBody, RecordPlace } from './record.ts';
import { bytesOf, decision, outcome, textOf } from './testing/fixture.ts';

const PLACE: RecordPlace = { stream: 'a'.repeat(32) as StreamId, seq: 7, prev: '0'.repeat(64), at: Date.UTC(2026, 10, 20) as Instant };
const ENVELOPE = { payloadType: 'application/x', payload: 'AAAA', signatures: [{ keyid: '00', sig: 'BBBB' }] };
const END = { stream: 'b'.repeat(32) as StreamId, seq: 3, head: '1'.repeat(64) };

const BODIES: Record<RecordBody['kind'], RecordBody> = {
  START: { kind: 'START', sidecar: 'spiffe://x/sidecar/a/b', agent: 'a', instance: 'b', build: '1', certificates: ['AAAA'], previous: END },
  DECISION: decision('d1'),
  OUTCOME: outcome('d1'),
  ACTIVE: {
    kind: 'ACTIVE',
    area: 'default',
    ring: 'stable',
    release_seq: 2,
    previous_release_seq: null,
    policy_digest: 'sha256:00',
    freshness_seq: 4,
    revocation_seq: 0,
  },
  STATE: { kind: 'STATE', state: 'stale', release_seq: 2, freshness_seq: 4, policy_age_ms: 301_000 },
  REFUSED: { kind: 'REFUSED', code: 'unauthenticated', source: '10.0.0.1', count: 400, samples: ['GET /'] },
  DROPPED: { kind: 'DROPPED', reason: 'sampled', count: 12 },
  ALERT: { kind: 'ALERT', code: 'unclosed', subject: END, detail: null },
  ACT: {
    kind: 'ACT',
    actor: 'spiffe://x/admin/bob',
    act: 'publish',
    object: 'bundle default 7',
    old_digest: 'sha256:00',
    new_digest: null,
    area: 'default',
    ring: '-',
    release_seq: 3,
  },
  CERTIFICATE: { kind: 'CERTIFICATE', certificates: ['AAAA', 'BBBB'] },
  CHECKPOINT: { kind: 'CHECKPOINT', envelope: ENVELOPE },
  CLOSE: { kind: 'CLOSE', reason: 'drained', envelope: ENVELOPE },
};

describe('a record line', () => {
  it.each(RECORD_KINDS)('of kind %s is one strict JSON object with every member of its kind, in order, and reads back', (kind) => {
    const line = encodeRecord(PLACE, BODIES[kind]);
    expect(textOf(line)).not.toMatch(/[\n\r]/);
    const judged = judge(line);
    if (!judged.ok) throw new Error('not strict JSON');
    expect(Object.keys(judged.value.tree as object)).toEqual([
      'v',
      'kind',
      'stream',
      'seq',
      'at',
      'prev',
      ...RECORD_FIELDS[kind].filter(({ optional }) => optional !== true).map(({ name }) => name),
    ]);
    const read = readRecord(line);
    expect(read).toMatchObject({ ok: true, value: { ...PLACE, ...BODIES[kind] } });
    expect(textOf(encodeRecord(PLACE, BODIES[kind]))).toBe(textOf(line));
  });

  const HOPS = [{ agent: 'triage' as AgentName, sidecar: 'spiffe://x/sidecar/triage/1', authority: 'retained' as const }];
  const KNOWN = {
    ...Object.fromEntries(RECORD_FIELDS.DECISION.filter(({ optional }) => optional).map(({ name }) => [name, `a ${name}`])),
    hops: HOPS,
    degraded: true,
    isolation: 'advisory',
  } as const;

  it('of a DECISION says all that is known of how its session began, in order, and reads back', () => {
    const line = encodeRecord(PLACE, decision('d', KNOWN));
    expect(Object.keys(JSON.parse(textOf(line)) as object).slice(6)).toEqual(RECORD_FIELDS.DECISION.map(({ name }) => name));
    expect(readRecord(line)).toMatchObject({ ok: true, value: KNOWN });
  });

  it.each([
    ['an empty list', []],
    ['nine', Array.from({ length: 9 }, () => HOPS[0])],
    ['one without an authority', [{ agent: 'a', sidecar: 'b' }]],
    ['a text', 'a'],
  ])('of a DECISION whose hops are %s is no record', (_, hops) => {
    const line = JSON.stringify({ ...(JSON.parse(textOf(encodeRecord(PLACE, decision('d', KNOWN)))) as object), hops });
    expect(readRecord(bytesOf(line))).toMatchObject({ ok: false, error: [{ path: 'hops' }] });
  });

  it('of a DECISION that is degraded says so with true, and with nothing else', () => {
    const line = textOf(encodeRecord(PLACE, decision('d', KNOWN))).replace('"degraded":true', '"degraded":false');
    expect(readRecord(bytesOf(line))).toMatchObject({ ok: false, error: [{ path: 'degraded' }] });
  });

  it('of a DECISION knows no third state of isolation', () => {
    const line = textOf(encodeRecord(PLACE, decision('d', KNOWN))).replace('"isolation":"advisory"', '"isolation":"partial"');
    expect(readRecord(bytesOf(line))).toMatchObject({ ok: false, error: [{ path: 'isolation' }] });
  });

  it('of a DECISION derives the actor and the policy version, so that they cannot disagree', () => {
    expect(readRecord(encodeRecord(PLACE, decision('d', { agent_id: 'a1', release_seq: 9 })))).toMatchObject({
      ok: true,
      value: { agent_id: 'a1', actor: 'a1', release_seq: 9, policy_version: 9 },
    });
  });

  it.each([
    ['an empty name', { operator: '' }, { operator: '-' }],
    ['a missing name', { tenant_id: undefined }, { tenant_id: '-' }],
    ['a lone surrogate', { tool: 'x\ud800y' }, { tool: 'x\ufffdy' }],
    ['line feeds, quotes, controls and separators', { detail: '\n\r"\\\u0000\u2028\u007f' }, { detail: '\n\r"\\\u0000\u2028\u007f' }],
    ['a number that JSON cannot hold', { latency_ms: Infinity }, { latency_ms: null }],
    ['not a number', { policy_age_ms: NaN }, { policy_age_ms: null }],
  ])('takes %s without failing', (_, odd, read) => {
    expect(readRecord(encodeRecord(PLACE, decision('d', odd as never)))).toMatchObject({ ok: true, value: read });
  });

  it('cuts long text, keeps what was cut apart by its digest, and stays within the bound for any text at all', () => {
    const long = (end: string): string => `${'x'.repeat(5000)}${end}`;
    const [one, other] = [long('1'), long('2')].map((tool) => readRecord(encodeRecord(PLACE, decision('d', { tool }))));
    if (!one?.ok || !other?.ok || one.value.kind !== 'DECISION' || other.value.kind !== 'DECISION') throw new Error('unread');
    expect(one.value.tool).toMatch(/^x{200}x*…sha256:[0-9a-f]{32}$/);
    expect(one.value.tool).toHaveLength(256);
    expect(one.value.tool).not.toBe(other.value.tool);
    const names = RECORD_FIELDS.DECISION.filter(({ form }) => form === 'name' || form === 'text').map(({ name }) => [
      name,
      '\u0001'.repeat(10_000),
    ]);
    const worst = encodeRecord(PLACE, { ...decision('d'), ...(Object.fromEntries(names) as object) });
    expect(worst.length).toBeLessThan(RECORD_BYTES_MAX);
  });

  it('never cuts a character in two', () => {
    const read = readRecord(encodeRecord(PLACE, decision('d', { tool: `x${'😀'.repeat(300)}` })));
    expect(read.ok && 'tool' in read.value ? read.value.tool.isWellFormed() : false).toBe(true);
  });
});

describe('reading', () => {
  const line = encodeRecord(PLACE, decision('d1'));
  const bent = (from: string, to: string): Uint8Array => bytesOf(textOf(line).replace(from, to));

  it('keeps members that a later writer adds', () => {
    expect(readRecord(bent('"v":1', '"v":1,"later":{"x":[1]}'))).toMatchObject({ ok: true, value: { later: { x: [1] } } });
  });

  it.each([
    ['another format version', '"v":1', '"v":2', 'v'],
    ['an unknown kind', '"kind":"DECISION"', '"kind":"GUESS"', 'kind'],
    ['a stream that is none', `"${'a'.repeat(32)}"`, '"x"', 'stream'],
    ['a seq of 0', '"seq":7', '"seq":0', 'seq'],
    ['a seq with an exponent', '"seq":7', '"seq":7e0', 'seq'],
    ['an instant without milliseconds', '00.000Z', '00Z', 'at'],
    ['a prev that is no hash', '"prev":"0', '"prev":"', 'prev'],
    ['a decision that is neither', '"decision":"allow"', '"decision":"maybe"', 'decision'],
    ['an empty name', '"operator":"alice@company.com"', '"operator":""', 'operator'],
    ['a number as text', '"release_seq":7', '"release_seq":"7"', 'release_seq'],
    ['a missing member', '"gate":"authorization",', '', 'gate'],
  ])('refuses %s and says where', (_, from, to, path) => {
    expect(readRecord(bent(from, to))).toMatchObject({ ok: false, error: [{ path }] });
  });

  it.each([
    ['a member that stands twice', bent('"v":1', '"v":1,"decision":"deny"')],
    ['no object', bytesOf('[1]')],
    ['nothing', bytesOf('')],
    ['text after the object', bytesOf(`${textOf(line)}x`)],
    ['bytes that are not UTF-8', Uint8Array.of(...line.slice(0, -2), 0xff, 0x22, 0x7d)],
    ['a line beyond the bound', bytesOf(`{"v":1,"x":"${'x'.repeat(RECORD_BYTES_MAX)}"}`)],
  ])('refuses %s', (_, bytes) => {
    expect(readRecord(bytes).ok).toBe(false);
  });

  it('reports every problem at once', () => {
    const read = readRecord(bytesOf(textOf(line).replace('"gate":"authorization"', '"gate":""').replace('"leg":"outbound"', '"leg":"up"')));
    expect(read.ok ? [] : read.error.map(({ path }) => path)).toEqual(['leg', 'gate']);
  });

  it.each([
    ['START', 'a certificate that is no text', '"certificates":["AAAA"]', '"certificates":[1]'],
    ['START', 'no certificate', '"certificates":["AAAA"]', '"certificates":[]'],
    ['START', 'five certificates', '"certificates":["AAAA"]', '"certificates":["A","A","A","A","A"]'],
    ['START', 'a previous end without a head', `,"head":"${'1'.repeat(64)}"`, ''],
    ['CLOSE', 'an envelope with a member more', '"payload":', '"extra":1,"payload":'],
    ['CLOSE', 'an envelope with two signatures', '}]}', '},{"keyid":"","sig":""}]}'],
    ['OUTCOME', 'a result outside the list', '"result":"ok"', '"result":"fine"'],
    ['REFUSED', 'samples that are no text', '["GET /"]', '[null]'],
  ] as const)('refuses a %s with %s', (kind, _, from, to) => {
    const text = textOf(encodeRecord(PLACE, BODIES[kind]));
    expect(text).toContain(from);
    expect(readRecord(bytesOf(text.replace(from, to))).ok).toBe(false);
  });
});
