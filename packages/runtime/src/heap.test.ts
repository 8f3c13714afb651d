import { expect, test } from 'vitest';
import { giveBackMemory } from './heap.ts';

test('collects as hard as V8 can, where it may', () => {
  const asked: unknown[] = [];
  expect(giveBackMemory({ gc: (options) => asked.push(options) })).toBe(true);
  expect(asked).toEqual([{ type: 'major', flavor: 'last-resort' }]);
});

test('does nothing without --expose-gc', () => {
  expect(giveBackMemory({})).toBe(false);
});
