/**
 * A way for the agent to prove itself that hangs on a file (keys of a cluster, authorities): the file is read again every
 * second, and the method made anew when its bytes differ. A file that is gone or damaged proves nobody.
 */

import type { CallerMethod } from '@sallyport/credentials';
import { fromUtf8 } from '@sallyport/crypto';
import type { BootMs, Clock, Problem, Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';

const FILE_BYTES_MAX = 262_144;
/** How long what was taken out of the file may still be good. */
export const READ_AGAIN_MS = 1_000;

export interface MethodFile {
  readonly path: string;
  readonly disk: FileSystem;
  readonly clock: Clock;
  /** Made from the text of the file; problems where it cannot be. */
  readonly make: (text: string) => Result<CallerMethod, readonly Problem[]>;
}

/** The method by the file as it is; another object where the file has changed, `undefined` where there is none. */
export function methodOfFile({ path, disk, clock, make }: MethodFile): () => CallerMethod | undefined {
  // Owner: the function that is returned.
  let readAt: BootMs | undefined;
  let text: string | undefined;
  let method: CallerMethod | undefined;
  return () => {
    const now = clock.boot();
    if (readAt !== undefined && now - readAt < READ_AGAIN_MS) return method;
    readAt = now;
    const next = readWhole(path, disk);
    if (next === text) return method;
    text = next;
    const made = next === undefined ? undefined : make(next);
    method = made?.ok === true ? made.value : undefined;
    return method;
  };
}

/** The file as text; `undefined` where it cannot be read, or is none. */
export function readWhole(path: string, disk: FileSystem): string | undefined {
  try {
    const bytes = disk.readFile(path, FILE_BYTES_MAX);
    return bytes === undefined ? undefined : fromUtf8(bytes);
  } catch {
    // Unreadable and absent are the same here: it proves nobody.
    return undefined;
  }
}
