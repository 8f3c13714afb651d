import { describe, expect, it } from 'vitest';
import type { StreamId } from '@sallyport/model';
import { everyPowerLoss, simulatedDisk } from '@sallyport/testkit';
import type { FileSystem } from '@sallyport/runtime';
import { openJournal } from './journal.ts';
import type { Journal, JournalEntry, JournalOptions, JournalRecord, Recovered, StateFrame } from './journal.ts';

const DIRECTORY = '/state/journal';
const SIZES = { segmentBytesMax: 600, logBytesMax: 6_000, headroomBytes: 600 };
const FIRST = 'a'.repeat(32) as StreamId;
const SECOND = 'b'.repeat(32) as StreamId;

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const record = (seq: number, stream: StreamId = FIRST): JournalRecord => ({
  kind: 'record',
  stream,
  seq,
  line: bytesOf(`{"stream":"${stream.slice(0, 1)}","seq":${seq}}`.padEnd(60)),
});
const reservation = (name: string): StateFrame => ({ kind: 'reservation', bytes: bytesOf(name) });
const DISK = { durability: 'disk' } as const;

async function opened(disk: FileSystem, more: Partial<JournalOptions> = {}): Promise<{ journal: Journal; recovered: Recovered }> {
  const result = await openJournal({ ...SIZES, disk, directory: DIRECTORY, snapshot: () => bytesOf('{}'), ...more });
  if (!result.ok) throw new Error(`the journal does not open: ${JSON.stringify(result.error)}`);
  return result.value;
}

const seqs = (journal: Journal, after = 0): string[] =>
  journal.unshipped({ after, bytesMax: 1_000_000 }).map(({ stream, seq }) => `${stream.slice(0, 1)}${seq}`);

describe('the journal', () => {
  it('gives back records byte for byte, in order, and the state frames, after a restart', async () => {
    const disk = simulatedDisk();
    const { journal, recovered } = await opened(disk.fs);
    expect(recovered).toEqual({ snapshot: null, mutations: [], last: null, unacknowledged: [] });
    await journal.append([reservation('r1'), record(1)], DISK);
    await journal.append([record(2), { kind: 'settlement', bytes: bytesOf('s1') }], DISK);
    await journal.append([{ kind: 'nonce', bytes: bytesOf('n1') }], DISK);
    await journal.close();
    const again = await opened(disk.restart('killed'));
    expect(again.recovered.mutations.map(({ kind, bytes }) => `${kind} ${textOf(bytes)}`)).toEqual([
      'reservation r1',
      'settlement s1',
      'nonce n1',
    ]);
    expect(again.recovered.last).toEqual(record(2));
    expect(again.recovered.unacknowledged).toEqual([{ stream: FIRST, firstSeq: 1, lastSeq: 2 }]);
    expect(again.journal.unshipped({ after: 0, bytesMax: 1000 }).map(({ line }) => textOf(line))).toEqual(
      [1, 2].map((seq) => textOf(record(seq).line)),
    );
  });

  it('ships only what survives a loss of power, so that a collector never knows more than a restart does', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    const syncs = disk.holdSyncs();
    await journal.append([record(1)], { durability: 'kernel' });
    const ready = journal.whenUnshipped(0);
    expect(seqs(journal)).toEqual([]);
    syncs.resume();
    await ready;
    expect(seqs(journal)).toEqual(['a1']);
  });

  it('reads on from a cursor, past state frames and what is acknowledged, in bounded batches', async () => {
    const { journal } = await opened(simulatedDisk().fs);
    for (let seq = 1; seq <= 6; seq++) await journal.append([reservation(`r${seq}`), record(seq)], DISK);
    const [first] = journal.unshipped({ after: 0, bytesMax: 1 });
    expect(first?.seq).toBe(1);
    expect(seqs(journal, first?.cursor)).toEqual(['a2', 'a3', 'a4', 'a5', 'a6']);
    await journal.acknowledged(FIRST, 4);
    expect(seqs(journal)).toEqual(['a5', 'a6']);
    expect(journal.status.unacknowledgedRecords).toBe(2);
  });

  it('wakes its reader for records alone: state frames do not make it spin', async () => {
    const { journal } = await opened(simulatedDisk().fs);
    let isAwake = false;
    const awake = journal.whenUnshipped(0).then(() => (isAwake = true));
    await journal.append([reservation('r1')], DISK);
    await Promise.resolve();
    expect(isAwake).toBe(false);
    await journal.append([record(1)], DISK);
    await awake;
  });

  it('wakes its reader when it ends, by failure too', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    const reader = journal.whenUnshipped(0);
    disk.fail({ on: 'append', code: 'EIO' });
    expect(await journal.append([reservation('r1')], DISK)).toMatchObject({ ok: false, error: { code: 'failed' } });
    await reader;
    expect((await journal.ended)?.code).toBe('journal_failed');
  });

  it('refuses a record that does not continue its stream, and everything with it: a gap is never written', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    await journal.append([record(1)], DISK);
    await expect(journal.append([record(3)], DISK)).rejects.toThrow(/in order/);
    await expect(journal.append([reservation('r'), record(2), record(4)], DISK)).rejects.toThrow(/in order/);
    await journal.close();
    const { recovered } = await opened(disk.fs);
    expect(recovered).toMatchObject({ last: { seq: 1 }, mutations: [] });
  });
});

describe('acknowledgement', () => {
  it('removes whole segments, after a durable snapshot of the state that stood in them', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs, { snapshot: () => bytesOf('state after r1 and r2') });
    await journal.append([reservation('r1'), reservation('r2')], DISK);
    for (let seq = 1; seq <= 20; seq++) await journal.append([record(seq)], DISK);
    expect(journal.status.segments).toBeGreaterThan(3);
    const before = disk.operations.length;
    await journal.acknowledged(FIRST, 15);
    const names = disk.operations.slice(before).map((operation) => operation.split(' ')[0]);
    expect(names.indexOf('unlink')).toBeGreaterThan(names.indexOf('sync'));
    await journal.append([reservation('r3')], DISK);
    await journal.close();
    const { recovered, journal: again } = await opened(disk.restart({ data: 'lost', names: 'undone' }));
    expect(textOf(recovered.snapshot ?? new Uint8Array())).toBe('state after r1 and r2');
    expect(recovered.mutations.map(({ bytes }) => textOf(bytes))).toEqual(['r3']);
    expect(recovered.unacknowledged).toEqual([{ stream: FIRST, firstSeq: 16, lastSeq: 20 }]);
    expect(seqs(again)).toEqual(['a16', 'a17', 'a18', 'a19', 'a20']);
  });

  it('keeps the last record through a restart, though everything was acknowledged and removed', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    for (let seq = 1; seq <= 20; seq++) await journal.append([record(seq)], DISK);
    await journal.acknowledged(FIRST, 20);
    for (let turn = 0; turn < 20; turn++) await journal.append([reservation('r'.repeat(60))], DISK);
    await journal.acknowledged(FIRST, 20);
    await journal.close();
    const { recovered } = await opened(disk.fs);
    expect(recovered.last).toEqual(record(20));
    expect(recovered.unacknowledged).toEqual([]);
  });

  it('waits for every stream in a segment: an old one that was never acknowledged is kept', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    await journal.append([record(1)], DISK);
    for (let seq = 1; seq <= 20; seq++) await journal.append([record(seq, SECOND)], DISK);
    await journal.acknowledged(SECOND, 20);
    expect(seqs(journal)).toEqual(['a1']);
    expect(journal.status.firstSequence).toBe(1);
    await journal.acknowledged(FIRST, 1);
    expect(journal.status.firstSequence).toBeGreaterThan(1);
  });

  it('frees a full journal, though the snapshot itself has no room', async () => {
    const { journal } = await opened(simulatedDisk().fs, { snapshot: () => new Uint8Array(400) });
    let seq = 0;
    while (journal.refuses([record(seq + 1)]) === undefined) await journal.append([record(++seq)], DISK);
    expect(await journal.append([record(seq + 1)], DISK)).toEqual({ ok: false, error: { code: 'full' } });
    while ((await journal.append([reservation('x'.repeat(90))], { ...DISK, usesHeadroom: true })).ok);
    await journal.acknowledged(FIRST, seq);
    expect(journal.refuses([record(seq + 1)])).toBeUndefined();
    expect((await journal.append([record(seq + 1)], DISK)).ok).toBe(true);
  });

  it('of what is not there, or long gone, changes nothing', async () => {
    const { journal } = await opened(simulatedDisk().fs);
    await journal.append([record(1), record(2)], DISK);
    await journal.acknowledged(SECOND, 7);
    await journal.acknowledged(FIRST, 2);
    await journal.acknowledged(FIRST, 1);
    await journal.acknowledged(FIRST, 99);
    expect(journal.status.unacknowledgedRecords).toBe(0);
    expect((await journal.append([record(3)], DISK)).ok).toBe(true);
    expect(seqs(journal)).toEqual(['a3']);
  });
});

describe('damage', () => {
  it('a removed first segment is refused: its records were never acknowledged', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    for (let seq = 1; seq <= 20; seq++) await journal.append([record(seq)], DISK);
    await journal.close();
    const [first] = disk.fs.list(DIRECTORY);
    disk.fs.unlink(`${DIRECTORY}/${first ?? ''}`);
    const result = await openJournal({ ...SIZES, disk: disk.fs, directory: DIRECTORY, snapshot: () => bytesOf('') });
    expect(result).toMatchObject({ ok: false, error: { code: 'hole' } });
  });
});

/** Two starts of a sidecar with acknowledgements between, and a model of its state: the names of its reservations. */
async function workload(disk: FileSystem, seen: { durable: Set<string>; state: Set<string> }): Promise<void> {
  const state = new Set<string>();
  for (const stream of [FIRST, SECOND]) {
    const { journal, recovered } = await opened(disk, { snapshot: () => bytesOf([...state].join(' ')) });
    replay(recovered, state);
    const put = async (entries: readonly JournalEntry[]): Promise<void> => {
      for (const entry of entries) if (entry.kind === 'reservation') state.add(textOf(entry.bytes));
      const result = await journal.append(entries, DISK);
      if (!result.ok) throw new Error('the journal has ended');
      for (const entry of entries) {
        if (entry.kind === 'record') seen.durable.add(`${entry.stream.slice(0, 1)}${entry.seq}`);
        else seen.state.add(textOf(entry.bytes));
      }
    };
    for (let seq = 1; seq <= 9; seq++) await put([reservation(`${stream.slice(0, 1)}r${seq}`), record(seq, stream)]);
    await journal.acknowledged(FIRST, stream === FIRST ? 6 : 9);
    await put([record(10, stream), reservation(`${stream.slice(0, 1)}r10`)]);
    await journal.close();
  }
}

function replay(recovered: Recovered, state: Set<string>): void {
  for (const name of textOf(recovered.snapshot ?? new Uint8Array()).split(' ')) if (name !== '') state.add(name);
  for (const { bytes } of recovered.mutations) state.add(textOf(bytes));
}

describe('loss of power', () => {
  it('before any operation, whatever survives: no acknowledged-as-durable record or reservation is lost', async () => {
    let seen = { durable: new Set<string>(), state: new Set<string>() };
    const moments = await everyPowerLoss({
      run: async (disk) => {
        seen = { durable: new Set(), state: new Set() };
        await workload(disk, seen);
      },
      check: async (disk, moment) => {
        const { journal, recovered } = await opened(disk);
        const state = new Set<string>();
        replay(recovered, state);
        expect([...state], moment.name).toEqual(expect.arrayContaining([...seen.state]));
        const held = new Set(seqs(journal));
        // The collector acknowledged up to a6, and once the second start ran, all of a up to a9.
        const removable = seen.durable.has('b9') ? 9 : 6;
        const required = [...seen.durable].filter((name) => name.startsWith('b') || Number(name.slice(1)) > removable);
        expect([...held], moment.name).toEqual(expect.arrayContaining(required));
      },
    });
    expect(moments).toBeGreaterThan(300);
  });
});

describe('damage under a running process', () => {
  it('a segment taken away leaves a gap to be seen, and holds up nothing behind it', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    for (let seq = 1; seq <= 20; seq++) await journal.append([record(seq)], DISK);
    const segments = disk.fs.list(DIRECTORY);
    expect(segments.length).toBeGreaterThan(3);
    const [second, third] = segments.slice(1).map((name) => Number(name.slice(0, 16)));
    disk.fs.unlink(`${DIRECTORY}/${segments[1]}`);
    const gone = Array.from({ length: third! - second! }, (_, index) => `a${second! + index}`);
    const all = Array.from({ length: 20 }, (_, index) => `a${index + 1}`);
    expect(seqs(journal)).toEqual(all.filter((name) => !gone.includes(name)));
    // From inside the gap, too.
    expect(seqs(journal, second)).toEqual(all.slice(third! - 1));
  });

  it('a rotten frame in the middle costs the rest of its segment, and what stands before it is still shipped', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    for (let seq = 1; seq <= 20; seq++) await journal.append([record(seq)], DISK);
    const [, name, after] = disk.fs.list(DIRECTORY);
    const [first, next] = [Number(name!.slice(0, 16)), Number(after!.slice(0, 16))];
    const bytes = disk.peek(`${DIRECTORY}/${name}`)!;
    const at = bytes.lastIndexOf('{'.charCodeAt(0));
    bytes[at] = 0;
    disk.plant(`${DIRECTORY}/${name}`, bytes);
    const shipped = seqs(journal);
    expect(shipped).not.toContain(`a${next - 1}`);
    expect(shipped).toContain(`a${first}`);
    expect(shipped).toContain(`a${next}`);
  });

  it('the segment that is being written, taken away: a Fault, since nothing is behind it yet', async () => {
    const disk = simulatedDisk();
    const { journal } = await opened(disk.fs);
    await journal.append([record(1)], DISK);
    const [name] = disk.fs.list(DIRECTORY);
    disk.fs.unlink(`${DIRECTORY}/${name}`);
    expect(() => seqs(journal)).toThrow('opening');
  });
});
