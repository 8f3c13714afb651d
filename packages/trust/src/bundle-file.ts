/** A bundle as one file, in a cache or in a folder that is carried: both envelopes and all parts. It proves nothing by itself. */

import { decodeBase64, encodeBase64, utf8 } from '@sallyport/crypto';
import { PART_NAMES, type PartName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { BUNDLE_BYTES_MAX, ENVELOPE_BYTES_MAX } from './limits.ts';

/** A bundle's envelopes and its parts by name, as offered. */
export interface BundleFile {
  readonly envelope: Uint8Array;
  readonly delegation: Uint8Array;
  readonly parts: Readonly<Partial<Record<PartName, Uint8Array>>>;
}

/** Bytes of such a file: base64 grows by a third, and there are names around it. */
export const BUNDLE_FILE_BYTES_MAX: number =
  Math.ceil(((BUNDLE_BYTES_MAX + ENVELOPE_BYTES_MAX.Bundle + ENVELOPE_BYTES_MAX.AreaDelegation) * 4) / 3) + 4_096;

export function writeBundleFile({ envelope, delegation, parts }: BundleFile): Uint8Array {
  const encoded = Object.fromEntries(PART_NAMES.map((name) => [name, encodeBase64(parts[name] ?? new Uint8Array())]));
  return utf8(JSON.stringify({ envelope: encodeBase64(envelope), delegation: encodeBase64(delegation), parts: encoded }));
}

/** Anything that is not what was written reads as nothing. What it says is believed no further than acceptance goes. */
export function readBundleFile(bytes: Uint8Array | undefined): BundleFile | undefined {
  const judged = bytes === undefined ? undefined : judge(bytes, { limits: { bytesMax: BUNDLE_FILE_BYTES_MAX } });
  const tree: unknown = judged?.ok === true ? judged.value.tree : undefined;
  if (typeof tree !== 'object' || tree === null) return undefined;
  const file = tree as { envelope?: unknown; delegation?: unknown; parts?: Record<string, unknown> };
  const base64 = (value: unknown): Uint8Array | undefined => (typeof value === 'string' ? decodeBase64(value) : undefined);
  const [envelope, delegation] = [base64(file.envelope), base64(file.delegation)];
  if (envelope === undefined || delegation === undefined) return undefined;
  const parts: Partial<Record<PartName, Uint8Array>> = {};
  for (const name of PART_NAMES) {
    const part = base64(file.parts?.[name]);
    if (part !== undefined) parts[name] = part;
  }
  return { envelope, delegation, parts };
}
