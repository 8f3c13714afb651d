import { describe, expect, test } from 'vitest';
import type { Facts } from './cel.ts';
import { Programs } from './programs.ts';

const facts: Facts = { args: { n: 3n }, principal: {}, session: {}, env: {}, tool: {}, agent: {}, chain: [] };

describe('Programs', () => {
  test('equal texts share one compiled form', () => {
    const programs = new Programs(4);
    const [one, other] = [programs.condition('args.n == 3'), programs.condition('args.n == 3')];
    expect(one).toBe(other);
    expect(one.program).toBeUndefined();
    expect(programs.run(one, facts)).toBe(true);
    expect(one.program).toBeDefined();
  });

  test('keeps no more than its bound, and forgets what was not used lately', () => {
    const programs = new Programs(4);
    const hot = programs.condition('args.n > 0');
    const conditions = Array.from({ length: 50 }, (_, index) => programs.condition(`args.n < ${index + 10}`));
    programs.run(hot, facts);
    const kept = hot.program;
    for (const condition of conditions) {
      expect(programs.run(hot, facts)).toBe(true);
      expect(programs.run(condition, facts)).toBe(true);
      expect([hot, ...conditions].filter(({ program }) => program !== undefined).length).toBeLessThanOrEqual(4);
    }
    // A flood of rare conditions does not push out the one that every call needs.
    expect(hot.program).toBe(kept);
  });

  test('an evicted condition answers the same again', () => {
    const programs = new Programs(1);
    const [one, other] = [programs.condition('args.n == 3'), programs.condition('args.n == 4')];
    const seen = Array.from({ length: 6 }, (_, index) => programs.run(index % 2 === 0 ? one : other, facts));
    expect(seen).toEqual([true, false, true, false, true, false]);
  });
});
