import { stateAfter } from '@sallyport/audit';
import { utf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { auditSide, auditSigning, decisionBody, outcomeBody, type AuditSide } from '../testing/audit-side.ts';
import { WINDOW_MS } from './strangers.ts';

const KERNEL = { durability: 'kernel', frames: [] } as const;
const DISK = { durability: 'disk', frames: [] } as const;
const kinds = (side: AuditSide): unknown[] => side.lines().map(({ kind }) => kind);

const told = (side: AuditSide): unknown[] => side.told.map(({ kind }) => kind);

/** Decisions until the journal takes no more; how many it took. */
async function fill({ recorder }: AuditSide): Promise<number> {
  for (let i = 0; ; i++) {
    try {
      await recorder.decision(decisionBody(`fill-${i}`), KERNEL);
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(Fault);
      return i;
    }
  }
}

const SMALL = { segmentBytesMax: 4_096, logBytesMax: 32_768, headroomBytes: 8_192 };

describe('an audit stream', () => {
  it('begins with START, is one chain in the order of asking, and ends with a signed CLOSE', async () => {
    const side = await auditSide();
    await Promise.all([1, 2, 3, 4].map((i) => side.recorder.decision(decisionBody(`d${i}`), i % 2 === 0 ? KERNEL : DISK)));
    await side.recorder.outcome(outcomeBody('d1'), { frames: [] });
    await side.recorder.close('drain');
    expect(side.lines().map(({ kind, decision_id: id }) => id ?? kind)).toEqual(['START', 'd1', 'd2', 'd3', 'd4', 'd1', 'CLOSE']);
    expect(side.verify()).toMatchObject({ isSound: true });
    expect(side.told.map(({ kind }) => kind)).toEqual(['START', 'DECISION', 'DECISION', 'DECISION', 'DECISION', 'OUTCOME', 'CLOSE']);
  });

  it('takes nothing after its CLOSE', async () => {
    const { recorder } = await auditSide();
    await recorder.close('drain');
    await expect(recorder.decision(decisionBody('late'), KERNEL)).rejects.toThrow('closed');
    await expect(recorder.outcome(outcomeBody('late'), { frames: [] })).rejects.toThrow('closed');
    await expect(recorder.note({ kind: 'ALERT', code: 'x', subject: null, detail: null })).rejects.toThrow('closed');
  });

  it('commits to where the one before it ended', async () => {
    const first = await auditSide();
    await first.recorder.decision(decisionBody('d1'), DISK);
    await first.recorder.close('drain');
    await first.journal.close();
    const { last } = (await auditSide({ disk: first.disk, clock: first.clock })).recovered;
    const previous = last === null ? null : (stateAfter(last.line) ?? null);
    expect(previous).not.toBeNull();
    const third = await auditSide({ recorder: { previous } });
    expect(third.lines()[0]).toMatchObject({ kind: 'START', previous: { stream: previous?.stream, seq: previous?.seq } });
  });

  it('writes what was reserved in one batch with the DECISION: after a loss of power both are there, or neither', async () => {
    const side = await auditSide();
    const frames = [{ kind: 'reservation', bytes: utf8('{"v":1,"attempts":[]}') }] as const;
    await side.recorder.decision(decisionBody('d1'), { durability: 'disk', frames });
    side.disk.losePower();
    side.disk.restart({ data: 'lost', names: 'undone' });
    const { recovered } = await auditSide({ disk: side.disk });
    expect(recovered.mutations).toHaveLength(1);
    expect(Buffer.from(recovered.last?.line ?? []).toString()).toContain('"d1"');
  });
});

describe('a journal that takes no more', () => {
  it('full: decisions are refused, outcomes of what was let through are kept, and the chain has no hole', async () => {
    const side = await auditSide({ journal: SMALL });
    const taken = await fill(side);
    await side.recorder.outcome(outcomeBody('fill-0'), { frames: [] });
    await side.recorder.outcome(outcomeBody('fill-1'), { frames: [] });
    await side.recorder.close('drain');
    expect(kinds(side).filter((kind) => kind === 'OUTCOME')).toHaveLength(2);
    expect(kinds(side).filter((kind) => kind === 'DECISION')).toHaveLength(taken);
    expect(side.verify()).toMatchObject({ isSound: true });
  });

  it('full: what can be provoked from outside does not use up what is kept for outcomes', async () => {
    const side = await auditSide({ journal: SMALL });
    await fill(side);
    const alert = { kind: 'ALERT', code: 'REJECTED_x', subject: null, detail: 'x'.repeat(500) } as const;
    await expect(side.recorder.note(alert)).rejects.toThrow('full');
    await expect(side.recorder.decision(decisionBody('s'), { ...KERNEL, stranger: '127.0.0.1' })).rejects.toThrow('full');
    await side.recorder.outcome(outcomeBody('fill-0'), { frames: [] });
  });

  it('full at the start: the stream begins all the same, since nothing is shipped before it has', async () => {
    const side = await auditSide({ journal: SMALL });
    await fill(side);
    for (let i = 0; ; i++) {
      const isKept = await side.recorder.outcome(outcomeBody(`fill-${i}`), { frames: [] }).then(
        () => true,
        () => false,
      );
      if (!isKept) break;
    }
    await side.journal.close();
    const again = await auditSide({ disk: side.disk, journal: SMALL });
    expect(again.recorder.head.seq).toBe(1);
    await expect(again.recorder.decision(decisionBody('d'), KERNEL)).rejects.toThrow('full');
  });

  it('failed: nothing more is taken, whatever it is', async () => {
    const side = await auditSide();
    side.disk.fail({ on: 'sync', code: 'EIO' });
    await expect(side.recorder.decision(decisionBody('d1'), DISK)).rejects.toThrow('failed');
    await expect(side.recorder.decision(decisionBody('d2'), KERNEL)).rejects.toThrow('failed');
    await expect(side.recorder.outcome(outcomeBody('d1'), { frames: [] })).rejects.toThrow('failed');
    await expect(side.recorder.state([{ kind: 'settlement', bytes: utf8('{}') }])).rejects.toThrow('failed');
    await expect(side.recorder.state([])).resolves.toBeUndefined();
  });
});

describe('checkpoints', () => {
  it('come after so many records, and after so long; not while nothing has happened', async () => {
    const side = await auditSide({ recorder: { checkpointRecords: 3, checkpointIntervalMs: 10_000 } });
    side.recorder.tick();
    await side.clock.advance(0);
    expect(told(side)).toEqual(['START']);
    await side.recorder.decision(decisionBody('d1'), DISK);
    await side.recorder.decision(decisionBody('d2'), DISK);
    await side.clock.advance(0);
    expect(told(side)).toEqual(['START', 'DECISION', 'DECISION', 'CHECKPOINT']);
    await side.recorder.decision(decisionBody('d3'), DISK);
    await side.clock.advance(10_000);
    side.recorder.tick();
    await side.clock.advance(0);
    await side.clock.advance(60_000);
    side.recorder.tick();
    await side.clock.advance(0);
    expect(told(side).slice(4)).toEqual(['DECISION', 'CHECKPOINT']);
    await side.recorder.close('drain');
    expect(side.verify()).toMatchObject({ isSound: true });
  });

  it('one at a time with a slow signer, and CLOSE still covers the line before it', async () => {
    const { signer } = await auditSigning();
    let signing = 0;
    let most = 0;
    const slow = {
      ...signer,
      sign: async (bytes: Uint8Array) => {
        most = Math.max(most, ++signing);
        await new Promise((resolve) => setImmediate(resolve));
        signing -= 1;
        return signer.sign(bytes);
      },
    };
    const side = await auditSide({ recorder: { checkpointRecords: 1, signer: slow } });
    await Promise.all(Array.from({ length: 20 }, (_, i) => side.recorder.decision(decisionBody(`d${i}`), KERNEL)));
    await side.recorder.close('drain');
    expect(most).toBe(1);
    expect(kinds(side).at(-1)).toBe('CLOSE');
    expect(side.verify()).toMatchObject({ isSound: true });
  });
});

describe('refusals of strangers', () => {
  const refuse = (side: AuditSide, id: string): Promise<void> =>
    side.recorder.decision(decisionBody(id, { decision: 'deny', code: 'unauthenticated', action: 'POST /session' }), {
      ...KERNEL,
      stranger: '127.0.0.1',
    });

  it('a flood is some records and one count, before CLOSE at the latest', async () => {
    const side = await auditSide({ strangers: { recordsPerWindow: 5 } });
    for (let i = 0; i < 100; i++) await refuse(side, `s${i}`);
    await side.clock.advance(WINDOW_MS);
    side.recorder.tick();
    for (let i = 0; i < 10; i++) await refuse(side, `t${i}`);
    await side.recorder.close('drain');
    const counts = side.lines().filter(({ kind }) => kind === 'REFUSED');
    expect(kinds(side).filter((kind) => kind === 'DECISION')).toHaveLength(10);
    expect(counts).toMatchObject([{ code: 'unauthenticated', source: '127.0.0.1', count: 95, samples: ['POST /session'] }, { count: 5 }]);
    expect(side.verify()).toMatchObject({ isSound: true });
  });

  it('cannot fill the journal: a call of somebody known is still recorded', async () => {
    const side = await auditSide({ journal: SMALL, strangers: { recordsPerWindow: 1_000_000, bytesMax: 2_000 } });
    for (let i = 0; i < 500; i++) await refuse(side, `s${i}`);
    await side.recorder.decision(decisionBody('known'), DISK);
    expect(kinds(side).length).toBeLessThan(10);
  });
});
