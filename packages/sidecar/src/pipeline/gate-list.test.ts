import { Bug, deny, Fault } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { gates, runGates } from './gate-list.ts';
import { pass, refuse, type Dialect, type Gate, type GateName, type Judgement } from './gate.ts';

type AnyGate = Gate<object, unknown, object, object>;
const EVERYWHERE = { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' } as const;

/** A gate that notes when it runs. */
const bench = (): { ran: string[]; gate: (name: GateName, over?: Partial<AnyGate>) => AnyGate } => {
  const ran: string[] = [];
  return {
    ran,
    gate: (name, over = {}) => ({
      name,
      dialects: EVERYWHERE,
      gather: () => void ran.push(`gather ${name}`),
      decide: () => {
        ran.push(`decide ${name}`);
        return pass({});
      },
      ...over,
    }),
  };
};

const run = (list: readonly AnyGate[], { dialect = 'mcp' as Dialect | undefined, start = {} } = {}): ReturnType<typeof runGates> => {
  let built = gates<object, object>();
  for (const gate of list) built = built.gate(gate);
  return runGates(built, start, { ports: {}, dialect });
};

const no = (): Judgement<object> => refuse(deny('no_matching_policy', 'no'));
const local = (): Judgement<object> => ({
  verdict: 'local',
  what: 'ping',
  ruleId: 'local:ping' as never,
  produce: () => expect.unreachable(),
});

describe('a list of gates', () => {
  it('runs in order, each with the facts of those before it, and gathers only for gates that are reached', async () => {
    const { ran, gate } = bench();
    const seen: object[] = [];
    const ended = await run(
      [
        gate('framing', { decide: () => pass({ a: 1 }) }),
        gate('route', {
          gather: async (facts) => void seen.push(facts),
          decide: () => pass({ b: 2 }),
        }),
        gate('tool', { decide: no }),
        gate('authorization'),
      ],
      { start: { start: 0 } },
    );
    expect(seen).toEqual([{ start: 0, a: 1 }]);
    expect(ran).toEqual(['gather framing', 'gather tool']);
    expect(ended).toMatchObject({ end: 'denied', gate: 'tool', denial: { code: 'no_matching_policy' }, facts: { start: 0, a: 1, b: 2 } });
  });

  it.each<[what: string, over: Partial<AnyGate>, detail: RegExp]>([
    [
      'gathering throws',
      {
        gather: () => {
          throw new Error('boom');
        },
      },
      /exception in gate tool: boom/,
    ],
    [
      'gathering rejects',
      { gather: () => Promise.reject(new Fault('store_failed', 'internal', 'disk')) },
      /fault store_failed in gate tool: disk/,
    ],
    [
      'judging throws',
      {
        decide: () => {
          throw new Bug('never');
        },
      },
      /bug in gate tool: never/,
    ],
    [
      'something that is no error is thrown',
      {
        gather: () => {
          throw 'text' as unknown as Error;
        },
      },
      /exception in gate tool: text/,
    ],
    ['nothing is judged', { decide: () => undefined as unknown as Judgement<object> }, /exception in gate tool/],
    ['a refusal says nothing', { decide: () => ({ verdict: 'deny' }) as unknown as Judgement<object> }, /denial/],
    ['an unknown verdict is given', { decide: () => ({ verdict: 'continue' }) as unknown as Judgement<object> }, /verdict/],
    ['a pass proves nothing at all', { decide: () => ({ verdict: 'pass' }) as unknown as Judgement<object> }, /facts/],
  ])('refuses with `internal` where %s, and runs nothing after it', async (_, over, detail) => {
    const { ran, gate } = bench();
    const ended = await run([gate('tool', over), gate('authorization')]);
    expect(ended).toMatchObject({ end: 'denied', gate: 'tool', denial: { code: 'internal', detail: expect.stringMatching(detail) } });
    expect(ran.filter((line) => line.endsWith('authorization'))).toEqual([]);
  });

  it.each<[what: string, last: () => Judgement<object>]>([
    ['a refusal', no],
    ['a local answer', local],
    ['another round', () => ({ verdict: 'again' })],
    [
      'an exception',
      () => {
        throw new Error('boom');
      },
    ],
  ])('gives back what was taken on %s: latest first, all of it, whatever one of them throws', async (_, last) => {
    const { gate } = bench();
    const undone: string[] = [];
    await run([
      gate('framing', { undo: () => void undone.push('first') }),
      gate('route', { undo: () => Promise.reject(new Error('stuck')) }),
      gate('reservation', { undo: async () => void undone.push('last') }),
      gate('accountability', { decide: last, undo: () => expect.unreachable('was never passed') }),
    ]);
    expect(undone).toEqual(['last', 'first']);
  });

  it('keeps what was taken on a pass, until its caller gives it back', async () => {
    const { gate } = bench();
    const undone: object[] = [];
    const ended = await run([gate('reservation', { decide: () => pass({ taken: 1 }), undo: (proven) => void undone.push(proven) })]);
    expect(undone).toEqual([]);
    if (ended.end === 'passed') await ended.giveBack();
    expect(undone).toEqual([{ taken: 1 }]);
  });

  it('leaves out a gate where its own table says so, and none while the dialect is unknown', async () => {
    const { ran, gate } = bench();
    const list = [gate('tool', { dialects: { ...EVERYWHERE, session: { notApplicable: 'names no tool' } } })];
    await run(list, { dialect: 'session' });
    expect(ran).toEqual([]);
    await run(list, { dialect: undefined });
    expect(ran).toEqual(['gather tool', 'decide tool']);
  });

  it('what is left out of a call that goes on leaves behind what its table says instead', async () => {
    const { ran, gate } = bench();
    const list = [gate('reservation', { dialects: { ...EVERYWHERE, agent: { notApplicable: 'spends nothing', instead: { taken: 0 } } } })];
    expect(await run(list, { dialect: 'agent', start: { a: 1 } })).toMatchObject({ end: 'passed', facts: { a: 1, taken: 0 } });
    expect(ran).toEqual([]);
  });

  it('an empty list passes nothing but its start: there is nothing to add to', async () => {
    expect(await run([], { start: { a: 1 } })).toMatchObject({ end: 'passed', facts: { a: 1 } });
  });
});
