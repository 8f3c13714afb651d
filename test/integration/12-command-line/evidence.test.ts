import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

describe('evidence from the command line', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;
  let lines: readonly string[];

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    desk.writePolicy('p');
    await desk.admin('policy', 'publish', 'p');
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
    const session = await sidecar.session();
    for (const id of ['O-1', 'O-2', 'O-3']) await sidecar.call('orders/get_order', { order_id: id }, session);
    await sidecar.call('orders/get_order', { order: 1 }, session);
    await eventually(
      async () => (await desk.admin('audit', 'tail', '--json')).out.split('"kind":"CALL"').length > 5,
      'five calls in the log',
    );
    const exported = await desk.admin('audit', 'tail', '--view', 'records');
    desk.write('export.ndjson', exported.bytes);
    lines = desk.read('export.ndjson').trimEnd().split('\n');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  describe('audit tail', () => {
    it('tells calls in lines for people', async () => {
      const { exit, out } = await desk.admin('audit', 'tail');
      expect(exit).toBe(0);
      expect(out).toMatch(
        /^\S+Z {2}allow {2}alice@company\.com by support-triage {2}orders\/get_order {2}ok in \d+(\.\d+)? ms {2}rule read-orders {2}release 1 {2}[0-9A-Z]{26}$/m,
      );
      expect(out).toMatch(/ {2}deny {3}.* {2}(schema_violation|field_not_allowed) {2}rule gate:validation {2}/);
    });

    it('gives whole events as JSON, one a line', async () => {
      const { out } = await desk.admin('audit', 'tail', '--json', '--agent', 'support-triage');
      const events = out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(events.filter(({ tool }) => tool === 'orders/get_order')).toHaveLength(4);
    });

    it('ends with the cursor from which to go on, also where nothing came', async () => {
      const { err } = await desk.admin('audit', 'tail');
      const cursor = /^cursor (p\d+)\n$/.exec(err)?.[1] ?? '';
      const next = await desk.admin('audit', 'tail', '--agent', 'support-triage', '--cursor', cursor);
      expect([next.exit, next.out, next.err.split('\n')[0]]).toEqual([0, '', `no record of agent support-triage after ${cursor}`]);
    });

    it.each([
      ['calls of an agent', ['--agent', 'nope'], 'no record of agent nope\n'],
      ['calls of a session', ['--agent', 'support-triage', '--session', 'nope'], 'no record of agent support-triage, session nope\n'],
      ['records of a stream', ['--view', 'records', '--stream', '0'.repeat(32)], `no record of stream ${'0'.repeat(32)}\n`],
    ])('says that there are no %s', async (_name, more, message) => {
      const { exit, err } = await desk.admin('audit', 'tail', ...more);
      expect([exit, err]).toEqual([0, expect.stringContaining(message)]);
    });

    it('goes on after a cursor, until Ctrl-C', async () => {
      const stop = new AbortController();
      const first = await desk.typeUntil(stop.signal, ['audit', 'tail', '--follow', '--json', ...desk.link], (out) => {
        if (out.split('\n').length > 5) stop.abort();
      });
      expect(first.exit).toBe(0);
      const cursor = /^cursor (p\d+)$/m.exec(first.err)?.[1] ?? '';
      expect(cursor).not.toBe('');
      expect(await desk.admin('audit', 'tail', '--json', '--cursor', cursor)).toMatchObject({ exit: 0, out: '' });
      expect(await desk.admin('audit', 'tail', '--cursor', 'yesterday')).toMatchObject({
        exit: 1,
        err: 'sallyport audit tail: while reading the record: the cursor is not one of this log\n',
      });
    });

    it('refuses a stream that is no name of one', async () => {
      expect((await desk.admin('audit', 'tail', '--stream', 'x')).exit).toBe(2);
    });
  });

  describe('audit verify', () => {
    const verify = async (name: string, ...more: readonly string[]): Promise<{ exit: number; answer: Record<string, unknown> }> => {
      const { exit, json } = await desk.type('audit', 'verify', name, '--dir', world.dir, '--json', ...more);
      return { exit, answer: json() };
    };
    const bent = async (name: string, change: (all: string[]) => readonly string[]): Promise<Record<string, unknown>> => {
      desk.write(name, `${change([...lines]).join('\n')}\n`);
      const { exit, answer } = await verify(name);
      expect([exit, answer['verified']]).toEqual([1, false]);
      return answer['first_bad'] as Record<string, unknown>;
    };
    /** From 1: the first DECISION on a call in the export. */
    const decision = (): number => lines.findIndex((line) => line.includes('"kind":"DECISION"') && line.includes('orders/get_order')) + 1;

    it('proves an export, offline, and says by whose clock', async () => {
      const { exit, out } = await desk.type('audit', 'verify', 'export.ndjson', '--dir', world.dir);
      expect(exit).toBe(0);
      expect(out).toMatch(/^ok +[0-9a-f]{32} +sidecar\/support-triage\/one +\d+ records +signed through \d+$/m);
      expect(out).toMatch(
        /^verified: \d+ records of 2 streams are complete, in order and unchanged;.*with their ends signed by spiffe:\/\/demo\.local\/control-plane;.*times are the writers' own clocks/m,
      );
    });

    it('needs nothing but files: the pin and the Roots can be named', async () => {
      const pin = (await desk.type('root', 'init', '--development', '--dir', 'unrelated', '--json')).json()['root_pin'];
      const own = ['--root', `${world.dir}/root/1.json`];
      expect((await verify('export.ndjson', '--root-pin', `${world.dir}/root-pin`, ...own)).exit).toBe(0);
      const { exit, err } = await desk.type('audit', 'verify', 'export.ndjson', '--root-pin', String(pin), ...own);
      expect([exit, err]).toEqual([1, expect.stringContaining('and the pin is')]);
    });

    it.each([
      ['lines for people', []],
      ['events for programs', ['--json']],
    ])('knows %s by their looks, and says what to export instead', async (_name, more) => {
      desk.write('calls', (await desk.admin('audit', 'tail', ...more)).out);
      const { exit, answer } = await verify('calls');
      expect([exit, answer['summary']]).toEqual([
        1,
        expect.stringContaining('(this is view calls; what can be proven is written by `sallyport audit tail --view records`)'),
      ]);
    });

    it.each([[[]], [['--partial']]])('proves nothing of an empty file, %j', async (more) => {
      desk.write('empty', '');
      expect(await verify('empty', ...more)).toMatchObject({
        exit: 1,
        answer: { verified: false, summary: 'not proven: truncated: the export is empty' },
      });
    });

    it('finds an edited record, by line, place and decision', async () => {
      const at = decision();
      const id = /"decision_id":"([^"]+)"/.exec(lines[at - 1] ?? '')?.[1];
      const found = await bent('edited.ndjson', (all) =>
        all.with(at - 1, (all[at - 1] ?? '').replace('alice@company.com', 'alicf@company.com')),
      );
      expect(found).toMatchObject({ reason: 'edited', line: at, decision_id: id });
    });

    it('finds a deleted record', async () => {
      const at = decision();
      expect(await bent('deleted.ndjson', (all) => all.toSpliced(at - 1, 1))).toMatchObject({ reason: 'deleted', line: at });
    });

    it('finds reordered records', async () => {
      const at = decision();
      const [a = '', b = ''] = lines.slice(at - 1, at + 1);
      expect((await bent('reordered.ndjson', (all) => all.toSpliced(at - 1, 2, b, a)))['reason']).toBe('reordered');
    });

    it('finds a tail that was cut off, even where the manifest was kept', async () => {
      expect((await bent('cut.ndjson', (all) => all.toSpliced(-3, 2)))['reason']).toBe('truncated');
    });

    it('finds a missing manifest, and accepts that only where it is asked to', async () => {
      expect((await bent('open.ndjson', (all) => all.slice(0, -1)))['reason']).toBe('truncated');
      const { exit, answer } = await verify('open.ndjson', '--partial');
      expect([exit, answer['summary']]).toEqual([0, expect.stringContaining('with no manifest to say that nothing followed')]);
    });

    it('finds what was written after the end, with a line feed or without', async () => {
      expect((await bent('longer.ndjson', (all) => [...all, all[0] ?? '']))['reason']).toBe('inserted');
      desk.write('longer.ndjson', `${desk.read('export.ndjson')}x`);
      expect((await verify('longer.ndjson')).exit).toBe(1);
    });

    it('finds one flipped bit anywhere in the first record and in the last', async () => {
      for (const index of [0, lines.length - 1]) {
        const line = lines[index] ?? '';
        const middle = Math.floor(line.length / 2);
        const flipped = line.slice(0, middle) + String.fromCodePoint((line.codePointAt(middle) ?? 0) ^ 1) + line.slice(middle + 1);
        await bent(`flipped-${index}.ndjson`, (all) => all.with(index, flipped));
      }
    });

    it('calls records of another trust domain unproven', async () => {
      const { exit } = await desk.type('audit', 'verify', 'export.ndjson', '--dir', 'unrelated');
      expect(exit).toBe(1);
    });

    it.each([
      ['a file that is not there', 'nowhere.ndjson', 64],
      ['an empty file', 'empty.ndjson', 1],
      ['something else', 'else.ndjson', 1],
    ])('refuses %s', async (_name, file, exit) => {
      desk.write('empty.ndjson', '');
      desk.write('else.ndjson', 'hello\n');
      expect((await desk.type('audit', 'verify', file, '--dir', world.dir)).exit).toBe(exit);
    });
  });
});
