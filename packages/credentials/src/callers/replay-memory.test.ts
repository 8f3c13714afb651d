/** The memory of what was spent: bounded, and never wrong in the sender's favour. */

import type { Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { type ReplayMemory, replayMemory } from './replay-memory.ts';

const START = 1_800_000_000_000;
const WINDOW = 300_000;

function spend(memory: ReplayMemory, value: string, now: number, madeAt: number = now, keyId = 'key'): string {
  const denial = memory.spend({ keyId, value, madeAt: madeAt as Instant, expiresAt: (madeAt + WINDOW) as Instant }, now as Instant);
  return denial?.code ?? 'spent';
}

const memory = (entriesMax?: number): ReplayMemory =>
  replayMemory({ startedAt: START as Instant, ...(entriesMax === undefined ? {} : { entriesMax }) });

describe('the replay memory', () => {
  it('takes a value once, for each key by itself', () => {
    const replay = memory();
    expect(spend(replay, 'n', START)).toBe('spent');
    expect(spend(replay, 'n', START + WINDOW - 1, START)).toBe('replay_detected');
    expect(spend(replay, 'n', START, START, 'other')).toBe('spent');
  });

  it('does not take one key’s value for another’s that reads the same when joined', () => {
    const replay = memory();
    expect(spend(replay, 'b c', START, START, 'a')).toBe('spent');
    expect(spend(replay, 'c', START, START, 'a b')).toBe('spent');
  });

  it('refuses a nonce that comes again in a younger request', () => {
    const replay = memory();
    expect(spend(replay, 'n', START)).toBe('spent');
    expect(spend(replay, 'n', START + 1000, START + 1000)).toBe('replay_detected');
  });

  it('refuses everything when it is full, rather than forget', () => {
    const replay = memory(3);
    for (const value of ['a', 'b', 'c']) expect(spend(replay, value, START)).toBe('spent');
    expect(spend(replay, 'd', START)).toBe('identity_unavailable');
    expect(spend(replay, 'a', START)).toBe('replay_detected');
    expect(replay.size).toBe(3);
  });

  it('has room again when what it holds could not be accepted any more', () => {
    const replay = memory(3);
    for (const value of ['a', 'b', 'c']) spend(replay, value, START);
    expect(spend(replay, 'd', START + WINDOW + 10_000)).toBe('spent');
    expect(replay.size).toBe(1);
  });

  it('stays bounded over many windows', () => {
    const replay = memory(50);
    for (let i = 0; i < 1000; i++) expect(spend(replay, String(i), START + i * 10_000)).toBe('spent');
    expect(replay.size).toBeLessThanOrEqual(33);
  });

  it('does not take again what it forgot when the clock went ahead and back', () => {
    const replay = memory();
    expect(spend(replay, 'n', START)).toBe('spent');
    expect(spend(replay, 'later', START + 3_600_000)).toBe('spent');
    expect(spend(replay, 'n', START + 1000, START)).toBe('identity_unavailable');
  });

  it('refuses what was made before it began, and takes what was stamped in its first second', () => {
    const replay = memory();
    expect(spend(replay, 'n', START + 5000, START - 1000)).toBe('replay_detected');
    expect(spend(replay, 'm', START + 5000, START - 999)).toBe('spent');
  });
});
