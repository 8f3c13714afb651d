/** Reading a Hello: what a sidecar says it holds. Nothing of it is believed for policy; it says where to begin. */

import type { Beat, HeldRelease, Hello, Verdict } from '@sallyport/contract';
import { encodeHex } from '@sallyport/crypto';
import { isStreamId } from '@sallyport/audit';
import type { StreamEnd } from '@sallyport/audit';
import { fail, isArea, isDigest, isRing, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import type { Place } from '../publish/api.ts';
import { safeNumber } from '../wire.ts';

/** A release that a sidecar says it enforces. */
export interface ToldRelease extends Place {
  readonly releaseSeq: number;
  readonly release: Digest;
}

export interface ReadHello {
  /** 32 bytes. */
  readonly nonce: Uint8Array;
  readonly build: string;
  readonly isolation: string;
  readonly rootNumber: number;
  readonly freshnessSeq: number;
  readonly revocationSeq: number;
  readonly directorySeq: number;
  readonly held: readonly ToldRelease[];
  readonly auditHead: StreamEnd | undefined;
}

const NONCE_BYTES = 32;
const RELEASES_MAX = 16;
const HEAD_BYTES = 32;

export function readHello(hello: Hello): Result<ReadHello, string> {
  const [rootNumber, freshnessSeq, revocationSeq, directorySeq] = [
    hello.rootNumber,
    hello.freshnessSeq,
    hello.revocationSeq,
    hello.directorySeq,
  ].map(safeNumber);
  const held = readReleases(hello.held);
  if (hello.nonce.byteLength !== NONCE_BYTES) return fail('a nonce has 32 bytes');
  if (
    rootNumber === undefined ||
    freshnessSeq === undefined ||
    revocationSeq === undefined ||
    directorySeq === undefined ||
    held === undefined
  )
    return fail('the statements held are not readable');
  return ok({
    nonce: hello.nonce,
    build: hello.build,
    isolation: hello.isolation,
    rootNumber,
    freshnessSeq,
    revocationSeq,
    directorySeq,
    held,
    auditHead: readHead(hello.auditHead),
  });
}

/** What the sidecar says is active, in a verdict or beat; empty where it cannot be read. */
export function readActive(message: Verdict | Beat): readonly ToldRelease[] {
  return readReleases(message.active) ?? [];
}

export function readHead(head: Hello['auditHead']): StreamEnd | undefined {
  const seq = head === undefined ? undefined : safeNumber(head.seq);
  if (head === undefined || seq === undefined || seq === 0 || !isStreamId(head.stream) || head.hash.byteLength !== HEAD_BYTES)
    return undefined;
  return { stream: head.stream, seq, head: encodeHex(head.hash) };
}

function readReleases(told: readonly HeldRelease[]): readonly ToldRelease[] | undefined {
  if (told.length > RELEASES_MAX) return undefined;
  const releases = told.flatMap(({ area, ring, release, releaseSeq }) => {
    const seq = safeNumber(releaseSeq);
    return isArea(area) && isRing(ring) && isDigest(release) && seq !== undefined ? [{ area, ring, release, releaseSeq: seq }] : [];
  });
  return releases.length === told.length ? releases : undefined;
}
