/**
 * A disk that keeps what was written apart from what was synced, so that a test can pull the plug before any operation
 * and see what a restart finds: unsynced bytes lost, torn, zeroed or kept, unsynced names undone or kept. It also fails
 * on demand (ENOSPC, EIO), and after a failed sync it forgets the bytes for good, as Linux does.
 * It is stricter than most file systems: nothing is durable that the port does not promise.
 */

import { dirname } from 'node:path';
import { diskFault } from '@sallyport/runtime';
import type { DiskFile, FileSystem, OpenMode } from '@sallyport/runtime';

/** The power is gone, or this handle is from before it went. Never a Fault: no product code may know how to go on. */
export class PowerLost extends Error {
  override readonly name = 'PowerLost';
}

/** What became of unsynced bytes and of unsynced names (made, renamed, removed) when the power went. */
export interface Survival {
  readonly data: 'lost' | 'torn' | 'zeroed' | 'kept';
  readonly names: 'undone' | 'kept';
}

/** Every combination. `lost` + `kept` is the rename that overtook its bytes: the name is new, the file is empty. */
export const SURVIVALS: readonly Survival[] = (['lost', 'torn', 'zeroed', 'kept'] as const).flatMap((data) =>
  (['undone', 'kept'] as const).map((names) => ({ data, names })),
);

/** Operations that change something; only these are counted. */
export type DiskOperation = 'create' | 'append' | 'truncate' | 'sync' | 'rename' | 'unlink' | 'sync_directory';

/** A failure to come. */
export interface DiskFailure {
  readonly on: DiskOperation;
  readonly code: 'ENOSPC' | 'EIO' | 'EROFS';
  /** Only for paths that contain this. */
  readonly path?: string;
  /** Lets this many matching operations pass first; 0 unless said. */
  readonly skip?: number;
  /** How many fail; every one from then on unless said. */
  readonly times?: number;
  /** An append that fails has written this many bytes of its own; 0 unless said. */
  readonly afterBytes?: number;
}

export interface SimulatedDisk {
  /** The port, for the process that runs now. After a restart, ask again: the old one only throws. */
  readonly fs: FileSystem;
  /** Operations so far, as `append /state/journal`; its length numbers the next one. */
  readonly operations: readonly string[];
  readonly isDark: boolean;
  /** The power goes just before the operation with this number (from 0) is carried out. */
  losePowerBefore(operation: number): void;
  /** The power goes now. */
  losePower(): void;
  /**
   * The next start: after a loss of power with what survived it; `killed` is a kill of the process alone, after which
   * everything written is there. Disarms what was armed, ends every handle, returns the new mount.
   */
  restart(how: Survival | 'killed'): FileSystem;
  fail(failure: DiskFailure): void;
  /** Failures are over. */
  heal(): void;
  /** Lets no sync (file or directory) finish until `resume` is called; `waiting` says how many are under way. */
  holdSyncs(): { readonly waiting: number; resume(): void };
  /** What a file holds now, or `undefined`. For assertions; it is no operation. */
  peek(path: string): Uint8Array | undefined;
  /** Puts a file there, durable, as damage or a thief would. It is no operation. */
  plant(path: string, bytes: Uint8Array): void;
}

interface Inode {
  /** What the platter holds. */
  durable: Uint8Array;
  /** What the page cache holds. */
  current: Uint8Array;
  /** Bytes from `from` to `to` failed to sync: the cache calls them clean, and no later sync writes them. */
  forgotten: readonly { readonly from: number; readonly to: number }[];
}

interface Mount {
  isDead: boolean;
}

const EMPTY = new Uint8Array(0);

export function simulatedDisk(): SimulatedDisk {
  // Owner of everything below: this disk.
  let current = new Map<string, Inode>();
  let durable = new Map<string, Inode>();
  const directories = new Set<string>(['/']);
  const operations: string[] = [];
  let failures: { readonly failure: DiskFailure; skipped: number; failed: number }[] = [];
  let darkBefore = Infinity;
  let isDark = false;
  let held: { readonly waiting: (() => void)[] } | undefined;
  let mount: Mount = { isDead: false };

  const alive = (of: Mount): void => {
    if (isDark) throw new PowerLost('the power is gone');
    if (of.isDead) throw new PowerLost('this handle is from before the restart');
  };

  const failing = (on: DiskOperation, path: string): DiskFailure | undefined => {
    for (const entry of failures) {
      const { failure } = entry;
      if (failure.on !== on || (failure.path !== undefined && !path.includes(failure.path))) continue;
      if (entry.skipped < (failure.skip ?? 0)) {
        entry.skipped += 1;
        continue;
      }
      if (entry.failed >= (failure.times ?? Infinity)) continue;
      entry.failed += 1;
      return failure;
    }
    return undefined;
  };

  /** Counts an operation; throws when the power goes before it; returns the failure that awaits it. */
  const begin = (of: Mount, on: DiskOperation, path: string): DiskFailure | undefined => {
    alive(of);
    if (operations.length >= darkBefore) {
      isDark = true;
      throw new PowerLost(`the power went before operation ${operations.length}: ${on} ${path}`);
    }
    operations.push(`${on} ${path}`);
    return failing(on, path);
  };

  const errno = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

  const finishSync = async (of: Mount): Promise<void> => {
    if (held !== undefined) await new Promise<void>((resolve) => held?.waiting.push(resolve));
    else await Promise.resolve();
    alive(of);
  };

  const syncInode = (inode: Inode, upTo: Uint8Array): void => {
    const bytes = upTo.slice();
    for (const { from, to } of inode.forgotten) bytes.fill(0, from, Math.min(to, bytes.length));
    inode.durable = bytes;
  };

  const forget = (inode: Inode): void => {
    const from = commonLength(inode.durable, inode.current);
    inode.forgotten = [...inode.forgotten, { from, to: inode.current.length }];
  };

  const openFile = (of: Mount, path: string, mode: OpenMode): DiskFile => {
    alive(of);
    let inode = current.get(path);
    if (inode === undefined && mode === 'read') throw diskFault('opening', path, errno('ENOENT'));
    if (inode !== undefined && mode === 'create_new') throw diskFault('opening', path, errno('EEXIST'));
    if (!directories.has(dirname(path))) throw diskFault('opening', path, errno('ENOENT'));
    if (inode === undefined || (mode === 'create' && inode.current.length > 0)) {
      const failure = begin(of, inode === undefined ? 'create' : 'truncate', path);
      if (failure !== undefined) throw diskFault('opening', path, errno(failure.code));
      if (inode === undefined) {
        inode = { durable: EMPTY, current: EMPTY, forgotten: [] };
        current.set(path, inode);
      } else {
        inode.current = EMPTY;
      }
    }
    return file(of, path, mode, inode);
  };

  const file = (of: Mount, path: string, mode: OpenMode, inode: Inode): DiskFile => {
    let isClosed = false;
    const usable = (forWriting: boolean): void => {
      alive(of);
      if (isClosed || (forWriting && mode === 'read')) throw diskFault('using', path, errno('EBADF'));
    };
    const syncBegin = (): Uint8Array => {
      usable(false);
      const failure = begin(of, 'sync', path);
      if (failure === undefined) return inode.current;
      forget(inode);
      throw diskFault('syncing', path, errno(failure.code));
    };
    return {
      path,
      size() {
        usable(false);
        return inode.current.length;
      },
      read(position, bytesMax) {
        usable(false);
        return inode.current.slice(position, position + bytesMax);
      },
      append(...chunks) {
        usable(true);
        const failure = begin(of, 'append', path);
        const bytes = joined(chunks);
        if (failure === undefined) {
          inode.current = joined([inode.current, bytes]);
          return;
        }
        inode.current = joined([inode.current, bytes.subarray(0, failure.afterBytes ?? 0)]);
        throw diskFault('writing', path, errno(failure.code));
      },
      truncate(bytes) {
        usable(true);
        const failure = begin(of, 'truncate', path);
        if (failure !== undefined) throw diskFault('truncating', path, errno(failure.code));
        const kept = inode.current.subarray(0, bytes);
        inode.current = joined([kept, new Uint8Array(bytes - kept.length)]);
        inode.forgotten = inode.forgotten.filter(({ from }) => from < bytes);
      },
      async sync() {
        const upTo = syncBegin();
        await finishSync(of);
        syncInode(inode, upTo);
      },
      syncNow() {
        syncInode(inode, syncBegin());
      },
      close() {
        usable(false);
        isClosed = true;
      },
    };
  };

  const mounted = (of: Mount): FileSystem => ({
    open: (path, mode) => openFile(of, path, mode),
    readFile(path, bytesMax) {
      alive(of);
      const bytes = current.get(path)?.current;
      if (bytes !== undefined && bytes.length > bytesMax) throw diskFault('reading', path, new Error(`longer than ${bytesMax} bytes`));
      return bytes?.slice();
    },
    rename(from, to) {
      const failure = begin(of, 'rename', to);
      const inode = current.get(from);
      if (failure !== undefined) throw diskFault('renaming', from, errno(failure.code));
      if (inode === undefined || !directories.has(dirname(to))) throw diskFault('renaming', from, errno('ENOENT'));
      current.delete(from);
      current.set(to, inode);
    },
    unlink(path) {
      alive(of);
      if (!current.has(path)) return false;
      const failure = begin(of, 'unlink', path);
      if (failure !== undefined) throw diskFault('removing', path, errno(failure.code));
      return current.delete(path);
    },
    list(directory) {
      alive(of);
      const inside = [...current.keys(), ...directories].filter((path) => path !== '/' && dirname(path) === directory);
      return inside.map((path) => path.slice(directory === '/' ? 1 : directory.length + 1)).toSorted();
    },
    makeDirectory(directory) {
      alive(of);
      for (let path = directory; path !== '/'; path = dirname(path)) directories.add(path);
    },
    async syncDirectory(directory) {
      const failure = begin(of, 'sync_directory', directory);
      if (failure !== undefined) throw diskFault('syncing', directory, errno(failure.code));
      const names = [...current].filter(([path]) => dirname(path) === directory);
      await finishSync(of);
      for (const path of durable.keys()) if (dirname(path) === directory) durable.delete(path);
      for (const [path, inode] of names) durable.set(path, inode);
    },
  });

  const survive = (how: Survival): void => {
    const names = how.names === 'kept' ? current : durable;
    const outcomes = new Map<Inode, Uint8Array>();
    for (const inode of names.values()) outcomes.set(inode, survivor(inode, how.data));
    const after = new Map<string, Inode>();
    for (const [path, inode] of names) {
      const bytes = outcomes.get(inode) ?? EMPTY;
      after.set(path, { durable: bytes, current: bytes, forgotten: [] });
    }
    current = after;
    durable = new Map(after);
  };

  return {
    get fs() {
      return mounted(mount);
    },
    operations,
    get isDark() {
      return isDark;
    },
    losePowerBefore(operation) {
      darkBefore = operation;
    },
    losePower() {
      isDark = true;
    },
    restart(how) {
      mount.isDead = true;
      mount = { isDead: false };
      if (how !== 'killed') survive(how);
      isDark = false;
      darkBefore = Infinity;
      held = undefined;
      return mounted(mount);
    },
    fail(failure) {
      failures.push({ failure, skipped: 0, failed: 0 });
    },
    heal() {
      failures = [];
    },
    holdSyncs() {
      const waiting: (() => void)[] = [];
      held = { waiting };
      return {
        get waiting() {
          return waiting.length;
        },
        resume() {
          held = undefined;
          for (const finish of waiting.splice(0)) finish();
        },
      };
    },
    peek: (path) => current.get(path)?.current.slice(),
    plant(path, bytes) {
      const inode = { durable: bytes.slice(), current: bytes.slice(), forgotten: [] };
      current.set(path, inode);
      durable.set(path, inode);
      for (let directory = dirname(path); directory !== '/'; directory = dirname(directory)) directories.add(directory);
    },
  };
}

/** One moment of a run at which the power went, and how it came back. */
export interface Moment {
  readonly operation: number;
  readonly survival: Survival;
  /** `before 7 (rename /state/bundle), data torn, names undone`, for the message of an assertion. */
  readonly name: string;
}

/**
 * Runs `run` once whole to count its operations, then once for each (operation, survival): the power goes before that
 * operation, the disk restarts, and `check` says whether what is found is acceptable. `prepare` runs before, with power,
 * and everything it did is durable. Returns how many moments were tried, so that a test can assert it is not 0.
 */
export async function everyPowerLoss(story: {
  readonly prepare?: (fs: FileSystem) => Promise<void> | void;
  readonly run: (fs: FileSystem) => Promise<void> | void;
  readonly check: (fs: FileSystem, moment: Moment) => Promise<void> | void;
}): Promise<number> {
  const fresh = async (): Promise<{ disk: SimulatedDisk; from: number }> => {
    const disk = simulatedDisk();
    await story.prepare?.(disk.fs);
    disk.restart({ data: 'kept', names: 'kept' });
    return { disk, from: disk.operations.length };
  };
  const whole = await fresh();
  await story.run(whole.disk.fs);
  const names = whole.disk.operations;
  let moments = 0;
  for (let operation = whole.from; operation <= names.length; operation++) {
    for (const survival of SURVIVALS) {
      const { disk } = await fresh();
      disk.losePowerBefore(operation);
      try {
        await story.run(disk.fs);
        disk.losePower();
      } catch (error) {
        // A run that meets the loss ends with it, or with its own failure because of it; anything else is a red test.
        if (!disk.isDark) throw error;
      }
      const what = `before ${operation} (${names[operation] ?? 'the end'}), data ${survival.data}, names ${survival.names}`;
      await story.check(disk.restart(survival), { operation, survival, name: what });
      moments += 1;
    }
  }
  return moments;
}

function survivor(inode: Inode, data: Survival['data']): Uint8Array {
  const written = inode.current.slice();
  for (const { from, to } of inode.forgotten) written.fill(0, from, Math.min(to, written.length));
  if (data === 'lost') return inode.durable;
  if (data === 'kept') return written;
  const same = commonLength(inode.durable, written);
  const torn = same + Math.ceil((written.length - same) / 2);
  return data === 'torn' ? written.slice(0, torn) : written.fill(0, same);
}

function commonLength(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return i;
  return end;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
