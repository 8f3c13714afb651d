import { DatabaseSync } from 'node:sqlite';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  Directory,
  ExportRequestSchema,
  GetHeadRequestSchema,
  GetPartRequestSchema,
  PolicyPlane,
  Publish,
  PutPartRequestSchema,
  SubmitRequestSchema,
  create,
} from '@sallyport/contract';
import type { DirectoryHead, SubmitResponse } from '@sallyport/contract';
import { concatBytes, digestOf } from '@sallyport/crypto';
import { generateKey } from '@sallyport/crypto/keys';
import type { DirectoryEntry, Problem } from '@sallyport/model';
import { createClient } from '@sallyport/net';
import { realFileSystem } from '@sallyport/runtime';
import { controlPlaneHarness, policyStream } from '@sallyport/testkit';
import type { ControlPlaneHarness, ControlPlaneHarnessOptions, EnrolledSidecar, PolicyStream } from '@sallyport/testkit';
import {
  DIRECTORY_FILE,
  EMPTY_HIGH_WATER,
  acceptDirectory,
  encodeDirectoryContent,
  readDirectoryFile,
  trustRoot,
  verifyDirectory,
} from '@sallyport/trust';
import type { VerifiedDirectory } from '@sallyport/trust';
import { readAuthority } from '../authority.ts';

const soon = { deadlineMs: 20_000 };
const row = (principal: string, groups: readonly string[] = ['support']): DirectoryEntry => ({
  issuer: 'https://idp.test',
  tenant: 'acme',
  principal,
  attributes: { groups },
});

let harness: ControlPlaneHarness;
const streams: PolicyStream[] = [];
const begin = async (options: ControlPlaneHarnessOptions = {}): Promise<void> => {
  harness = await controlPlaneHarness({ directoryAttributes: ['groups'], ...options });
};
beforeEach(async () => begin());
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await harness.close();
});

async function submitBytes(content: Uint8Array): Promise<SubmitResponse> {
  const put = (await harness.client(Publish, '/admin/alice')).putPart(soon);
  put.out.write(create(PutPartRequestSchema, { digest: digestOf(content), data: content }), { priority: true });
  put.out.end();
  await put.response;
  const answer = await (
    await harness.client(Directory, '/admin/alice')
  ).submit(create(SubmitRequestSchema, { digest: digestOf(content) }), soon);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

const submit = (...entries: readonly DirectoryEntry[]): Promise<SubmitResponse> => submitBytes(encodeDirectoryContent(entries));

async function head(): Promise<DirectoryHead> {
  const answer = await (await harness.client(Directory, '/admin/alice')).getHead(create(GetHeadRequestSchema), soon);
  if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer.value;
}

/** A bundle registers its agent. */
async function enrolled(): Promise<EnrolledSidecar> {
  await harness.publish();
  return harness.enrol();
}

async function subscribed(sidecar: EnrolledSidecar, of: Parameters<PolicyStream['hello']>[0] = {}): Promise<PolicyStream> {
  const stream = policyStream(sidecar.channel);
  streams.push(stream);
  stream.obey();
  stream.hello(of);
  return stream;
}

async function part(sidecar: EnrolledSidecar, digest: string): Promise<string | Uint8Array> {
  const chunks: Uint8Array[] = [];
  const incoming = createClient(PolicyPlane, sidecar.channel).getPart(create(GetPartRequestSchema, { digest }), {
    signal: new AbortController().signal,
  });
  for await (const { data } of incoming) chunks.push(data);
  const { code } = await incoming.status;
  return code === 'ok' ? concatBytes(...chunks) : code;
}

/** As a sidecar takes it. */
async function taken(sidecar: EnrolledSidecar, envelope: Uint8Array): Promise<VerifiedDirectory> {
  const { pin, chain } = harness.simulator;
  const root = trustRoot({ pin, chain, allowDevelopmentRoot: true });
  if (!root.ok) throw new Error(root.error.detail);
  const signed = verifyDirectory(envelope, { root: root.value, highWater: EMPTY_HIGH_WATER, at: harness.clock.wall() });
  if (!signed.ok) throw new Error(signed.error.detail);
  const content = await part(sidecar, signed.value.payload.content.digest);
  const accepted = typeof content === 'string' ? undefined : acceptDirectory(signed.value, content);
  if (accepted?.ok !== true) throw new Error(accepted === undefined ? String(content) : accepted.error.detail);
  return accepted.value;
}

describe('a directory that is handed in', () => {
  test('is signed, told to every stream at once, and served to any sidecar', async () => {
    const sidecar = await enrolled();
    const stream = await subscribed(sidecar);
    await stream.next('liveProof');
    expect(await submit(row('alice'), row('bob'))).toMatchObject({ seq: 1n, refusal: '', added: 2, changed: 0, removed: 0 });
    expect((await taken(sidecar, await stream.next('directory'))).size).toBe(2);
    expect(await submit(row('alice', []))).toMatchObject({ seq: 2n, added: 0, changed: 1, removed: 1 });
    const second = await taken(sidecar, await stream.next('directory'));
    expect([second.size, second.signed.number]).toEqual([1, 2]);
  });

  test('is in the answer to a Hello, after the proof that is needed to judge it', async () => {
    await submit(row('alice'));
    const stream = await subscribed(await enrolled());
    await stream.next('directory');
    const cases = stream.received.map(({ message }) => message.case);
    expect(cases.indexOf('directory')).toBeGreaterThan(cases.indexOf('liveProof'));
  });

  test('is on record by who and how many, and by no name of anybody', async () => {
    await submit(row('alice'), row('bob'));
    const acts = (await harness.acts()).filter((one) => one['act'] === 'directory');
    const [act] = acts;
    expect(act).toMatchObject({
      act: 'directory',
      actor: 'spiffe://sallyport.test/admin/alice',
      object: 'directory 1',
      detail: expect.stringContaining('2 principals; added 2, changed 0, removed 0') as string,
    });
    expect(JSON.stringify(act)).not.toMatch(/bob|support/);
  });

  const spelled = new TextDecoder().decode(encodeDirectoryContent([row('alice'), row('bob')]));
  test.each<[string, Uint8Array | string, RegExp]>([
    ['an attribute that Root does not leave to it', encodeDirectoryContent([{ ...row('alice'), attributes: { admin: true } }]), /`admin`/],
    ['one principal twice', spelled.replace('bob', 'alice'), /out of order, or twice/],
    ['another spelling', `${spelled}\n`, /one spelling/],
    ['an unknown field', spelled.replaceAll('"principal"', '"roles":[],"principal"'), /unknown field `roles`/],
    ['no JSON', 'alice: support', /not strict JSON/],
  ])('with %s is refused, and what was said stays', async (_, content, refusal) => {
    await submit(row('carol'));
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    expect(await submitBytes(bytes)).toMatchObject({ seq: 0n, refusal: expect.stringMatching(refusal) as string });
    expect(await head()).toMatchObject({ seq: 1n, principals: 1 });
    expect(await harness.acts()).toHaveLength(1);
  });

  test('and was never put is refused', async () => {
    const directory = await harness.client(Directory, '/admin/alice');
    const digest = `sha256:${'1'.repeat(64)}`;
    expect(await directory.submit(create(SubmitRequestSchema, { digest }), soon)).toMatchObject({
      value: { refusal: 'the content is absent' },
    });
    expect(await directory.submit(create(SubmitRequestSchema, { digest: 'x' }), soon)).toMatchObject({
      error: { code: 'invalid_argument' },
    });
  });

  test('by nobody but an administrator', async () => {
    const sidecar = await enrolled();
    const calls = [createClient(Directory, sidecar.channel), await harness.client(Directory, '/collector')];
    for (const client of calls) {
      expect(await client.submit(create(SubmitRequestSchema, {}), soon)).toMatchObject({ error: { code: 'permission_denied' } });
      expect(await client.getHead(create(GetHeadRequestSchema), soon)).toMatchObject({ error: { code: 'permission_denied' } });
    }
  });

  test('takes the place of the one before, whose content no sidecar is given any more', async () => {
    const sidecar = await enrolled();
    await submit(row('alice'));
    const first = (await head()).content;
    expect(await part(sidecar, first)).toBeInstanceOf(Uint8Array);
    await submit(row('bob'));
    expect(await part(sidecar, first)).toBe('not_found');
  });
});

describe('a directory in force', () => {
  test('is signed again before it is old, with the next seq and the same content', async () => {
    await submit(row('alice'));
    const sidecar = await enrolled();
    const stream = await subscribed(sidecar);
    await stream.next('directory');
    const [before, next] = [await head(), stream.next('directory')];
    await harness.passTime(next);
    const after = await head();
    expect(after).toMatchObject({ seq: before.seq + 1n, content: before.content });
    expect(after.issuedAtMs).toBeGreaterThan(before.issuedAtMs);
    expect((await taken(sidecar, await next)).signed.number).toBe(Number(after.seq));
  });

  test('is among the files that are carried to where no stream reaches, as it is on a stream', async () => {
    await submit(row('alice'));
    const { bundle } = await harness.publish();
    await harness.release(bundle, { leaveBehind: true });
    const files = new Map<string, Uint8Array>();
    const plane = await harness.client(PolicyPlane, '/admin/alice');
    const incoming = plane.export(create(ExportRequestSchema, { area: 'default', ring: 'default' }), {
      signal: new AbortController().signal,
    });
    for await (const { name, data } of incoming) files.set(name, concatBytes(files.get(name) ?? new Uint8Array(), data));
    const carried = readDirectoryFile(files.get(DIRECTORY_FILE));
    expect(carried?.content).toEqual(encodeDirectoryContent([row('alice')]));
    expect((await taken(await harness.enrol(), carried?.envelope ?? new Uint8Array())).size).toBe(1);
  });

  test('outlives a restart, which signs it again', async () => {
    await submit(row('alice'));
    await harness.restart();
    expect(await head()).toMatchObject({ seq: 2n, principals: 1 });
  });

  test('whose content was edited on disk is not signed again, and the log says so', async () => {
    await submit(row('alice'));
    const { content } = await head();
    await harness.stop();
    writeFileSync(join(harness.directory, 'state', 'objects', content.slice('sha256:'.length)), 'edited');
    await harness.start();
    expect(await head()).toMatchObject({ seq: 1n });
    expect(harness.log.some((line) => line.includes('directory.not_signed'))).toBe(true);
  });

  test('restored from a backup: a sidecar that holds a later one is sent away, and the alert says why', async () => {
    await submit(row('alice'));
    const sidecar = await enrolled();
    const stream = await subscribed(sidecar, { directorySeq: 9n });
    await stream.next('reconnect');
    expect(await harness.alerts()).toMatchObject([{ code: 'BEHIND', detail: expect.stringContaining('directory 9') as string }]);
    expect(stream.received.map(({ message }) => message.case)).toEqual(['root', 'root', 'reconnect']);
  });

  test('a database whose head was edited deceives nobody: what sidecars are told is what the key signed', async () => {
    await submit(row('alice'));
    await harness.stop();
    const database = new DatabaseSync(join(harness.directory, 'state', 'control-plane.db'));
    database.exec("UPDATE directory_head SET envelope = CAST('{}' AS BLOB)");
    database.close();
    await harness.start();
    const sidecar = await enrolled();
    const stream = await subscribed(sidecar);
    expect((await taken(sidecar, await stream.next('directory'))).signed.number).toBe(2);
  });
});

describe('without a directory key', () => {
  test('nothing is said, and nobody is sent away for what another control plane said', async () => {
    await harness.close();
    harness = await controlPlaneHarness();
    const directory = await harness.client(Directory, '/admin/alice');
    expect(await directory.getHead(create(GetHeadRequestSchema), soon)).toMatchObject({ error: { code: 'failed_precondition' } });
    expect(await directory.submit(create(SubmitRequestSchema, { digest: `sha256:${'1'.repeat(64)}` }), soon)).toMatchObject({
      error: { code: 'failed_precondition' },
    });
    const stream = await subscribed(await enrolled(), { directorySeq: 9n });
    await stream.next('liveProof');
    expect(stream.received.some(({ message }) => message.case === 'reconnect')).toBe(false);
  });
});

describe('a start judges the directory key', () => {
  const problems = (over: object): readonly Problem[] => {
    const read = readAuthority({ ...harness.config, ...over }, { disk: realFileSystem(), now: harness.clock.wall() });
    return read.ok ? [] : read.error;
  };

  test('one that Root does not list, that serves another role, or that is missing', () => {
    const stranger = join(harness.directory, 'stranger.pem');
    writeFileSync(stranger, generateKey('ed25519').privatePem, { mode: 0o600 });
    expect(problems({})).toEqual([]);
    expect(problems({ directory_key_file: stranger })).toMatchObject([
      { path: 'directory_key_file', message: expect.stringContaining('does not list this key') as string },
    ]);
    expect(problems({ directory_key_file: harness.config.revocation_key_file }).map(({ message }) => message)).toEqual([
      'this is the same key as `revocation_key_file`',
      expect.stringContaining('does not list this key'),
    ]);
    expect(problems({ directory_key_file: join(harness.directory, 'none.pem') })).toMatchObject([{ path: 'directory_key_file' }]);
  });

  test('stolen control plane: a release key in its place keeps it from starting', () => {
    const stolen = join(harness.directory, 'stolen.pem');
    writeFileSync(stolen, harness.simulator.privatePem('release-1'), { mode: 0o600 });
    expect(problems({ directory_key_file: stolen })[0]).toMatchObject({ message: expect.stringContaining('a release key') as string });
  });
});
