import type { Issuer } from '@sallyport/model';
import { formatProblem } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';

const KEY =
  'keys: [{ kid: k, kty: EC, crv: P-256, x: MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4, y: 4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM }]';

function parse(fields: string): ReturnType<typeof parseDocuments> {
  const text = `apiVersion: sallyport.dev/v1
kind: Environment
values: { keys_url: { url: "https://keys.example/certs" }, stage: { string: production } }
---
kind: Issuer
audience: sallyport
${fields}
`;
  return parseDocuments([{ path: 'idp.yaml', text }]);
}

const problems = (fields: string): readonly string[] => {
  const parsed = parse(fields);
  return parsed.ok ? [] : parsed.error.map((problem) => formatProblem(problem));
};

describe('an issuer whose keys are fetched', () => {
  it.each([
    ['by discovery', 'issuer: https://login.example/tenant/v2.0\ndiscovery: true'],
    ['from a URL of the environment', 'issuer: any name\njwks_uri: "${env.keys_url}"'],
    ['without TLS on loopback', 'issuer: http://127.0.0.1:9000\ndiscovery: true\nnetwork: loopback'],
  ])('is declared %s', (_, fields) => {
    expect(problems(fields)).toEqual([]);
  });

  it.each([
    ['without TLS elsewhere', 'issuer: http://login.example\ndiscovery: true', 'without TLS'],
    ['without TLS on a private network', 'issuer: http://login.example\ndiscovery: true\nnetwork: private', 'without TLS'],
    ['by a name that is no URL', 'issuer: login.example\ndiscovery: true', 'is not a base URL'],
    ['by a URL with a user', 'issuer: https://a:b@login.example\ndiscovery: true', 'is not a base URL'],
    ['from a file', 'issuer: x\njwks_uri: file:///etc/keys', 'is not a base URL'],
    ['in two ways', 'issuer: https://login.example\ndiscovery: true\njwks_uri: https://login.example/k', 'exactly one of'],
    ['beside keys of its own', `issuer: https://login.example\ndiscovery: true\n${KEY}`, 'exactly one of'],
    ['in no way', 'issuer: https://login.example', 'exactly one of'],
    ['by discovery that is off', 'issuer: https://login.example\ndiscovery: false', '`discovery` is `true` or absent'],
    ['with a symmetric algorithm', 'issuer: https://login.example\ndiscovery: true\nalgorithms: [HS256]', 'is not a token algorithm'],
    ['with none', 'issuer: https://login.example\ndiscovery: true\nalgorithms: [none]', 'is not a token algorithm'],
    ['for longer than a day', 'issuer: https://login.example\ndiscovery: true\njwks_age_max: 2d', 'is longer than 1d'],
    ['with keys in the document and a network', `issuer: x\nnetwork: private\n${KEY}`, '`network` is for keys that are fetched'],
    ['with keys in the document and an age', `issuer: x\njwks_age_max: 1h\n${KEY}`, '`jwks_age_max` is for keys that are fetched'],
    ['with keys in the document that cannot sign so', `issuer: x\nalgorithms: [ES256, RS256]\n${KEY}`, 'no key of the issuer signs RS256'],
    [
      'asking for what no claim is named for',
      'issuer: https://login.example\ndiscovery: true\nrequired_claims: [trace_id]',
      '`trace_id` is asked for',
    ],
    ['strict without a claim for the run', 'issuer: https://login.example\ndiscovery: true\nstrict_claims: true', '`run_id` is asked for'],
    ['asking for nothing', 'issuer: https://login.example\ndiscovery: true\nrequired_claims: []', 'must not be empty'],
    ['asking for what is no claim', 'issuer: https://login.example\ndiscovery: true\nrequired_claims: [subject]', 'is not a claim'],
    ['strict in another word', 'issuer: https://login.example\ndiscovery: true\nstrict_claims: false', 'must be `true`'],
    ['with a member of no claim', 'issuer: https://login.example\ndiscovery: true\nclaims: { run_id: { member: id } }', 'claim'],
    ['of an environment that has no value', 'issuer: x\ndiscovery: true\nenvironment: "${env.nowhere}"', 'no environment value'],
  ])('is a problem %s', (_, fields, said) => {
    expect(problems(fields).join('\n')).toContain(said);
  });

  it('comes out of its part as it went in, substituted, and names what a sidecar must understand', () => {
    const parsed = parse(`issuer: https://login.example
jwks_uri: "\${env.keys_url}"
network: private
jwks_age_max: 30m
algorithms: [PS256, ES384]
environment: "\${env.stage}"
min_scope_version: 3
groups: { "Support Team": support-rep }
claims: { tenant: tid, roles: groups, environment: stage, scope_version: sv }`);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
    const built = buildParts(parsed.value);
    if (!built.ok) throw new Error(JSON.stringify(built.error));
    const read = readParts(built.value.parts);
    const issuer: Partial<Issuer> | undefined = read.ok ? read.value.issuers[0] : undefined;
    expect(issuer).toMatchObject({
      keys: [],
      keySource: { jwksUri: 'https://keys.example/certs', network: 'private', ageMsMax: 1_800_000 },
      algorithms: ['ES384', 'PS256'],
      environment: { claim: 'stage', is: 'production' },
      scopeVersion: { claim: 'sv', min: 3 },
      groups: { 'Support Team': 'support-rep' },
    });
    expect(built.value.features.filter((name) => name.startsWith('issuer.'))).toEqual([
      'issuer.algorithms',
      'issuer.environment',
      'issuer.groups',
      'issuer.key_source',
      'issuer.min_scope_version',
    ]);
  });
});
