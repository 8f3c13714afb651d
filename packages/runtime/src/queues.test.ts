import { expect, test } from 'vitest';
import { boundedQueue } from './bounded-queue.ts';
import { bytesAccount } from './bytes-account.ts';
import { latest } from './latest.ts';

const never = new AbortController().signal;

test('a queue refuses what would pass its count or its bytes, and keeps what it took in order', () => {
  const queue = boundedQueue<string>({ itemsMax: 3, bytesMax: 10 });
  expect([queue.push('a', 4), queue.push('b', 4), queue.push('c', 3), queue.push('d', 2), queue.push('e', 0)]).toEqual([
    true,
    true,
    false,
    true,
    false,
  ]);
  expect([queue.items, queue.bytes]).toEqual([3, 10]);
  expect([queue.shift(), queue.shift(), queue.shift(), queue.shift()]).toEqual(['a', 'b', 'd', undefined]);
  expect([queue.items, queue.bytes]).toEqual([0, 0]);
  expect(queue.push('f', 10)).toBe(true);
});

test('a queue hands an item to a reader that waits, and what is inside to one that comes after its close', async () => {
  const queue = boundedQueue<number>({ itemsMax: 9, bytesMax: 9 });
  const waiting = queue.take({ signal: never });
  queue.push(1, 1);
  expect(await waiting).toBe(1);
  queue.push(2, 1);
  queue.close();
  expect(queue.push(3, 1)).toBe(false);
  expect([await queue.take({ signal: never }), await queue.take({ signal: never })]).toEqual([2, undefined]);
});

test('a reader that is aborted gets nothing, and takes nothing away', async () => {
  const queue = boundedQueue<number>({ itemsMax: 9, bytesMax: 9 });
  const stop = new AbortController();
  const waiting = queue.take({ signal: stop.signal });
  stop.abort();
  expect(await waiting).toBeUndefined();
  queue.push(1, 1);
  expect(await queue.take({ signal: stop.signal })).toBeUndefined();
  expect(queue.items).toBe(1);
});

test('a long-lived reader leaves no listener behind on its signal', async () => {
  const signal = new AbortController().signal;
  let listeners = 0;
  const counted = Object.create(signal, {
    aborted: { value: false },
    addEventListener: { value: () => listeners++ },
    removeEventListener: { value: () => listeners-- },
  }) as AbortSignal;
  const queue = boundedQueue<number>({ itemsMax: 9, bytesMax: 9 });
  for (let i = 0; i < 50; i++) {
    const waiting = queue.take({ signal: counted });
    queue.push(i, 0);
    expect(await waiting).toBe(i);
  }
  expect(listeners).toBe(0);
});

test('of many candidates the reader gets the newest only', async () => {
  const slot = latest<string>();
  expect([slot.put('old'), slot.put('new')]).toEqual([undefined, 'old']);
  expect(await slot.take({ signal: never })).toBe('new');
  const waiting = slot.take({ signal: never });
  slot.put('newer');
  expect(await waiting).toBe('newer');
  slot.close();
  slot.put('too late');
  expect(await slot.take({ signal: never })).toBeUndefined();
});

test('the account refuses what would pass its maximum, and a share gives back exactly what it holds', () => {
  const account = bytesAccount(100);
  const share = account.reserve(60);
  expect(account.reserve(41)).toBeUndefined();
  expect([share?.grow(41), share?.bytes, account.inFlight]).toEqual([false, 60, 60]);
  expect([share?.grow(40), account.inFlight]).toEqual([true, 100]);
  share?.shrinkTo(10);
  expect(account.inFlight).toBe(10);
  share?.release();
  share?.release();
  expect(account.inFlight).toBe(0);
});

test('a share cannot be negative, fractional, or grow after its release', () => {
  const account = bytesAccount(100);
  expect(() => account.reserve(-1)).toThrow('whole number');
  expect(() => account.reserve(0.5)).toThrow('whole number');
  const share = account.reserve(1);
  share?.release();
  expect(() => share?.grow(1)).toThrow('released');
  expect(account.inFlight).toBe(0);
});
