/** Remembers which assertions were used, in one process: for tools that take each one once. */

import type { ReplayMemory } from './verify-assertion.ts';

const ENTRIES_MAX = 100_000;

/** Bounded: when it is full of assertions that still live, none is a first use any more. Owner of its entries. */
export function replayMemory({ entriesMax = ENTRIES_MAX }: { readonly entriesMax?: number } = {}): ReplayMemory {
  // In order of arrival, which is within a minute that of expiry.
  const used = new Map<string, number>();
  return {
    isFirst(tokenId, expiresAt, now) {
      if (used.has(tokenId)) return false;
      if (used.size >= entriesMax) for (const [id, until] of used) if (until <= now) used.delete(id);
      if (used.size >= entriesMax) return false;
      used.set(tokenId, expiresAt);
      return true;
    },
  };
}
