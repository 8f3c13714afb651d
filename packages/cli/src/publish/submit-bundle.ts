/** Upload and submission of a signed bundle: only parts that are not there yet travel, the largest in pieces. */

import { MissingPartsRequestSchema, PutPartRequestSchema, SubmitBundleRequestSchema, create } from '@sallyport/contract';
import type { Problem as WireProblem } from '@sallyport/contract';
import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { Digest, PartName, Problem, Result } from '@sallyport/model';
import { digestOfPayload } from '@sallyport/trust';
import { CALL_MS, refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import type { Output, Refusal } from '../output.ts';
import { located } from '../policy/read-policy.ts';

export interface SubmittedBundle {
  readonly envelope: Uint8Array;
  readonly parts: Readonly<Record<PartName, Uint8Array>>;
  /** Folder that the files of problems are in, as it was typed; empty where there is none. */
  readonly dir: string;
}

/** Of one message; the control plane puts pieces together again. */
const PIECE_BYTES = 65_536;

/** The number of parts that travelled. Refused with the places of the author's files where the bundle does not hold. */
export async function submitBundle(
  link: Link,
  { envelope, parts, dir }: SubmittedBundle,
  { io, out }: { readonly io: Io; readonly out: Output },
): Promise<Result<number, Refusal>> {
  const sent = await uploadParts(
    link,
    PART_NAMES.map((name) => parts[name]),
    { io, out },
  );
  if (!sent.ok) return sent;
  const answer = await link.publish.submitBundle(create(SubmitBundleRequestSchema, { envelope }), {
    deadlineMs: CALL_MS * 2,
    signal: io.signal,
  });
  if (!answer.ok) return fail(refusedBy('submitting the bundle', answer.error, link));
  if (answer.value.problems.length > 0) return fail({ exit: 1, problems: located(dir, answer.value.problems.map(problemFromWire)) });
  return sent;
}

/** The number of blobs that travelled. */
export async function uploadParts(
  link: Link,
  parts: readonly Uint8Array[],
  { io, out }: { readonly io: Io; readonly out: Output },
): Promise<Result<number, Refusal>> {
  const byDigest = new Map<Digest, Uint8Array>(parts.map((part) => [digestOfPayload(part), part]));
  const missing = await link.publish.missingParts(create(MissingPartsRequestSchema, { digests: [...byDigest.keys()] }), {
    deadlineMs: CALL_MS,
    signal: io.signal,
  });
  if (!missing.ok) return fail(refusedBy('asking which parts are missing', missing.error, link));
  const wanted = missing.value.digests.flatMap((digest) => {
    const bytes = byDigest.get(digest as Digest);
    return bytes === undefined ? [] : [{ digest, bytes }];
  });
  if (wanted.length === 0) return ok(0);
  out.progress(`uploading ${wanted.length} of ${byDigest.size} parts`);
  const { out: stream, response } = link.publish.putPart({ deadlineMs: CALL_MS * 4, signal: io.signal });
  for (const { digest, bytes } of wanted) {
    for (let from = 0; from === 0 || from < bytes.byteLength; from += PIECE_BYTES) {
      const piece = create(PutPartRequestSchema, { digest, data: bytes.subarray(from, from + PIECE_BYTES) });
      while (!stream.isOver && !stream.write(piece)) await stream.drained();
    }
  }
  stream.end();
  const put = await response;
  return put.ok ? ok(wanted.length) : fail(refusedBy('uploading parts', put.error, link));
}

/** Empty words of the wire are absent ones here. */
function problemFromWire({ path, message, remedy, file, line }: WireProblem): Problem {
  return {
    path,
    message,
    ...(remedy === '' ? {} : { remedy }),
    ...(file === '' ? {} : { file }),
    ...(line === 0 ? {} : { line }),
  };
}
