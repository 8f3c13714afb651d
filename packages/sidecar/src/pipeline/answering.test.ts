import { Bug, deny, Fault, type Effect, type RuleId } from '@sallyport/model';
import { UpstreamFault } from '@sallyport/net';
import { describe, expect, it } from 'vitest';
import {
  heard,
  journalFault,
  pipelineSide,
  scriptedAnswer,
  type PipelineSide,
  type PipelineSideOptions,
} from '../testing/pipeline-side.ts';
import { deliver, deliverLocal } from './answering.ts';
import type { CallFacts } from './facts.ts';
import { refuse, pass, type Answer, type AnswerGate, type LocalAnswer } from './gate.ts';
import { settlement } from './gates/settlement.ts';
import { wholeAnswer } from './local-answers.ts';
import type { Ports } from './ports.ts';

type AnyAnswerGate = AnswerGate<CallFacts, Ports>;

/** Forwards as scripted, through `gates` and then settlement. */
async function delivered(
  script: (events: string[]) => Answer | Error | Awaited<ReturnType<Ports['upstream']['forward']>>,
  options: PipelineSideOptions & { gates?: readonly AnyAnswerGate[] } = {},
): Promise<PipelineSide & { answer: Answer }> {
  const events: string[] = [];
  const side = pipelineSide({
    ...options,
    forward: async () => {
      const made = script(events);
      if (made instanceof Error) throw made;
      return made;
    },
  });
  // One list of what happened, whoever notes it.
  const push = side.noted.events.push.bind(side.noted.events);
  events.push = push;
  const answer = await deliver(side.permit, side.call, { gates: [...(options.gates ?? []), settlement], ports: side.ports });
  return { ...side, answer };
}

const gate = (over: Partial<ReturnType<AnyAnswerGate['begin']>>, begin?: () => never): AnyAnswerGate => ({
  name: 'settlement',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: 'runs' },
  begin: begin ?? (() => ({ unit: (unit) => unit, end: () => pass({}), ...over })),
});

const problemOf = async (answer: Answer): Promise<Record<string, unknown>> => JSON.parse(await heard(answer)) as Record<string, unknown>;

describe('an answer', () => {
  it('of one unit reaches the caller after everything is settled, and is let go of after that', async () => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['done.'], { events }));
    expect([answer.delivery, noted.events]).toEqual([
      'whole',
      ['fact attempted', 'settled succeeded', 'fact completed', 'notes', 'outcome ok', 'lease closed'],
    ]);
    expect(await heard(answer)).toBe('done.');
    expect(noted.events.at(-1)).toBe('answer closed');
    expect(noted.outcomes).toMatchObject([{ decision_id: 'D1', bytes: 5 }]);
  });

  it('of a tool that says it failed is none', async () => {
    const { noted } = await delivered((events) => scriptedAnswer(['no.'], { events, outcome: { result: 'tool_error' } }));
    expect(noted.events).toContain('fact failed');
    expect(noted.events).not.toContain('fact completed');
  });
});

describe('what goes wrong on the way back', () => {
  const unsent = new UpstreamFault('upstream_unreachable', 'no connection', { wasSent: false });
  const lost = new UpstreamFault('upstream_timeout', 'no answer', { wasSent: true });
  const refused = deny('upstream_error', 'answered 500');

  it.each<[what: string, script: Parameters<typeof delivered>[0], code: string, result: string, settled: string, effect: string]>([
    ['never sent', () => unsent, 'upstream_error', 'upstream_error', 'cancelled', 'none'],
    ['sent and not answered', () => lost, 'upstream_timeout', 'upstream_timeout', 'settled unknown', 'possible'],
    [
      'another certificate',
      () => new UpstreamFault('upstream_untrusted', 'x', { wasSent: false }),
      'upstream_untrusted',
      'upstream_error',
      'cancelled',
      'none',
    ],
    [
      'a failure by value',
      () => ({ failure: refused, result: 'upstream_error', upstreamStatus: 500, wasSent: true }),
      'upstream_error',
      'upstream_error',
      'settled unknown',
      'possible',
    ],
    [
      'cut in its first unit',
      (events) => scriptedAnswer([lost], { events }),
      'upstream_timeout',
      'upstream_timeout',
      'settled unknown',
      'possible',
    ],
    [
      'ended before its last unit',
      (events) => scriptedAnswer([], { events }),
      'upstream_error',
      'upstream_error',
      'settled unknown',
      'possible',
    ],
    ['an exception in forwarding', () => new TypeError('boom'), 'internal', 'denied', 'settled unknown', 'possible'],
    ['a Fault of something else', () => new Fault('store_failed', 'internal', 'disk'), 'internal', 'denied', 'settled unknown', 'possible'],
    [
      'an exception in the answer',
      (events) => scriptedAnswer([new Bug('never')], { events }),
      'internal',
      'denied',
      'settled unknown',
      'possible',
    ],
  ])('%s: one refusal, one OUTCOME, and the effect that is known', async (_, script, code, result, settled, effect) => {
    const { answer, noted } = await delivered(script, { effect: 'write' });
    expect(await problemOf(answer)).toMatchObject({ code, effect });
    expect(noted.outcomes).toMatchObject([{ result, code, bytes: 0 }]);
    expect(noted.events).toContain(settled);
    expect(noted.events.filter((event) => event === 'lease closed')).toHaveLength(1);
    expect(noted.events).not.toContain('fact completed');
    expect(noted.bugs).toBe(code === 'internal' ? 1 : 0);
    // Somebody has to look at the tool's server, and at nothing else.
    expect(noted.failures).toEqual(code.startsWith('upstream_') ? [`orders ${code}`] : []);
  });

  it.each<[effect: Effect, expected: string]>([
    ['read', 'none'],
    ['write', 'possible'],
    ['side_effect', 'possible'],
    ['destructive', 'possible'],
  ])('a %s that may have happened says %s', async (effect, expected) => {
    expect(await problemOf((await delivered(() => lost, { effect })).answer)).toMatchObject({ effect: expected });
  });

  it.each<[what: string, over: AnyAnswerGate]>([
    [
      'begins',
      gate({}, () => {
        throw new Error('boom');
      }),
    ],
    [
      'sees a unit',
      gate({
        unit: () => {
          throw new Error('boom');
        },
      }),
    ],
    [
      'ends',
      gate({
        end: () => {
          throw new Error('boom');
        },
      }),
    ],
    ['ends later', gate({ end: () => Promise.reject(new Error('boom')) })],
  ])('a gate that throws when it %s: no byte of the answer, and it is let go of', async (what, broken) => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['secret.'], { events }), { gates: [broken], effect: 'write' });
    const text = await heard(answer);
    expect(text).not.toContain('secret');
    // What was never read is not known to be done.
    expect(JSON.parse(text)).toMatchObject({ code: 'internal', effect: what === 'begins' ? 'possible' : 'done' });
    expect(noted.outcomes).toMatchObject([{ result: 'denied', code: 'internal' }]);
    expect(noted.events).toContain('answer closed');
  });

  it.each<[what: string, over: AnyAnswerGate]>([
    ['a unit', gate({ unit: () => refuse(deny('response_blocked', 'found')) })],
    ['the whole', gate({ end: () => refuse(deny('response_blocked', 'found')) })],
  ])('a gate that refuses %s: withheld, and a write says that it was done', async (_, blocking) => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['secret.'], { events }), { gates: [blocking], effect: 'write' });
    const text = await heard(answer);
    expect([text.includes('secret'), JSON.parse(text)]).toMatchObject([
      false,
      { code: 'response_blocked', effect: 'done', retryable: false },
    ]);
    expect(noted.outcomes).toMatchObject([{ result: 'denied', code: 'response_blocked' }]);
    expect(noted.events).toContain('settled unknown');
  });

  it('the OUTCOME cannot be kept: withheld, not settled twice, counted', async () => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['secret.'], { events }), { failing: { outcome: journalFault } });
    const text = await heard(answer);
    expect([text.includes('secret'), JSON.parse(text)]).toMatchObject([false, { code: 'audit_unavailable' }]);
    expect(noted.events.filter((event) => event.startsWith('settled'))).toHaveLength(1);
    expect([noted.outcomes, noted.unrecorded]).toEqual([[], 1]);
  });

  it('settling is a defect: withheld as `internal`, and not tried again', async () => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['secret.'], { events }), {
      failing: { settle: new Bug('twice') },
    });
    expect(await problemOf(answer)).toMatchObject({ code: 'internal' });
    expect([noted.bugs, noted.unrecorded, noted.outcomes]).toEqual([1, 1, []]);
  });

  it('the lease ends: its own reason is told, and recorded as a cut', async () => {
    const side = pipelineSide({
      forward: async () => {
        side.lease.ended = deny('policy_stale', 'turned stale');
        throw new UpstreamFault('aborted', 'ended', { wasSent: true });
      },
    });
    const answer = await deliver(side.permit, side.call, { gates: [settlement], ports: side.ports });
    expect(await problemOf(answer)).toMatchObject({ code: 'policy_stale', status: 503 });
    expect(side.noted.outcomes).toMatchObject([{ result: 'cut', code: 'policy_stale' }]);
  });
});

describe('a stream', () => {
  const lost = new UpstreamFault('upstream_protocol', 'broke off', { wasSent: true });

  it('passes its units one by one, and the last after it is settled', async () => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['one', 'two', 'three.'], { events }), { dialect: 'mcp' });
    expect([answer.delivery, noted.outcomes]).toEqual(['messages', []]);
    const units = answer.units[Symbol.asyncIterator]();
    expect(new TextDecoder().decode((await units.next()).value?.bytes)).toBe('one');
    expect(noted.outcomes).toEqual([]);
    await units.next();
    await units.next();
    expect(noted.outcomes).toMatchObject([{ result: 'ok', bytes: 12 }]);
    expect((await units.next()).done).toBe(true);
    await answer.close();
    expect([noted.events.at(-1), noted.outcomes.length]).toEqual(['answer closed', 1]);
  });

  it('that breaks off ends in a message of its dialect, and its OUTCOME is a cut', async () => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['one', lost], { events }), { dialect: 'mcp', effect: 'write' });
    const text = await heard(answer);
    expect(text).toMatch(/^one\{"jsonrpc":"2.0","id":7,.*"isError":true/);
    expect(noted.outcomes).toMatchObject([{ result: 'cut', code: 'upstream_error' }]);
  });

  it.each(['never begun', 'begun', 'while the next unit is on its way'])(
    'whose reader leaves, %s: read to its end, settled once, let go of',
    async (when) => {
      const { answer, noted } = await delivered((events) => scriptedAnswer(['one', 'two', 'three.'], { events }), { dialect: 'mcp' });
      const units = answer.units[Symbol.asyncIterator]();
      if (when === 'begun') await units.next();
      const pending = when.startsWith('while') ? [units.next(), units.next()] : [];
      await Promise.all([answer.close(), answer.close(), ...pending]);
      expect(noted.outcomes).toMatchObject([{ result: 'ok' }]);
      expect(noted.events.filter((event) => event === 'fact completed')).toHaveLength(1);
      expect(noted.events).toContain('answer closed');
      expect((await units.next()).done).toBe(true);
    },
  );

  it('whose reader leaves before it breaks off is settled as a cut', async () => {
    const { answer, noted } = await delivered((events) => scriptedAnswer(['one', lost], { events }), { dialect: 'mcp' });
    await answer.close();
    expect(noted.outcomes).toMatchObject([{ result: 'cut' }]);
  });

  it('that a gate refuses in the middle is cut, and nothing of the unit passes', async () => {
    let seen = 0;
    const second = gate({ unit: (unit) => (++seen === 2 ? refuse(deny('response_blocked', 'found')) : unit) });
    const { answer } = await delivered((events) => scriptedAnswer(['one', 'secret', 'three.'], { events }), {
      dialect: 'mcp',
      gates: [second],
    });
    const text = await heard(answer);
    expect(text).toMatch(/^one\{/);
    expect(text).not.toMatch(/secret|three/);
  });
});

describe('an answer that is made here', () => {
  const local = (produce: LocalAnswer['produce']): Parameters<typeof deliverLocal>[1] => ({
    end: 'local',
    gate: 'tool',
    facts: {},
    answer: { verdict: 'local', what: 'ping', ruleId: 'local:ping' as RuleId, produce },
  });
  const pong = (): Answer => wholeAnswer({ status: 200, headers: {}, body: new TextEncoder().encode('pong') }, { result: 'local' });

  it('is made after its DECISION and told after its OUTCOME', async () => {
    const { ports, call, noted } = pipelineSide();
    const answer = await deliverLocal(
      call,
      local(() => (expect(noted.decisions).toHaveLength(1), pong())),
      ports,
    );
    expect([await heard(answer), noted.decisions, noted.outcomes]).toMatchObject([
      'pong',
      [{ rule_id: 'local:ping' }],
      [{ result: 'local' }],
    ]);
  });

  it('is not made where the DECISION cannot be kept', async () => {
    const { ports, call, noted } = pipelineSide({ failing: { decision: journalFault } });
    const answer = await deliverLocal(
      call,
      local(() => expect.unreachable('made')),
      ports,
    );
    expect([await problemOf(answer), noted.outcomes]).toMatchObject([{ code: 'audit_unavailable' }, []]);
  });

  it.each<[what: string, produce: LocalAnswer['produce'], code: string]>([
    [
      'throws',
      () => {
        throw new Error('boom');
      },
      'internal',
    ],
    ['cannot be made after all', () => deny('overloaded', 'no room'), 'overloaded'],
  ])('that %s has its OUTCOME all the same', async (_, produce, code) => {
    const { ports, call, noted } = pipelineSide();
    const answer = await deliverLocal(call, local(produce), ports);
    expect(await problemOf(answer)).toMatchObject({ code, effect: 'none' });
    expect(noted.outcomes).toMatchObject([{ result: 'denied', code }]);
  });

  it('is not told where its OUTCOME cannot be kept', async () => {
    const { ports, call, noted } = pipelineSide({ failing: { outcome: journalFault } });
    expect(await problemOf(await deliverLocal(call, local(pong), ports))).toMatchObject({ code: 'audit_unavailable' });
    expect(noted.unrecorded).toBe(1);
  });
});
