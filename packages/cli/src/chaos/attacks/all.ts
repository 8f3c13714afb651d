/** Every attack that can be staged, in the order in which they are. */

import type { Attack } from '../attack.ts';
import { restoredDisk, tamperedCache, wipedDisk } from './disk.ts';
import { forgedBundle, replay, rollback } from './forgery.ts';
import { freeze, partition } from './line.ts';

export const ATTACKS: readonly Attack[] = [partition, freeze, replay, restoredDisk, rollback, forgedBundle, tamperedCache, wipedDisk];
