/** Where a stream stands after one of its lines: what a restart needs of the last record that it finds on disk. */

import { decodeHex } from '@sallyport/crypto';
import type { ChainState } from './chain.ts';
import { append } from './chain.ts';
import { readHead } from './read.ts';

/** The state after `line`, by what the line says of its place; `undefined` for what is no record line. */
export function stateAfter(line: Uint8Array): ChainState | undefined {
  const read = readHead(line);
  if (!read.ok) return undefined;
  const { stream, seq, prev } = read.value;
  return append({ stream, seq: seq - 1, head: decodeHex(prev) ?? new Uint8Array() }, line);
}
