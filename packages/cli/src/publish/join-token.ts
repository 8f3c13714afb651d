/** A join token: made here, from this administrator's own files, and registered by the hash of its secret. */

import { CreateJoinTokenRequestSchema, create } from '@sallyport/contract';
import { digestOf, sha256 } from '@sallyport/crypto';
import { addMs, fail, ok } from '@sallyport/model';
import type { AgentName, Digest, Instant, Result } from '@sallyport/model';
import { JOIN_SECRET_BYTES, authoritiesFor, encodeJoinToken } from '@sallyport/trust';
import { CALL_MS, refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { Place } from '../places.ts';

export interface JoinTokenWish {
  readonly agent: AgentName;
  readonly place: Place;
  readonly ttlMs: number;
  /** `host:port`; without it the sidecar's own configuration says where. */
  readonly enrolmentAddress: string | undefined;
}

export interface MadeJoinToken {
  readonly token: string;
  readonly expiresAt: Instant;
}

export async function registerJoinToken(link: Link, wish: JoinTokenWish, io: Io): Promise<Result<MadeJoinToken, Refusal>> {
  const { root, pin } = link.trust;
  const { agent, place, enrolmentAddress } = wish;
  const [ca] = authoritiesFor(root, `spiffe://${root.trustDomain}/control-plane`);
  if (ca === undefined) return fail(refusal(1, 'Root lists no CA for the control plane'));
  const secret = io.random(JOIN_SECRET_BYTES);
  const token = encodeJoinToken({
    trustDomain: root.trustDomain,
    rootPin: pin,
    caDigest: digestOf(ca) as Digest,
    agent,
    ...place,
    secret,
    ...(enrolmentAddress === undefined ? {} : { enrolmentAddress }),
  });
  const expiresAt = addMs(io.clock.wall(), wish.ttlMs);
  const request = create(CreateJoinTokenRequestSchema, { secretHash: sha256(secret), agent, ...place, expiresAtMs: BigInt(expiresAt) });
  const made = await link.fleet.createJoinToken(request, { deadlineMs: CALL_MS, signal: io.signal });
  return made.ok ? ok({ token, expiresAt }) : fail(refusedBy('registering the token', made.error, link));
}
