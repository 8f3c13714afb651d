import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Audit, AuditHeadSchema, BatchSchema, BeatSchema, ResumeSchema, ShipMessageSchema, create } from '@sallyport/contract';
import type { ShipAnswer } from '@sallyport/contract';
import { crc32c, decodeHex } from '@sallyport/crypto';
import { generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import { createClient } from '@sallyport/net';
import type { GrpcStatus } from '@sallyport/net';
import { auditWriter, controlPlaneHarness, flipBit, policyStream } from '@sallyport/testkit';
import type { AuditWriter, ControlPlaneHarness, EnrolledSidecar } from '@sallyport/testkit';

let harness: ControlPlaneHarness;
let sidecar: EnrolledSidecar;
const over: AbortController[] = [];
beforeEach(async () => {
  harness = await controlPlaneHarness({ config: { audit: { unclosed_after_ms: 60_000 } } });
  await harness.publish();
  sidecar = await harness.enrol();
});
afterEach(async () => {
  for (const one of over.splice(0)) one.abort();
  await harness.close();
});

const writerOf = (of: EnrolledSidecar = sidecar, previous?: Pick<AuditWriter, 'chain' | 'end'>): AuditWriter =>
  auditWriter({
    sidecar: of.spiffeId,
    auditPem: of.auditPem,
    auditChain: of.auditChain,
    now: () => harness.clock.wall(),
    ...(previous === undefined ? {} : { previous }),
  });

interface Shipping {
  resume(stream: string, firstSeq: number): Promise<ShipAnswer['answer']>;
  send(stream: string, firstSeq: number, lines: readonly Uint8Array[]): Promise<ShipAnswer['answer']>;
  /** Resumes at the first line and sends all of them. */
  all(writer: AuditWriter, from?: number): Promise<ShipAnswer['answer']>;
  readonly status: Promise<GrpcStatus>;
  close(): void;
}

function ship(of: EnrolledSidecar = sidecar): Shipping {
  const controller = new AbortController();
  over.push(controller);
  const { out, incoming } = createClient(Audit, of.channel).ship({ signal: controller.signal });
  const answers = incoming[Symbol.asyncIterator]();
  const ask = async (message: Parameters<typeof create<typeof ShipMessageSchema>>[1]): Promise<ShipAnswer['answer']> => {
    out.write(create(ShipMessageSchema, message), { priority: true });
    const next = await answers.next();
    if (next.done === true) throw new Error((await incoming.status).code);
    return next.value.answer;
  };
  const resume: Shipping['resume'] = async (stream, firstSeq) =>
    ask({ message: { case: 'resume', value: create(ResumeSchema, { stream, firstUnackedSeq: BigInt(firstSeq) }) } });
  const send: Shipping['send'] = async (stream, firstSeq, records) =>
    ask({ message: { case: 'batch', value: create(BatchSchema, { stream, firstSeq: BigInt(firstSeq), records: [...records] }) } });
  return {
    resume,
    send,
    status: incoming.status,
    async all(writer, from = 1) {
      await resume(writer.stream, from);
      return send(writer.stream, from, writer.lines.slice(from - 1));
    },
    close: () => controller.abort(),
  };
}

const ackedThrough = (answer: ShipAnswer['answer']): bigint | string | undefined =>
  answer.case === 'ack' ? answer.value.durableThrough : answer.case;

async function codes(): Promise<readonly unknown[]> {
  return (await harness.alerts()).map(({ code }) => code);
}

/** The bytes of a line with one word replaced by another of the same length. */
function edited(line: Uint8Array, from: string, to: string): Uint8Array {
  const text = new TextDecoder().decode(line);
  if (!text.includes(from)) throw new Error(`no ${from}`);
  return new TextEncoder().encode(text.replace(from, to));
}

describe('records arrive', () => {
  test('and are acknowledged through the last, with its head', async () => {
    const writer = writerOf();
    writer.call();
    const shipping = ship();
    expect(await shipping.resume(writer.stream, 1)).toMatchObject({ case: 'ack', value: { durableThrough: 0n } });
    const answer = await shipping.send(writer.stream, 1, writer.lines);
    expect(answer).toMatchObject({ case: 'ack', value: { stream: writer.stream, durableThrough: 3n } });
    expect(answer.case === 'ack' && Buffer.from(answer.value.head).toString('hex')).toBe(writer.end.head);
  });

  test('what was acknowledged is there after a restart, and the stream goes on from it', async () => {
    const writer = writerOf();
    writer.call();
    await ship().all(writer);
    await harness.restart();
    const again = { ...sidecar, channel: harness.open(sidecar.tls) };
    writer.call();
    const shipping = ship(again);
    expect(ackedThrough(await shipping.resume(writer.stream, 4))).toBe(3n);
    expect(ackedThrough(await shipping.send(writer.stream, 4, writer.lines.slice(3)))).toBe(5n);
    expect((await harness.records()).filter(({ stream }) => stream === writer.stream).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
  });

  test('duplicates are dropped, alone and at the beginning of a batch', async () => {
    const writer = writerOf();
    writer.call();
    const shipping = ship();
    await shipping.all(writer);
    expect(ackedThrough(await shipping.send(writer.stream, 1, writer.lines))).toBe(3n);
    writer.call();
    expect(ackedThrough(await shipping.send(writer.stream, 2, writer.lines.slice(1)))).toBe(5n);
    const held = (await harness.records()).filter(({ stream }) => stream === writer.stream);
    expect(held.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(await codes()).toEqual([]);
  });

  test('two connections that send the same records at once do not write them twice', async () => {
    const writer = writerOf();
    for (let call = 0; call < 20; call++) writer.call();
    const answers = await Promise.all([ship(), ship(), ship()].map(async (shipping) => shipping.all(writer)));
    expect(answers.map(ackedThrough)).toEqual([41n, 41n, 41n]);
    expect((await harness.records()).filter(({ stream }) => stream === writer.stream)).toHaveLength(41);
  });

  test('checkpoints of the stream’s own key are fine, and another key’s raises an alert while the record is kept', async () => {
    const writer = writerOf();
    await writer.checkpoint();
    const shipping = ship();
    await shipping.all(writer);
    expect(await codes()).toEqual([]);
    const forged = auditWriter({
      sidecar: sidecar.spiffeId,
      auditPem: generateKey('ed25519').privatePem,
      auditChain: sidecar.auditChain,
      now: () => harness.clock.wall(),
    });
    await forged.checkpoint();
    expect(ackedThrough(await shipping.all(forged))).toBe(2n);
    expect(await codes()).toContain('CHECKPOINT_INVALID');
  });
});

describe('a sidecar cannot write as another', () => {
  let other: EnrolledSidecar;
  beforeEach(async () => {
    other = await harness.enrol({ instance: 'other' });
  });

  test('[R10.35] a stream whose START names another sidecar is refused and alerted', async () => {
    const writer = writerOf(other);
    await expect(ship(sidecar).all(writer)).rejects.toThrow('permission_denied');
    expect(await harness.alerts()).toMatchObject([{ code: 'FORGED_SOURCE', detail: expect.stringContaining(other.spiffeId) as string }]);
    expect((await harness.records()).filter(({ stream }) => stream === writer.stream)).toEqual([]);
  });

  test('nor append to a stream that another began', async () => {
    const writer = writerOf(other);
    await ship(other).all(writer);
    writer.call();
    await expect(ship(sidecar).resume(writer.stream, 2)).rejects.toThrow('permission_denied');
    await expect(ship(sidecar).send(writer.stream, 2, writer.lines.slice(1))).rejects.toThrow('permission_denied');
    expect(await codes()).toContain('FORGED_SOURCE');
  });

  test('nor begin one with another’s audit certificate, nor without any', async () => {
    const borrowed = auditWriter({
      sidecar: sidecar.spiffeId,
      auditPem: other.auditPem,
      auditChain: other.auditChain,
      now: () => harness.clock.wall(),
    });
    await expect(ship(sidecar).all(borrowed)).rejects.toThrow('permission_denied');
    const tlsCertificate = auditWriter({
      sidecar: sidecar.spiffeId,
      auditPem: sidecar.auditPem,
      auditChain: sidecar.tls.chain,
      now: () => harness.clock.wall(),
    });
    await expect(ship(sidecar).all(tlsCertificate)).rejects.toThrow('permission_denied');
  });

  test('nor sign one with a key that is certified for assertions', async () => {
    const { alg, publicRaw } = signerFromPem(sidecar.auditPem);
    const now = harness.clock.wall();
    const asserting = await issueCertificate({
      ca: harness.authority.ca,
      subjectPublicKey: { alg, raw: publicRaw },
      spiffeId: sidecar.spiffeId,
      usage: 'assertion',
      serial: randomBytes(16),
      notBefore: now - 60_000,
      notAfter: now + 60_000,
    });
    const auditChain = [asserting, harness.authority.ca.certificate];
    const writer = auditWriter({ sidecar: sidecar.spiffeId, auditPem: sidecar.auditPem, auditChain, now: () => harness.clock.wall() });
    await expect(ship(sidecar).all(writer)).rejects.toThrow('permission_denied');
    expect(await codes()).toContain('FORGED_SOURCE');
  });

  test('[R10.35] nor slip in a record that names another', async () => {
    const writer = writerOf();
    writer.write({ kind: 'DROPPED', reason: 'x', count: 1, detail: 'placeholder-for-a-name-000000' });
    const lines = [...writer.lines];
    lines[1] = edited(lines[1] ?? new Uint8Array(), '"detail":"placeholder-for-a-name-000000"', '"sidecar_id":"spiffe://x/sidecar/b/1"');
    await expect(ship().send(writer.stream, 1, lines)).rejects.toThrow('permission_denied');
    expect(await codes()).toContain('FORGED_SOURCE');
  });
});

describe('what does not fit', () => {
  test('gap: records that are missing are named, alerted, and nothing is taken', async () => {
    const writer = writerOf();
    writer.call();
    writer.call();
    const shipping = ship();
    await shipping.resume(writer.stream, 1);
    await shipping.send(writer.stream, 1, writer.lines.slice(0, 2));
    expect(await shipping.send(writer.stream, 4, writer.lines.slice(3))).toMatchObject({ case: 'gap', value: { expectedSeq: 3n } });
    expect(await harness.alerts()).toMatchObject([
      { code: 'GAP', subject: { stream: writer.stream, seq: 2 }, detail: expect.stringContaining('records 3 to 3') as string },
    ]);
    expect(ackedThrough(await shipping.send(writer.stream, 3, writer.lines.slice(2)))).toBe(5n);
  });

  test('a deleted spool segment raises a gap alert when the sidecar resumes', async () => {
    const writer = writerOf();
    for (let call = 0; call < 5; call++) writer.call();
    const shipping = ship();
    await shipping.resume(writer.stream, 1);
    await shipping.send(writer.stream, 1, writer.lines.slice(0, 3));
    expect(await ship().resume(writer.stream, 8)).toMatchObject({ case: 'gap', value: { expectedSeq: 4n } });
    expect(await codes()).toEqual(['GAP']);
  });

  test('fork: the same place with other bytes is kept as evidence, and the stream is never continued', async () => {
    const writer = writerOf();
    writer.call();
    const shipping = ship();
    await shipping.all(writer);
    const other = edited(writer.lines[1] ?? new Uint8Array(), 'alice@company.com', 'mallo@company.com');
    expect(await shipping.send(writer.stream, 2, [other])).toMatchObject({ case: 'fork', value: { seq: 2n } });
    writer.call();
    expect(await shipping.send(writer.stream, 4, writer.lines.slice(3))).toMatchObject({ case: 'fork' });
    expect(await codes()).toEqual(['FORK']);
    await harness.restart();
    const again = ship({ ...sidecar, channel: harness.open(sidecar.tls) });
    expect(await again.resume(writer.stream, 4)).toMatchObject({ case: 'fork' });
  });

  test('fork: a record that chains from another history is not appended', async () => {
    const writer = writerOf();
    const shipping = ship();
    await shipping.all(writer);
    writer.call();
    const bent = new TextEncoder().encode(
      new TextDecoder().decode(writer.lines[1]).replace(/"prev":"[0-9a-f]{64}"/, `"prev":"${'e'.repeat(64)}"`),
    );
    expect(await shipping.send(writer.stream, 2, [bent])).toMatchObject({ case: 'fork', value: { seq: 2n } });
    expect(await codes()).toEqual(['FORK']);
  });

  test.each([
    [
      'a record with a line feed, which would be two lines of an export',
      (line: Uint8Array): Uint8Array => edited(line, '"tool"', '\n"tool"'),
    ],
    ['a record that says another place', (line: Uint8Array): Uint8Array => edited(line, '"seq":2', '"seq":9')],
    ['a record that is cut off', (line: Uint8Array): Uint8Array => line.subarray(0, line.length - 1)],
    ['a record without its head', (line: Uint8Array): Uint8Array => edited(line, '{"v":1,', '{"v":2,')],
    ['no bytes', (): Uint8Array => new Uint8Array(0)],
  ])('%s is refused and alerted', async (_what, bend) => {
    const writer = writerOf();
    writer.call();
    const shipping = ship();
    await shipping.resume(writer.stream, 1);
    await expect(
      shipping.send(writer.stream, 1, [writer.lines[0] ?? new Uint8Array(), bend(writer.lines[1] ?? new Uint8Array())]),
    ).rejects.toThrow('permission_denied');
    expect(await codes()).toEqual(['MALFORMED_RECORD']);
    expect((await harness.records()).filter(({ stream }) => stream === writer.stream)).toEqual([]);
  });

  test('a stream that does not begin with START is refused', async () => {
    const writer = writerOf();
    const other = writerOf();
    writer.call();
    await expect(ship().send(other.stream, 1, writer.lines.slice(1))).rejects.toThrow('permission_denied');
    await expect(ship().send(writer.stream, 1, writer.lines.slice(1))).rejects.toThrow('permission_denied');
  });

  test('nothing follows a CLOSE', async () => {
    const writer = writerOf();
    await writer.close();
    const shipping = ship();
    await shipping.all(writer);
    writer.call();
    await expect(shipping.send(writer.stream, 3, writer.lines.slice(2))).rejects.toThrow('permission_denied');
    expect(await codes()).toEqual(['AFTER_CLOSE']);
  });

  test.each([
    ['no stream', 'not-a-stream', 1, 1],
    ['place 0', 'f'.repeat(32), 0, 1],
    ['no records', 'f'.repeat(32), 1, 0],
  ])('a batch with %s ends the call', async (_what, stream, firstSeq, count) => {
    await expect(
      ship().send(
        stream,
        firstSeq,
        Array.from({ length: count }, () => new Uint8Array(4)),
      ),
    ).rejects.toThrow('invalid_argument');
  });

  test('one source cannot bury the log in alerts', async () => {
    for (let attempt = 0; attempt < 60; attempt++)
      await expect(ship().send(attempt.toString(16).padStart(32, '0'), 1, [new Uint8Array(4)])).rejects.toThrow();
    expect(await codes()).toHaveLength(50);
    expect(harness.controlPlane.metrics()).toContain('sallyport_alerts_held_back_total 10');
  });
});

describe('restarts and silence', () => {
  test('a clean stop and a next stream raise nothing', async () => {
    const first = writerOf();
    await first.close();
    const shipping = ship();
    await shipping.all(first);
    await shipping.all(writerOf(sidecar, first));
    expect(await codes()).toEqual([]);
  });

  test('UNCLOSED: a stream without CLOSE is alerted when the next one begins, with the last record held', async () => {
    const first = writerOf();
    first.call();
    const shipping = ship();
    await shipping.all(first);
    await shipping.all(writerOf(sidecar, first));
    expect(await harness.alerts()).toMatchObject([{ code: 'UNCLOSED', subject: first.end }]);
    await shipping.all(writerOf(sidecar, first));
    expect((await codes()).filter((code) => code === 'UNCLOSED')).toHaveLength(2);
  });

  test('UNCLOSED: or when its sidecar stays silent, once, also over a restart', async () => {
    const writer = writerOf();
    await ship().all(writer);
    await harness.clock.advance(50_000);
    expect(await codes()).toEqual([]);
    await harness.clock.advance(70_000);
    await expect.poll(async () => harness.alerts()).toMatchObject([{ code: 'UNCLOSED', subject: { stream: writer.stream, seq: 1 } }]);
    await harness.restart();
    await harness.clock.advance(130_000);
    expect(await codes()).toEqual(['UNCLOSED']);
  });

  test('a restart that leaves out records is alerted: fewer shipped than the next stream says, or more held than it remembers', async () => {
    const first = writerOf();
    first.call();
    const shipping = ship();
    await shipping.resume(first.stream, 1);
    await shipping.send(first.stream, 1, first.lines.slice(0, 1));
    await shipping.all(writerOf(sidecar, first));
    expect(await codes()).toContain('GAP');
    const forgetful = writerOf();
    forgetful.call();
    await shipping.all(forgetful);
    expect(await codes()).toContain('UNLINKED_RESTART');
    await shipping.all(writerOf(sidecar, { chain: forgetful.chain, end: { ...forgetful.end, seq: 1 } }));
    expect(await codes()).toContain('TRUNCATED');
  });

  test('a tail cut off after its head was told shows', async () => {
    const writer = writerOf();
    writer.call();
    await ship().all(writer);
    writer.call();
    const stream = policyStream(sidecar.channel);
    stream.hello();
    await stream.next('liveProof');
    const beat = (seq: number, head: string): void =>
      stream.say({
        case: 'beat',
        value: create(BeatSchema, {
          auditHead: create(AuditHeadSchema, { stream: writer.stream, seq: BigInt(seq), hash: decodeHex(head) ?? new Uint8Array() }),
        }),
      });
    beat(5, writer.end.head);
    beat(4, writer.end.head);
    await expect.poll(codes).toEqual(['TRUNCATED']);
    await harness.clock.advance(2_000);
    stream.close();
    await harness.restart();
    const next = writerOf(sidecar, { chain: writer.chain, end: { ...writer.end, seq: 4 } });
    await ship({ ...sidecar, channel: harness.open(sidecar.tls) }).all(next);
    expect((await codes()).filter((code) => code === 'TRUNCATED')).toHaveLength(2);
    expect((await codes()).filter((code) => code === 'GAP')).toHaveLength(1);
  });
});

describe('the segments', () => {
  const segments = (): string[] =>
    readdirSync(join(harness.directory, 'state', 'audit')).map((name) => join(harness.directory, 'state', 'audit', name));

  /** Rewrites the one frame that holds this text, checksum and all, as somebody would who knows the format. */
  function rewrite(path: string, from: string, to: string): void {
    const bytes = readFileSync(path);
    const start = bytes.lastIndexOf('{"v":1', bytes.indexOf(from));
    const length = bytes.readUInt32BE(start - 5);
    bytes.write(to, bytes.indexOf(from));
    bytes.writeUInt32BE(crc32c(bytes.subarray(start - 1, start + length)), start + length);
    writeFileSync(path, bytes);
  }

  test('rot: a flipped bit in what was acknowledged stops the start', async () => {
    const writer = writerOf();
    writer.call();
    await ship().all(writer);
    await harness.stop();
    const [path = ''] = segments();
    const bytes = readFileSync(path);
    writeFileSync(path, flipBit(bytes, bytes.indexOf('orders/get_order')));
    await expect(harness.start()).rejects.toMatchObject({ code: 'store_failed' });
    // What the harness ends with.
    writeFileSync(path, bytes);
  });

  test('edit: a record rewritten with its checksum is alerted at the next start, and hides no later one', async () => {
    const writer = writerOf();
    for (let call = 0; call < 4; call++) writer.call({ tool: `orders/get_order_${call}` });
    await ship().all(writer);
    await harness.stop();
    const [path = ''] = segments();
    rewrite(path, 'orders/get_order_1', 'orders/xxx_xxxxx_1');
    rewrite(path, 'orders/get_order_2', 'orders/xxx_xxxxx_2');
    await harness.start();
    expect((await codes()).filter((code) => code === 'SEGMENT_EDITED')).toHaveLength(2);
    writer.call();
    const again = ship({ ...sidecar, channel: harness.open(sidecar.tls) });
    expect(ackedThrough(await again.send(writer.stream, 10, writer.lines.slice(9)))).toBe(11n);
  });

  test('segments that were taken away are missed', async () => {
    const writer = writerOf();
    await ship().all(writer);
    expect((await harness.records()).length).toBeGreaterThan(3);
    await harness.stop();
    for (const path of segments()) rmSync(path);
    await harness.start();
    expect(await codes()).toContain('SEGMENT_MISSING');
  });

  test('a full log takes nothing more, says so, and keeps room for its own records', async () => {
    const small = await controlPlaneHarness({ config: { audit: { log_bytes_max: 1_048_576, segment_bytes_max: 65_536 } } });
    try {
      await small.publish();
      const one = await small.enrol();
      const writer = auditWriter({
        sidecar: one.spiffeId,
        auditPem: one.auditPem,
        auditChain: one.auditChain,
        now: () => small.clock.wall(),
      });
      const controller = new AbortController();
      over.push(controller);
      let sent = 0;
      let answer: ShipAnswer['answer'] = { case: undefined };
      const shipping = ship(one);
      while (answer.case !== 'slowDown' && sent < 5_000) {
        for (let call = 0; call < 50; call++) writer.call();
        answer = await shipping.send(writer.stream, sent + 1, writer.lines.slice(sent));
        if (answer.case === 'ack') sent = Number(answer.value.durableThrough);
      }
      expect(answer).toMatchObject({ case: 'slowDown' });
      expect(await shipping.status).toMatchObject({ code: 'resource_exhausted' });
      expect(await ship(one).resume(writer.stream, sent + 1)).toMatchObject({ case: 'ack', value: { durableThrough: BigInt(sent) } });
      expect((await small.publish()).answer.problems).toEqual([]);
      expect(await small.acts()).toHaveLength(4);
    } finally {
      await small.close();
    }
  });
});
