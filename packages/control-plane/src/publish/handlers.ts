/** The Publish service on the wire: messages to values and back. What is accepted is decided elsewhere. */

import {
  HeadsSchema,
  ListReleasedResponseSchema,
  ListVersionsResponseSchema,
  MissingPartsResponseSchema,
  ObjectChunkSchema,
  ProblemSchema,
  PutPartResponseSchema,
  ReleasedBundleSchema,
  ReleasedSchema,
  RevokeResponseSchema,
  SubmitBundleResponseSchema,
  SubmitReleaseResponseSchema,
  VersionSchema,
  create,
} from '@sallyport/contract';
import type {
  ListReleasedResponse,
  ObjectChunk,
  Problem as WireProblem,
  Publish,
  PutPartRequest,
  Released,
  RevokeRequest,
  Version,
} from '@sallyport/contract';
import { concatBytes, digestOf } from '@sallyport/crypto';
import { addMs, fail, isArea, isDigest, isRing, ok } from '@sallyport/model';
import type { Clock, Problem, Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus } from '@sallyport/net';
import { PART_BYTES_MAX, covers, parseSelector } from '@sallyport/trust';
import type { RevocationEntry } from '@sallyport/trust';
import type { Authority } from '../authority.ts';
import type { Database, Transaction } from '@sallyport/store';
import type { Objects } from '../objects/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { sendObject } from '../send-object.ts';
import { instantOf } from '../wire.ts';
import type { Bundles } from './bundles.ts';
import type { Releases } from './releases.ts';
import type { Place, PublishTables, StoredBundle, StoredRelease } from './store.ts';

export interface PublishHandlersOptions {
  readonly database: Database;
  readonly tables: PublishTables;
  readonly objects: Objects;
  readonly bundles: Bundles;
  readonly releases: Releases;
  readonly revocation: RevocationService;
  readonly authority: Pick<Authority, 'root'>;
  readonly clock: Clock;
}

const DIGESTS_MAX = 64;
const PARTS_PER_STREAM_MAX = 64;
const VERSIONS_MAX = 500;
/** Places of one answer: with eight bundles each it is far below a megabyte. */
const RELEASED_MAX = 250;
const REASON_MAX = 500;
/** How long a revocation lives that says nothing else: longer than any credential that it could select. */
const REVOCATION_MS = 30 * 86_400_000;

type Handlers = ProvenHandlers<typeof Publish>;
const invalid = (message: string): { readonly ok: false; readonly error: GrpcStatus } => fail(grpcStatus('invalid_argument', message));

export function publishHandlers(options: PublishHandlersOptions): Handlers {
  const { database, tables, objects, bundles, releases, revocation } = options;
  return {
    async getHeads({ area, ring }) {
      const place = placeOf(area, ring);
      if (place === undefined) return invalid('an area and a ring are needed');
      const { bundle, release, revoked } = await database.read(async (tx) => ({
        bundle: await tables.newestBundle(tx, place.area),
        release: await tables.currentRelease(tx, place),
        revoked: await revocation.head(tx),
      }));
      return ok(
        create(HeadsSchema, {
          revision: BigInt(bundle?.revision ?? 0),
          bundle: bundle?.digest ?? '',
          releaseSeq: BigInt(release?.releaseSeq ?? 0),
          release: release?.digest ?? '',
          revocationSeq: BigInt(revoked.seq),
          rootNumber: BigInt(options.authority.root.number),
        }),
      );
    },
    async missingParts({ digests }) {
      if (digests.length > DIGESTS_MAX || !digests.every(isDigest))
        return invalid(`at most ${DIGESTS_MAX} digests are asked about at once`);
      const missing: string[] = [];
      for (const digest of digests) if (!(await objects.isHeld(digest))) missing.push(digest);
      return ok(create(MissingPartsResponseSchema, { digests: missing }));
    },
    async putPart(incoming) {
      const parts = await gatherParts(incoming);
      if (!parts.ok) return parts;
      for (const part of parts.value) {
        const stored = await objects.put(part);
        if (!stored.ok) return fail(grpcStatus('resource_exhausted', 'the object store is full'));
      }
      return ok(create(PutPartResponseSchema, {}));
    },
    async submitBundle({ envelope }, call) {
      const accepted = await bundles.accept(envelope, call.caller.spiffeId);
      if (!accepted.ok) return ok(create(SubmitBundleResponseSchema, { problems: accepted.error.map(problemToWire) }));
      return ok(create(SubmitBundleResponseSchema, { digest: accepted.value.digest, alreadyHeld: accepted.value.isAlreadyHeld }));
    },
    async submitRelease({ envelope, leaveBehind }, call) {
      const accepted = await releases.accept(envelope, { actor: call.caller.spiffeId, leaveBehind, signal: call.signal });
      if (!accepted.ok) {
        const { code, detail, notStaged } = accepted.error;
        return ok(create(SubmitReleaseResponseSchema, { refusal: code, detail, notStaged: [...notStaged] }));
      }
      const { digest, releaseSeq, notStaged } = accepted.value;
      return ok(create(SubmitReleaseResponseSchema, { digest, releaseSeq: BigInt(releaseSeq), notStaged: [...notStaged] }));
    },
    async revoke(request, call) {
      const entry = entryOf(request, options.clock);
      if (!entry.ok) return invalid(entry.error);
      const revoked = await revocation.revoke(entry.value, call.caller.spiffeId);
      if (!revoked.ok) return invalid(revoked.error.message);
      return ok(create(RevokeResponseSchema, { seq: BigInt(revoked.value.seq) }));
    },
    async listVersions({ area, ring, limit }) {
      const place = placeOf(area, ring);
      if (place === undefined) return invalid('an area and a ring are needed');
      const count = limit === 0 ? VERSIONS_MAX : Math.min(limit, VERSIONS_MAX);
      const versions = await database.read(async (tx) => [
        ...(await tables.releases(tx, place, count)).map(releaseVersion),
        ...(await tables.bundles(tx, place.area, count)).map(bundleVersion),
      ]);
      return ok(
        create(ListVersionsResponseSchema, {
          versions: versions.toSorted((a, b) => Number(b.acceptedAtMs - a.acceptedAtMs)).slice(0, count),
        }),
      );
    },
    async listReleased({ area, ring, after }) {
      const place = placeOf(area, ring);
      if (place === undefined) return invalid('an area and a ring are needed');
      return ok(await database.read((tx) => listReleased(tx, { tables, place, after })));
    },
    async getObject({ digest }, out, call) {
      if (!isDigest(digest)) return invalid('a digest is needed');
      // Signed objects are asked for by the digest of their payload, and stored under that of their envelope.
      const object = await database.read(async (tx) => {
        const signed = (await tables.bundle(tx, digest)) ?? (await tables.release(tx, digest));
        return objects.readIn(tx, signed?.envelope ?? digest);
      });
      const chunk = (data: Uint8Array): ObjectChunk => create(ObjectChunkSchema, { data });
      return sendObject(object, { out, chunk, signal: call.signal, offset: 0 });
    },
  };
}

function placeOf(area: string, ring: string): Place | undefined {
  return isArea(area) && isRing(ring) ? { area, ring } : undefined;
}

/** Parts as they come in pieces: a message with another digest begins the next one. Each is held only once it is whole and true. */
async function gatherParts(incoming: AsyncIterable<PutPartRequest>): Promise<Result<readonly Uint8Array[], GrpcStatus>> {
  const parts: Uint8Array[] = [];
  let digest = '';
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  const finish = (): boolean => {
    const part = concatBytes(...pieces);
    if (digestOf(part) !== digest) return false;
    parts.push(part);
    [pieces, bytes] = [[], 0];
    return true;
  };
  for await (const piece of incoming) {
    if (piece.digest !== '' && piece.digest !== digest) {
      if (digest !== '' && !finish()) return invalid(`the bytes sent as \`${digest}\` have another digest`);
      if (!isDigest(piece.digest) || parts.length >= PARTS_PER_STREAM_MAX)
        return invalid('a part is sent under its digest, a bounded number at once');
      ({ digest } = piece);
    }
    bytes += piece.data.byteLength;
    if (digest === '' || bytes > PART_BYTES_MAX) return invalid(`a part has a digest, and at most ${PART_BYTES_MAX} bytes`);
    pieces.push(piece.data);
  }
  if (digest !== '' && !finish()) return invalid(`the bytes sent as \`${digest}\` have another digest`);
  return ok(parts);
}

function entryOf(request: RevokeRequest, clock: Clock): Result<RevocationEntry, string> {
  const selector = parseSelector(request.selector, request.value);
  if (!selector.ok) return fail(`${selector.error.message}: ${selector.error.remedy ?? ''}`);
  const before = request.beforeMs === 0n ? 'never' : instantOf(request.beforeMs);
  const expiresAt = request.expiresAtMs === 0n ? addMs(clock.wall(), REVOCATION_MS) : instantOf(request.expiresAtMs);
  if (before === undefined || expiresAt === undefined) return fail('`before_ms` and `expires_at_ms` are instants');
  if (expiresAt <= clock.wall()) return fail('`expires_at_ms` has passed');
  if (request.reason.length > REASON_MAX) return fail(`a reason has at most ${REASON_MAX} characters`);
  return ok({ selector: selector.value, before, expiresAt, reason: request.reason });
}

function problemToWire({ path, message, remedy, file, line }: Problem): WireProblem {
  return create(ProblemSchema, { path, message, remedy: remedy ?? '', file: file ?? '', line: line ?? 0 });
}

function bundleVersion(bundle: StoredBundle): Version {
  return create(VersionSchema, {
    kind: 'bundle',
    digest: bundle.digest,
    revision: BigInt(bundle.revision),
    author: bundle.author,
    acceptedAtMs: BigInt(bundle.acceptedAt),
    sourceCommit: bundle.sourceCommit ?? '',
  });
}

/** What is in force at a place and at the areas below it, in the order of their names. */
async function listReleased(
  tx: Transaction,
  { tables, place, after }: { readonly tables: PublishTables; readonly place: Place; readonly after: string },
): Promise<ListReleasedResponse> {
  const heads = await tables.heads(tx);
  const below = heads.filter((head) => head.ring === place.ring && covers(place.area, head.area) && head.area > after);
  const page = below.toSorted((a, b) => (a.area < b.area ? -1 : 1)).slice(0, RELEASED_MAX);
  const released: Released[] = [];
  for (const { digest } of page) {
    const release = await tables.release(tx, digest);
    if (release !== undefined) released.push(releasedOf(release));
  }
  return create(ListReleasedResponseSchema, { released, more: below.length > page.length });
}

function releasedOf({ area, ring, releaseSeq, digest, bundles }: StoredRelease): Released {
  return create(ReleasedSchema, {
    area,
    ring,
    releaseSeq: BigInt(releaseSeq),
    release: digest,
    bundles: bundles.map((bundle) => create(ReleasedBundleSchema, { ...bundle, revision: BigInt(bundle.revision) })),
  });
}

function releaseVersion(release: StoredRelease): Version {
  return create(VersionSchema, {
    kind: 'release',
    digest: release.digest,
    releaseSeq: BigInt(release.releaseSeq),
    author: release.author,
    acceptedAtMs: BigInt(release.acceptedAt),
    bundles: release.bundles.map(({ digest }) => digest),
    rollback: release.rollback,
    reason: release.reason ?? '',
  });
}
