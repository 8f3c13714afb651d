/**
 * The machine's real disk, of which a test can make one kind of operation on some paths fail: before it is done, after
 * it is done (the error is a lie, or came too late), or never come back. What is on the disk is really there.
 */

import { diskFault, realFileSystem, type DiskFile, type FileSystem } from '@sallyport/runtime';

/** `fails`: refused, and not done. `persisted`: done, and refused all the same. `hangs`: done, and not answered before `heal`. */
export type DiskTrouble = 'fails' | 'persisted' | 'hangs';

export interface FaultyDisk {
  readonly fs: FileSystem;
  /** From now on: operations of this kind on paths that contain `path`. */
  trouble(
    how: DiskTrouble,
    of: { readonly on: 'append' | 'sync' | 'rename'; readonly path: string; readonly code?: 'ENOSPC' | 'EIO' },
  ): void;
  /** No trouble any more; what hung comes back. */
  heal(): void;
  /** How many operations have met it. */
  readonly met: number;
}

export function faultyDisk(): FaultyDisk {
  const real = realFileSystem();
  // Owner of everything below: this disk.
  let present: { how: DiskTrouble; on: 'append' | 'sync' | 'rename'; path: string; code: string } | undefined;
  let healed = Promise.withResolvers<void>();
  let met = 0;

  const meets = (on: 'append' | 'sync' | 'rename', path: string): typeof present => {
    if (present?.on !== on || !path.includes(present.path)) return undefined;
    met += 1;
    return present;
  };
  const fault = (path: string, code: string): Error => diskFault('testing', path, Object.assign(new Error(`${code}: by a test`), { code }));
  /** A synchronous operation cannot hang in a test that shares its thread: there hanging is failing. */
  const now = (on: 'append' | 'rename', path: string, act: () => void): void => {
    const trouble = meets(on, path);
    if (trouble === undefined || trouble.how === 'persisted') act();
    if (trouble !== undefined) throw fault(path, trouble.code);
  };
  const sync = async (path: string, act: () => Promise<void>): Promise<void> => {
    const trouble = meets('sync', path);
    if (trouble === undefined) return act();
    // Taken first: who heals the disk while this is still being done heals this too.
    const { promise: answered } = healed;
    if (trouble.how !== 'fails') await act();
    if (trouble.how === 'hangs') return answered;
    throw fault(path, trouble.code);
  };
  const wrap = (file: DiskFile): DiskFile => ({
    path: file.path,
    size: () => file.size(),
    read: (position, bytesMax) => file.read(position, bytesMax),
    append: (...chunks) => now('append', file.path, () => file.append(...chunks)),
    truncate: (bytes) => file.truncate(bytes),
    sync: () => sync(file.path, () => file.sync()),
    syncNow: () => file.syncNow(),
    close: () => file.close(),
  });
  return {
    fs: {
      ...real,
      open: (path, mode) => wrap(real.open(path, mode)),
      rename: (from, to) => now('rename', to, () => real.rename(from, to)),
      syncDirectory: (directory) => sync(directory, () => real.syncDirectory(directory)),
    },
    trouble(how, { on, path, code = 'EIO' }) {
      present = { how, on, path, code };
    },
    heal() {
      present = undefined;
      healed.resolve();
      healed = Promise.withResolvers();
    },
    get met() {
      return met;
    },
  };
}
