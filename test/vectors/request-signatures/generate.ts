/**
 * Writes the vectors of signed requests, with keys and certificates of their own each time: an ECDSA signature comes out
 * different whenever it is made. `request-signatures.test.ts` runs what is committed.
 *
 *   node --conditions=sallyport-src test/vectors/request-signatures/generate.ts
 */

import { encodeBase64, encodeBase64Url, utf8 } from '@sallyport/crypto';
import { createCa, generateKey, issueCertificate, randomBytes, signerFromPem, certificatePem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { contentDigestOf, requestToSign, signatureField } from '@sallyport/identity';
import type { Instant } from '@sallyport/model';
import type { AssertionFailure, RequestFailure } from '@sallyport/verifier';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';

export interface Vector {
  readonly name: string;
  /** ISO 8601: what the verifier's clock says. */
  readonly now: string;
  readonly method: string;
  readonly target: string;
  /** As they came; names and values. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** UTF-8. */
  readonly body: string;
  /** What the verifier demands besides. */
  readonly fields?: readonly string[];
  /** Where the verifier was told; else the `Host` as received. */
  readonly authority?: string;
  readonly expect: 'believed' | AssertionFailure | RequestFailure;
}

export interface VectorFile {
  readonly description: string;
  readonly trust_domain: string;
  /** PEM. */
  readonly authorities: string;
  readonly audience: string;
  readonly tool: string;
  readonly scheme: 'https';
  readonly vectors: readonly Vector[];
}

type Pairs = readonly (readonly [string, string])[];
type Request = Pick<Vector, 'method' | 'target' | 'headers' | 'body'>;

const DOMAIN = 'vectors.example';
const AUDIENCE = `sallyport:${DOMAIN}:server:bank`;
const TOOL = 'bank/transfer';
const BEGIN = Date.UTC(2026, 10, 20, 12);
const HOUR_MS = 3_600_000;
const LIFE = { notBefore: BEGIN - HOUR_MS, notAfter: BEGIN + HOUR_MS };
const at = (ms: number): string => new Date(BEGIN + ms).toISOString();

interface By {
  readonly signer: LocalSigner;
  readonly leaf: Uint8Array;
}

const ca = await createCa({ trustDomain: DOMAIN, privatePem: generateKey('es256').privatePem, ...LIFE });
async function by(instance: string): Promise<By> {
  const signer = signerFromPem(generateKey('es256').privatePem);
  const leaf = await issueCertificate({
    ca,
    subjectPublicKey: { alg: signer.alg, raw: signer.publicRaw },
    spiffeId: `spiffe://${DOMAIN}/sidecar/support-triage/${instance}`,
    usage: 'assertion',
    serial: randomBytes(16),
    ...LIFE,
  });
  return { signer, leaf };
}
const [one, two] = [await by('pod-1'), await by('pod-2')];

function assertion({ signer, leaf }: By, instance = 'pod-1'): string {
  const iat = BEGIN / 1_000;
  const text = (value: object): string => encodeBase64Url(utf8(JSON.stringify(value)));
  const header = text({ alg: 'ES256', kid: signer.keyId, typ: 'sallyport-assertion+jwt', x5c: [encodeBase64(leaf)] });
  const claims = text({
    iss: `spiffe://${DOMAIN}/sidecar/support-triage/${instance}`,
    sub: 'alice@company.com',
    act: { sub: 'support-triage' },
    aud: AUDIENCE,
    tool: TOOL,
    session_id: '00112233aabbccdd.AAECAwQFBgcICQoLDA0ODw',
    tenant_id: 'acme',
    scopes: ['bank.transfer'],
    txn: '00112233aabbccdd.AAECAwQFBgcICQoLDA0ODw',
    root_kind: 'human',
    jti: encodeBase64Url(randomBytes(16)),
    iat,
    exp: iat + 60,
  });
  return `${header}.${claims}.${encodeBase64Url(signer.sign(utf8(`${header}.${claims}`)))}`;
}

const BODY = '{"to":"DE1","amount":5}';
const TOKEN = assertion(one);

interface How {
  readonly method?: string;
  readonly target?: string;
  readonly headers?: Pairs;
  readonly body?: string;
  readonly fields?: readonly string[];
  readonly signer?: LocalSigner;
  readonly createdAt?: number;
  readonly token?: string;
  /** Of what is signed, before it is. */
  readonly bend?: (input: string) => string;
}

/** A request as a sidecar sends it. */
function signed(how: How = {}): Request {
  const {
    method = 'POST',
    target = '/transfers?fast=1',
    body = BODY,
    fields = [],
    signer = one.signer,
    createdAt = BEGIN,
    token = TOKEN,
  } = how;
  const type: Pairs = body === '' ? [] : [['content-type', 'application/json']];
  const plain: Pairs = [
    ['host', 'bank.example'],
    ...type,
    ...(how.headers ?? []),
    ['sallyport-assertion', token],
    ['content-digest', contentDigestOf(utf8(body))],
  ];
  const of = { fields, keyId: signer.keyId, nonce: encodeBase64Url(randomBytes(16)), now: createdAt as Instant };
  const made = requestToSign({ method, target, authority: 'bank.example', scheme: 'https', rawHeaders: plain.flat() }, of);
  if (!made.ok) throw new Error(made.error);
  const { bend = (input: string): string => input } = how;
  const input = bend(made.value.input);
  // What was bent is signed as it then reads.
  const base = Buffer.from(made.value.base).toString();
  const bent = base.slice(0, base.indexOf('"@signature-params"')) + `"@signature-params": ${input.slice('sallyport='.length)}`;
  const signature = signatureField(signer.sign(input === made.value.input ? made.value.base : utf8(bent)));
  return { method, target, headers: [...plain, ['signature-input', input], ['signature', signature]], body };
}

const good = signed();
const replaced = (request: Request, name: string, value: string | undefined): Request => ({
  ...request,
  headers: request.headers.flatMap(([own, old]) =>
    own !== name ? [[own, old] as const] : value === undefined ? [] : [[own, value] as const],
  ),
});
const field = (request: Request, name: string): string => request.headers.find(([own]) => own === name)?.[1] ?? '';
const wrongDigest = `sha-256=:${createHash('sha256').update('{}').digest('base64')}:`;

function vector(name: string, expect: Vector['expect'], request: Request, more: Partial<Vector> = {}): Vector {
  return { name, now: at(1_000), ...request, ...more, expect };
}

const vectors: Vector[] = [
  vector('as it was sent', 'believed', good),
  vector('without a body', 'believed', signed({ method: 'GET', body: '', target: '/transfers' })),
  vector('with an empty query', 'believed', signed({ target: '/transfers?' })),
  vector('with a field that matters', 'believed', signed({ headers: [['traceparent', '00-x']], fields: ['traceparent'] }), {
    fields: ['traceparent'],
  }),
  vector(
    'with a field that is signed and not asked for',
    'believed',
    signed({ headers: [['traceparent', '00-x']], fields: ['traceparent'] }),
  ),
  vector('with a field that nobody signed beside it', 'believed', { ...good, headers: [...good.headers, ['x-forwarded-for', '10.0.0.1']] }),
  vector('with the signature of a proxy beside it', 'believed', {
    ...good,
    headers: good.headers.map(([name, value]) => [
      name,
      name === 'signature' ? `${value}, proxy=:AAAA:` : name === 'signature-input' ? `${value}, proxy=("@method");tag="proxy"` : value,
    ]),
  }),
  vector('whose name is written in capitals', 'believed', replaced(good, 'host', 'BANK.example')),
  vector('with the default port in its name', 'believed', replaced(good, 'host', 'bank.example:443')),
  vector('behind a proxy, to a verifier that knows its name', 'believed', replaced(good, 'host', 'pod-7'), { authority: 'bank.example' }),
  vector('a moment before it was made, by a clock that runs behind', 'believed', good, { now: at(-5_000) }),
  vector('in its last moment', 'believed', good, { now: at(59_999) }),
  vector('with another body', 'request_digest_mismatch', { ...good, body: '{"to":"DE1","amount":9}' }),
  vector('with a space more in its body', 'request_digest_mismatch', { ...good, body: `${BODY} ` }),
  vector('without its body', 'request_digest_mismatch', { ...good, body: '' }),
  vector('with a body where there was none', 'request_digest_mismatch', { ...signed({ method: 'GET', body: '' }), body: '{}' }),
  vector('with another body and its digest', 'request_signature_invalid', { ...replaced(good, 'content-digest', wrongDigest), body: '{}' }),
  vector(
    'with a digest by a weaker algorithm beside the right one',
    'request_signature_invalid',
    replaced(good, 'content-digest', `${field(good, 'content-digest')}, md5=:AAAA:`),
  ),
  vector('with two digests', 'request_signature_malformed', { ...good, headers: [...good.headers, ['content-digest', wrongDigest]] }),
  vector('by another method', 'request_signature_invalid', { ...good, method: 'PUT' }),
  vector('on another path', 'request_signature_invalid', { ...good, target: '/refunds?fast=1' }),
  vector('on a path in another spelling', 'request_signature_invalid', { ...good, target: '/%74ransfers?fast=1' }),
  vector('with another query', 'request_signature_invalid', { ...good, target: '/transfers?fast=0' }),
  vector('without its query', 'request_signature_invalid', { ...good, target: '/transfers' }),
  vector('to another host', 'request_signature_invalid', replaced(good, 'host', 'evil.example')),
  vector('to another port', 'request_signature_invalid', replaced(good, 'host', 'bank.example:8443')),
  vector('of another type', 'request_signature_invalid', replaced(good, 'content-type', 'text/plain')),
  vector('whose type was taken away', 'request_signature_malformed', replaced(good, 'content-type', undefined)),
  vector(
    'to which a type was added',
    'request_not_covered',
    (() => {
      const bare = signed({ method: 'GET', body: '' });
      return { ...bare, headers: [...bare.headers, ['content-type', 'application/json']] };
    })(),
  ),
  vector(
    'with a second value of a field that is signed',
    'request_signature_invalid',
    (() => {
      const traced = signed({ headers: [['traceparent', '00-x']], fields: ['traceparent'] });
      return { ...traced, headers: [...traced.headers, ['traceparent', '00-y']] };
    })(),
  ),
  vector('without a field that the verifier asks for', 'request_not_covered', good, { fields: ['traceparent'] }),
  vector('signed for less', 'request_not_covered', signed({ bend: (input) => input.replace(' "content-digest"', '') })),
  vector('signed for its path alone', 'request_not_covered', signed({ bend: (input) => input.replace('"@query" ', '') })),
  vector(
    'whose signature does not cover the assertion',
    'request_not_covered',
    signed({ bend: (input) => input.replace(' "sallyport-assertion"', '') }),
  ),
  vector('without a signature', 'request_unsigned', replaced(replaced(good, 'signature', undefined), 'signature-input', undefined)),
  vector('with a signature of nothing', 'request_unsigned', replaced(good, 'signature-input', undefined)),
  vector('with the field of signatures twice', 'request_unsigned', { ...good, headers: [...good.headers, ['signature', 'x=:AAAA:']] }),
  vector(
    'whose signature has another tag',
    'request_unsigned',
    signed({ bend: (input) => input.replace('tag="sallyport-request"', 'tag="sallyport"') }),
  ),
  vector('with two signatures of the tag', 'request_unsigned', {
    ...good,
    headers: good.headers.map(([name, value]) => [
      name,
      name === 'signature' ? `${value}, b=:AAAA:` : name === 'signature-input' ? `${value}, b=("@method");tag="sallyport-request"` : value,
    ]),
  }),
  vector(
    'whose signature names another algorithm',
    'request_signature_malformed',
    signed({ bend: (input) => input.replace('ecdsa-p256-sha256', 'hmac-sha256') }),
  ),
  vector(
    'whose signature names none',
    'request_signature_malformed',
    signed({ bend: (input) => input.replace(';alg="ecdsa-p256-sha256"', '') }),
  ),
  vector('whose signature never ends', 'request_signature_malformed', signed({ bend: (input) => input.replace(/;expires=\d+/, '') })),
  vector('whose signature has no nonce', 'request_signature_malformed', signed({ bend: (input) => input.replace(/;nonce="[^"]*"/, '') })),
  vector('whose signature has a parameter that nobody knows', 'request_signature_malformed', signed({ bend: (input) => `${input};x=1` })),
  vector(
    'that covers a component in another reading',
    'request_signature_malformed',
    signed({ bend: (input) => input.replace('"content-digest"', '"content-digest";sf') }),
  ),
  vector(
    'that covers a component twice',
    'request_signature_malformed',
    signed({ bend: (input) => input.replace('("@method"', '("@method" "@method"') }),
  ),
  vector('signed by another sidecar of the agent', 'request_key_mismatch', signed({ signer: two.signer })),
  vector(
    'signed by another sidecar in this one’s name',
    'request_signature_invalid',
    signed({ signer: { ...two.signer, keyId: one.signer.keyId } }),
  ),
  vector('with the assertion of another sidecar', 'request_key_mismatch', replaced(good, 'sallyport-assertion', assertion(two, 'pod-2'))),
  vector('with another assertion of the same sidecar', 'request_signature_invalid', replaced(good, 'sallyport-assertion', assertion(one))),
  vector(
    'with a bit of the signature turned',
    'request_signature_invalid',
    replaced(
      good,
      'signature',
      field(good, 'signature').replace(/:(.)/, (_, first: string) => (first === 'A' ? ':B' : ':A')),
    ),
  ),
  vector('with half a signature', 'request_signature_invalid', replaced(good, 'signature', 'sallyport=:AAAA:')),
  vector(
    'with its end put off',
    'request_signature_invalid',
    replaced(good, 'signature-input', field(good, 'signature-input').replace(/expires=\d+/, 'expires=4102444800')),
  ),
  vector(
    'that lives longer than any',
    'request_untimely',
    signed({ bend: (input) => input.replace(/expires=\d+/, `expires=${BEGIN / 1_000 + 61}`) }),
  ),
  vector(
    'that ends before it begins',
    'request_untimely',
    signed({ bend: (input) => input.replace(/expires=\d+/, `expires=${BEGIN / 1_000 - 1}`) }),
  ),
  vector('from the future', 'request_untimely', signed({ createdAt: BEGIN + 10_000 })),
  vector('that has ended, with an assertion that has not', 'request_untimely', signed({ createdAt: BEGIN - 50_000 }), { now: at(10_000) }),
  vector('whose assertion has ended', 'expired', good, { now: at(60_000) }),
  vector('without an assertion', 'assertion_missing', replaced(good, 'sallyport-assertion', undefined)),
  vector('with two assertions', 'malformed', { ...good, headers: [...good.headers, ['sallyport-assertion', TOKEN]] }),
];

const file: VectorFile = {
  description:
    'Requests as they came, and what a verifier makes of each: `believed`, or the code of request-signatures-v1, section 3, or assertions-v1, section 4.',
  trust_domain: DOMAIN,
  authorities: certificatePem(ca.certificate),
  audience: AUDIENCE,
  tool: TOOL,
  scheme: 'https',
  vectors,
};
writeFileSync(new URL('request-signatures.json', import.meta.url), `${JSON.stringify(file, undefined, 2)}\n`);
