import { expect, test } from 'vitest';
import type { Instant } from '@sallyport/model';
import { fakeClock } from '@sallyport/testkit';
import { signerClock } from './signer-clock.ts';

const START = Date.UTC(2026, 10, 20, 8) as Instant;
const at = (ms: number): Instant => (START + ms) as Instant;

interface Story {
  readonly last?: Instant;
  /** What happens before each reading: time passes, and the wall clock is set. */
  readonly steps: readonly {
    readonly passMs: number;
    readonly wall?: Instant;
    readonly reads: Instant;
    readonly steps?: readonly string[];
  }[];
}

test.each<[string, Story]>([
  [
    'follows the wall clock',
    {
      steps: [
        { passMs: 0, reads: at(0) },
        { passMs: 1_000, reads: at(1_000) },
      ],
    },
  ],
  [
    'goes on by the boot clock when the wall clock is set back, and says so once',
    {
      steps: [
        { passMs: 1_000, reads: at(1_000) },
        { passMs: 1_000, wall: at(-3_600_000), reads: at(2_000), steps: ['back'] },
        { passMs: 5_000, reads: at(7_000) },
      ],
    },
  ],
  [
    'never stands still or runs back when the wall clock is a little behind',
    {
      steps: [
        { passMs: 0, reads: at(0) },
        { passMs: 1_000, wall: at(-2_000), reads: at(1_000) },
        { passMs: 1_000, reads: at(2_000) },
      ],
    },
  ],
  [
    'follows the wall clock ahead, and says that it jumped',
    {
      steps: [
        { passMs: 0, reads: at(0) },
        { passMs: 1_000, wall: at(7_200_000), reads: at(7_200_000), steps: ['ahead'] },
      ],
    },
  ],
  ['does not call a long absence a jump', { last: at(-86_400_000), steps: [{ passMs: 0, reads: at(0) }] }],
  [
    'starts no earlier than what was signed before the start',
    {
      last: at(60_000),
      steps: [
        { passMs: 0, reads: at(60_000), steps: ['back'] },
        { passMs: 1_000, reads: at(61_000) },
      ],
    },
  ],
  [
    'tells of a second step back after the clock had come right',
    {
      steps: [
        { passMs: 0, reads: at(0) },
        { passMs: 0, wall: at(-60_000), reads: at(0), steps: ['back'] },
        { passMs: 0, wall: at(0), reads: at(0) },
        { passMs: 0, wall: at(-60_000), reads: at(0), steps: ['back'] },
      ],
    },
  ],
])('the time that is signed %s', async (_what, { last, steps }) => {
  const clock = fakeClock({ wall: START });
  let told: string[] = [];
  const time = signerClock({ clock, last, stepMsMax: 30_000, onStep: ({ direction }) => told.push(direction) });
  for (const { passMs, wall, reads, steps: expected = [] } of steps) {
    await clock.advance(passMs);
    if (wall !== undefined) clock.setWall(wall);
    expect(time.now()).toBe(reads);
    expect(told).toEqual(expected);
    told = [];
  }
});
