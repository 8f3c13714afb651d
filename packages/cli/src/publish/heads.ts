/** What the next bundle and release have to follow, as the control plane holds it. */

import { GetHeadsRequestSchema, create } from '@sallyport/contract';
import { fail, isDigest, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import { CALL_MS, refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';

export interface Heads {
  /** 0 before the first. */
  readonly revision: number;
  readonly bundle: Digest | null;
  readonly releaseSeq: number;
  readonly release: Digest | null;
}

export async function readHeads(link: Link, { area, ring }: Place, io: Io): Promise<Result<Heads, Refusal>> {
  const heads = await link.publish.getHeads(create(GetHeadsRequestSchema, { area, ring }), { deadlineMs: CALL_MS, signal: io.signal });
  if (!heads.ok) return fail(refusedBy('asking what is published', heads.error, link));
  const { revision, bundle, releaseSeq, release } = heads.value;
  const digestOrNull = (text: string): Digest | null => (isDigest(text) ? text : null);
  return ok({ revision: Number(revision), bundle: digestOrNull(bundle), releaseSeq: Number(releaseSeq), release: digestOrNull(release) });
}
