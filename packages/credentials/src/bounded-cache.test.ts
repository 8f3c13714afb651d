import { expect, it } from 'vitest';
import { BoundedCache } from './bounded-cache.ts';

it('a bounded cache never holds more than its bound, and forgets what was not used for longest', () => {
  const cache = new BoundedCache<number>(2);
  cache.set('a', 1);
  cache.set('b', 2);
  expect(cache.get('a')).toBe(1);
  cache.set('c', 3);
  expect([cache.get('a'), cache.get('b'), cache.get('c'), cache.size]).toEqual([1, undefined, 3, 2]);
  cache.set('c', 4);
  expect([cache.get('c'), cache.size]).toEqual([4, 2]);
});
