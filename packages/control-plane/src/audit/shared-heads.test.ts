/** Two collectors on one database: a sidecar that changes over, and one that tells each of them another story. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { append, headHex, openStream } from '@sallyport/audit';
import { utf8 } from '@sallyport/crypto';
import { generateKey, issueCertificate, randomBytes } from '@sallyport/crypto/keys';
import type { SpiffeId } from '@sallyport/identity';
import { Fault } from '@sallyport/model';
import type { StreamId } from '@sallyport/model';
import { openLocalDatabase, openSegmentLog, openSqlite } from '@sallyport/store';
import type { LocalDatabase, SegmentLog } from '@sallyport/store';
import { auditWriter, fakeClock, simulatedDisk, testAuthority } from '@sallyport/testkit';
import type { AuditWriter, SimulatedDisk } from '@sallyport/testkit';
import { adoptedStreams, catchUp } from './adopted.ts';
import { Collector } from './collector.ts';
import { heldStreams, recoverLine } from './held-streams.ts';
import { createKeeper } from './keeper.ts';
import { readLineHead } from './line.ts';
import { openSharedHeads } from './shared-heads.ts';
import type { SharedHeads } from './shared-heads.ts';
import { AUDIT_MIGRATIONS, auditTables } from './store.ts';
import type { AuditTables } from './store.ts';
import type { LineContext } from './streams.ts';
import type { Suspicion } from './suspicion.ts';

const SOURCE = 'spiffe://test.sallyport.dev/sidecar/support/one' as SpiffeId;
const LOG = { directory: '/audit', segmentBytesMax: 65_536, logBytesMax: 1_048_576, headroomBytes: 0 };

interface Replica {
  readonly collector: Collector;
  readonly codes: readonly string[];
  /** What the next start finds in its segments. */
  restart(): Promise<readonly Suspicion[]>;
}

const clock = fakeClock();
let folder: string;
let context: LineContext;
let writer: AuditWriter;
const closing: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-heads-'));
  closing.push(() => rmSync(folder, { recursive: true }));
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
  for (const close of closing.splice(0).toReversed()) await close();
});

/** As a process of its own has them. */
async function ownHeads(): Promise<SharedHeads> {
  const opened = openSqlite({ path: join(folder, 'shared.db'), busyTimeoutMs: 5_000 });
  if (!opened.ok) throw new Error(opened.error.code);
  closing.push(async () => opened.value.close());
  return openSharedHeads(opened.value);
}

async function replica(given?: SharedHeads): Promise<Replica> {
  const shared = given ?? (await ownHeads());
  const disk: SimulatedDisk = simulatedDisk();
  const file = openLocalDatabase({ path: ':memory:' });
  const opened = await openSegmentLog({ disk: disk.fs, ...LOG });
  if (!opened.ok || !file.ok) throw new Error('not opened');
  const [log, index]: [SegmentLog, LocalDatabase] = [opened.value, file.value];
  closing.push(async () => log.close());
  const tables: AuditTables = auditTables(index.service('audit', AUDIT_MIGRATIONS));
  const [streams, adopted, codes] = [heldStreams(), adoptedStreams(tables), [] as string[]];
  const lineAt = async (stream: StreamId, seq: number): Promise<Uint8Array | undefined> => {
    const lines = log.read({ from: 1, bytesMax: 1_048_576 }).map(({ bytes }) => bytes);
    const found = lines.find((line) => readLineHead(line)?.seq === seq && readLineHead(line)?.stream === stream);
    return Promise.resolve(found);
  };
  const collector = new Collector({
    streams,
    keeper: createKeeper(log, () => undefined),
    tables,
    adopted,
    heads: shared,
    catchUp: async (stream, writer) => catchUp({ stream, writer }, { streams, adopted, heads: shared, lineAt }),
    clock,
    pendingBytesMax: 1_048_576,
    lineAt,
    alert: async ({ code }) => Promise.resolve(void codes.push(code)),
    onBegun: async () => Promise.resolve(),
  });
  return {
    collector,
    codes,
    async restart() {
      await log.close();
      const found: Suspicion[] = [];
      const [again, known] = [heldStreams(), adoptedStreams(tables)];
      const reopened = await openSegmentLog({
        disk: disk.fs,
        ...LOG,
        onRecovered: (frame) => void found.push(...[recoverLine(frame, { streams: again, adopted: known }) ?? []].flat()),
      });
      if (!reopened.ok) throw new Error('not opened');
      await reopened.value.close();
      return found;
    },
  };
}

const resume = async ({ collector }: Replica): ReturnType<Collector['resume']> =>
  collector.resume({ stream: writer.stream, seq: 1, source: SOURCE });
const deliver = async ({ collector }: Replica, from: number, to: number): ReturnType<Collector['deliver']> =>
  collector.deliver({ stream: writer.stream, firstSeq: from, lines: writer.lines.slice(from - 1, to) }, context);

describe('a sidecar that changes over', () => {
  beforeEach(() => {
    for (let call = 0; call < 5; call++) writer.call();
  });

  test('goes on where the other has acknowledged, there and back, and every start finds its part whole', async () => {
    const [one, other] = [await replica(), await replica()];
    expect(await deliver(one, 1, 4)).toMatchObject({ kind: 'ack', through: 4 });
    expect(await resume(other)).toMatchObject({ kind: 'ack', through: 4 });
    expect(await deliver(other, 5, 7)).toMatchObject({ kind: 'ack', through: 7 });
    expect(await resume(one)).toMatchObject({ kind: 'ack', through: 7 });
    expect(await deliver(one, 8, 11)).toMatchObject({ kind: 'ack', through: 11 });
    expect([one.codes, other.codes]).toEqual([[], []]);
    expect([await one.restart(), await other.restart()]).toEqual([[], []]);
  });

  test('may send again what the other holds, and what comes first without a resume', async () => {
    const [one, other] = [await replica(), await replica()];
    await deliver(one, 1, 6);
    expect(await deliver(other, 7, 8)).toMatchObject({ kind: 'ack', through: 8 });
    expect(await deliver(other, 3, 9)).toMatchObject({ kind: 'ack', through: 9 });
    expect(other.codes).toEqual([]);
  });

  test('is not acknowledged before everybody can know it', async () => {
    let isDown = true;
    const heads = await ownHeads();
    const flaky: SharedHeads = {
      find: async (stream) => heads.find(stream),
      async put(held) {
        if (isDown) throw new Fault('store_failed', 'internal', 'the database is away');
        return heads.put(held);
      },
    };
    const [one, other] = [await replica(flaky), await replica()];
    await expect(deliver(one, 1, 4)).rejects.toThrow(Fault);
    expect(await resume(other)).toMatchObject({ kind: 'ack', through: 0 });
    await expect(resume(one)).rejects.toThrow(Fault);
    isDown = false;
    expect(await resume(one)).toMatchObject({ kind: 'ack', through: 4 });
    expect(await resume(other)).toMatchObject({ kind: 'ack', through: 4 });
  });

  test('with a part that is lost everywhere is told of the gap', async () => {
    const [one, other] = [await replica(), await replica()];
    await deliver(one, 1, 4);
    expect(await deliver(other, 7, 8)).toMatchObject({ kind: 'gap', expected: 5 });
    expect(other.codes).toEqual(['GAP']);
  });
});

describe('a sidecar that tells two stories', () => {
  const edited = (seq: number, from: string | RegExp, to: string): Uint8Array =>
    utf8(new TextDecoder().decode(writer.lines[seq - 1]).replace(from, to));
  const toldTo = async ({ collector }: Replica, firstSeq: number, ...lines: readonly Uint8Array[]): ReturnType<Collector['deliver']> =>
    collector.deliver({ stream: writer.stream, firstSeq, lines }, context);
  beforeEach(() => {
    for (let call = 0; call < 3; call++) writer.call();
  });

  test('to two control planes in turn is found out at the second', async () => {
    const [one, other] = [await replica(), await replica()];
    await deliver(one, 1, 3);
    expect(await toldTo(other, 4, edited(4, /"prev":"[0-9a-f]{8}/, '"prev":"00000000'))).toMatchObject({ kind: 'fork' });
    expect(other.codes).toContain('FORK');
  });

  test('to two control planes at once gets one of the two acknowledged, and is found out when it goes on', async () => {
    const [one, other] = [await replica(), await replica()];
    await deliver(other, 1, 1);
    await resume(one);
    await deliver(one, 2, 3);
    const second = edited(2, 'alice@company.com', 'mally@company.com');
    expect(await toldTo(other, 2, second)).toMatchObject({ kind: 'slow_down' });
    expect(await resume(other)).toMatchObject({ kind: 'ack', through: 3 });
    expect(await deliver(other, 4, 5)).toMatchObject({ kind: 'ack', through: 5 });
  });

  test('and one that was taken here alone is never acknowledged as the story of all', async () => {
    const [one, other] = [await replica(), await replica()];
    await deliver(other, 1, 1);
    await resume(one);
    await deliver(one, 2, 2);
    // Longer than what the other holds, and not a continuation of it.
    const story = [edited(2, 'alice@company.com', 'mally@company.com')];
    const head = headHex(
      append(
        append(openStream({ stream: writer.stream, previous: null }), writer.lines[0] ?? new Uint8Array(0)),
        story[0] ?? new Uint8Array(0),
      ),
    );
    story.push(edited(3, /"prev":"[0-9a-f]{64}"/, `"prev":"${head}"`));
    expect(await toldTo(other, 2, ...story)).toMatchObject({ kind: 'slow_down' });
    expect(await resume(other)).toMatchObject({ kind: 'fork' });
    expect(other.codes).toContain('FORK');
    expect(await resume(one)).toMatchObject({ kind: 'ack', through: 2 });
  });

  test('a stream of somebody else is not taken over for the asking', async () => {
    const [one, other] = [await replica(), await replica()];
    writer.call();
    await deliver(one, 1, 3);
    const thief = 'spiffe://test.sallyport.dev/sidecar/support/thief' as SpiffeId;
    expect(await other.collector.resume({ stream: writer.stream, seq: 1, source: thief })).toMatchObject({ kind: 'ack', through: 0 });
    expect(await resume(other)).toMatchObject({ kind: 'ack', through: 3 });
  });
});
