/**
 * Writes the assertion vectors, with keys and certificates of their own each time: an ECDSA signature comes out different
 * whenever it is made, so nothing compares the file with what this would write. `assertions.test.ts` runs what is committed.
 *
 *   node --conditions=sallyport-src test/vectors/assertions/generate.ts
 */

import { encodeBase64, encodeBase64Url, utf8 } from '@sallyport/crypto';
import type { CertificateUsage } from '@sallyport/crypto';
import { certificatePem, createCa, generateKey, issueCertificate, randomBytes, signerFromPem } from '@sallyport/crypto/keys';
import type { CertificateAuthority, LocalSigner } from '@sallyport/crypto/keys';
import { digestOfJsonArguments, type AssertionFailure } from '@sallyport/verifier';
import { writeFileSync } from 'node:fs';

export interface Vector {
  readonly name: string;
  /** ISO 8601: what the verifier's clock says. */
  readonly now: string;
  readonly token: string;
  /** In place of those of the file. */
  readonly audience?: string;
  readonly tool?: string;
  /** How many agents the verifier lets stand in between; none where it is absent. */
  readonly hops_max?: number;
  /** The arguments as received, where the verifier asks for them. */
  readonly arguments?: string;
  readonly expect: 'believed' | AssertionFailure;
}

export interface VectorFile {
  readonly description: string;
  readonly trust_domain: string;
  /** PEM. */
  readonly authorities: string;
  readonly audience: string;
  readonly tool: string;
  readonly vectors: readonly Vector[];
}

const DOMAIN = 'vectors.example';
const AUDIENCE = `sallyport:${DOMAIN}:server:orders`;
const TOOL = 'orders/get_order';
const SIDECAR = '/sidecar/support-triage/pod-1';
const BEGIN = Date.UTC(2026, 10, 20, 12);
const HOUR_MS = 3_600_000;
const LIFE = { notBefore: BEGIN - HOUR_MS, notAfter: BEGIN + HOUR_MS };

interface By {
  readonly signer: LocalSigner;
  readonly leaf: Uint8Array;
}

async function authority(): Promise<CertificateAuthority> {
  return createCa({
    trustDomain: DOMAIN,
    privatePem: generateKey('es256').privatePem,
    notBefore: BEGIN - HOUR_MS,
    notAfter: BEGIN + 24 * HOUR_MS,
  });
}

async function by(ca: CertificateAuthority, path: string, usage: CertificateUsage = 'assertion', life = LIFE): Promise<By> {
  const signer = signerFromPem(generateKey('es256').privatePem);
  const subjectPublicKey = { alg: signer.alg, raw: signer.publicRaw };
  const leaf = await issueCertificate({
    ca,
    subjectPublicKey,
    spiffeId: `spiffe://${DOMAIN}${path}`,
    usage,
    serial: randomBytes(16),
    ...life,
  });
  return { signer, leaf };
}

const CLAIMS = {
  iss: `spiffe://${DOMAIN}${SIDECAR}`,
  sub: 'alice@company.com',
  act: { sub: 'support-triage' },
  aud: AUDIENCE,
  tool: TOOL,
  session_id: '00112233aabbccdd.AAECAwQFBgcICQoLDA0ODw',
  tenant_id: 'company',
  scopes: ['orders.read'],
  txn: '00112233aabbccdd.AAECAwQFBgcICQoLDA0ODw',
  root_kind: 'human',
  jti: 'Zm9ydHktdHdvLWJ5dGVzIQ',
  iat: BEGIN / 1_000,
  exp: BEGIN / 1_000 + 60,
};

const HANDED_ON = { sub: 'support-triage', act: { sub: 'front-desk', authority: 'transferred' } };
const HANDED_ON_TWICE = {
  sub: 'support-triage',
  act: { sub: 'front-desk', authority: 'retained', act: { sub: 'partner.example/helper', authority: 'transferred' } },
};

const encode = (value: string): string => encodeBase64Url(utf8(value));

/** `header` and `claims` lie over the good ones; as text they stand as they are. */
function token({ signer, leaf }: By, claims: object | string = {}, header: object = {}): string {
  const good = { alg: 'ES256', kid: signer.keyId, typ: 'sallyport-assertion+jwt', x5c: [encodeBase64(leaf)] };
  const body = typeof claims === 'string' ? claims : JSON.stringify({ ...CLAIMS, ...claims });
  const input = `${encode(JSON.stringify({ ...good, ...header }))}.${encode(body)}`;
  return `${input}.${encodeBase64Url(signer.sign(utf8(input)))}`;
}

const at = (seconds: number): string => new Date(BEGIN + seconds * 1_000).toISOString();
const vector = (name: string, of: string, expect: Vector['expect'], more: Partial<Vector> = {}): Vector => ({
  name,
  now: at(1),
  token: of,
  ...more,
  expect,
});

async function build(): Promise<VectorFile> {
  const [ca, otherCa] = [await authority(), await authority()];
  const sidecar = await by(ca, SIDECAR);
  const good = token(sidecar);
  const [head = '', , signature = ''] = good.split('.');
  const input = good.slice(0, good.lastIndexOf('.'));
  const args = '{"amount":12.50,"order_id":"O-000123"}';
  const asserted = token(sidecar, { args_sha256: digestOfJsonArguments(args) });
  const ending = await by(ca, SIDECAR, 'assertion', { notBefore: BEGIN - HOUR_MS, notAfter: BEGIN + 1_000 });
  const vectors: Vector[] = [
    vector('a good one', good, 'believed'),
    vector('in its last moment', good, 'believed', { now: at(59) }),
    vector('with a clock that is 5 seconds behind', good, 'believed', { now: at(-5) }),
    vector('with a claim that nobody knows', token(sidecar, { later: true }), 'believed'),
    vector('signed while a certificate lived that has ended since', token(ending), 'believed', { now: at(30) }),
    vector('for these arguments, in another spelling', asserted, 'believed', { arguments: '{"order_id":"O-000123","amount":12.5}' }),
    vector(
      'longer than 8,192 bytes',
      token(sidecar, { scopes: Array.from({ length: 9 }, (_, n) => `${n}${'x'.repeat(800)}`) }),
      'too_large',
    ),
    vector('two parts', input, 'malformed'),
    vector('a claim twice', token(sidecar, JSON.stringify(CLAIMS).replace('{', '{"sub":"mallory@company.com",')), 'malformed'),
    vector('a session token', token(sidecar, {}, { typ: 'sallyport-session+jwt' }), 'wrong_type'),
    vector(
      'alg none',
      `${encode(JSON.stringify({ alg: 'none', typ: 'sallyport-assertion+jwt' }))}.${good.split('.')[1]}.`,
      'algorithm_refused',
    ),
    vector('alg HS256', token(sidecar, {}, { alg: 'HS256' }), 'algorithm_refused'),
    vector('a jwk', token(sidecar, {}, { jwk: { kty: 'EC' } }), 'header_refused'),
    vector('a jku', token(sidecar, {}, { jku: 'https://attacker.example/keys' }), 'header_refused'),
    vector('an x5u', token(sidecar, {}, { x5u: 'https://attacker.example/chain' }), 'header_refused'),
    vector('no x5c', token(sidecar, {}, { x5c: undefined }), 'header_refused'),
    vector('two audiences', token(sidecar, { aud: [AUDIENCE, 'elsewhere'] }), 'claims_invalid'),
    vector('through an agent that handed it on', token(sidecar, { act: HANDED_ON }), 'believed', { hops_max: 1 }),
    vector('through two, one of another trust domain', token(sidecar, { act: HANDED_ON_TWICE }), 'believed', { hops_max: 2 }),
    vector(
      'an actor behind the actor, without its authority',
      token(sidecar, { act: { sub: 'support-triage', act: { sub: 'billing' } } }),
      'claims_invalid',
      { hops_max: 8 },
    ),
    vector(
      'the actor behind itself',
      token(sidecar, { act: { sub: 'support-triage', act: { sub: 'support-triage', authority: 'retained' } } }),
      'claims_invalid',
      { hops_max: 8 },
    ),
    vector(
      'authority that expands',
      token(sidecar, { act: { sub: 'support-triage', act: { sub: 'billing', authority: 'expanded' } } }),
      'claims_invalid',
      { hops_max: 8 },
    ),
    vector('under another authority of the same name', token(await by(otherCa, SIDECAR)), 'certificate_untrusted'),
    vector('by a certificate that had ended', token(ending, { iat: BEGIN / 1_000 + 2 }), 'certificate_untrusted', { now: at(3) }),
    vector('by a TLS key', token(await by(ca, SIDECAR, 'tls-client')), 'certificate_usage'),
    vector('by an audit key', token(await by(ca, SIDECAR, 'audit')), 'certificate_usage'),
    vector('with the kid of another key', token(sidecar, {}, { kid: '0'.repeat(32) }), 'key_mismatch'),
    vector(
      'with another operator than was signed',
      `${head}.${encode(JSON.stringify({ ...CLAIMS, sub: 'mallory@company.com' }))}.${signature}`,
      'signature_invalid',
    ),
    vector('by another instance of the agent’s sidecars', token(await by(ca, '/sidecar/support-triage/pod-2')), 'issuer_mismatch'),
    vector('by the control plane', token(await by(ca, '/control-plane')), 'issuer_mismatch'),
    vector(
      'by the sidecar of another agent',
      token(await by(ca, '/sidecar/billing/1'), { iss: `spiffe://${DOMAIN}/sidecar/billing/1` }),
      'actor_mismatch',
    ),
    vector('for 61 seconds', token(sidecar, { exp: BEGIN / 1_000 + 61 }), 'lifetime_exceeded'),
    vector('from 6 seconds ahead', good, 'not_yet_valid', { now: at(-6) }),
    vector('in the second of its end', good, 'expired', { now: at(60) }),
    vector('a second after its end', good, 'expired', { now: at(61) }),
    vector('shown to another service', good, 'audience_mismatch', { audience: `sallyport:${DOMAIN}:server:accounting` }),
    vector('shown to another tool', good, 'tool_mismatch', { tool: 'orders/cancel_order' }),
    vector('through an agent, shown to a tool that serves none', token(sidecar, { act: HANDED_ON }), 'delegation_refused'),
    vector('through two, shown to a tool that serves one', token(sidecar, { act: HANDED_ON_TWICE }), 'delegation_refused', { hops_max: 1 }),
    vector(
      'by the sidecar of an agent that handed it on',
      token(sidecar, { act: { sub: 'billing', act: { sub: 'support-triage', authority: 'retained' } } }),
      'actor_mismatch',
      { hops_max: 8 },
    ),
    vector('for another amount', asserted, 'arguments_mismatch', { arguments: '{"amount":1250,"order_id":"O-000123"}' }),
    vector('without arguments, where they are asked for', good, 'arguments_mismatch', { arguments: '{}' }),
  ];
  return {
    description: 'Assertions, the verifier they are shown to, and what it answers (docs/spec/assertions-v1.md, section 4).',
    trust_domain: DOMAIN,
    authorities: certificatePem(ca.certificate),
    audience: AUDIENCE,
    tool: TOOL,
    vectors,
  };
}

if (import.meta.main) writeFileSync(new URL('assertions.json', import.meta.url), `${JSON.stringify(await build(), undefined, 2)}\n`);
