import { expect, test } from 'vitest';
import { fakeClock } from '@sallyport/testkit';
import { createDrain } from './drain.ts';
import { getEventListeners } from 'node:events';
import { deadline, delay, orAborted } from './delay.ts';
import { onTermination } from './signals.ts';
import { Fault } from '@sallyport/model';

function failures(): { seen: string[]; onFailure: (name: string, error: unknown) => void } {
  const seen: string[] = [];
  return { seen, onFailure: (name, error) => seen.push(`${name}: ${String(error)}`) };
}

test('stops taking first, waits for what runs, and says that nothing was left', async () => {
  const clock = fakeClock();
  const { onFailure } = failures();
  const drain = createDrain({ clock, onFailure });
  const order: string[] = [];
  const call = Promise.withResolvers<void>();
  drain.track(
    'call',
    call.promise.then(() => order.push('call ended')),
  );
  drain.onDrain('listener', async () => order.push(`listener stopped, draining ${drain.draining.aborted}`));
  const drained = drain.drain({ graceMs: 1_000 });
  await clock.advance(500);
  expect(order).toEqual(['listener stopped, draining true']);
  call.resolve();
  expect(await drained).toEqual({ isClean: true, left: [] });
  expect(order).toEqual(['listener stopped, draining true', 'call ended']);
  expect(clock.timers).toBe(0);
});

test('cuts what is left when the grace is over, and names it', async () => {
  const clock = fakeClock();
  const drain = createDrain({ clock, ...failures() });
  const stuck = Promise.withResolvers<void>();
  drain.track('stream 7', stuck.promise);
  drain.onDrain('listener', () => stuck.promise);
  const drained = drain.drain({ graceMs: 1_000 });
  await clock.advance(999);
  expect(drain.cut.aborted).toBe(false);
  await clock.advance(1);
  expect(await drained).toEqual({ isClean: false, left: ['stream 7', 'listener'] });
  expect(drain.cut.aborted).toBe(true);
});

test('waits for a task that a task starts while it ends, and drains only once', async () => {
  const drain = createDrain({ clock: fakeClock(), ...failures() });
  let isLastDone = false;
  drain.onDrain('first', async () => {
    drain.track(
      'last',
      new Promise<void>((resolve) => setImmediate(resolve)).then(() => (isLastDone = true)),
    );
  });
  const drained = drain.drain({ graceMs: 1_000 });
  expect(drain.drain({ graceMs: 1 })).toBe(drained);
  expect(await drained).toEqual({ isClean: true, left: [] });
  expect(isLastDone).toBe(true);
});

test('a task that fails is reported and does not stop the drain', async () => {
  const { seen, onFailure } = failures();
  const drain = createDrain({ clock: fakeClock(), onFailure });
  drain.track('shipper', Promise.reject(new Error('lost')));
  drain.onDrain('listener', () => {
    throw new Error('was closed');
  });
  expect(await drain.drain({ graceMs: 1_000 })).toEqual({ isClean: true, left: [] });
  expect(seen).toEqual(['shipper: Error: lost', 'listener: Error: was closed']);
});

test('a second signal ends the process without waiting', () => {
  const listeners: (() => void)[] = [];
  const exits: number[] = [];
  let drains = 0;
  const source = { on: (_event: string, listener: () => void) => listeners.push(listener), exit: (code: number) => exits.push(code) };
  onTermination(() => {
    drains += 1;
    return new Promise(() => undefined);
  }, source);
  listeners[0]?.();
  expect([drains, exits]).toEqual([1, []]);
  listeners[1]?.();
  expect([drains, exits]).toEqual([1, [130]]);
});

test.each([
  ['the code of the drain', () => Promise.resolve(0), 0],
  ['1 when the drain itself fails', () => Promise.reject(new Error('stuck')), 1],
])('exits with %s', async (_what, drain, code) => {
  const exit = Promise.withResolvers<number>();
  onTermination(drain, { on: (event, listener) => (event === 'SIGTERM' ? listener() : undefined), exit: exit.resolve });
  expect(await exit.promise).toBe(code);
});

test('a delay ends when its time has come or its signal aborts, and leaves no timer', async () => {
  const clock = fakeClock();
  const stop = new AbortController();
  const [whole, cut] = [delay(clock, 100, { signal: new AbortController().signal }), delay(clock, 100, { signal: stop.signal })];
  stop.abort();
  expect(await cut).toBe(false);
  await clock.advance(100);
  expect(await whole).toBe(true);
  expect(await delay(clock, 100, { signal: stop.signal })).toBe(false);
  expect(clock.timers).toBe(0);
});

test('a deadline aborts with its fault, follows the outer signal, and is silent once cleared', async () => {
  const clock = fakeClock();
  const fault = (): Fault => new Fault('upstream_timeout', 'upstream', 'too slow');
  const outer = new AbortController();
  const late = deadline(clock, 100, { fault });
  const followed = deadline(clock, 100, { fault, signal: outer.signal });
  const cleared = deadline(clock, 100, { fault });
  outer.abort(new Error('client gone'));
  cleared.clear();
  await clock.advance(100);
  expect([late.signal.reason, String(followed.signal.reason)]).toMatchObject([{ code: 'upstream_timeout' }, 'Error: client gone']);
  expect(cleared.signal.aborted).toBe(false);
});

test('a wait ends with its promise, however that settles, or with the signal, and leaves nothing on a signal that lives on', async () => {
  const { signal } = new AbortController();
  await orAborted(Promise.resolve(1), { signal });
  await orAborted(Promise.reject(new Error('no')), { signal });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  const stop = new AbortController();
  const waiting = orAborted(new Promise(() => undefined), stop);
  stop.abort();
  await waiting;
  await orAborted(new Promise(() => undefined), stop);
});
