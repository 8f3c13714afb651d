/** Several areas with publishers of their own, in one world: who may publish for each, layers beneath each other, and releases that join them. */

import { create, GetHeadsRequestSchema, PutPartRequestSchema, SubmitBundleRequestSchema, type Problem } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { generateKey, signerFromPem, type LocalSigner } from '@sallyport/crypto/keys';
import { addMs, formatProblem, type Area, type Digest, type Instant, type ReleaseSeq, type Revision } from '@sallyport/model';
import { buildParts, parseDocuments, type LayerParts } from '@sallyport/policy';
import {
  areasCovering,
  describeParts,
  digestOfPayload,
  encodeAreaDelegation,
  encodeBundle,
  keyRecordOf,
  parseEnvelope,
  signEnvelope,
} from '@sallyport/trust';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Administrator } from './administrator.ts';
import type { World } from './world.ts';

const DEADLINE = { deadlineMs: 20_000 };
const YEAR_MS = 365 * 86_400_000;
const fileName = (area: string): string => area.replaceAll('/', '.');

/** Names a publisher of its own for each area, as the registrar of `dir` would; gives the delegations' files. */
export async function delegateAreas(dir: string, areas: readonly string[], now: Instant): Promise<readonly string[]> {
  const registrar = signerFromPem(readFileSync(join(dir, 'signing', 'registrar.pem'), 'utf8'));
  const files = areas.map(async (area) => {
    const publisher = generateKey('ed25519');
    writeFileSync(join(dir, 'signing', `publisher.${fileName(area)}.pem`), publisher.privatePem, { mode: 0o600 });
    const record = keyRecordOf(publisher.publicRaw);
    const payload = encodeAreaDelegation({
      number: 1,
      area: area as Area,
      keys: [record],
      publishers: { keyIds: [record.keyId], threshold: 1 },
      expiresAt: addMs(now, YEAR_MS),
    });
    const file = join(dir, 'delegations', `${fileName(area)}.json`);
    writeFileSync(file, await signEnvelope('AreaDelegation', payload, [registrar]));
    return file;
  });
  return Promise.all(files);
}

/** A layer as it was published. */
export interface PublishedLayer {
  readonly area: Area;
  readonly digest: Digest;
  readonly revision: number;
  readonly layer: LayerParts;
  readonly envelope: Uint8Array;
}

/** Whoever publishes for several areas, and releases them. */
export interface Areas {
  publisher(area: string): LocalSigner;
  /** Builds beneath what was published last above, signs with the area's own key and uploads; every refusal is an error. */
  publish(area: string, text: string): Promise<PublishedLayer>;
  /** The same, with the refusal. */
  submit(
    area: string,
    text: string,
    signers?: readonly LocalSigner[],
  ): Promise<{ readonly made: PublishedLayer; readonly problems: readonly Problem[] }>;
  /** Releases what was published last for the area and above it; the release's number. */
  release(area: string, ring?: string): Promise<number>;
  released(area: string, ring?: string): ReturnType<Administrator['promote']>;
}

export function areasOf({ dir, admin }: Pick<World, 'dir' | 'admin'>): Areas {
  // Owner: this object. What was published last, by area.
  const last = new Map<string, PublishedLayer>();
  const publisher = (area: string): LocalSigner =>
    signerFromPem(readFileSync(join(dir, 'signing', `publisher.${fileName(area)}.pem`), 'utf8'));
  const above = (area: string): readonly PublishedLayer[] =>
    areasCovering(area as Area)
      .filter((one) => one !== area)
      .flatMap((one) => last.get(one) ?? []);
  const heads = async (area: string, ring: string): Promise<{ revision: bigint; bundle: string; releaseSeq: bigint }> => {
    const answer = await admin.publishClient.getHeads(create(GetHeadsRequestSchema, { area, ring }), DEADLINE);
    if (!answer.ok) throw new Error(answer.error.message);
    return answer.value;
  };
  const self: Areas = {
    publisher,
    async submit(area, text, signers = [publisher(area)]) {
      const beneath = { name: area, above: above(area).map(({ layer }) => layer) };
      const source = parseDocuments([{ path: 'policy.yaml', text }], beneath);
      const built = source.ok ? buildParts(source.value, beneath) : source;
      if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
      const { parts, features } = built.value;
      const head = await heads(area, 'default');
      const put = admin.publishClient.putPart(DEADLINE);
      for (const part of Object.values(parts))
        put.out.write(create(PutPartRequestSchema, { digest: digestOf(part), data: part }), { priority: true });
      put.out.end();
      await put.response;
      const revision = Number(head.revision) + 1;
      const payload = encodeBundle({
        area: area as Area,
        revision: revision as Revision,
        previous: head.bundle === '' ? null : (head.bundle as Digest),
        source: { commit: null },
        parts: describeParts(parts),
        features,
        testsDigest: digestOf(parts.tests) as Digest,
      });
      const envelope = await signEnvelope('Bundle', payload, signers);
      const answer = await admin.publishClient.submitBundle(create(SubmitBundleRequestSchema, { envelope }), DEADLINE);
      if (!answer.ok) throw new Error(answer.error.message);
      const parsed = parseEnvelope('Bundle', envelope);
      if (!parsed.ok) throw new Error(parsed.error.detail);
      const made = { area: area as Area, digest: digestOfPayload(parsed.value.payload), revision, layer: { name: area, parts }, envelope };
      return { made, problems: answer.value.problems };
    },
    async publish(area, text) {
      const { made, problems } = await self.submit(area, text);
      if (problems.length > 0) throw new Error(JSON.stringify(problems, undefined, 1));
      last.set(area, made);
      return made;
    },
    async released(area, ring = 'default') {
      const own = last.get(area);
      const layers = [...above(area), ...(own === undefined ? [] : [own])];
      const bundles = layers.map(({ area: of, digest, revision }) => ({ area: of, digest, revision: revision as Revision }));
      const releaseSeq = (Number((await heads(area, ring)).releaseSeq) + 1) as ReleaseSeq;
      const [first] = layers;
      if (first === undefined) throw new Error(`nothing is published for ${area}`);
      return admin.promote(first, { area: area as Area, ring: ring as never, releaseSeq, bundles });
    },
    async release(area, ring) {
      const released = await self.released(area, ring);
      if (released.refusal !== '') throw new Error(`${released.refusal}: ${released.detail} ${released.notStaged.join(', ')}`);
      return Number(released.releaseSeq);
    },
  };
  return self;
}
