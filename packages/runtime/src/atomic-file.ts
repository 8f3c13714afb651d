/**
 * Replaces a file so that, whatever moment the power goes, a reader finds the whole old content or the whole new one.
 * The order is the point: bytes synced before the name points to them, then the name itself synced.
 */

import { dirname } from 'node:path';
import type { FileSystem } from './file-system.ts';

/**
 * Writes `bytes` to `path` (mode 0600). When it resolves, the new content survives a loss of power; when it rejects,
 * the old content is still whole. The owner of a path makes one call at a time: two would share the file beside it,
 * `<path>.tmp`, which a crash may leave behind and the next call overwrites.
 */
export async function writeFileAtomically(disk: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = disk.open(temporary, 'create');
  try {
    file.append(bytes);
    await file.sync();
  } finally {
    file.close();
  }
  disk.rename(temporary, path);
  await disk.syncDirectory(dirname(path));
}
