import { fakeClock } from '@sallyport/testkit';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { HeldSecret } from './held-secret.ts';
import type { Sourced } from './secret-source.ts';

const TIMES = { refreshMs: 10_000, lastGoodMsMax: 60_000, readMsMax: 5_000 };

/** A source in the test's hands, and the secret that is held of it. */
function held(first: Sourced = { value: 'one', madeAt: undefined }) {
  const clock = fakeClock();
  const source = { now: first, reads: 0, hangs: false, signals: [] as AbortSignal[] };
  const secret = new HeldSecret(
    async (signal) => {
      source.reads += 1;
      source.signals.push(signal);
      const given = source.now;
      if (source.hangs) await new Promise(() => {});
      return given;
    },
    { clock, times: TIMES },
  );
  const value = async (): Promise<string | undefined> => {
    await secret.refresh();
    return secret.value();
  };
  return { clock, source, secret, value };
}

describe('a secret that is held', () => {
  it('is read once for many calls, also for those that come while it is read, and anew when it is due', async () => {
    const { clock, source, value } = held();
    expect(await Promise.all([value(), value(), value()])).toEqual(['one', 'one', 'one']);
    expect([await value(), source.reads]).toEqual(['one', 1]);
    source.now = { value: 'two', madeAt: undefined };
    await clock.advance(9_999);
    expect([await value(), source.reads]).toEqual(['one', 1]);
    await clock.advance(1);
    expect([await value(), source.reads]).toEqual(['two', 2]);
  });

  it('is used on while its source is away, until its time is over, and not a millisecond longer', async () => {
    const { clock, source, secret, value } = held();
    await value();
    source.now = { failure: 'missing' };
    await clock.advance(60_000);
    expect([await value(), secret.state.failure]).toEqual(['one', 'missing']);
    await clock.advance(1);
    expect([secret.value(), await value()]).toEqual([undefined, undefined]);
    source.now = { value: 'two', madeAt: undefined };
    await clock.advance(1_000);
    expect(await value()).toBe('two');
  });

  it('does not ask a source that fails for each call', async () => {
    const { clock, source, value } = held({ failure: 'unreachable' });
    await value();
    await value();
    expect(source.reads).toBe(1);
    await clock.advance(1_000);
    await value();
    expect(source.reads).toBe(2);
  });

  it('waits for a source no longer than for one look, and tells it to end', async () => {
    const { clock, source, secret } = held();
    source.hangs = true;
    const asked = secret.refresh();
    await clock.advance(5_000);
    await asked;
    expect([secret.value(), secret.state.failure, source.signals[0]?.aborted]).toEqual([undefined, 'unreachable', true]);
  });

  it('is looked at again when an upstream refuses it, once a second at most however many calls say so', async () => {
    const { clock, source, secret, value } = held();
    await value();
    source.now = { value: 'two', madeAt: undefined };
    expect(await secret.isReplaced()).toBe(true);
    expect([await secret.isReplaced(), source.reads]).toEqual([false, 2]);
    await clock.advance(1_000);
    expect([await secret.isReplaced(), source.reads]).toEqual([false, 3]);
  });

  it('shows nothing of itself when it is printed, serialised or thrown into a log', async () => {
    const { secret, value } = held({ value: 'Zp4t8Qx2', madeAt: undefined });
    await value();
    const shown = [inspect(secret, { depth: 10, showHidden: true }), JSON.stringify(secret), JSON.stringify(secret.state)];
    expect(shown.filter((text) => text.includes('Zp4t8Qx2'))).toEqual([]);
  });
});
