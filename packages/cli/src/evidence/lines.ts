/** An export line by line, so that it may be larger than memory. */

import { closeSync, openSync, readSync } from 'node:fs';
import { concatBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { reasonOf } from '../files.ts';

const CHUNK_BYTES = 262_144;
/** Longer than any line of an export; one that is longer is handed on as it stands, and judged. */
const LINE_BYTES_MAX = 4_194_304;
const LINE_FEED = 0x0a;

export interface Lines {
  /** `isTerminated`: false for a last line without its line feed. */
  readonly add: (line: Uint8Array, isTerminated: boolean) => void;
  /** The file as it was typed, for the problem. */
  readonly shown: string;
}

/** Line by line, so that an export may be larger than memory. */
export function eachLine(path: string, { add, shown }: Lines): Result<undefined, Problem> {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    let rest: Uint8Array = new Uint8Array();
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let read = readSync(descriptor, chunk); read > 0; read = readSync(descriptor, chunk)) {
      let bytes = concatBytes(rest, chunk.subarray(0, read));
      for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED)) {
        add(bytes.subarray(0, end), true);
        bytes = bytes.subarray(end + 1);
      }
      rest = bytes;
      if (rest.byteLength > LINE_BYTES_MAX) break;
    }
    if (rest.byteLength > 0) add(rest, false);
    return ok(undefined);
  } catch (error) {
    return fail({ path: '', file: shown, message: `cannot be read: ${reasonOf(error)}` });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
