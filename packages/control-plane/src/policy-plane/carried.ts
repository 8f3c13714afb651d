/**
 * PolicyPlane.Export and Prove: what a sidecar of a place would be sent now, as the files of a watched directory. The same
 * objects as on a stream, and nothing that a stream would not carry. docs/spec/watched-directory.md section 6.
 */

import { CarriedFileSchema, create } from '@sallyport/contract';
import type { CarriedFile, PolicyPlane } from '@sallyport/contract';
import { parseSpiffeId } from '@sallyport/identity';
import { PART_NAMES, fail, isArea, isRing, ok } from '@sallyport/model';
import type { Digest, PartName, Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus } from '@sallyport/net';
import type { Database, Transaction } from '@sallyport/store';
import {
  DIRECTORY_FILE,
  FRESHNESS_FILE,
  ONLINE_KEYS_FILE,
  RELEASE_FILE,
  REVOCATION_SNAPSHOT_FILE,
  bundleFileName,
  parseEnvelope,
  proofFileName,
  readBundle,
  rootFileName,
  writeBundleFile,
  writeDirectoryFile,
  writeStatements,
} from '@sallyport/trust';
import type { Authority } from '../authority.ts';
import type { DirectoryService } from '../directory/api.ts';
import type { EnrolmentService } from '../enrolment/api.ts';
import type { FreshnessService, IssueProblem, IssuedStatement } from '../freshness/api.ts';
import type { Objects } from '../objects/api.ts';
import type { Place, PublishService, StoredRelease } from '../publish/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { sendObject } from '../send-object.ts';

export interface CarriedOptions {
  readonly authority: Pick<Authority, 'rootEnvelopes' | 'onlineKeys' | 'delegations'>;
  readonly database: Database;
  readonly objects: Pick<Objects, 'readIn'>;
  readonly publish: Pick<PublishService, 'currentRelease' | 'bundle' | 'bundleEnvelope' | 'releaseEnvelope'>;
  readonly revocation: Pick<RevocationService, 'snapshot'>;
  readonly freshness: Pick<FreshnessService, 'state' | 'prove'>;
  readonly directory: Pick<DirectoryService, 'headIn'>;
  readonly enrolment: Pick<EnrolmentService, 'placeOf'>;
  /** That nothing could be issued, for the log. */
  readonly onUnissued: (problem: IssueProblem) => void;
}

interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const NONCE_BYTES = 32;
const UNISSUED = grpcStatus('unavailable', 'no freshness can be issued now');
const OVERTAKEN = grpcStatus('aborted', 'something was released meanwhile: ask again');
const DAMAGED = grpcStatus('data_loss', 'a stored object does not match its digest');

export function carriedHandlers(options: CarriedOptions): Pick<ProvenHandlers<typeof PolicyPlane>, 'export' | 'prove'> {
  const { database, publish, freshness, enrolment, onUnissued } = options;
  return {
    async export({ area, ring }, out, { signal }) {
      if (!isArea(area) || !isRing(ring)) return fail(grpcStatus('invalid_argument', 'an area and a ring are needed'));
      const release = await database.read(async (tx) => publish.currentRelease(tx, { area, ring }));
      if (release === undefined) return fail(grpcStatus('not_found', `nothing is released for ${area}, ring ${ring}`));
      for await (const file of filesOf(release, options)) {
        if (!file.ok) return file;
        const { name, bytes } = file.value;
        const chunk = (data: Uint8Array): CarriedFile => create(CarriedFileSchema, { name, data });
        const sent = await sendObject(ok(bytes), { out, chunk, signal, offset: 0 });
        if (!sent.ok) return sent;
      }
      return ok(undefined);
    },
    async prove({ nonce, identity }) {
      const workload = parseSpiffeId(identity);
      if (nonce.byteLength !== NONCE_BYTES || !workload.ok)
        return fail(grpcStatus('invalid_argument', 'a nonce of 32 bytes and an identity are needed'));
      const place = await enrolment.placeOf(identity as Parameters<typeof enrolment.placeOf>[0]);
      if (place === undefined) return fail(grpcStatus('not_found', `\`${identity}\` was not enrolled here`));
      const proof = await freshness.prove({ nonce, identity });
      if (!proof.ok) {
        onUnissued(proof.error);
        return fail(UNISSUED);
      }
      return ok(create(CarriedFileSchema, { name: proofFileName(nonce), data: statementFile(proof.value, place, 'live_proof') }));
    },
  };
}

/** In the order in which a sidecar takes them; the statement is issued when its turn comes, over what is current then. */
async function* filesOf(release: StoredRelease, options: CarriedOptions): AsyncGenerator<Result<NamedBytes, GrpcStatus>, void> {
  const { authority, database, objects, directory, revocation, freshness, publish, onUnissued } = options;
  for (const [index, bytes] of authority.rootEnvelopes.entries()) yield ok({ name: rootFileName(index + 1), bytes });
  yield ok({ name: ONLINE_KEYS_FILE, bytes: authority.onlineKeys.envelope });
  const snapshot = revocation.snapshot();
  if (snapshot.seq > 0) yield ok({ name: REVOCATION_SNAPSHOT_FILE, bytes: snapshot.envelope });
  for (const { digest } of release.bundles) {
    const bytes = await database.read(async (tx) => bundleBytes(tx, digest, options));
    yield bytes === undefined ? fail(DAMAGED) : ok({ name: bundleFileName(digest), bytes });
  }
  const statement = await freshness.state();
  if (!statement.ok) {
    onUnissued(statement.error);
    yield fail(UNISSUED);
    return;
  }
  // What is current now may be another release than the one whose bundles have gone out.
  const isSame = statement.value.entriesFor(release.area, release.ring).some((entry) => entry.release === release.digest);
  yield isSame ? ok({ name: FRESHNESS_FILE, bytes: statementFile(statement.value, release, 'freshness') }) : fail(OVERTAKEN);
  const said = await database.read(async (tx) => directory.headIn(tx));
  if (said !== undefined) {
    const content = await database.read(async (tx) => objects.readIn(tx, said.content));
    yield content.ok
      ? ok({ name: DIRECTORY_FILE, bytes: writeDirectoryFile({ envelope: said.envelope, content: content.value }) })
      : fail(DAMAGED);
  }
  const envelope = await database.read(async (tx) => publish.releaseEnvelope(tx, release.digest));
  yield envelope === undefined ? fail(DAMAGED) : ok({ name: RELEASE_FILE, bytes: envelope });
}

function statementFile(statement: IssuedStatement, { area, ring }: Place, kind: 'freshness' | 'live_proof'): Uint8Array {
  return writeStatements([{ kind, offer: { envelope: statement.envelope, entries: statement.entriesFor(area, ring) } }]);
}

/** The bundle with all its parts; `undefined` where one of them is not what was stored. */
async function bundleBytes(
  tx: Transaction,
  digest: Digest,
  { authority, objects, publish }: Pick<CarriedOptions, 'authority' | 'objects' | 'publish'>,
): Promise<Uint8Array | undefined> {
  const bundle = await publish.bundle(tx, digest);
  const delegation = bundle === undefined ? undefined : authority.delegations.get(bundle.area)?.envelope;
  const envelope = await publish.bundleEnvelope(tx, digest);
  if (envelope === undefined || delegation === undefined) return undefined;
  const parsed = parseEnvelope('Bundle', envelope);
  const manifest = parsed.ok ? readBundle(parsed.value.payload) : parsed;
  if (!manifest.ok) return undefined;
  const parts: Partial<Record<PartName, Uint8Array>> = {};
  for (const name of PART_NAMES) {
    const part = await objects.readIn(tx, manifest.value.parts[name].digest);
    if (!part.ok) return undefined;
    parts[name] = part.value;
  }
  return writeBundleFile({ envelope, delegation, parts });
}
