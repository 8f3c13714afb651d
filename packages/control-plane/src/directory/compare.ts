/** How two contents differ, in numbers: what the record of an act may hold. */

import type { DirectoryEntry } from '@sallyport/model';
import { directoryKeyOf } from '@sallyport/trust';

export interface Difference {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

export function compareContents(before: readonly DirectoryEntry[], after: readonly DirectoryEntry[]): Difference {
  const [old, next] = [before, after].map(
    (entries) => new Map(entries.map((entry) => [directoryKeyOf(entry), JSON.stringify(entry.attributes)])),
  );
  let [added, changed] = [0, 0];
  for (const [name, attributes] of next ?? []) {
    const held = old?.get(name);
    if (held === undefined) added += 1;
    else if (held !== attributes) changed += 1;
  }
  const removed = [...(old?.keys() ?? [])].filter((name) => next?.has(name) !== true).length;
  return { added, changed, removed };
}
