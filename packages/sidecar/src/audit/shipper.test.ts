import { Audit, create, ShipAnswerSchema, type MessageInitShape, type ShipAnswer, type ShipMessage } from '@sallyport/contract';
import { invariant, ok } from '@sallyport/model';
import { createClient, openChannel, serve, startGrpcServer, tlsHolder, type StreamWriter } from '@sallyport/net';
import { backoff, systemClock } from '@sallyport/runtime';
import { fakeClock, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditSide, decisionBody, type AuditSide } from '../testing/audit-side.ts';
import { ship } from './shipper.ts';

type Answer = MessageInitShape<typeof ShipAnswerSchema>['answer'];
/** What the collector does with each message of one connection. */
type Script = (message: ShipMessage, say: (answer: Answer) => void) => void;

const DISK = { durability: 'disk', frames: [] } as const;

let authority: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
});

let clock: FakeClock;
let side: AuditSide;
let seen: ShipMessage[];
let connections: number;
let script: Script;
let told: { alerts: string[]; acks: number[]; lost: string[] };
const closing: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  clock = fakeClock({ wall: systemClock().wall() });
  side = await auditSide({ clock });
  seen = [];
  connections = 0;
  told = { alerts: [], acks: [], lost: [] };
  script = acknowledging;
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** Everything is durable at once. */
const acknowledging: Script = ({ message }, say) => {
  if (message.case !== 'batch') return;
  const { stream, firstSeq, records } = message.value;
  say({ case: 'ack', value: { stream, durableThrough: firstSeq + BigInt(records.length) - 1n } });
};

const material = async (path: string): ReturnType<typeof holding> => holding(await authority.issue(path));
async function holding(
  of: Awaited<ReturnType<TestAuthority['issue']>>,
): Promise<Extract<ReturnType<typeof tlsHolder>, { ok: true }>['value']> {
  const tls = tlsHolder(of);
  invariant(tls.ok, 'fresh material');
  return tls.value;
}

/** A collector that follows `script`, and a shipper beside the test. */
async function shipping(): Promise<{ stop: () => Promise<void> }> {
  const server = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    tls: await material('/control-plane'),
    trustDomain: authority.trustDomain,
    clients: 'verified',
    services: [
      serve(Audit, {
        purposes: ['sidecar'],
        handlers: {
          ship: async (incoming: AsyncIterable<ShipMessage>, out: StreamWriter<ShipAnswer>) => {
            connections += 1;
            for await (const message of incoming) {
              seen.push(message);
              script(
                message,
                (answer) =>
                  void out.write(create(ShipAnswerSchema, { answer } as MessageInitShape<typeof ShipAnswerSchema>), { priority: true }),
              );
            }
            return ok(undefined);
          },
          tail: async () => ok(undefined),
        },
      }),
    ],
    clock,
    onBug: () => undefined,
  });
  const trust = {
    kind: 'peer',
    tls: await material('/sidecar/support/one'),
    trustDomain: authority.trustDomain,
    purpose: 'control_plane',
  } as const;
  const channel = openChannel({ host: '127.0.0.1', port: server.port, trust, clock });
  const over = new AbortController();
  const done = ship(
    {
      journal: side.journal,
      clock,
      backoff: backoff({ minMs: 100, maxMs: 1_000, random: (length) => new Uint8Array(length) }),
      client: () => createClient(Audit, channel),
      onAlert: (code) => told.alerts.push(code),
      onAck: (_, seq) => told.acks.push(seq),
      onLost: (reason) => told.lost.push(reason),
    },
    { signal: over.signal },
  );
  const stop = async (): Promise<void> => {
    over.abort();
    channel.close();
    await done;
  };
  closing.push(async () => {
    await stop();
    const drained = server.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
  return { stop };
}

const sent = (): number[] =>
  seen.flatMap(({ message }) => (message.case === 'batch' ? message.value.records.map((_, i) => Number(message.value.firstSeq) + i) : []));

/** What it gives once the time has passed for which few records wait for more. */
async function later<T>(look: () => T): Promise<T> {
  await clock.advance(50);
  return look();
}

describe('shipping', () => {
  it('says where it goes on, sends in order, and lets go of what is acknowledged', async () => {
    for (let i = 0; i < 5; i++) await side.recorder.decision(decisionBody(`d${i}`), DISK);
    await shipping();
    await expect.poll(() => side.journal.status.unacknowledgedRecords).toBe(0);
    expect(seen[0]?.message).toMatchObject({ case: 'resume', value: { firstUnackedSeq: 1n } });
    expect(sent()).toEqual([1, 2, 3, 4, 5, 6]);
    await side.recorder.decision(decisionBody('later'), DISK);
    await expect.poll(() => later(() => told.acks.at(-1))).toBe(7);
  });

  it('few records wait until those before are answered and others have gathered, and then go out together', async () => {
    const held: (() => void)[] = [];
    const answering = script;
    script = (message, answer) => void held.push(() => answering(message, answer));
    const batches = (): number => seen.filter(({ message }) => message.case === 'batch').length;
    await shipping();
    await expect.poll(batches).toBe(1);
    for (let i = 0; i < 3; i++) await side.recorder.decision(decisionBody(`d${i}`), DISK);
    script = answering;
    for (const tell of held) tell();
    await expect.poll(() => side.journal.status.unacknowledgedRecords).toBe(3);
    await side.recorder.decision(decisionBody('d3'), DISK);
    expect(batches()).toBe(1);
    await expect.poll(() => later(() => side.journal.status.unacknowledgedRecords)).toBe(0);
    expect(sent()).toEqual([1, 2, 3, 4, 5]);
    expect(batches()).toBe(2);
  });

  it('what was never acknowledged is sent again over the next connection, and nothing is skipped', async () => {
    script = () => {};
    for (let i = 0; i < 3; i++) await side.recorder.decision(decisionBody(`d${i}`), DISK);
    const { stop } = await shipping();
    await expect.poll(() => sent()).toEqual([1, 2, 3, 4]);
    await stop();
    script = acknowledging;
    await shipping();
    await expect.poll(() => side.journal.status.unacknowledgedRecords).toBe(0);
    expect(sent()).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  });

  it('a journal that ends does not turn into an endless loop: everything else goes on', async () => {
    await shipping();
    await expect.poll(() => side.journal.status.unacknowledgedRecords).toBe(0);
    side.disk.fail({ on: 'sync', code: 'EIO' });
    await expect(side.recorder.decision(decisionBody('lost'), DISK)).rejects.toThrow('failed');
    // Each turn of the event loop that still comes is the proof.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(connections).toBe(1);
  });

  it('a slow-down pauses what is sent, not what is heard, and no longer than a bound', async () => {
    script = (message, say) => {
      if (message.message.case === 'resume') say({ case: 'slowDown', value: { waitMs: 4_000_000_000 } });
      else acknowledging(message, say);
    };
    await shipping();
    await expect.poll(() => seen.some(({ message }) => message.case === 'resume')).toBe(true);
    await expect.poll(() => told.acks.length).toBe(1);
    await side.recorder.decision(decisionBody('held back'), DISK);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(sent()).toEqual([1]);
    await clock.advance(60_000);
    await expect.poll(() => sent()).toEqual([1, 2]);
  });

  it('a slow-down does not hold up the end', async () => {
    script = (_, say) => say({ case: 'slowDown', value: { waitMs: 60_000 } });
    const { stop } = await shipping();
    await expect.poll(() => seen.length).toBeGreaterThan(0);
    await stop();
  });
});

describe('a collector that does not agree', () => {
  it.each<[code: string, answer: (stream: string) => Answer]>([
    ['FORK', (stream) => ({ case: 'fork', value: { stream, seq: 1n, heldHead: new Uint8Array(32) } })],
    ['GAP', (stream) => ({ case: 'gap', value: { stream, expectedSeq: 9n } })],
  ])('%s: one alert, the stream is not continued, and its records stay as evidence', async (code, answer) => {
    const { stream } = side.recorder;
    script = ({ message }, say) => {
      if (message.case === 'batch') for (let i = 0; i < 10; i++) say(answer(stream));
    };
    await shipping();
    await expect.poll(() => told.alerts).toEqual([code]);
    await side.recorder.decision(decisionBody('more'), DISK);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect([sent(), side.journal.status.unacknowledgedRecords]).toEqual([[1], 2]);
  });

  it('about streams that it was never offered is not heard: neither alerts nor acknowledgements', async () => {
    script = (message, say) => {
      for (let i = 0; i < 50; i++) {
        const stream = i.toString(16).padStart(32, '0');
        say({ case: 'fork', value: { stream, seq: 1n, heldHead: new Uint8Array(32) } });
        say({ case: 'gap', value: { stream, expectedSeq: 1n } });
        say({ case: 'ack', value: { stream, durableThrough: 1_000n } });
      }
      acknowledging(message, say);
    };
    await shipping();
    await expect.poll(() => side.journal.status.unacknowledgedRecords).toBe(0);
    expect([told.alerts, told.acks]).toEqual([[], [1]]);
  });

  it('that hangs up is told of with its reason, and asked again after a wait', async () => {
    let isHangingUp = true;
    script = (message, say) => {
      if (isHangingUp) throw new Error('hung up');
      acknowledging(message, say);
    };
    await shipping();
    await expect.poll(() => told.lost.length).toBe(1);
    expect(told.lost[0]).toContain('internal');
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(connections).toBe(1);
    isHangingUp = false;
    await clock.advance(1_000);
    await expect.poll(() => side.journal.status.unacknowledgedRecords).toBe(0);
    expect(connections).toBe(2);
  });
});
