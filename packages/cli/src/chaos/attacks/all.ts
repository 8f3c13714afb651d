/** Every attack that can be staged, in the order in which they are. */

import type { Attack } from '../attack.ts';
import { restoredDisk, tamperedCache, wipedDisk } from './disk.ts';
import { forgedBundle, replay, rollback } from './forgery.ts';
import { freeze, partition } from './line.ts';
import { decompressionBomb, endlessPart, mixAndMatch, slowDrip, wrongArea } from './parts.ts';
import { takeover } from './takeover.ts';
import { equivocation, fastForward, hoard, revocationGap, stolenFreshness } from './statements.ts';

export const ATTACKS: readonly Attack[] = [
  partition,
  freeze,
  replay,
  hoard,
  revocationGap,
  stolenFreshness,
  fastForward,
  restoredDisk,
  rollback,
  equivocation,
  forgedBundle,
  mixAndMatch,
  wrongArea,
  endlessPart,
  slowDrip,
  decompressionBomb,
  tamperedCache,
  wipedDisk,
  takeover,
];
