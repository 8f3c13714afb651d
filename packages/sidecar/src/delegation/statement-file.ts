/** The agent's own trust statement, from the file that configuration names; read again every ten seconds. */

import { fromUtf8 } from '@sallyport/crypto';
import { TRUST_STATEMENT_BYTES_MAX } from '@sallyport/identity';
import type { Clock } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { SidecarConfig } from '../config.ts';

const READ_AGAIN_MS = 10_000;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** The statement as it lies there; nothing where there is none, or what is there is none: the agent is of the lowest tier then. */
export function statementOf(
  { trust_statement_file: path }: Pick<SidecarConfig, 'trust_statement_file'>,
  { clock, disk }: { readonly clock: Clock; readonly disk: FileSystem },
): () => string | undefined {
  if (path === undefined) return () => undefined;
  // Owner: this function. What was read last, and when.
  let held: { readonly text: string | undefined; readonly at: number } | undefined;
  return () => {
    if (held === undefined || clock.boot() - held.at >= READ_AGAIN_MS) held = { text: read(disk, path), at: clock.boot() };
    return held.text;
  };
}

function read(disk: FileSystem, path: string): string | undefined {
  try {
    const bytes = disk.readFile(path, TRUST_STATEMENT_BYTES_MAX + 2);
    const text = bytes === undefined ? undefined : fromUtf8(bytes)?.trim();
    return text !== undefined && COMPACT.test(text) ? text : undefined;
  } catch {
    // Unreadable and absent are the same: nothing is said of the agent.
    return undefined;
  }
}
