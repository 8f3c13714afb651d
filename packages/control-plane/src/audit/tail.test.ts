import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Audit, BatchSchema, ResumeSchema, ShipMessageSchema, TailRequestSchema, TailRequest_View, create } from '@sallyport/contract';
import type { MessageInitShape } from '@sallyport/contract';
import { exportVerifier } from '@sallyport/audit';
import type { Report } from '@sallyport/audit';
import { createClient } from '@sallyport/net';
import { auditWriter, controlPlaneHarness, flipBit } from '@sallyport/testkit';
import type { AuditWriter, ControlPlaneHarness, EnrolledSidecar } from '@sallyport/testkit';

const never = { signal: new AbortController().signal };
const text = new TextDecoder();

let harness: ControlPlaneHarness;
let sidecar: EnrolledSidecar;
beforeEach(async () => {
  harness = await controlPlaneHarness();
  await harness.publish();
  sidecar = await harness.enrol();
});
afterEach(async () => harness.close());

function writerOf(of: EnrolledSidecar = sidecar, previous?: AuditWriter): AuditWriter {
  const writer = { sidecar: of.spiffeId, auditPem: of.auditPem, auditChain: of.auditChain, now: () => harness.clock.wall() };
  return auditWriter(previous === undefined ? writer : { ...writer, previous });
}

const shipped = new WeakMap<AuditWriter, number>();

/** Ships what the writer has not shipped yet. */
async function ship(writer: AuditWriter, of: EnrolledSidecar = sidecar): Promise<void> {
  const controller = new AbortController();
  const { out, incoming } = createClient(Audit, of.channel).ship({ signal: controller.signal });
  const from = shipped.get(writer) ?? 0;
  const { stream } = writer;
  out.write(
    create(ShipMessageSchema, { message: { case: 'resume', value: create(ResumeSchema, { stream, firstUnackedSeq: BigInt(from + 1) }) } }),
  );
  out.write(
    create(ShipMessageSchema, {
      message: { case: 'batch', value: create(BatchSchema, { stream, firstSeq: BigInt(from + 1), records: writer.lines.slice(from) }) },
    }),
  );
  const answers = incoming[Symbol.asyncIterator]();
  await answers.next();
  expect((await answers.next()).value).toMatchObject({ answer: { case: 'ack', value: { durableThrough: BigInt(writer.lines.length) } } });
  shipped.set(writer, writer.lines.length);
  controller.abort();
}

interface Tailed {
  readonly lines: readonly string[];
  readonly cursor: string;
  readonly code: string;
}

async function tail(of: MessageInitShape<typeof TailRequestSchema>): Promise<Tailed> {
  const answer = (await harness.client(Audit, '/collector')).tail(
    create(TailRequestSchema, { view: TailRequest_View.RECORDS, ...of }),
    never,
  );
  const lines: string[] = [];
  let cursor = '';
  for await (const batch of answer) {
    lines.push(...batch.lines.map((line) => text.decode(line)));
    ({ cursor } = batch);
  }
  return { lines, cursor, code: (await answer.status).code };
}

const parsed = (lines: readonly string[]): readonly Record<string, unknown>[] =>
  lines.map((line) => JSON.parse(line) as Record<string, unknown>);

/** An export's verdict, by the offline verifier that an auditor would use. */
function verify(lines: readonly Uint8Array[]): Report {
  const { certificate } = harness.authority.ca;
  const verifier = exportVerifier({
    roots: [{ certificate, prefixes: ['/control-plane', '/sidecar/'] }],
    trustDomain: harness.simulator.trustDomain,
  });
  for (const line of lines) verifier.add(line);
  return verifier.end();
}

async function exported(of: MessageInitShape<typeof TailRequestSchema> = {}): Promise<readonly Uint8Array[]> {
  return (await tail(of)).lines.map((line) => new TextEncoder().encode(line));
}

describe('view records', () => {
  test('shows the exact bytes of every line, each stream in order', async () => {
    const writer = writerOf();
    for (let call = 0; call < 3; call++) writer.call();
    await ship(writer);
    const { lines } = await tail({ stream: writer.stream });
    expect(lines.slice(0, -1)).toEqual(writer.lines.map((line) => text.decode(line)));
  });

  test('an export of everything ends in a signed manifest and verifies offline, the own stream too', async () => {
    const writer = writerOf();
    writer.call();
    await writer.checkpoint();
    await writer.close();
    await ship(writer);
    const report = verify(await exported());
    expect(report).toMatchObject({ isSound: true, firstBad: null, exporter: 'spiffe://sallyport.test/control-plane' });
    expect(report.streams.find(({ stream }) => stream === writer.stream)).toMatchObject({
      sidecar: sidecar.spiffeId,
      isClosed: true,
      lastSeq: 5,
    });
  });

  test('any byte changed in an export is found, with the record that it is in', async () => {
    const writer = writerOf();
    writer.call();
    await writer.close();
    await ship(writer);
    const lines = [...(await exported())];
    const at = lines.findIndex((line) => text.decode(line).includes('"kind":"DECISION"'));
    lines[at] = flipBit(lines[at] ?? new Uint8Array(), text.decode(lines[at]).indexOf('orders/'));
    expect(verify(lines)).toMatchObject({ isSound: false, firstBad: { stream: writer.stream, seq: 2 } });
  });

  test('a tail cut off an export after the fact shows', async () => {
    const writer = writerOf();
    writer.call();
    await ship(writer);
    const lines = await exported();
    const cut = lines.filter((line) => !text.decode(line).includes('"kind":"OUTCOME"'));
    expect(verify(cut).isSound).toBe(false);
  });

  test('goes on from a cursor, without repeating or leaving out, also over a restart', async () => {
    const writer = writerOf();
    writer.call();
    await ship(writer);
    const first = await tail({});
    await harness.restart();
    writer.call();
    const again = { ...sidecar, channel: harness.open(sidecar.tls) };
    await ship(writer, again);
    const second = await tail({ cursor: first.cursor });
    const all = await tail({});
    const records = (lines: readonly string[]): readonly string[] =>
      lines.filter((line) => 'kind' in (JSON.parse(line) as object) && (JSON.parse(line) as { kind: string }).kind !== 'EXPORT');
    expect([...records(first.lines), ...records(second.lines)]).toEqual(records(all.lines));
    expect(second.lines.length).toBeGreaterThan(2);
  });

  test('follows what comes, until the reader goes', async () => {
    const writer = writerOf();
    const controller = new AbortController();
    const answer = (await harness.client(Audit, '/collector')).tail(
      create(TailRequestSchema, { view: TailRequest_View.RECORDS, follow: true, stream: writer.stream }),
      { signal: controller.signal },
    );
    const seen: string[] = [];
    const reading = (async (): Promise<void> => {
      for await (const batch of answer) seen.push(...batch.lines.map((line) => text.decode(line)));
    })();
    await ship(writer);
    await expect.poll(() => seen.length).toBe(1);
    writer.call();
    await ship(writer);
    await expect.poll(() => seen.length).toBe(3);
    expect(seen).toEqual(writer.lines.map((line) => text.decode(line)));
    controller.abort();
    await reading;
  });

  test('filters by stream, by agent and by session, outcomes with their decisions', async () => {
    const writer = writerOf();
    writer.call({ session_id: 'session-a' });
    writer.call({ session_id: 'session-b', decision: 'deny', code: 'no_matching_policy' });
    await ship(writer);
    const kinds = (lines: readonly string[]): readonly unknown[] => parsed(lines).map(({ kind }) => kind);
    expect(kinds((await tail({ session: 'session-a' })).lines)).toEqual(['DECISION', 'OUTCOME']);
    expect(kinds((await tail({ session: 'session-b' })).lines)).toEqual(['DECISION']);
    expect(kinds((await tail({ agent: 'support-triage' })).lines).slice(0, 4)).toEqual(['START', 'DECISION', 'OUTCOME', 'DECISION']);
    expect((await tail({ agent: 'billing' })).lines.filter((line) => line.includes('"kind":"DECISION"'))).toEqual([]);
  });

  test.each([
    ['an unknown cursor', { cursor: 'yesterday' }],
    ['no view', { view: TailRequest_View.UNSPECIFIED }],
  ])('%s is refused', async (_what, of) => {
    expect((await tail(of)).code).toBe('invalid_argument');
  });

  test('the index is rebuilt from the segments when it is missing', async () => {
    const writer = writerOf();
    writer.call();
    await ship(writer);
    const before = await tail({ stream: writer.stream });
    await harness.stop();
    const { rmSync } = await import('node:fs');
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${harness.config.state_dir}/audit.db${suffix}`, { force: true });
    await harness.start();
    const lines = (of: Tailed): readonly string[] =>
      of.lines.filter((line) => line.includes(writer.stream) && !line.startsWith('{"v":1,"kind":"START"') && !line.includes('EXPORT'));
    expect(lines(await tail({ stream: writer.stream }))).toEqual(lines(before));
  });
});

describe('view calls', () => {
  const calls = async (of: MessageInitShape<typeof TailRequestSchema> = {}): Promise<readonly Record<string, unknown>[]> =>
    parsed((await tail({ view: TailRequest_View.CALLS, ...of })).lines);

  test('[R10.01] one event per call, allowed or denied', async () => {
    const writer = writerOf();
    for (let call = 0; call < 10; call++) {
      writer.call();
      writer.call({ decision: 'deny', code: 'no_matching_policy', rule_id: 'default-deny' });
    }
    await ship(writer);
    const events = await calls();
    expect(events).toHaveLength(20);
    expect(events.filter(({ decision }) => decision === 'allow')).toHaveLength(10);
    expect(events[0]).toMatchObject({ kind: 'CALL', result: 'ok', upstream_status: 200 });
    expect(events[1]).toMatchObject({ kind: 'CALL', result: 'denied', code: 'no_matching_policy' });
  });

  test('a call is shown when it is complete, not before', async () => {
    const writer = writerOf();
    const id = writer.call({}, null);
    await ship(writer);
    const first = await tail({ view: TailRequest_View.CALLS });
    expect(first.lines).toEqual([]);
    writer.write({ kind: 'OUTCOME', decision_id: id, result: 'upstream_error', upstream_status: 500, code: '-', latency_ms: 3, bytes: 0 });
    await ship(writer);
    expect(await calls({ cursor: first.cursor })).toMatchObject([{ decision_id: id, result: 'upstream_error', upstream_status: 500 }]);
  });

  test('what a stream never answered is `unknown` once it closed, or was alerted as unclosed', async () => {
    const closed = writerOf();
    closed.call({ session_id: 'session-x' }, null);
    await closed.close();
    await ship(closed);
    const unclosed = writerOf(sidecar, closed);
    unclosed.call({ session_id: 'session-y' }, null);
    await ship(unclosed);
    await ship(writerOf(sidecar, unclosed));
    expect(await calls()).toMatchObject([
      { session_id: 'session-x', result: 'unknown' },
      { session_id: 'session-y', result: 'unknown' },
    ]);
    expect(await calls({ session: 'session-y' })).toMatchObject([{ session_id: 'session-y' }]);
  });

  describe('an outcome that comes after its stream was given up', () => {
    /** A stream that is given up because its writer begins another, with a call that is out; its outcome, to be shipped later. */
    async function givenUp(): Promise<{ readonly id: string; readonly finish: () => Promise<void>; readonly close: () => Promise<void> }> {
      const first = writerOf();
      const id = first.call({ session_id: 'session-z' }, null);
      await ship(first);
      await ship(writerOf(sidecar, first));
      return {
        id,
        finish: async () => {
          first.write({ kind: 'OUTCOME', decision_id: id, result: 'ok', upstream_status: 200, code: '-', latency_ms: 3, bytes: 2 });
          await ship(first);
        },
        close: async () => {
          await first.close();
          await ship(first);
        },
      };
    }

    test('is shown once to who reads later, and not as unknown', async () => {
      const { id, finish, close } = await givenUp();
      await finish();
      await close();
      expect(await calls()).toMatchObject([{ decision_id: id, result: 'ok', late: true }]);
      expect(await calls({ session: 'session-z' })).toHaveLength(1);
    });

    test('takes the place of the unknown that a reader was shown before, and says so', async () => {
      const { id, finish } = await givenUp();
      const before = await tail({ view: TailRequest_View.CALLS });
      expect(parsed(before.lines)).toMatchObject([{ decision_id: id, result: 'unknown', late: false }]);
      await finish();
      expect(await calls({ cursor: before.cursor })).toMatchObject([{ decision_id: id, result: 'ok', late: true }]);
    });

    test('that never comes is not told again by the close', async () => {
      const { id, close } = await givenUp();
      await close();
      expect(await calls()).toMatchObject([{ decision_id: id, result: 'unknown' }]);
    });
  });

  test('an outcome without a decision, or of another stream’s, is no call', async () => {
    const [one, two] = [writerOf(), writerOf()];
    const id = one.call({}, null);
    two.write({ kind: 'OUTCOME', decision_id: id, result: 'ok', upstream_status: 200, code: '-', latency_ms: 3, bytes: 0 });
    await ship(one);
    await ship(two);
    expect((await calls()).filter(({ result }) => result === 'ok')).toEqual([]);
  });
});
