import { describe, expect, it } from 'vitest';
import { formatProblem, nearest } from './problem.ts';

describe('nearest', () => {
  it.each([
    ['agnet', 'agent'],
    ['alow', 'allow'],
    ['scoeps', 'scopes'],
    ['orders/get_ordr', 'orders/get_order'],
  ])('guesses what fingers meant: %s for %s', (typed, meant) => {
    expect(nearest(typed, ['agent', 'allow', 'scopes', 'orders/get_order'])).toBe(meant);
  });

  it('guesses nothing where nothing is near', () => {
    expect(nearest('frobnicate', ['agent', 'allow'])).toBeUndefined();
    expect(nearest('x', ['agent', 'allow'])).toBeUndefined();
    expect(nearest('agent', [])).toBeUndefined();
    expect(nearest('c', ['a', 'b'])).toBeUndefined();
  });
});

describe('formatProblem', () => {
  it('names file, line, column, path, what is wrong and what to do, in one line', () => {
    const problem = { path: 'rules[0]', message: 'unknown tool `x`', remedy: 'did you mean `y`', file: 'policy.yaml', line: 3, column: 5 };
    expect(formatProblem(problem)).toBe('policy.yaml:3:5: rules[0]: unknown tool `x` (did you mean `y`)');
    expect(formatProblem({ path: '', message: 'is empty' })).toBe('is empty');
    expect(formatProblem({ path: 'a', message: 'unused', severity: 'warning' })).toBe('a: warning: unused');
  });
});
