import type { OutcomeBody } from '@sallyport/audit';
import type { Tool } from '@sallyport/model';
import type { CallNotes } from '@sallyport/policy';
import { describe, expect, it } from 'vitest';
import type { CallFacts } from '../facts.ts';
import type { Outcome } from '../gate.ts';
import type { Ports } from '../ports.ts';
import { settlement } from './settlement.ts';

const settled = async (
  outcome: Outcome,
  answer: Uint8Array = new Uint8Array(7),
): Promise<{ facts: string[]; reservation: string[]; outcomes: OutcomeBody[]; notes: CallNotes[]; saw: string[] }> => {
  const seen = {
    facts: [] as string[],
    reservation: [] as string[],
    outcomes: [] as OutcomeBody[],
    notes: [] as CallNotes[],
    saw: [] as string[],
  };
  const call = {
    decisionId: 'd1',
    receivedAt: 0,
    tool: { tool: { name: 'orders/get', touches: { order: ['id'] }, remember: { item: ['items', '[]', 'id'] } } },
    args: { id: 'O-1' },
    ask: { dialect: 'http-tool' },
    decision: { comparedArguments: ['id'] },
    session: {
      record: (what: string) => seen.facts.push(what),
      note: (_: unknown, notes: CallNotes) => seen.notes.push(notes),
      saw: ({ name }: Tool) => seen.saw.push(name),
    },
    reserved: {
      settle: async (what: string) => {
        seen.reservation.push(what);
        return [];
      },
      cancel: async () => {
        seen.reservation.push('cancelled');
      },
    },
  } as unknown as CallFacts;
  const ports = {
    clock: { boot: () => 5 },
    recorder: { outcome: async (body: OutcomeBody) => void seen.outcomes.push(body) },
  } as unknown as Ports;
  const gate = settlement.begin(call, ports);
  gate.unit({ bytes: answer, isLast: true });
  await gate.end(outcome);
  return seen;
};

describe('settlement', () => {
  it('only real success completes a tool', async () => {
    expect((await settled({ result: 'ok' })).facts).toEqual(['completed']);
    for (const result of ['tool_error', 'upstream_error', 'upstream_timeout', 'cut', 'denied', 'not_forwarded'] as const) {
      expect((await settled({ result })).facts).toEqual(['failed']);
    }
  });

  it('what a call touched and returned is noted when it really succeeded, and only then', async () => {
    const answer = new TextEncoder().encode('{"items":[{"id":"I-1"},{"id":7},{"id":{}}]}');
    expect((await settled({ result: 'ok' }, answer)).notes).toEqual([
      { touched: { order: ['O-1'] }, remembered: { item: ['I-1', '7'] }, compared: { id: '"O-1"' } },
    ]);
    expect((await settled({ result: 'ok' })).notes).toMatchObject([{ remembered: { item: [] } }]);
    for (const result of ['tool_error', 'upstream_error', 'upstream_timeout', 'cut', 'denied', 'not_forwarded'] as const)
      expect((await settled({ result }, answer)).notes).toEqual([]);
  });

  it('what is shown to the caller counts as seen, however the call ends', async () => {
    for (const result of ['ok', 'tool_error', 'cut'] as const) expect((await settled({ result })).saw).toEqual(['orders/get']);
  });

  it('what may have happened counts; only what certainly did not is given back', async () => {
    expect((await settled({ result: 'ok' })).reservation).toEqual(['succeeded']);
    expect((await settled({ result: 'tool_error' })).reservation).toEqual(['failed']);
    expect((await settled({ result: 'upstream_timeout' })).reservation).toEqual(['unknown']);
    expect((await settled({ result: 'upstream_error', isDefiniteFailure: true })).reservation).toEqual(['cancelled']);
  });

  it('writes one OUTCOME, with what came of it, how long it took and how much was delivered', async () => {
    const { outcomes } = await settled({ result: 'upstream_error', code: 'upstream_error', upstreamStatus: 500 });
    expect(outcomes).toEqual([
      {
        kind: 'OUTCOME',
        decision_id: 'd1',
        result: 'upstream_error',
        upstream_status: 500,
        code: 'upstream_error',
        latency_ms: 5,
        bytes: 7,
      },
    ]);
  });
});
