/** A directory as one file: its envelope and the content that it names. It proves nothing by itself. */

import { decodeBase64, encodeBase64, utf8 } from '@sallyport/crypto';
import { judge } from '@sallyport/strict';
import { DIRECTORY_BYTES_MAX, ENVELOPE_BYTES_MAX } from './limits.ts';

/** A directory's envelope and its content, as offered. */
export interface DirectoryFile {
  readonly envelope: Uint8Array;
  readonly content: Uint8Array;
}

/** Bytes of such a file: base64 grows by a third, and there are names around it. */
export const DIRECTORY_FILE_BYTES_MAX: number = Math.ceil(((DIRECTORY_BYTES_MAX + ENVELOPE_BYTES_MAX.Directory) * 4) / 3) + 4_096;

export function writeDirectoryFile({ envelope, content }: DirectoryFile): Uint8Array {
  return utf8(JSON.stringify({ envelope: encodeBase64(envelope), content: encodeBase64(content) }));
}

/** Anything that is not what was written reads as nothing. */
export function readDirectoryFile(bytes: Uint8Array | undefined): DirectoryFile | undefined {
  const judged = bytes === undefined ? undefined : judge(bytes, { limits: { bytesMax: DIRECTORY_FILE_BYTES_MAX } });
  const tree: unknown = judged?.ok === true ? judged.value.tree : undefined;
  if (typeof tree !== 'object' || tree === null) return undefined;
  const file = tree as { envelope?: unknown; content?: unknown };
  const base64 = (value: unknown): Uint8Array | undefined => (typeof value === 'string' ? decodeBase64(value) : undefined);
  const [envelope, content] = [base64(file.envelope), base64(file.content)];
  return envelope === undefined || content === undefined ? undefined : { envelope, content };
}
