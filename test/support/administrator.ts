/**
 * A platform engineer as the tests need one: builds, signs, uploads, promotes and revokes over real gRPC with a real
 * client certificate, and can do each of it wrongly. The `sallyport` command does the same for people.
 */

import {
  create,
  Audit,
  Directory,
  Fleet,
  GetHeadsRequestSchema,
  GetObjectRequestSchema,
  ListVersionsRequestSchema,
  Publish,
  PutPartRequestSchema,
  RevokeRequestSchema,
  StatusRequestSchema,
  SubmitBundleRequestSchema,
  SubmitReleaseRequestSchema,
  SubmitRequestSchema,
  TailRequestSchema,
  TailRequest_View,
  CreateJoinTokenRequestSchema,
  type ListVersionsResponse,
  type Problem,
  type StatusResponse,
  type SubmitReleaseResponse,
} from '@sallyport/contract';
import { digestOf, fromUtf8, sha256 } from '@sallyport/crypto';
import { randomBytes, signerFromPem, type LocalSigner } from '@sallyport/crypto/keys';
import {
  PART_NAMES,
  type AgentName,
  type Area,
  type Clock,
  type Digest,
  type DirectoryEntry,
  type Instant,
  type PartName,
  type ReleaseSeq,
  type Revision,
  type Ring,
} from '@sallyport/model';
import { createClient, openChannel, tlsHolder, type Channel, type Client } from '@sallyport/net';
import { buildParts, parseDocuments, type PolicyFile } from '@sallyport/policy';
import {
  describeParts,
  digestOfPayload,
  encodeBundle,
  encodeDirectoryContent,
  encodeJoinToken,
  encodeRelease,
  parseEnvelope,
  signEnvelope,
  type Bundle,
  type Release,
} from '@sallyport/trust';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const DEADLINE = { deadlineMs: 20_000 };
export const AREA = 'default' as Area;
export const RING = 'default' as Ring;

export interface PublishedPolicy {
  readonly digest: Digest;
  readonly revision: number;
  readonly releaseSeq: number;
}

/** Documents as one text, or as files. */
type Policy = string | readonly PolicyFile[];
type Built = Pick<Extract<ReturnType<typeof buildParts>, { readonly ok: true }>['value'], 'parts' | 'features'>;

export interface Administrator {
  readonly publishClient: Client<typeof Publish>;
  readonly auditClient: Client<typeof Audit>;
  readonly fleetClient: Client<typeof Fleet>;
  signer(name: 'root' | 'registrar' | 'release-1' | 'release-2' | 'publisher'): LocalSigner;
  /** Builds, signs and uploads; the problems where the control plane refused. */
  submitBundle(
    policy: Policy,
    bend?: { signers?: readonly LocalSigner[]; edit?: (bundle: Bundle) => Bundle },
  ): Promise<{ digest: Digest; revision: number; problems: readonly Problem[] }>;
  /** As `submitBundle`, with the parts edited after the build, as no honest builder would. */
  submitParts(policy: Policy, edit: (name: PartName, text: string) => string): ReturnType<Administrator['submitBundle']>;
  /** Signs and submits a release of one bundle. */
  promote(
    bundle: { digest: Digest; revision: number },
    more?: Partial<Release> & { signers?: readonly LocalSigner[]; leaveBehind?: boolean },
  ): Promise<SubmitReleaseResponse>;
  /** Both, with every refusal an error. */
  publish(policy: Policy, more?: Parameters<Administrator['promote']>[1]): Promise<PublishedPolicy>;
  revoke(selector: string, value: string, before?: Instant): Promise<number>;
  /** Submits the whole of what the directory says; its seq, or why it was refused. */
  directory(entries: readonly DirectoryEntry[]): Promise<{ readonly seq: number; readonly refusal: string }>;
  /** For `default` in ring `default` unless told otherwise. */
  joinToken(agent: string, place?: { readonly area?: string; readonly ring?: string }): Promise<string>;
  status(): Promise<StatusResponse>;
  versions(): Promise<ListVersionsResponse>;
  /** A stored object as it is: a bundle or release by its digest, a part by its own. */
  object(digest: string): Promise<Uint8Array>;
  /** Lines of the audit log, whole. */
  tail(view?: 'records' | 'calls'): Promise<readonly string[]>;
  close(): void;
}

/** `dir` is what `root init` made. */
export function administrator(
  dir: string,
  { address, clock, freshnessTtlMs }: { address: { host: string; port: number }; clock: Clock; freshnessTtlMs: number },
): Administrator {
  const read = (...path: readonly string[]): string => readFileSync(join(dir, ...path), 'utf8');
  const der = (pem: string): Uint8Array[] =>
    [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)].map(([, body = '']) => Buffer.from(body, 'base64'));
  const chain = der(read('admin', 'admin.crt'));
  const ca = der(read('control-plane', 'workload-ca.crt'));
  const tls = tlsHolder({ chain: chain.length > 1 ? chain : [...chain, ...ca], privatePem: read('admin', 'admin.pem'), authorities: ca });
  if (!tls.ok) throw new Error(JSON.stringify(tls.error));
  const channel: Channel = openChannel({
    ...address,
    trust: { kind: 'peer', tls: tls.value, trustDomain: 'demo.local', purpose: 'control_plane' },
    clock,
  });
  const [publishClient, fleetClient, auditClient, directoryClient] = [
    createClient(Publish, channel),
    createClient(Fleet, channel),
    createClient(Audit, channel),
    createClient(Directory, channel),
  ];
  const signer = (name: string): LocalSigner => signerFromPem(read('signing', `${name}.pem`));
  const need = <T>(result: { ok: true; value: T } | { ok: false; error: { code: string; message: string } }): T => {
    if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
    return result.value;
  };
  const heads = async (): Promise<ReturnType<typeof need<{ revision: bigint; bundle: string; releaseSeq: bigint }>>> =>
    need(await publishClient.getHeads(create(GetHeadsRequestSchema, { area: AREA, ring: RING }), DEADLINE));

  const build = (policy: Policy): Built => {
    const source = parseDocuments(typeof policy === 'string' ? [{ path: 'policy.yaml', text: policy }] : policy);
    const built = source.ok ? buildParts(source.value) : source;
    if (!built.ok) throw new Error(JSON.stringify(built.error, undefined, 1));
    return built.value;
  };
  const submit = async (
    { parts, features }: Built,
    { signers = [signer('publisher')], edit = (bundle: Bundle) => bundle }: Parameters<Administrator['submitBundle']>[1] = {},
  ): ReturnType<Administrator['submitBundle']> => {
    const head = await heads();
    const bundle = edit({
      area: AREA,
      revision: (Number(head.revision) + 1) as Revision,
      previous: head.bundle === '' ? null : (head.bundle as Digest),
      source: { commit: null },
      parts: describeParts(parts),
      features,
      testsDigest: digestOf(parts.tests) as Digest,
    });
    const put = publishClient.putPart(DEADLINE);
    for (const part of Object.values(parts))
      put.out.write(create(PutPartRequestSchema, { digest: digestOf(part), data: part }), { priority: true });
    put.out.end();
    need(await put.response);
    const envelope = await signEnvelope('Bundle', encodeBundle(bundle), signers);
    const answer = need(await publishClient.submitBundle(create(SubmitBundleRequestSchema, { envelope }), DEADLINE));
    const parsed = parseEnvelope('Bundle', envelope);
    return {
      digest: parsed.ok ? digestOfPayload(parsed.value.payload) : (answer.digest as Digest),
      revision: bundle.revision,
      problems: answer.problems,
    };
  };

  const self: Administrator = {
    publishClient,
    fleetClient,
    auditClient,
    signer,
    submitBundle: async (policy, bend) => submit(build(policy), bend),
    async submitParts(policy, edit) {
      const { parts, features } = build(policy);
      const edited = PART_NAMES.map((name) => [name, new TextEncoder().encode(edit(name, fromUtf8(parts[name]) ?? ''))] as const);
      return submit({ parts: Object.fromEntries(edited) as Built['parts'], features });
    },
    async promote({ digest, revision }, { signers = [signer('release-1')], leaveBehind = false, ...over } = {}) {
      const release: Release = {
        area: AREA,
        ring: RING,
        releaseSeq: (Number((await heads()).releaseSeq) + 1) as ReleaseSeq,
        bundles: [{ area: AREA, digest, revision: revision as Revision }],
        freshnessTtlMsMax: freshnessTtlMs,
        rollback: false,
        reason: null,
        fallbacks: [],
        createdAt: clock.wall(),
        ...over,
      };
      const envelope = await signEnvelope('Release', encodeRelease(release), signers);
      return need(await publishClient.submitRelease(create(SubmitReleaseRequestSchema, { envelope, leaveBehind }), DEADLINE));
    },
    async publish(policy, more) {
      const bundle = await self.submitBundle(policy);
      if (bundle.problems.length > 0) throw new Error(JSON.stringify(bundle.problems, undefined, 1));
      const released = await self.promote(bundle, more);
      if (released.refusal !== '') throw new Error(`${released.refusal}: ${released.detail} ${released.notStaged.join(', ')}`);
      return { digest: bundle.digest, revision: bundle.revision, releaseSeq: Number(released.releaseSeq) };
    },
    async revoke(selector, value, before) {
      const request = { selector, value, beforeMs: BigInt(before ?? 0), expiresAtMs: BigInt(clock.wall() + 3_600_000), reason: 'test' };
      return Number(need(await publishClient.revoke(create(RevokeRequestSchema, request), DEADLINE)).seq);
    },
    async directory(entries) {
      const content = encodeDirectoryContent(entries);
      const digest = digestOf(content);
      const put = publishClient.putPart(DEADLINE);
      put.out.write(create(PutPartRequestSchema, { digest, data: content }), { priority: true });
      put.out.end();
      need(await put.response);
      const { seq, refusal } = need(await directoryClient.submit(create(SubmitRequestSchema, { digest }), DEADLINE));
      return { seq: Number(seq), refusal };
    },
    async joinToken(agent, { area = AREA, ring = RING } = {}) {
      const secret = randomBytes(32);
      const request = { secretHash: sha256(secret), agent, expiresAtMs: BigInt(clock.wall() + 600_000), area, ring };
      need(await fleetClient.createJoinToken(create(CreateJoinTokenRequestSchema, request), DEADLINE));
      const [caDer] = ca;
      if (caDer === undefined) throw new Error('no CA');
      return encodeJoinToken({
        trustDomain: 'demo.local',
        rootPin: read('root-pin').trim() as Digest,
        caDigest: digestOf(caDer) as Digest,
        agent: agent as AgentName,
        area: area as Area,
        ring: ring as Ring,
        secret,
      });
    },
    status: async () => need(await fleetClient.status(create(StatusRequestSchema, {}), DEADLINE)),
    versions: async () =>
      need(await publishClient.listVersions(create(ListVersionsRequestSchema, { area: AREA, ring: RING, limit: 100 }), DEADLINE)),
    async object(digest) {
      const chunks: Uint8Array[] = [];
      const over = new AbortController();
      const stream = publishClient.getObject(create(GetObjectRequestSchema, { digest }), { signal: over.signal });
      for await (const { data } of stream) chunks.push(data);
      const status = await stream.status;
      if (status.code !== 'ok') throw new Error(`${status.code}: ${status.message}`);
      return Buffer.concat(chunks);
    },
    async tail(view = 'records') {
      const lines: string[] = [];
      const over = new AbortController();
      const stream = auditClient.tail(
        create(TailRequestSchema, { view: view === 'records' ? TailRequest_View.RECORDS : TailRequest_View.CALLS }),
        { signal: over.signal },
      );
      for await (const batch of stream) for (const line of batch.lines) lines.push(fromUtf8(line) ?? '');
      const status = await stream.status;
      if (status.code !== 'ok') throw new Error(`${status.code}: ${status.message}`);
      return lines;
    },
    close: () => channel.close(),
  };
  return self;
}
