import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateKey, issueCertificate, randomBytes } from '@sallyport/crypto/keys';
import type { SpiffeId } from '@sallyport/identity';
import { openLocalDatabase, openSegmentLog } from '@sallyport/store';
import type { LocalDatabase, SegmentLog } from '@sallyport/store';
import { auditWriter, fakeClock, simulatedDisk, testAuthority } from '@sallyport/testkit';
import type { AuditWriter, FakeClock, SimulatedDisk } from '@sallyport/testkit';
import { Collector } from './collector.ts';
import { heldStreams } from './held-streams.ts';
import type { HeldStreams } from './held-streams.ts';
import { createKeeper } from './keeper.ts';
import { AUDIT_MIGRATIONS, auditTables } from './store.ts';
import type { LineContext } from './streams.ts';

const SOURCE = 'spiffe://test.sallyport.dev/sidecar/support/one' as SpiffeId;

let clock: FakeClock;
let disk: SimulatedDisk;
let log: SegmentLog;
let streams: HeldStreams;
let database: LocalDatabase;
let collector: Collector;
let context: LineContext;
let writer: AuditWriter;
let codes: string[];

beforeEach(async () => {
  clock = fakeClock();
  disk = simulatedDisk();
  const options = { disk: disk.fs, directory: '/audit', segmentBytesMax: 65_536, logBytesMax: 1_048_576, headroomBytes: 0 };
  const opened = await openSegmentLog(options);
  const file = openLocalDatabase({ path: ':memory:' });
  if (!opened.ok || !file.ok) throw new Error('not opened');
  [log, database, streams, codes] = [opened.value, file.value, heldStreams(), []];
  collector = new Collector({
    streams,
    keeper: createKeeper(log, () => undefined),
    tables: auditTables(database.service('audit', AUDIT_MIGRATIONS)),
    clock,
    adopted: { upTo: () => 0 },
    catchUp: async () => Promise.resolve('kept'),
    pendingBytesMax: 1_048_576,
    // One stream alone: its places in the log are those in the stream.
    lineAt: async (_stream, seq) => Promise.resolve(log.read({ from: seq, bytesMax: 1 })[0]?.bytes),
    alert: async ({ code }) => Promise.resolve(void codes.push(code)),
    onBegun: async () => Promise.resolve(),
  });
  const authority = await testAuthority();
  const audit = generateKey('ed25519');
  const certificate = await issueCertificate({
    ca: authority.ca,
    subjectPublicKey: { alg: 'ed25519', raw: audit.publicRaw },
    spiffeId: SOURCE,
    usage: 'audit',
    notBefore: clock.wall() - 1_000,
    notAfter: clock.wall() + 3_600_000,
    serial: randomBytes(16),
  });
  context = { source: SOURCE, authorities: [authority.ca.certificate] };
  writer = auditWriter({ sidecar: SOURCE, auditPem: audit.privatePem, auditChain: [certificate], now: () => clock.wall() });
});
afterEach(async () => {
  await log.close();
  database.close();
});

const batch = (): Parameters<Collector['deliver']>[0] => ({ stream: writer.stream, firstSeq: 1, lines: [...writer.lines] });

describe('the collector', () => {
  test('two connections with one stream, one of them still waiting for the disk: every record is written once', async () => {
    writer.call();
    const held = disk.holdSyncs();
    const both = Promise.all([collector.deliver(batch(), context), collector.deliver(batch(), context)]);
    await expect.poll(() => held.waiting).toBeGreaterThan(0);
    held.resume();
    expect(await both).toMatchObject([
      { kind: 'ack', through: 3 },
      { kind: 'ack', through: 3 },
    ]);
    expect(log.status.lastSequence).toBe(3);
  });

  test('nothing is acknowledged before it is synced', async () => {
    const held = disk.holdSyncs();
    let isAnswered = false;
    const delivered = collector.deliver(batch(), context).then((answer) => {
      isAnswered = true;
      return answer;
    });
    await expect.poll(() => held.waiting).toBeGreaterThan(0);
    expect(isAnswered).toBe(false);
    expect(streams.of(writer.stream)).toBeUndefined();
    held.resume();
    expect(await delivered).toMatchObject({ kind: 'ack', through: 1 });
  });

  test('a disk that fails ends it: the fault is thrown, nothing is held, and nothing is taken afterwards', async () => {
    disk.fail({ on: 'sync', code: 'EIO' });
    await expect(collector.deliver(batch(), context)).rejects.toMatchObject({ code: 'journal_failed' });
    disk.heal();
    await expect(collector.deliver(batch(), context)).rejects.toMatchObject({ code: 'journal_failed' });
    expect(streams.of(writer.stream)).toBeUndefined();
  });

  test('more than may be pending is asked to slow down, and nothing of it is taken', async () => {
    const lines = Array.from({ length: 20 }, () => new Uint8Array(65_536));
    expect(await collector.deliver({ stream: writer.stream, firstSeq: 1, lines }, context)).toMatchObject({ kind: 'slow_down' });
    expect(log.status.lastSequence).toBe(0);
    expect(codes).toEqual([]);
  });
});
