import { formatProblem, type JsonObject } from '@sallyport/model';
import { fromUtf8 } from '@sallyport/crypto';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { EXAMPLE, EXAMPLE_KEYS } from '../editor/example.ts';

const ROW = 'principals: [{ subject: s, id: alice, tenant: acme }]';
const SLACK = 'slack: { secret: { file: chat } }';
const HASHED = 'id: 062b50759abf, salt: EDVaf6TJ7hM4XYKnzPEWOw, hash: 2tbxqlAUoBdOQMN9m59BwnAfRbq0CbEGEZb3-L230T4';
const API_KEY = `api_key: { keys: [{ ${HASHED}, issued_at: 2026-01-01T00:00:00Z }] }`;
const HEADERS = 'headers: { signature: x-s, timestamp: x-t }';
const TEMPLATE = 'template: [{ take: timestamp }, { text: "." }, { take: body }]';
const KEYS = 'keys: [{ id: one, secret: { file: hooks } }]';
const HMAC = `hmac: { ${HEADERS}, ${TEMPLATE}, ${KEYS} }`;
const CLUSTER_KEY =
  'kid: a, kty: RSA, e: AQAB, n: sdibC__8LjXcY85mAdRaBAwV768KOClGJeAjS6F9xRS8V75l1s3E1Txh0ukdgJUgmTLn1o4XMNwnuFVGxPFbmMLSJFU6Z-KCCLU_UNnlx0XJNXledRNgcP6thD2abt7sb8qWv4km1JOFhsEes2P0y9_cXmiiPGO-0Axfa3VRx6uVAGVH0pefle64riDNRBUWFvZRbq0rYoPuvB0b16rxx-AoxflY5JbhQB5pjWeb03_a6HZ8hVPaqiKd0_tt2SoFyzP0rfItGUMo8rsqLoGeFeOrCh7lnuQsr9-X1vYEczT_iKWP21NEGHtWulVunhCfoTcJMrhjL3NeTn4dvYBJHQ';
const cluster = (more = ''): string => `kubernetes: { issuer: c, audience: us, keys: [{ ${CLUSTER_KEY} }]${more} }`;

const method = (name: string, kind: string, row = ROW): string => `kind: CallerMethod\nname: ${name}\n${kind}\n${row}\n`;
const ISSUER = `kind: Issuer
issuer: https://idp.example
audience: us
jwks_uri: https://idp.example/keys
claims: { attributes: { region: { claim: region, type: string } } }
`;

function problemsOf(...documents: readonly string[]): readonly string[] {
  const text = `apiVersion: sallyport.dev/v1\n${documents.join('---\n')}`;
  const parsed = parseDocuments([{ path: 'p.yaml', text }]);
  if (!parsed.ok) return parsed.error.map(formatProblem);
  const built = buildParts(parsed.value);
  return built.ok ? [] : built.error.map(formatProblem);
}

describe('a caller method is refused', () => {
  test.each<[what: string, documents: readonly string[], says: string]>([
    ['of no kind', [method('m', '')], 'exactly one of'],
    ['of two kinds', [method('m', `${SLACK}\n${HMAC}`)], 'exactly one of'],
    ['that names nobody', [method('m', SLACK, 'principals: []')], 'must not be empty'],
    ['with two rows for one subject', [method('m', SLACK, `${ROW.slice(0, -1)}, { subject: s, id: bob, tenant: acme }]`)], 'twice'],
    ['whose caller passes for nobody', [method('m', SLACK, ROW.replace('alice', 'anonymous'))], 'nobody in particular'],
    ['whose caller a record would not show', [method('m', SLACK, ROW.replace('alice', '"-"'))], 'nobody in particular'],
    ['with a secret written into it', [method('m', 'slack: { secret: 8f742231b10e8888abcd99yyyzzz85a5 }')], 'a secret is named by a map'],
    [
      'with a secret that would be fetched',
      [method('m', 'slack: { secret: { oauth_client_credentials: { server: a } } }')],
      'is not a field',
    ],
    [
      'with an API key instead of its hash',
      [method('m', API_KEY.replace(/hash: [^,]+/, `hash: sp_062b50759abf_${'a'.repeat(43)}`))],
      'an API key itself',
    ],
    [
      'with a key that ended before it began',
      [method('m', API_KEY.replace('00Z }', '00Z, expires_at: 2025-01-01T00:00:00Z }'))],
      'not after',
    ],
    ['with a key whose end cannot be read', [method('m', API_KEY.replace('00Z }', '00Z, expires_at: tomorrow }'))], 'must be an instant'],
    ['whose template lacks the body', [method('m', HMAC.replace(', { text: "." }, { take: body }', ''))], 'takes `body` 0 times'],
    ['whose template lets a value flow into the next', [method('m', HMAC.replace('"."', '"0"'))], 'begins with a character'],
    [
      'with several keys that no header tells apart',
      [method('m', HMAC.replace('] }', ', { id: two, secret: { file: b } }] }'))],
      'a header that names one',
    ],
    ['that reads tokens’ own header', [method('m', HMAC.replace('x-s', 'authorization'))], 'not the name of a header'],
    [
      'with authorities that are none',
      [method('m', 'mtls: { authorities: "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----" }')],
      'not that of an authority',
    ],
    [
      'with a private key',
      [method('m', 'mtls: { authorities: "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----" }')],
      'private key',
    ],
    ['whose audience is the cluster’s', [method('m', cluster().replace('audience: us', 'audience: c'))], 'that of the cluster itself'],
    ['whose tokens cannot live as long', [method('m', cluster(', max_lifetime: 10s'))], 'shorter than any token'],
    [
      'told like another',
      [method('m', SLACK), method('n', SLACK.replace('chat', 'other'))],
      'is told as that of caller method `m` already',
    ],
    [
      'for the tokens of an issuer',
      [ISSUER, method('m', cluster().replace('issuer: c', 'issuer: "https://idp.example"'))],
      'told as that of issuer',
    ],
    [
      'with an attribute of another type',
      [ISSUER, method('m', SLACK, ROW.replace(' }', ', attributes: { region: 7 } }'))],
      'is of type string',
    ],
    ['declared twice', [method('m', SLACK), method('m', HMAC)], 'declared twice'],
    [
      'beside an issuer that takes its name in records',
      [
        ISSUER.replaceAll('https://idp.example', 'caller:m').replace('jwks_uri: caller:m/keys', 'jwks_uri: https://a.example'),
        method('m', SLACK),
      ],
      'is how records name callers',
    ],
  ])('%s', (_what, documents, says) => {
    expect(problemsOf(...documents).join('\n')).toContain(says);
  });

  const asked = (name: string, more = ''): string =>
    `kind: Issuer\nissuer: https://${name}.example\naudience: us\nintrospection: { url: "https://${name}.example/i", client_id: us, client_secret: { file: chat } }\n${more}`;
  test.each<[what: string, documents: readonly string[], says: string]>([
    ['two are asked about tokens', [asked('a'), asked('b')], 'is asked about tokens already'],
    ['tokens cross a network in the clear', [asked('a').replace('"https:', '"http:')], 'without TLS'],
    ['it has keys as well', [asked('a', 'discovery: true\n')], 'exactly one of'],
    ['it says how tokens are signed', [asked('a', 'algorithms: [ES256]\n')], 'for tokens that are signed'],
    ['its secret stands there', [asked('a').replace('{ file: chat }', '8f742231b10e8888abcd99yyyzzz85a5')], 'a secret is named by a map'],
    ['answers are believed for long', [asked('a').replace('client_id: us', 'cache: 6m, client_id: us')], 'longer than 5m'],
  ])('and so is an issuer where %s', (_what, documents, says) => {
    expect(problemsOf(...documents).join('\n')).toContain(says);
  });

  test('whose secret a tool is sent', () => {
    const sent = `kind: Agent
name: a
owner: t
uses: [orders]
---
kind: ToolServer
name: orders
http: { url: "https://orders.example" }
---
kind: Tool
name: orders/get
effect: read
route: { method: GET, path: /a }
---
kind: Credential
name: out
source: { file: chat }
header: X-Key
destinations: [orders]
agents: [a]
tools: [orders/get]
`;
    expect(problemsOf(sent, method('m', SLACK)).join('\n')).toContain('sends the secret that proves callers');
    expect(problemsOf(sent, asked('a')).join('\n')).toContain('sends the secret that the issuer is asked with');
  });
});

describe('a caller method', () => {
  const parsed = parseDocuments([
    { path: 'p.yaml', text: EXAMPLE },
    { path: 'idp-keys.json', text: EXAMPLE_KEYS },
  ]);
  if (!parsed.ok) throw new Error(parsed.error.map(formatProblem).join('\n'));
  const built = buildParts(parsed.value);
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));

  test('of each kind says the same in a bundle as in its document', () => {
    const read = readParts(built.value.parts);
    expect(read.ok && read.value.callerMethods).toEqual(parsed.value.callerMethods);
    expect(parsed.value.callerMethods?.map(({ config }) => config.kind).toSorted()).toEqual([
      'api_key',
      'hmac',
      'http_signature',
      'kubernetes',
      'mtls',
      'slack',
    ]);
    expect(built.value.features.filter((name) => name.startsWith('caller_method.'))).toHaveLength(6);
  });

  test('names its secrets and holds none', () => {
    const identity = JSON.parse(fromUtf8(built.value.parts.identity) ?? '') as { caller_methods: readonly JsonObject[] };
    const slack = identity.caller_methods.find(({ name }) => name === 'support-slack');
    expect(slack?.['slack']).toEqual({ secret: { file: 'callers/slack-signing-secret' } });
    expect(parsed.value.callerMethods?.find(({ config }) => config.kind === 'slack')?.secrets).toEqual({
      'file callers/slack-signing-secret': { kind: 'file', path: 'callers/slack-signing-secret' },
    });
  });

  test('that nobody declares changes no bundle', () => {
    const none = parseDocuments([{ path: 'p.yaml', text: `apiVersion: sallyport.dev/v1\n${ISSUER}` }]);
    const parts = none.ok ? buildParts(none.value) : none;
    expect(parts.ok && (fromUtf8(parts.value.parts.identity) ?? '')).not.toContain('caller_methods');
  });
});
