/**
 * What it takes to know who calls, method by method, and what a call's own proofs cost: in process, beside one plain P-256
 * verification. Cold is a credential that is seen for the first time; cached, one that was proven before and is judged
 * again. A method without a cached line has none: what is signed for one request is verified for one request.
 */

import { createHash, createHmac, generateKeyPairSync, randomUUID, sign, verify } from 'node:crypto';
import { encodeBase64, encodeBase64Url, utf8 } from '@sallyport/crypto';
import { generateKey, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import {
  assertionMinter,
  callerMethod,
  type CallerRequest,
  dpopProofs,
  newApiKey,
  operatorTokens,
  replayMemory,
  sessionTokens,
  verifyDelegation,
} from '@sallyport/credentials';
import { formatSessionId, type Asserted, type SessionEpoch, type SpiffeId } from '@sallyport/identity';
import type { AgentName, CallerMethodConfig, Digest, Instant, PrincipalId, ServerName, TenantId, ToolName } from '@sallyport/model';
import {
  dpopProof,
  fakeClock,
  foreignAuthority,
  issuerKeyPair,
  signJws,
  testAuthority,
  thumbprintOf,
  tokenIssuer,
} from '@sallyport/testkit';
import { authorities, c, d, line as hopsOfThree, rules } from '../../packages/credentials/src/testing/sidecars.ts';
import { requestSigners, type UnsignedRequest } from '../../packages/sidecar/src/upstream/request-signing.ts';
import { median, type Report } from './report.ts';

const NOW = 1_800_000_000_000 as Instant;
const SECONDS = Math.floor(NOW / 1_000);
const BUNDLE = `sha256:${'0'.repeat(64)}` as Digest;
const CONTEXT = { now: NOW, bundle: BUNDLE };
const BODY = JSON.stringify({ order: 7, text: 'x'.repeat(1_000) });
const SECRET = 'a shared secret, long enough to be one';
const SUBJECT = 'system:serviceaccount:support:triage';

/** One way to prove something; `make` is not measured, and gives what has not been seen yet. */
interface Proof<T> {
  readonly name: string;
  make(): T;
  /** Whether it was accepted: a bench of refusals would measure something else. */
  judge(made: T): Promise<boolean> | boolean;
  /** Judge the same one again. */
  readonly isKept?: boolean;
}

/** A line for each method, cold and cached, and for the assertion that goes with a call. */
export async function measureAuthentication(report: Report, size: Size): Promise<void> {
  const plain = await microseconds(plainVerification(), { ...size, isCold: true });
  report.figure({ figure: 'verify_p256', value: plain, unit: 'us' });
  const line = async <T>(proof: Proof<T>): Promise<void> => {
    for (const isCold of proof.isKept === true ? [true, false] : [true]) {
      const value = await microseconds(proof, { ...size, isCold });
      report.figure({ figure: `${proof.name}${isCold ? '' : '_cached'}`, value, unit: 'us', baseline: plain, ratio: value / plain });
    }
  };
  for (const method of [slack(), hmac(), apiKey(), httpSignature(), mtls(), kubernetes()]) await line(method);
  await line(accessToken());
  await line(await dpop());
  await line(await sessionToken());
  await line(await assertion());
  await line(requestSignature());
  await line(await delegation());
}

interface Size {
  readonly batches: number;
  readonly batch: number;
}

/** Of one judgement, the median over batches. */
async function microseconds<T>(proof: Proof<T>, size: Size & { readonly isCold: boolean }): Promise<number> {
  const times: number[] = [];
  const kept = proof.make();
  for (let round = -2; round < size.batches; round++) {
    const made = Array.from({ length: size.batch }, () => (size.isCold ? proof.make() : kept));
    const start = performance.now();
    for (const one of made) if (!(await proof.judge(one))) throw new Error(`${proof.name} is refused`);
    // The first rounds compile.
    if (round >= 0) times.push(((performance.now() - start) * 1_000) / size.batch);
  }
  return median(times);
}

function plainVerification(): Proof<{ text: Buffer; signature: Buffer }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const make = (): { text: Buffer; signature: Buffer } => {
    const text = Buffer.from(`${randomUUID()}${'x'.repeat(400)}`);
    return { text, signature: sign('sha256', text, privateKey) };
  };
  return { name: 'plain', make, judge: ({ text, signature }) => verify('sha256', text, publicKey, signature) };
}

function accessToken(): Proof<string> {
  const idp = tokenIssuer();
  const issuers = [idp.trusted()];
  const tokens = operatorTokens();
  return {
    name: 'authn_access_token',
    make: () => idp.mint(NOW),
    judge: async (token) => (await tokens.verify(token, { issuers, bundle: BUNDLE, now: NOW })).ok,
    isKept: true,
  };
}

/** The token was proven before, and each request proves the key anew. */
async function dpop(): Promise<Proof<string>> {
  const idp = tokenIssuer();
  const issuers = [idp.trusted()];
  const holder = issuerKeyPair('ES256', 'holder');
  // A proof that was made before the start counts as spent.
  const clock = fakeClock({ wall: (NOW - 60_000) as Instant });
  const tokens = operatorTokens({}, { dpop: dpopProofs(clock) });
  await clock.advance(60_000);
  const token = idp.mint(NOW, { claims: { cnf: { jkt: thumbprintOf(holder) } } });
  const url = 'https://gate.example/agents/support/invoke';
  return {
    name: 'authn_dpop_cached_token',
    make: () => dpopProof(holder, { method: 'POST', url, madeAt: NOW, token }),
    judge: async (proof) =>
      (await tokens.verify(token, { issuers, bundle: BUNDLE, now: NOW, possession: { proof, method: 'POST', url } })).ok,
  };
}

type Config<K> = Extract<CallerMethodConfig, { kind: K }>;

const alice = { id: 'alice' as PrincipalId, kind: 'person', tenant: 'acme' as TenantId, roles: [], scopes: [], attributes: {} } as const;
const aliceIs = (subject: string): CallerMethodConfig['principals'][number] => ({ subject, identity: alice });

function callerProof(config: CallerMethodConfig, make: () => CallerRequest): Proof<CallerRequest> {
  const replay = replayMemory({ startedAt: 0 as Instant, entriesMax: 1_000_000 });
  const made = callerMethod(config, { secretOf: () => utf8(SECRET), replay });
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  const method = made.value;
  return {
    name: `authn_${config.kind}`,
    make,
    judge: async (request) => method.judgeHead(request, CONTEXT) === undefined && (await method.verify(request, CONTEXT)).ok,
  };
}

function requestWith(headers: Readonly<Record<string, string>>, more: Partial<CallerRequest> = {}): CallerRequest {
  const target = '/agents/support/invoke';
  const rawHeaders = Object.entries(headers).flat();
  return { method: 'POST', target, authority: 'gate.example', rawHeaders, body: utf8(BODY), peerCertificate: undefined, ...more };
}

const mac = (text: string): string => createHmac('sha256', SECRET).update(text).digest('hex');

function slack(): Proof<CallerRequest> {
  const config: Config<'slack'> = { kind: 'slack', name: 'chat', secret: 'chat', principals: [aliceIs('T0001/U2147483697')] };
  return callerProof(config, () => {
    const text = `team_id=T0001&user_id=U2147483697&command=%2Fask&trigger_id=${randomUUID()}&text=${'x'.repeat(900)}`;
    const signature = `v0=${mac(`v0:${SECONDS}:${text}`)}`;
    const headers = { 'x-slack-request-timestamp': String(SECONDS), 'x-slack-signature': signature };
    return requestWith({ 'content-type': 'application/x-www-form-urlencoded', ...headers }, { body: utf8(text) });
  });
}

function hmac(): Proof<CallerRequest> {
  const config: Config<'hmac'> = {
    kind: 'hmac',
    name: 'partner',
    headers: { signature: 'x-signature', timestamp: 'x-timestamp', keyId: 'x-key' },
    signaturePrefix: 'sha256=',
    encoding: 'hex',
    timestampUnit: 's',
    template: [{ take: 'timestamp' }, { text: '\n' }, { header: 'x-event' }, { text: '\n' }, { take: 'body' }],
    windowMs: 60_000,
    keys: [{ id: 'k1', secret: 'partner' }],
    principals: [aliceIs('k1')],
  };
  return callerProof(config, () => {
    const event = randomUUID();
    const signature = `sha256=${mac(`${SECONDS}\n${event}\n${BODY}`)}`;
    return requestWith({ 'x-signature': signature, 'x-timestamp': String(SECONDS), 'x-key': 'k1', 'x-event': event });
  });
}

function apiKey(): Proof<CallerRequest> {
  const { text, entry } = newApiKey(randomBytes, { issuedAt: NOW, expiresAt: null });
  const config: Config<'api_key'> = {
    kind: 'api_key',
    name: 'keys',
    header: 'authorization',
    keys: [entry],
    principals: [aliceIs(entry.id)],
  };
  return callerProof(config, () => requestWith({ authorization: `Bearer ${text}` }));
}

function httpSignature(): Proof<CallerRequest> {
  const key = generateKey('es256');
  const signer = signerFromPem(key.privatePem);
  const config: Config<'http_signature'> = {
    kind: 'http_signature',
    name: 'signed',
    tag: 'sallyport',
    lifetimeMsMax: 60_000,
    clockSkewMsMax: 5_000,
    fields: [],
    keys: [{ id: 'ec', alg: 'ecdsa-p256-sha256', publicKey: encodeBase64Url(key.publicRaw) }],
    principals: [aliceIs('ec')],
  };
  const digest = `sha-256=:${createHash('sha256').update(BODY).digest('base64')}:`;
  return callerProof(config, () => {
    const times = `;created=${SECONDS};expires=${SECONDS + 60};nonce="${randomUUID()}";keyid="ec";tag="sallyport"`;
    const input = `("@method" "@authority" "@path" "@query" "content-digest")${times}`;
    const covered = `"@method": POST\n"@authority": gate.example\n"@path": /agents/support/invoke\n"@query": ?\n"content-digest": ${digest}`;
    const signature = encodeBase64(signer.sign(utf8(`${covered}\n"@signature-params": ${input}`)) as Uint8Array);
    return requestWith({ 'content-digest': digest, 'signature-input': `sig=${input}`, signature: `sig=:${signature}:` });
  });
}

function mtls(): Proof<CallerRequest> {
  const company = foreignAuthority('company', NOW);
  const config: Config<'mtls'> = {
    kind: 'mtls',
    name: 'clients',
    authorities: [encodeBase64(company.certificate)],
    revocationLists: [],
    requiresRevocationList: false,
    principals: [aliceIs('uri:spiffe://company/svc-a')],
  };
  return callerProof(config, () => requestWith({}, { peerCertificate: [company.issue({ uris: ['spiffe://company/svc-a'] })] }));
}

function kubernetes(): Proof<CallerRequest> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const config: Config<'kubernetes'> = {
    kind: 'kubernetes',
    name: 'cluster',
    issuer: 'https://kubernetes.test',
    audience: 'sallyport',
    tokenLifetimeMsMax: 3_600_000,
    keys: [{ kid: 'ec', kty: 'EC', crv: 'P-256', x, y }],
    principals: [aliceIs(SUBJECT)],
  };
  const times = { exp: SECONDS + 600, iat: SECONDS, nbf: SECONDS };
  return callerProof(config, () => {
    const bound = {
      namespace: 'support',
      pod: { name: 'triage-7f3a', uid: randomUUID() },
      serviceaccount: { name: 'triage', uid: randomUUID() },
    };
    const claims = { aud: ['sallyport'], ...times, iss: config.issuer, sub: SUBJECT, 'kubernetes.io': bound };
    return requestWith({ authorization: `Bearer ${signJws({ alg: 'ES256', kid: 'ec' }, JSON.stringify(claims), privateKey)}` });
  });
}

const EPOCH = '5f0c1d2e3a4b5c6d' as SessionEpoch;
const SIDECAR = 'spiffe://test.sallyport.dev/sidecar/support/1' as SpiffeId;

/** What an agent shows with each call. */
async function sessionToken(): Promise<Proof<string>> {
  const signer = signerFromPem(generateKey('ed25519').privatePem);
  const tokens = sessionTokens({ signer, sidecar: SIDECAR, epoch: EPOCH, leg: 'outbound', random: randomBytes });
  const grant = { sessionId: formatSessionId(EPOCH, randomBytes(16)), operator: alice.id, agent: 'support' as AgentName };
  const pool = await Promise.all(Array.from({ length: 10_000 }, () => tokens.mint(grant, NOW)));
  return {
    name: 'authn_session_token',
    make: () => pool.pop() ?? '',
    judge: (token) => tokens.verify(token, NOW).ok,
    isKept: true,
  };
}

/** Not who calls, but what a tool is told: one for each session and tool, used again for half of its life. */
async function assertion(): Promise<Proof<Asserted>> {
  const { chain, privatePem } = await (await testAuthority('test.sallyport.dev')).issue('/sidecar/support/1', { usage: 'assertion' });
  const minter = assertionMinter({ signer: signerFromPem(privatePem), chain: chain.slice(0, 1), random: randomBytes });
  const asserted: Asserted = {
    issuer: SIDECAR,
    operator: alice.id,
    agent: 'support' as AgentName,
    chain: [],
    audience: `sallyport:test.sallyport.dev:server:${'orders' as ServerName}`,
    tool: 'orders/get_order' as ToolName,
    sessionId: formatSessionId(EPOCH, randomBytes(16)),
    tenant: alice.tenant,
    scopes: ['orders:read'],
    transaction: 'one',
    rootKind: 'human',
  };
  return { name: 'assertion_minted', make: () => asserted, judge: async (said) => (await minter.mint(said, NOW)) !== undefined };
}

/** What goes with a request that its receiver wants signed: the digest of its body, and a signature over all that counts. */
function requestSignature(): Proof<UnsignedRequest> {
  const signer = signerFromPem(generateKey('es256').privatePem);
  const signers = requestSigners({ clock: fakeClock({ wall: NOW }), random: randomBytes, signerOf: () => signer });
  const assertion = 'x'.repeat(1_200);
  const sign = signers.for({
    assertion,
    destination: { scheme: 'https', host: 'tools.example', port: 443 },
    fields: [],
    evidence: undefined,
  });
  const headers = [['content-type', 'application/json'] as const, ['sallyport-assertion', assertion] as const];
  return {
    name: 'request_signed',
    make: () => ({ method: 'POST', path: '/orders/7', headers, body: utf8(BODY) }),
    judge: async (request) => (await sign(request)).length === headers.length + 3,
  };
}

/** A list of three, as the last of four agents verifies it. */
async function delegation(): Promise<Proof<readonly string[]>> {
  const tokens = await hopsOfThree();
  return {
    name: 'authn_delegation_3_hops',
    make: () => tokens,
    judge: (list) => verifyDelegation(list, authorities, rules(d, c)).ok,
  };
}
