import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { Json, ToolName } from '@sallyport/model';
import { readGiven } from './given-input.ts';
import type { GivenInput } from './given-input.ts';

function given(json: Json): GivenInput {
  const read = readGiven(json);
  if (!read.ok) throw new Error(read.error.map(formatProblem).join('\n'));
  return read.value;
}

describe('what is given', () => {
  test('is what a decision reads: the moment, the sign-in before it, the proofs, the session', () => {
    const { principal, session, ...proof } = given({
      principal: 'alice',
      at: '2026-06-29T12:00:00Z',
      signed_in: { ago: '10m', acr: 'gold', amr: ['mfa'] },
      justification: 'because',
      chain: [{ agent: 'planner', first_party: true }],
      approvals: [{ person: 'bob', roles: ['lead'] }],
      session: { task: 'refunds', step: 's/t', risk: 12, age: '1h', completed: ['s/t'] },
    });
    const now = Date.UTC(2026, 5, 29, 12);
    expect(principal).toMatchObject({ id: 'alice', kind: 'person', authenticatedAt: now - 600_000, acr: 'gold', amr: ['mfa'] });
    expect(session).toMatchObject({ task: 'refunds', step: 's/t', risk: 12, startedAt: now - 3_600_000, completed: ['s/t'] });
    expect(session.hasCompleted('s/t' as ToolName)).toBe(true);
    expect(proof).toEqual({
      now,
      justification: 'because',
      chain: [{ agent: 'planner', first_party: true }],
      approvals: [{ person: 'bob', roles: ['lead'], groups: [] }],
      isolation: 'enforced',
    });
  });

  test('says everything that is wrong with it, by path', () => {
    const read = readGiven({ rols: [], at: 'noon', session: { risk: 101, completed: ['add'] } });
    expect(read.ok ? [] : read.error.map(({ path }) => path)).toEqual(['at', 'rols', 'session.completed[0]', 'session.risk']);
  });

  test('has no proof that nobody gave', () => {
    const { principal, session, ...proof } = given({});
    expect([principal.acr, principal.amr, session.task, session.risk]).toEqual([undefined, [], undefined, undefined]);
    expect(proof).toMatchObject({ chain: [], approvals: [] });
    expect(proof).not.toHaveProperty('justification');
  });
});
