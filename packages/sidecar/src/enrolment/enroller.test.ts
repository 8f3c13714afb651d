import { CertificatesSchema, create, Enrolment, type EnrolRequest, type RenewRequest } from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { issueCertificate, randomBytes, readCsr } from '@sallyport/crypto/keys';
import { fail, invariant, ok, type AgentName, type Area, type Digest, type Ring } from '@sallyport/model';
import { createClient, grpcStatus, openChannel, serve, startGrpcServer, tlsHolder, type GrpcServer } from '@sallyport/net';
import { backoff, systemClock, type DialAddress } from '@sallyport/runtime';
import { fakeClock, simulatedDisk, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import type { JoinToken } from '@sallyport/trust';
import { createPrivateKey } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { enrol, keepRenewed } from './enroller.ts';
import { identityFiles, type Identity, type IdentityFiles } from './identity-files.ts';

const PATH = '/sidecar/support/one';
const HOUR = 3_600_000;

let authority: TestAuthority;
let other: TestAuthority;
beforeAll(async () => {
  authority = await testAuthority();
  other = await testAuthority();
});

let clock: FakeClock;
let server: GrpcServer;
let asked: (EnrolRequest | RenewRequest)[];
let refusing: string | undefined;
/** Who signs what the server gives out. */
let signer: TestAuthority;
let knowsAssertions: boolean;
const closing: (() => Promise<void> | void)[] = [];

beforeEach(async () => {
  clock = fakeClock({ wall: systemClock().wall() });
  asked = [];
  refusing = undefined;
  signer = authority;
  knowsAssertions = true;
  const tls = tlsHolder(await authority.issue('/control-plane'));
  invariant(tls.ok, 'fresh material');
  const answer = async (
    request: EnrolRequest | RenewRequest,
  ): ReturnType<Parameters<typeof serve<typeof Enrolment>>[1]['handlers']['enrol']> => {
    asked.push(request);
    if (refusing !== undefined) return fail(grpcStatus('permission_denied', refusing));
    return ok(create(CertificatesSchema, await certificates(request)));
  };
  server = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    tls: tls.value,
    trustDomain: authority.trustDomain,
    clients: 'anyone',
    services: [serve(Enrolment, { purposes: [], handlers: { enrol: answer, renew: answer } })],
    clock,
    onBug: (error) => expect.unreachable(String(error)),
  });
  closing.push(async () => {
    const drained = server.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
});
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function certificates({ tlsCsr, auditCsr, assertionCsr }: EnrolRequest | RenewRequest): Promise<{
  tlsChain: Uint8Array[];
  auditChain: Uint8Array[];
  assertionChain: Uint8Array[];
  counter: bigint;
}> {
  const now = Math.floor(clock.wall() / 1_000) * 1_000;
  const leaf = (csr: Uint8Array, usage: 'tls-client' | 'audit' | 'assertion'): Promise<Uint8Array> => {
    const subjectPublicKey = readCsr(csr)?.publicKey;
    invariant(subjectPublicKey !== undefined, 'the sidecar sends a request that can be read');
    const spiffeId = `spiffe://${authority.trustDomain}${PATH}`;
    return issueCertificate({
      ca: signer.ca,
      subjectPublicKey,
      spiffeId,
      usage,
      serial: randomBytes(16),
      notBefore: now,
      notAfter: now + HOUR,
    });
  };
  const { certificate } = signer.ca;
  return {
    tlsChain: [await leaf(tlsCsr, 'tls-client'), certificate],
    auditChain: [await leaf(auditCsr, 'audit'), certificate],
    assertionChain: knowsAssertions ? [await leaf(assertionCsr, 'assertion'), certificate] : [],
    counter: BigInt(asked.length),
  };
}

const files = (): IdentityFiles => identityFiles(simulatedDisk().fs, '/state/identity', { agent: 'support', instance: 'one' });
const token = (over: Partial<JoinToken> = {}): JoinToken => ({
  trustDomain: authority.trustDomain,
  rootPin: `sha256:${'0'.repeat(64)}` as Digest,
  caDigest: digestOf(authority.ca.certificate) as Digest,
  agent: 'support' as AgentName,
  area: 'default' as Area,
  ring: 'default' as Ring,
  secret: new Uint8Array(32).fill(7),
  ...over,
});
const addressOf = (to: GrpcServer): DialAddress => ({ host: '127.0.0.1', port: to.port });
const enrolWith = (over: Partial<JoinToken> = {}, kept = files()): Promise<Identity> =>
  enrol(token(over), { files: kept, instance: 'one', address: addressOf(server), clock });

describe('enrolment', () => {
  it('spends the token on certificates for keys that never leave', async () => {
    const kept = files();
    const identity = await enrolWith({}, kept);
    expect(identity).toMatchObject({ spiffeId: `spiffe://${authority.trustDomain}${PATH}`, counter: 1 });
    const [request] = asked as EnrolRequest[];
    expect([Buffer.from(request?.tokenSecret ?? []), request?.instance]).toEqual([Buffer.alloc(32, 7), 'one']);
    for (const [pem, csr] of [
      [(await kept.keys()).tlsPem, request?.tlsCsr],
      [(await kept.keys()).auditPem, request?.auditCsr],
      [(await kept.keys()).assertionPem, request?.assertionCsr],
    ] as const) {
      const secret = Buffer.from(createPrivateKey(pem).export({ format: 'jwk' }).d ?? '', 'base64url');
      expect([secret.byteLength, Buffer.from(csr ?? []).includes(secret)]).toEqual([32, false]);
    }
    expect((await kept.read())?.spiffeId).toBe(identity.spiffeId);
  });

  it.each<[attack: string, over: () => Partial<JoinToken>]>([
    ['another CA than the token names (somebody in the middle)', () => ({ caDigest: digestOf(other.ca.certificate) as Digest })],
    ['another trust domain', () => ({ trustDomain: 'other.example' })],
  ])('a server of %s is told no secret', async (_, over) => {
    await expect(enrolWith(over())).rejects.toMatchObject({ name: 'Fault', code: 'control_plane_unreachable' });
    expect(asked).toEqual([]);
  });

  it('certificates of another CA than the token names are not kept', async () => {
    signer = other;
    const kept = files();
    await expect(enrolWith({}, kept)).rejects.toThrow('does not end in the CA');
    expect(await kept.read()).toBeUndefined();
  });

  it('a refusal says so, without the secret', async () => {
    refusing = 'the token is spent';
    const failure = await enrolWith().catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'Fault', message: expect.stringContaining('the token is spent') });
    expect((failure as Error).message).not.toContain(Buffer.from(token().secret).toString('base64'));
  });

  it('nobody there is a Fault, to be tried again', async () => {
    const address: DialAddress = { host: '127.0.0.1', port: 9 };
    const tried = enrol(token(), { files: files(), instance: 'one', address, clock });
    const settled = tried.catch((error: unknown) => error);
    await clock.advance(10_000);
    expect(await settled).toMatchObject({ name: 'Fault', code: 'control_plane_unreachable' });
  });
});

describe('renewal', () => {
  /** Runs `keepRenewed` beside the test; ends with it. */
  async function renewing(kept: IdentityFiles, first: Identity): Promise<{ renewed: Identity[]; failures: string[] }> {
    const over = new AbortController();
    const channel = openChannel({
      host: '127.0.0.1',
      port: server.port,
      trust: {
        kind: 'ca_digest',
        digest: Buffer.from(digestOf(authority.ca.certificate).slice(7), 'hex'),
        trustDomain: authority.trustDomain,
        purpose: 'control_plane',
      },
      clock,
    });
    const seen = { renewed: [] as Identity[], failures: [] as string[] };
    const done = keepRenewed(first, {
      files: kept,
      clock,
      backoff: backoff({ minMs: 1_000, maxMs: 60_000, random: (length) => new Uint8Array(length) }),
      fraction: () => 0.5,
      client: () => createClient(Enrolment, channel),
      onRenewed: (identity) => seen.renewed.push(identity),
      onFailure: (detail) => seen.failures.push(detail),
      signal: over.signal,
    });
    closing.push(async () => {
      over.abort();
      channel.close();
      await done;
    });
    return seen;
  }
  /** Lets time pass in steps, and real sockets answer in between. */
  async function pass(ms: number, step = 30_000): Promise<void> {
    for (let left = ms; left > 0; left -= step) {
      await clock.advance(Math.min(step, left));
      for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('comes at half-life, with the counter of the last', async () => {
    const kept = files();
    const seen = await renewing(kept, await enrolWith({}, kept));
    await pass(HOUR * 0.45);
    expect(seen.renewed).toEqual([]);
    await pass(HOUR * 0.1);
    await expect.poll(() => seen.renewed.length).toBe(1);
    expect([asked.at(-1), seen.renewed[0]?.counter]).toMatchObject([{ counter: 1n }, 2]);
    expect((await kept.read())?.counter).toBe(2);
  });

  it('comes at once for an identity without a certificate for assertions, and then again at half-life', async () => {
    const kept = files();
    knowsAssertions = false;
    const first = await enrolWith({}, kept);
    expect(first.assertionChain).toEqual([]);
    knowsAssertions = true;
    const seen = await renewing(kept, first);
    await expect.poll(() => seen.renewed.length).toBe(1);
    expect(seen.renewed[0]?.assertionChain).toHaveLength(2);
    await pass(HOUR * 0.4);
    expect(seen.renewed).toHaveLength(1);
  });

  it('is tried again until it works, and says each time why not', async () => {
    const kept = files();
    const seen = await renewing(kept, await enrolWith({}, kept));
    refusing = 'the database is away';
    await pass(HOUR);
    await expect.poll(() => seen.failures.length).toBeGreaterThan(2);
    expect(seen.failures[0]).toContain('the database is away');
    refusing = undefined;
    await pass(120_000);
    await expect.poll(() => seen.renewed.length).toBeGreaterThan(0);
  });

  it('a clock that was far back at the start, and is then set right, does not put it off for years', async () => {
    const kept = files();
    const first = await enrolWith({}, kept);
    const right = clock.wall();
    clock.setWall(0 as never);
    const seen = await renewing(kept, first);
    await pass(60_000);
    clock.setWall((right + HOUR) as never);
    await pass(60_000);
    await expect.poll(() => seen.renewed.length).toBe(1);
  });

  it('a machine that slept through its half-life renews on waking', async () => {
    const kept = files();
    const seen = await renewing(kept, await enrolWith({}, kept));
    await clock.suspend(HOUR);
    await pass(30_000);
    await expect.poll(() => seen.renewed.length).toBe(1);
  });
});
