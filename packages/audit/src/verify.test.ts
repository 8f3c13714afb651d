import { beforeAll, describe, expect, it } from 'vitest';
import { appendRecord, openStream } from './chain.ts';
import { signCheckpoint } from './checkpoint.ts';
import { verifyExport } from './verify.ts';
import type { Finding, Report } from './verify.ts';
import { bytesOf, decision, exportOf, fileOf, fixture, outcome, START_AT, StreamBuilder, textOf } from './testing/fixture.ts';
import type { Fixture, Holder } from './testing/fixture.ts';

let world: Fixture;
let holder: Holder;
let neighbour: Holder;
let controlPlane: Holder;

beforeAll(async () => {
  world = await fixture();
  holder = await world.holder('/sidecar/support-triage/pod-1');
  neighbour = await world.holder('/sidecar/other-agent/pod-9');
  controlPlane = await world.holder('/control-plane');
});

/** START, two calls, checkpoint, a call, checkpoint, a call, CLOSE: 12 lines. */
async function wholeStream(letter = 'a', by: Holder = holder, previous: StreamBuilder | null = null): Promise<StreamBuilder> {
  const stream = new StreamBuilder(letter, by).start(previous).call('d1').call('d2');
  await stream.checkpoint();
  await stream.call('d3').checkpoint();
  return stream.call('d4').close();
}

const verified = (lines: readonly Uint8Array[], more: object = {}): Report => verifyExport(lines, { ...world.options, ...more });
const firstBad = async (lines: readonly Uint8Array[], original: readonly Uint8Array[]): Promise<Finding | null> => {
  // The manifest is of what was exported; the lines were changed afterwards.
  const [manifest] = (await exportOf(original, controlPlane)).slice(-1);
  return verified([...lines, ...(manifest === undefined ? [] : [manifest])]).firstBad;
};
const replaced = (lines: readonly Uint8Array[], line: number, by: Uint8Array): Uint8Array[] => lines.with(line - 1, by);
const edited = (lines: readonly Uint8Array[], line: number, from: string, to: string): Uint8Array[] => {
  const text = textOf(lines[line - 1]);
  expect(text).toContain(from);
  return replaced(lines, line, bytesOf(text.replace(from, to)));
};
const without = (lines: readonly Uint8Array[], from: number, to: number = from): Uint8Array[] => [
  ...lines.slice(0, from - 1),
  ...lines.slice(to),
];
const inserted = (lines: readonly Uint8Array[], before: number, line: Uint8Array | undefined): Uint8Array[] =>
  lines.toSpliced(before - 1, 0, ...(line === undefined ? [] : [line]));

describe('a sound export', () => {
  it('of several streams in one file, restarts linked, is proven, and says by whom and by whose clock', async () => {
    const first = await wholeStream();
    const second = await wholeStream('b', holder, first);
    const other = await wholeStream('c', neighbour);
    const mixed = [...first.lines, ...other.lines.slice(0, 5), ...second.lines, ...other.lines.slice(5)];
    const report = verified(await exportOf(mixed, controlPlane));
    expect(report.firstBad).toBeNull();
    expect(report).toMatchObject({ isSound: true, records: 36, exporter: controlPlane.id, uninterpreted: 0 });
    expect(
      report.streams.map(({ sidecar, lastSeq, signedThrough, notYetCovered, isClosed }) => ({
        sidecar,
        lastSeq,
        signedThrough,
        notYetCovered,
        isClosed,
      })),
    ).toEqual(
      [holder, neighbour, holder].map(({ id }) => ({ sidecar: id, lastSeq: 12, signedThrough: 11, notYetCovered: 0, isClosed: true })),
    );
    expect(report.streams[2]?.previous).toEqual({ stream: first.stream, isInExport: true });
    expect(report.summary).toBe(
      `36 records of 3 streams are complete, in order and unchanged; signed by the writers of the streams; with their ends signed by ${controlPlane.id}; times are the writers' own clocks, within the lives of their certificates`,
    );
  });

  it('is the same as one array of bytes', async () => {
    const stream = await wholeStream();
    const file = fileOf(await exportOf(stream.lines, controlPlane));
    expect(verifyExport(file, world.options)).toMatchObject({ isSound: true, records: 12 });
  });

  it('reports what is not yet covered, and a stream without its CLOSE', async () => {
    const stream = new StreamBuilder('a', holder).start().call('d1');
    await stream.checkpoint();
    stream.call('d2').call('d3');
    const report = verified(await exportOf(stream.lines, controlPlane));
    expect(report.isSound).toBe(true);
    expect(report.streams[0]).toMatchObject({ signedThrough: 3, notYetCovered: 4, isClosed: false });
    expect(report.summary).toMatch(/but for the last 4, written since the last checkpoint.*1 stream still open: a writer that runs/);
  });

  it('takes checkpoints over earlier heads: records may come while a signature is being made', async () => {
    const stream = new StreamBuilder('a', holder).start().call('d1');
    const then = stream.state;
    stream.call('d2');
    await stream.checkpoint(then);
    expect(verified(await exportOf(stream.lines, controlPlane)).streams[0]).toMatchObject({
      finding: null,
      signedThrough: 3,
      notYetCovered: 2,
    });
    await stream.checkpoint(then);
    expect(verified(await exportOf(stream.lines, controlPlane)).streams[0]).toMatchObject({ finding: null, signedThrough: 3 });
  });

  it('goes on under a renewed certificate', async () => {
    const stream = new StreamBuilder('a', holder).start().call('d1');
    const renewed = await world.holder('/sidecar/support-triage/pod-1', { notAfter: START_AT + 7_200_000 });
    stream.holder = renewed;
    stream.add({ kind: 'CERTIFICATE', certificates: [Buffer.from(renewed.certificate).toString('base64')] });
    await stream.call('d2').checkpoint(undefined, { at: START_AT + 5_400_000 });
    expect(verified(await exportOf(stream.lines, controlPlane)).isSound).toBe(true);
  });

  it('keeps kinds of a later version as evidence, without interpreting them', async () => {
    const stream = new StreamBuilder('a', holder).start();
    const line = bytesOf(textOf(appendRecord(stream.state, START_AT, outcome('x')).line).replace('"OUTCOME"', '"LATER"'));
    stream.lines.push(line);
    const report = verified(await exportOf(stream.lines, controlPlane));
    expect(report).toMatchObject({ isSound: true, uninterpreted: 1 });
  });

  it('may begin after a stream that is not in it, and says so', async () => {
    const first = await wholeStream();
    const second = await wholeStream('b', holder, first);
    const report = verified(await exportOf(second.lines, controlPlane));
    expect(report).toMatchObject({ isSound: true, streams: [{ previous: { stream: first.stream, isInExport: false } }] });
  });

  it('without a manifest is proven only where that is asked for, and says what is missing', async () => {
    const { lines } = await wholeStream();
    expect(verified(lines).firstBad).toMatchObject({ reason: 'truncated', line: 12 });
    const report = verified(lines, { manifest: 'optional' });
    expect(report).toMatchObject({ isSound: true, exporter: null });
    expect(report.summary).toContain('no manifest');
  });
});

describe('the first bad record is named', () => {
  const places = Array.from({ length: 12 }, (_, index) => index + 1);

  it.each(places)('deleted: line %i', async (line) => {
    const { lines } = await wholeStream();
    const finding = await firstBad(without(lines, line), lines);
    expect(finding).toMatchObject({ reason: line === 12 ? 'truncated' : 'deleted', line, seq: line });
  });

  it.each(places.slice(0, -1))('reordered: lines %i and the next', async (line) => {
    const { lines } = await wholeStream();
    const [one, two] = [lines[line - 1] ?? bytesOf(''), lines[line] ?? bytesOf('')];
    const finding = await firstBad(lines.with(line - 1, two).with(line, one), lines);
    expect(finding).toMatchObject({ line, seq: line });
    if (line > 1) expect(finding?.reason).toBe('reordered');
  });

  it('reordered: a record moved far away', async () => {
    const { lines } = await wholeStream();
    const moved = lines[2];
    expect(await firstBad(inserted(without(lines, 3), 9, moved), lines)).toMatchObject({ reason: 'reordered', line: 3, seq: 3 });
  });

  it.each(places)('inserted: line %i a second time, at once', async (line) => {
    const { lines } = await wholeStream();
    expect(await firstBad(inserted(lines, line + 1, lines[line - 1]), lines)).toMatchObject({ reason: 'inserted', line: line + 1 });
  });

  it('inserted: a copy much later', async () => {
    const { lines } = await wholeStream();
    expect(await firstBad(inserted(lines, 9, lines[2]), lines)).toMatchObject({ reason: 'inserted', line: 9, seq: 3, decisionId: 'd1' });
  });

  it('inserted: a forged record that continues the chain, before the one whose place it takes', async () => {
    const stream = await wholeStream();
    const before = new StreamBuilder('a', holder).start().call('d1');
    const { line } = appendRecord(before.state, START_AT, decision('forged'));
    expect(await firstBad(inserted(stream.lines, 4, line), stream.lines)).toMatchObject({
      reason: 'inserted',
      seq: 4,
      decisionId: 'forged',
      line: 4,
    });
  });

  it('inserted: a record after the CLOSE', async () => {
    const stream = await wholeStream();
    const { line } = appendRecord(stream.state, START_AT, decision('late'));
    expect(await firstBad([...stream.lines, line], stream.lines)).toMatchObject({ reason: 'inserted', line: 13, decisionId: 'late' });
  });

  it('inserted: a record after the CLOSE, though the exporter took it', async () => {
    const stream = await wholeStream();
    const late = appendRecord(stream.state, START_AT, decision('late')).line;
    const lines = [...stream.lines, late];
    expect(await firstBad(lines, lines)).toMatchObject({ reason: 'inserted', line: 13, seq: 13 });
  });

  it('edited: the record before the last one, where a signature is all that follows', async () => {
    const stream = new StreamBuilder('a', holder).start().call('d1');
    await stream.checkpoint();
    const bent = edited(stream.lines, 3, '"result":"ok"', '"result":"OK"');
    expect(verified(bent, { manifest: 'optional' }).firstBad).toMatchObject({ reason: 'edited', line: 3, seq: 3, decisionId: 'd1' });
    const { prev } = JSON.parse(textOf(stream.lines[3])) as { prev: string };
    const unlinked = edited(stream.lines, 4, prev, '0'.repeat(64));
    expect(verified(unlinked, { manifest: 'optional' }).firstBad).toMatchObject({ reason: 'edited', line: 4, seq: 4 });
  });

  it('inserted: a stream that the exporter never had', async () => {
    const [stream, made] = [await wholeStream(), await wholeStream('f', neighbour)];
    expect(await firstBad([...stream.lines, ...made.lines], stream.lines)).toMatchObject({
      reason: 'inserted',
      line: 13,
      stream: made.stream,
    });
  });

  it('deleted: a whole stream, found by the manifest', async () => {
    const [stream, gone] = [await wholeStream(), await wholeStream('f', neighbour)];
    expect(await firstBad(stream.lines, [...stream.lines, ...gone.lines])).toMatchObject({
      reason: 'deleted',
      stream: gone.stream,
      seq: 1,
    });
  });

  it.each(places.slice(0, -1))('truncated: after line %i, also where that line is a checkpoint', async (line) => {
    const { lines } = await wholeStream();
    expect(await firstBad(lines.slice(0, line), lines)).toMatchObject({ reason: 'truncated', line: line + 1, seq: line + 1 });
  });

  it('truncated: the file with its manifest, at any line or inside the last one', async () => {
    const { lines } = await wholeStream();
    const file = fileOf(await exportOf(lines, controlPlane));
    for (const length of [0, 1, 700, file.length - 2, file.length - 1]) {
      const { isSound, firstBad: finding } = verifyExport(file.subarray(0, length), world.options);
      expect(isSound, `${length} bytes`).toBe(false);
      expect(finding?.reason, `${length} bytes`).toBe('truncated');
    }
  });

  it('edited: with its decision, whatever stands around it', async () => {
    const { lines } = await wholeStream();
    const finding = await firstBad(edited(lines, 4, '"decision":"allow"', '"decision":"deny!"'), lines);
    expect(finding).toMatchObject({ reason: 'edited', line: 4, seq: 4, decisionId: 'd2' });
    expect(verified(edited(lines, 4, '"decision":"allow"', '"decision":"deny!"'), { manifest: 'optional' }).summary).toMatch(
      /^not proven: edited at line 4, stream a{32}, place 4, decision d2: /,
    );
  });

  it('edited: a chain recomputed after the change is caught by the next signature, and the places are named', async () => {
    const stream = await wholeStream();
    const forged = new StreamBuilder('a', holder).start().call('d1').call('d2');
    const start = forged.lines.length;
    await forged.checkpoint();
    // From here on the forger has no key: it copies the signatures, and recomputes everything else.
    forged.add(decision('d3', { operator: 'mallory' }));
    for (const line of stream.lines.slice(start + 2)) {
      const { kind, envelope, reason, ...more } = JSON.parse(textOf(line)) as { kind: 'CLOSE'; envelope: never; reason: string };
      forged.add(kind === 'CLOSE' || kind === ('CHECKPOINT' as string) ? { kind, envelope, reason } : ({ kind, ...more } as never));
    }
    expect(verified(forged.lines, { manifest: 'optional' }).firstBad).toMatchObject({ reason: 'edited', seq: 6 });
    expect(verified(forged.lines, { manifest: 'optional' }).firstBad?.detail).toContain('places 6 to 8');
  });

  it('edited: a chain recomputed behind the last signature is caught by the manifest, and the places are told', async () => {
    const [stream, forged] = [new StreamBuilder('a', holder).start(), new StreamBuilder('a', holder).start()];
    stream.call('d1').call('d2');
    forged
      .add(decision('d1', { operator: 'mallory' }))
      .add(outcome('d1'))
      .call('d2');
    const finding = await firstBad(forged.lines, stream.lines);
    expect(finding).toMatchObject({ reason: 'edited', line: 5, seq: 5 });
    expect(finding?.detail).toContain('or a record from place 1 on was changed and the chain recomputed');
  });

  it('swapped between streams: a record under the name of another stream is named', async () => {
    const [one, two] = [await wholeStream(), await wholeStream('b', neighbour)];
    const mixed = [...one.lines, ...two.lines];
    const swapped = mixed.with(3, bytesOf(textOf(mixed[3]).replace('a'.repeat(32), 'b'.repeat(32))));
    expect(await firstBad(swapped, mixed)).toMatchObject({ line: 4 });
    const exchanged = mixed
      .with(3, bytesOf(textOf(mixed[15]).replace('b'.repeat(32), 'a'.repeat(32))))

      .with(15, bytesOf(textOf(mixed[3]).replace('a'.repeat(32), 'b'.repeat(32))));
    expect(await firstBad(exchanged, mixed)).toMatchObject({ line: 4, reason: 'edited', stream: one.stream, seq: 4 });
  });

  it('forked: two streams that continue the same one', async () => {
    const first = await wholeStream();
    const [second, third] = [await wholeStream('b', holder, first), await wholeStream('c', holder, first)];
    const all = [...first.lines, ...second.lines, ...third.lines];
    expect(await firstBad(all, all)).toMatchObject({ reason: 'forked', line: 25, stream: third.stream });
  });

  it('unlinked restart: a START that names another end than the one that was written', async () => {
    const first = await wholeStream();
    const second = new StreamBuilder('b', holder);
    const shorter = { stream: first.stream, seq: 9, head: '0'.repeat(64) };
    second.state = openStream({ stream: second.stream, previous: { stream: first.stream, seq: 9, head: new Uint8Array(32) } });
    second.add({
      kind: 'START',
      sidecar: holder.id,
      agent: 'a',
      instance: 'b',
      build: '1',
      certificates: [Buffer.from(holder.certificate).toString('base64')],
      previous: shorter,
    });
    const all = [...first.lines, ...second.lines];
    expect(await firstBad(all, all)).toMatchObject({ reason: 'unlinked_restart', line: 13, stream: second.stream });
    expect(verified(all, { manifest: 'optional' }).firstBad).toMatchObject({ reason: 'unlinked_restart', line: 13 });
  });

  it('unlinked restart: a START that continues the stream of another sidecar, or says more than the manifest', async () => {
    const first = await wholeStream();
    const second = await wholeStream('b', neighbour, first);
    const all = [...first.lines, ...second.lines];
    expect(await firstBad(all, all)).toMatchObject({ reason: 'unlinked_restart', line: 13, stream: second.stream });
    const cut = [...first.lines.slice(0, 9), ...(await wholeStream('b', holder, first)).lines];
    expect(await firstBad(cut, cut)).toMatchObject({ reason: 'unlinked_restart', line: 10 });
  });

  it('truncated: without a manifest, the next START still tells that the stream before it was longer, or other', async () => {
    const first = await wholeStream();
    const second = await wholeStream('b', holder, first);
    const cut = [...first.lines.slice(0, 9), ...second.lines];
    expect(verified(cut, { manifest: 'optional' }).firstBad).toMatchObject({
      reason: 'truncated',
      line: 10,
      stream: first.stream,
      seq: 10,
    });
    const bent = [...edited(first.lines, 12, 'drained', 'DRAINED'), ...second.lines];
    expect(verified(bent, { manifest: 'optional' }).firstBad).toMatchObject({ reason: 'edited', line: 12, stream: first.stream, seq: 12 });
  });

  it.each([
    ['a head of the past that is not reached', 13, '0'.repeat(64), { reason: 'truncated', seq: 13 }],
    ['a head of the past that is another', 4, '0'.repeat(64), { reason: 'edited', seq: 4 }],
  ])('by a head that is known from elsewhere: %s', async (_, seq, head, finding) => {
    const { lines, stream } = await wholeStream();
    expect(verified(await exportOf(lines, controlPlane), { expectedHeads: [{ stream, seq, head }] }).firstBad).toMatchObject(finding);
    expect(verified(await exportOf(lines, controlPlane), { expectedHeads: [{ stream: 'f'.repeat(32), seq, head }] }).firstBad?.reason).toBe(
      'deleted',
    );
  });
});

describe('signatures and certificates', () => {
  it('forged: a checkpoint by another key, over another head, another stream, another place or another sidecar', async () => {
    const forger = await world.holder('/sidecar/other-agent/pod-9');
    const attempts: readonly ((stream: StreamBuilder) => Promise<unknown>)[] = [
      async (stream) => stream.checkpoint(undefined, { signer: forger.signer }),
      async (stream) => stream.checkpoint({ ...stream.state, stream: 'e'.repeat(32) as never }),
      async (stream) => stream.checkpoint({ ...stream.state, seq: stream.state.seq + 1 }),
      async (stream) => stream.checkpoint(undefined, { sidecar: forger.id }),
    ];
    for (const attempt of attempts) {
      const stream = new StreamBuilder('a', holder).start().call('d1');
      await attempt(stream);
      expect(verified(await exportOf(stream.lines, controlPlane)).firstBad).toMatchObject({ reason: 'forged_signature', line: 4, seq: 4 });
    }
    const stream = new StreamBuilder('a', holder).start().call('d1');
    await stream.checkpoint({ ...stream.state, head: new Uint8Array(32) });
    expect(verified(await exportOf(stream.lines, controlPlane)).firstBad).toMatchObject({ reason: 'edited', line: 1, seq: 1 });
  });

  it('forged: a checkpoint that goes back behind the last one', async () => {
    const stream = new StreamBuilder('a', holder).start();
    const early = stream.state;
    await stream.call('d1').checkpoint();
    await stream.checkpoint(early);
    expect(verified(await exportOf(stream.lines, controlPlane)).firstBad).toMatchObject({ reason: 'forged_signature', line: 5 });
  });

  it('forged: a CLOSE that leaves records before it unsigned', async () => {
    const stream = new StreamBuilder('a', holder).start().call('d1');
    const envelope = await signCheckpoint(stream.state, { at: START_AT, sidecar: holder.id, signer: holder.signer });
    stream.call('d2').add({ kind: 'CLOSE', reason: 'drained', envelope });
    expect(verified(await exportOf(stream.lines, controlPlane)).firstBad).toMatchObject({ line: 6, seq: 6 });
  });

  it.each([
    ['of another sidecar', '/sidecar/other-agent/pod-9', {}, 'wrong_identity'],
    [
      'that had expired',
      '/sidecar/support-triage/pod-1',
      { notBefore: START_AT - 7_200_000, notAfter: START_AT - 1 },
      'outside_certificate_life',
    ],
    ['that is not valid yet', '/sidecar/support-triage/pod-1', { notBefore: START_AT + 60_000 }, 'outside_certificate_life'],
    ['for TLS', '/sidecar/support-triage/pod-1', { usage: 'tls-client' }, 'untrusted_certificate'],
  ] as const)('a certificate %s is refused, in a START and in a CERTIFICATE', async (_, path, life, reason) => {
    const wrong = await world.holder(path, life);
    const start = new StreamBuilder('a', wrong).start(null, { sidecar: holder.id });
    expect(verified(await exportOf(start.lines, controlPlane)).firstBad).toMatchObject({ reason, line: 1, seq: 1 });
    const renewal = new StreamBuilder('a', holder).start();
    renewal.add({ kind: 'CERTIFICATE', certificates: [Buffer.from(wrong.certificate).toString('base64')] });
    expect(verified(await exportOf(renewal.lines, controlPlane)).firstBad).toMatchObject({ reason, line: 2, seq: 2 });
  });

  it('a certificate of a CA that the Root does not list, or lists for other paths, or of another trust domain is refused', async () => {
    const strange = await fixture();
    const foreign = await strange.holder('/sidecar/support-triage/pod-1');
    const stream = await wholeStream('a', foreign);
    expect(verified(await exportOf(stream.lines, controlPlane)).firstBad).toMatchObject({ reason: 'untrusted_certificate', line: 1 });
    const sound = await exportOf((await wholeStream()).lines, controlPlane);
    const roots = [{ certificate: world.ca.certificate, prefixes: ['/control-plane', '/sidecar/other-agent/', '/sidecar'] }];
    expect(verified(sound, { roots }).firstBad).toMatchObject({ reason: 'untrusted_certificate', line: 1 });
    expect(verified(sound, { trustDomain: 'other.example' }).firstBad).toMatchObject({ reason: 'wrong_identity', line: 1 });
  });

  it('a checkpoint dated outside the life of the certificate does not count: a stolen old key cannot sign for today', async () => {
    for (const at of [START_AT - 1, START_AT + 3_600_001]) {
      const stream = new StreamBuilder('a', holder).start().call('d1');
      await stream.checkpoint(undefined, { at });
      expect(verified(await exportOf(stream.lines, controlPlane)).firstBad).toMatchObject({ reason: 'outside_certificate_life', line: 4 });
    }
  });
});

describe('the manifest', () => {
  it.each([
    ['by a sidecar', async () => holder, 'wrong_identity'],
    ['by a control plane of another CA', async () => (await fixture()).holder('/control-plane'), 'untrusted_certificate'],
    [
      'by a control plane with a TLS certificate',
      async () => world.holder('/control-plane', { usage: 'tls-client' }),
      'untrusted_certificate',
    ],
    [
      'under a certificate that had expired',
      async () => world.holder('/control-plane', { notBefore: START_AT - 2000, notAfter: START_AT - 1000 }),
      'outside_certificate_life',
    ],
  ] as const)('signed %s is refused', async (_, make, reason) => {
    const { lines } = await wholeStream();
    expect(verified(await exportOf(lines, await make())).firstBad).toMatchObject({ reason, line: 13, stream: null });
  });

  it('of another export does not fit this one', async () => {
    const [one, two] = [await wholeStream(), await wholeStream('b')];
    const [manifest] = (await exportOf(two.lines, controlPlane)).slice(-1);
    expect(verified([...one.lines, ...(manifest === undefined ? [] : [manifest])]).isSound).toBe(false);
  });

  it('is the last line: nothing may follow it, not even itself', async () => {
    const lines = await exportOf((await wholeStream()).lines, controlPlane);
    expect(verified([...lines, lines.at(-1) as Uint8Array]).firstBad).toMatchObject({ reason: 'inserted', line: 14 });
    expect(verified([...lines, bytesOf('')]).firstBad).toMatchObject({ reason: 'inserted', line: 14 });
  });

  it('cannot carry a certificate that its signature does not name', async () => {
    const lines = await exportOf((await wholeStream()).lines, controlPlane);
    const certificates = textOf(lines.at(-1)).replace(/"certificates":\[("[^"]+")\]/, '"certificates":[$1,$1]');
    expect(verified([...lines.slice(0, -1), bytesOf(certificates)]).firstBad).toMatchObject({ reason: 'forged_signature', line: 13 });
  });

  it('of an export without records is sound, and proves that there are none', async () => {
    expect(verified(await exportOf([], controlPlane))).toMatchObject({ isSound: true, records: 0 });
  });

  it('is never made over lines that do not chain', async () => {
    const { lines } = await wholeStream();
    await expect(exportOf(without(lines, 4), controlPlane)).rejects.toThrow(/in order/);
    await expect(exportOf([bytesOf('{}')], controlPlane)).rejects.toThrow(/record lines/);
  });
});

describe('an empty or strange file', () => {
  it.each([
    ['nothing', new Uint8Array()],
    ['a line feed', bytesOf('\n')],
    ['text', bytesOf('hello\nworld\n')],
    ['JSON that is no record', bytesOf('{"a":1}\n')],
  ])('%s is not sound', (_, file) => {
    const report = verifyExport(file, world.options);
    expect(report.isSound).toBe(false);
    expect(report.summary).toMatch(/^not proven/);
  });

  it('judges by instants alone: the same export gives the same report at any time', async () => {
    const lines = await exportOf((await wholeStream()).lines, controlPlane, START_AT);
    expect(verified(lines)).toEqual(verified(lines));
  });
});
