/** Signed objects that lie in the administrator's folder, and their replacement by later ones. */

import { existsSync } from 'node:fs';
import { equalBytes } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { ENVELOPE_BYTES_MAX, parseEnvelope } from '@sallyport/trust';
import type { Rejection, SignedKind } from '@sallyport/trust';
import { readBytes, writeFile } from '../files.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';

/** What a file holds, read and not verified; `undefined` where it holds none. */
export function readHeld<T>(kind: SignedKind, file: string, read: (payload: Uint8Array) => Result<T, Rejection>): T | undefined {
  const payload = payloadIn(kind, file);
  const object = payload === undefined ? undefined : read(payload);
  return object?.ok === true ? object.value : undefined;
}

function payloadIn(kind: SignedKind, file: string): Uint8Array | undefined {
  const bytes = existsSync(file) ? readBytes(file, { bytesMax: ENVELOPE_BYTES_MAX[kind] }) : undefined;
  const parsed = bytes?.ok === true ? parseEnvelope(kind, bytes.value) : undefined;
  return parsed?.ok === true ? parsed.value.payload : undefined;
}

export interface Replacement {
  readonly kind: SignedKind;
  /** A verified envelope. */
  readonly envelope: Uint8Array;
  readonly number: number;
  /** The number that lies there; 0 for none. */
  readonly held: number;
  /** `the delegation of default`. */
  readonly what: string;
}

/** Puts a verified object in the place of an older one. The very same object is no change; an older one never comes back. */
export function replaceNumbered(file: string, { kind, envelope, number, held, what }: Replacement): Result<readonly string[], Refusal> {
  const [before, parsed] = [payloadIn(kind, file), parseEnvelope(kind, envelope)];
  if (before !== undefined && parsed.ok && equalBytes(before, parsed.value.payload)) return ok([]);
  if (number <= held)
    return fail(refusal(1, `${what} has number ${held} here, and this is number ${number}`, 'draft it again over what is in force'));
  const written = writeFile(file, envelope, { mode: 0o644, as: 'replacement' });
  return written.ok ? ok([file]) : fail({ exit: 64, problems: [written.error] });
}
