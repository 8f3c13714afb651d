import { formatProblem } from '@sallyport/model';
import type { ServerTls } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';

/** Of a CA that signed nothing. */
const BODY = `MIIBujCCAWGgAwIBAgIQXtwZNDDDxSPyebQ+UXVcKjAKBggqhkjOPQQDAjArMRIw
EAYDVQQKDAlTYWxseXBvcnQxFTATBgNVBAMMDGFjbWUuZXhhbXBsZTAeFw0yNjAx
MDEwMDAwMDBaFw0zNTEyMzAwMDAwMDBaMCsxEjAQBgNVBAoMCVNhbGx5cG9ydDEV
MBMGA1UEAwwMYWNtZS5leGFtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
X5IxcCmzXBNEqq0wMz/5SOGeGvqhqR7VF6wvQzNpmTD4BhCXoU9LTknbbHkllqZ5
wXYodxJxwZlWtKhlUXd31KNnMGUwEgYDVR0TAQH/BAgwBgEB/wIBADAOBgNVHQ8B
Af8EBAMCAQYwIAYDVR0RBBkwF4YVc3BpZmZlOi8vYWNtZS5leGFtcGxlMB0GA1Ud
DgQWBBSgdABKzP1LIQ4G44Dpxbq9VKZRoDAKBggqhkjOPQQDAgNHADBEAiA4NTIQ
5QQLh2gbRhxovAXBgBt+nbmwsutdCa7Ox3sd7AIgfuoqFjOF8GzV4bYkU2x49PVp
m0SP3k9qEA/54aLmUXM=`;
const CA = `-----BEGIN CERTIFICATE-----\n${BODY}\n-----END CERTIFICATE-----\n`;
const DER = BODY.replaceAll('\n', '');

interface Read {
  readonly server: ServerTls | undefined;
  readonly destination: ServerTls | undefined;
  readonly needs: readonly string[];
}

/** What a policy says of its server's TLS, as its parts read back, or its problems. */
function read(tls: string, url = 'https://crm.internal'): Read | readonly string[] {
  const text = `apiVersion: sallyport.dev/v1
kind: Agent
name: desk
owner: team
uses: [crm]
---
kind: ToolServer
name: crm
mcp: { url: "${url}" }
network: private
${tls}
---
kind: Tool
name: crm/search
effect: read
---
kind: Policy
agent: desk
rules: [{ id: all, allow: [crm/search] }]
`;
  const parsed = parseDocuments([{ path: 't.yaml', text }]);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  if (!built.ok) return built.error.filter(({ severity }) => severity !== 'warning').map(formatProblem);
  const parts = readParts(built.value.parts);
  if (!parts.ok) return parts.error.map(formatProblem);
  const needs = built.value.features.filter((name) => name.startsWith('server.'));
  return { server: parts.value.servers[0]?.tls, destination: parts.value.destinations[0]?.tls, needs };
}

const list = (...pems: readonly string[]): string => `tls: { authorities: ${JSON.stringify(pems)} }`;

describe('what a server’s TLS is held to', () => {
  test.each([
    ['everything by reference', 'tls: { authorities: workload, identity: spiffe://a.example/service/crm, client: workload }'],
    ['certificates', `tls: { authorities: [${JSON.stringify(CA)}], client: { certificate: crm/tls.crt, key: crm/tls.key } }`],
  ])('survives the way into a bundle and out of it, and needs a sidecar that knows it: %s', (what, tls) => {
    const expected: ServerTls =
      what === 'certificates'
        ? { authorities: [DER], client: { certificate: 'crm/tls.crt', key: 'crm/tls.key' } }
        : { authorities: 'workload', identity: 'spiffe://a.example/service/crm', client: 'workload' };
    expect(read(tls)).toEqual({ server: expected, destination: expected, needs: ['server.tls'] });
  });

  test('is absent where nothing says it, and older sidecars need not know of it', () => {
    expect(read('')).toEqual({ server: undefined, destination: undefined, needs: [] });
  });

  test.each([
    ['nothing', 'tls: {}'],
    ['no authority', 'tls: { authorities: [] }'],
    ['one authority in two spellings', list(CA, `\n${CA.replaceAll('\n', '\r\n')}`)],
    ['more than any', list(...Array.from({ length: 9 }, () => CA))],
    ['a text that is no certificate', list('acme root')],
    ['a certificate that was cut', list(CA.replace('MIIB', 'MIIC'))],
    ['two certificates in one text', list(CA + CA)],
    ['a key beside the certificate', list(`${CA}-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n`)],
    ['a file', 'tls: { authorities: ca.pem }'],
    ['the workload CA without saying who', 'tls: { authorities: workload }'],
    ['the workload CA without saying who, but with a client', 'tls: { authorities: workload, client: workload }'],
    ['an unknown word', 'tls: { client: sidecar }'],
    ['half a pair', 'tls: { client: { certificate: crm.crt } }'],
    ['files outside of the folder', 'tls: { client: { certificate: ../crm.crt, key: /crm.key } }'],
    ['an unknown field', 'tls: { client: workload, insecure: true }'],
    ['no TLS at all', 'tls: { client: workload }', 'http://crm.internal'],
  ])('%s is refused', (_, tls, url?: string) => {
    const problems = read(tls, url);
    expect(problems).toEqual(expect.arrayContaining([expect.stringContaining('t.yaml:')]));
    expect(JSON.stringify(problems)).not.toContain('PRIVATE');
  });

  test.each([
    'https://crm.internal',
    'spiffe://A.example/service/crm',
    'spiffe://a.example',
    'spiffe://a.example/',
    'spiffe://a.example/service/../crm',
    'spiffe://a.example/service/crm?x',
    'spiffe://a.example:443/service/crm',
    'spiffe://a.example/control-plane',
    'spiffe://a.example/collector',
    'spiffe://a.example/admin/root',
    'spiffe://a.example/sidecar/desk/one',
    'spiffe://${env.domain}/service/crm',
  ])('%s is not the identity of a service', (identity) => {
    expect(read(`tls: { identity: "${identity}" }`)).toEqual([expect.stringContaining('t.yaml:')]);
  });
});
