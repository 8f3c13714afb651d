/**
 * Standard output of this process, and whether all of it arrived. A reader that has gone (`| head`) has what it wanted;
 * a disk that is full has not, and half an export must never look like a whole one.
 */

import { fstatSync, writeSync } from 'node:fs';
import { reasonOf } from './files.ts';

export interface StandardOutput {
  /** Resolves when more may be written. Never rejects: what is lost is told by `lost`. */
  readonly write: (chunk: string | Uint8Array) => Promise<void>;
  /** Why something that was written did not arrive, in words; `undefined` where all of it did. */
  readonly lost: () => string | undefined;
}

type Stream = NodeJS.WriteStream & { readonly fd: number };

/** `onEnd` is told once that nothing more arrives, whatever the reason. */
export function standardOutput(stdout: Stream, onEnd: () => void): StandardOutput {
  // Owner: `failed`; written by the first failure that is one.
  let lost: string | undefined;
  const failed = (error: unknown): void => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) lost ??= reasonOf(error);
    onEnd();
  };
  stdout.on('error', failed);
  const isFile = isFileLike(stdout);
  return {
    lost: () => lost,
    async write(chunk) {
      if (isFile) writeWhole(stdout.fd, chunk, failed);
      else await written(stdout, chunk);
    },
  };
}

/** A file, or a device that takes what it is given: not a terminal, a pipe or a socket. */
function isFileLike({ fd, isTTY }: Stream): boolean {
  try {
    const stats = fstatSync(fd);
    return stats.isFile() || (stats.isCharacterDevice() && !isTTY);
  } catch {
    // Closed by whoever started us: the stream says so once it is written to.
    return false;
  }
}

/** Node's own stream for files takes a write that the disk cut short for a whole one. */
function writeWhole(fd: number, chunk: string | Uint8Array, failed: (error: unknown) => void): void {
  const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  try {
    for (let from = 0; from < bytes.byteLength;) from += writeSync(fd, bytes, from);
  } catch (error) {
    failed(error);
  }
}

/** Resolves when more may be written, or nothing any more. */
async function written(stdout: NodeJS.WriteStream, chunk: string | Uint8Array): Promise<void> {
  if (stdout.destroyed || stdout.write(chunk)) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const event of EVENTS) stdout.off(event, done);
      resolve();
    };
    for (const event of EVENTS) stdout.once(event, done);
  });
}
const EVENTS = ['drain', 'error', 'close'] as const;
