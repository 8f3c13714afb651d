/** Appends lines to the segments and says when they survive a loss of power. After a failure nothing is kept any more. */

import { Fault, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { SegmentLog } from '@sallyport/store';

export interface Keeper {
  /** All lines, contiguous, or none. `full` may pass; a Fault does not. Own lines use what is kept free for them. */
  keep(lines: readonly Uint8Array[], options: { readonly isOwn: boolean }): Promise<Result<undefined, 'full' | Fault>>;
  /** Resolves with the fault that ended the segments, if one does. */
  readonly failed: Promise<Fault>;
}

export function createKeeper(log: SegmentLog, onDurable: () => void): Keeper {
  const { promise: failed, resolve } = Promise.withResolvers<Fault>();
  return {
    failed,
    async keep(lines, { isOwn }) {
      const frames = lines.map((bytes) => ({ kind: 'record' as const, bytes }));
      const appended = await log.append(frames, { durability: 'disk', usesHeadroom: isOwn });
      if (appended.ok) {
        onDurable();
        return ok(undefined);
      }
      switch (appended.error.code) {
        case 'full':
          return fail('full');
        case 'closed':
          return fail(new Fault('store_failed', 'internal', 'the audit segments are closed'));
        case 'failed':
          resolve(appended.error.fault);
          return fail(appended.error.fault);
      }
    },
  };
}
