import { fakeClock } from '@sallyport/testkit';
import { describe, expect, it } from 'vitest';
import { keptAlive } from './keep-alive.ts';

const text = (step: IteratorResult<Uint8Array, void>): string => (step.value === undefined ? 'done' : Buffer.from(step.value).toString());
const COMMENT = Buffer.from(':');

/** A source whose events are given by hand. */
function source(): {
  events: AsyncGenerator<Uint8Array, void, void>;
  give: (event: string | undefined) => void;
  isReturned: () => boolean;
} {
  let given = Promise.withResolvers<string | undefined>();
  let isReturned = false;
  const events = (async function* read(): AsyncGenerator<Uint8Array, void, void> {
    try {
      for (let next = await given.promise; next !== undefined; next = await given.promise) {
        given = Promise.withResolvers();
        yield Buffer.from(next);
      }
    } finally {
      isReturned = true;
    }
  })();
  return { events, give: (event) => given.resolve(event), isReturned: () => isReturned };
}

describe('a silent stream', () => {
  it('gets a comment every 15 s, and its events as they come', async () => {
    const clock = fakeClock();
    const { events, give } = source();
    const kept = keptAlive(events, { comment: COMMENT, clock, signal: new AbortController().signal });
    const first = kept.next();
    await clock.advance(14_999);
    give('one');
    expect(text(await first)).toBe('one');
    for (let i = 0; i < 3; i++) {
      const next = kept.next();
      await clock.advance(15_000);
      expect(text(await next)).toBe(':');
    }
    const last = kept.next();
    give(undefined);
    expect(text(await last)).toBe('done');
  });

  it('leaves no timer behind, however many events pass', async () => {
    const clock = fakeClock();
    const { events, give } = source();
    const kept = keptAlive(events, { comment: COMMENT, clock, signal: new AbortController().signal });
    for (let i = 0; i < 50; i++) {
      const next = kept.next();
      give(`event ${i}`);
      await next;
      expect(clock.timers).toBe(0);
    }
    const end = kept.next();
    give(undefined);
    await end;
    expect(clock.timers).toBe(0);
  });

  it('that nobody hears any more lets go of its source', async () => {
    const clock = fakeClock();
    const { events, give, isReturned } = source();
    const kept = keptAlive(events, { comment: COMMENT, clock, signal: new AbortController().signal });
    const next = kept.next();
    give('one');
    await next;
    await kept.return();
    expect([isReturned(), clock.timers]).toEqual([true, 0]);
  });

  it('whose source fails fails alike', async () => {
    const failing = (async function* read(): AsyncGenerator<Uint8Array, void, void> {
      yield Buffer.from('one');
      throw new Error('broke');
    })();
    const kept = keptAlive(failing, { comment: COMMENT, clock: fakeClock(), signal: new AbortController().signal });
    await kept.next();
    await expect(kept.next()).rejects.toThrow('broke');
  });
});
