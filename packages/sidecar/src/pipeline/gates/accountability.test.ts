import { Fault } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import type { CallFacts } from '../facts.ts';
import type { Ports } from '../ports.ts';
import { accountability, decideAccountability } from './accountability.ts';

const facts = (effect: string, classes: string[] = []): CallFacts =>
  ({
    receivedAt: 0,
    held: { snapshot: { generation: 1, releaseSeq: 1 }, ageMs: 0, freshnessSeq: 1 },
    session: { id: 's1', principal: { id: 'alice', tenant: 't' } },
    tool: { tool: { name: 'orders/get', effect, classes } },
    changes: [],
    decision: { ruleId: 'r' },
    reserved: { frames: [{ kind: 'reservation', bytes: new Uint8Array([1]) }], budgets: [] },
    method: 'POST',
    target: '/tools/orders/get',
  }) as unknown as CallFacts;

const bench = (
  over: { state?: string; generation?: number; fails?: Error } = {},
): { ports: Ports; written: { durability: string; frames: unknown[] }[] } => {
  const written: { durability: string; frames: unknown[] }[] = [];
  const ports = {
    clock: { boot: () => 1, wall: () => 0 },
    bundle: { read: () => ({ state: over.state ?? 'fresh', snapshot: { generation: over.generation ?? 1 } }) },
    recorder: {
      decision: async (_: unknown, how: { durability: string; frames: unknown[] }) => {
        if (over.fails !== undefined) throw over.fails;
        written.push(how);
      },
    },
  } as unknown as Ports;
  return { ports, written };
};

const judged = async (f: CallFacts, ports: Ports): Promise<ReturnType<typeof decideAccountability>> =>
  decideAccountability(await accountability.gather(f, ports));

describe('accountability', () => {
  it.each([
    ['read', [], 'kernel'],
    ['read', ['pii'], 'disk'],
    ['read', ['money'], 'disk'],
    ['read', ['export'], 'disk'],
    ['write', [], 'disk'],
    ['side_effect', [], 'disk'],
    ['destructive', [], 'disk'],
  ])('writes a %s of classes %j ahead to the %s, with its reservation in the same batch', async (effect, classes, durability) => {
    const { ports, written } = bench();
    expect((await judged(facts(effect, classes), ports)).verdict).toBe('pass');
    expect(written).toMatchObject([{ durability, frames: [{ kind: 'reservation', bytes: new Uint8Array([1]) }] }]);
  });

  it('a journal that takes nothing refuses the call', async () => {
    const { ports } = bench({ fails: new Fault('journal_failed', 'internal', 'full') });
    expect(await judged(facts('read'), ports)).toMatchObject({ verdict: 'deny', denial: { code: 'audit_unavailable' } });
  });

  it.each([{ generation: 2 }, { state: 'stale' }, { state: 'absent' }])(
    'a release that switched under the call sends it round again, unwritten: %j',
    async (over) => {
      const { ports, written } = bench(over);
      expect((await judged(facts('write'), ports)).verdict).toBe('again');
      expect(written).toEqual([]);
    },
  );
});
