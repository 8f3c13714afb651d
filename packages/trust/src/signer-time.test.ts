import { addMs } from '@sallyport/model';
import type { BootMs, Instant } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { anchorSignerTime, estimateSignerTime, raiseSignerTime, signerInstant, signerInstantMin } from './signer-time.ts';
import type { SignerTime } from './signer-time.ts';

const NOON = Date.UTC(2026, 10, 20, 12) as Instant;
const boot = (ms: number): BootMs => ms as BootMs;
const proven: SignerTime = { instant: NOON, boot: boot(1_000), slackMs: 0, isProven: true };

describe('signer time', () => {
  it('goes on with time since boot, and never back', () => {
    expect(signerInstant(proven, boot(6_000))).toBe(addMs(NOON, 5_000));
    expect(signerInstant(proven, boot(0))).toBe(NOON);
  });

  it('is anchored where the nonce was sent, not where the proof arrived', () => {
    expect(anchorSignerTime(undefined, NOON, boot(500))).toEqual({ instant: NOON, boot: boot(500), slackMs: 0, isProven: true });
  });

  it('a proof may correct a fast boot clock by a thousandth of the time passed, and no more', () => {
    const day = 86_400_000;
    expect(signerInstantMin(proven, boot(1_000 + day))).toBe(addMs(NOON, day - day / 1_000));
    const late = anchorSignerTime(proven, addMs(NOON, day - 2 * (day / 1_000)), boot(1_000 + day));
    expect(late.instant).toBe(addMs(NOON, day - day / 1_000));
    const slightlyLate = anchorSignerTime(proven, addMs(NOON, day - 5_000), boot(1_000 + day));
    expect(slightlyLate.instant).toBe(addMs(NOON, day - 5_000));
  });

  it('a statement raises it to its own issue, never lowers it', () => {
    expect(raiseSignerTime(proven, addMs(NOON, -1), boot(1_000))).toBe(proven);
    expect(raiseSignerTime(proven, addMs(NOON, 9_000), boot(2_000))).toMatchObject({ instant: addMs(NOON, 9_000), boot: boot(2_000) });
  });

  it('slack of restarts makes statements older, counts against no proof, and ends with one', () => {
    const slack: SignerTime = { ...proven, slackMs: 40_000, isProven: false };
    expect(signerInstant(slack, boot(1_000))).toBe(addMs(NOON, 40_000));
    expect(signerInstantMin(slack, boot(1_000))).toBe(NOON);
    expect(anchorSignerTime(slack, addMs(NOON, 500), boot(1_500)).slackMs).toBe(0);
    expect(raiseSignerTime(slack, addMs(NOON, 10_000), boot(1_000))).toMatchObject({ instant: addMs(NOON, 10_000), slackMs: 30_000 });
  });

  it('without a proof in this process the wall clock may only add', () => {
    const now = (wall: Instant): { wall: Instant; boot: BootMs } => ({ wall, boot: boot(1_000) });
    expect(estimateSignerTime(undefined, now(NOON))).toBe(NOON);
    expect(estimateSignerTime({ ...proven, isProven: false }, now(addMs(NOON, 5)))).toBe(addMs(NOON, 5));
    expect(estimateSignerTime({ ...proven, isProven: false }, now(addMs(NOON, -5)))).toBe(NOON);
    expect(estimateSignerTime(proven, now(addMs(NOON, 5)))).toBe(NOON);
  });
});
