import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { compile } from '../compile/compile.ts';
import { parseDocuments } from '../compile/documents.ts';
import { readParts } from '../compile/parts.ts';
import { looksLikeSecret } from '../grammar/secret-look.ts';

const POLICY = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: t
uses: [orders, desk]
---
kind: Agent
name: billing
owner: t
uses: [desk]
---
kind: ToolServer
name: orders
http: { url: "https://orders.example" }
---
kind: ToolServer
name: desk
http: { url: "http://desk.example" }
---
kind: Tool
name: orders/get
effect: read
route: { method: GET, path: /a }
---
kind: Tool
name: orders/put
effect: write
route: { method: POST, path: /b }
---
kind: Tool
name: desk/get
effect: read
route: { method: GET, path: /a }
---
kind: Policy
agent: triage
rules: [{ id: all, allow: [orders/*, desk/*] }]
---
kind: Policy
agent: billing
rules: [{ id: desk-all, allow: [desk/*] }]
`;

interface Written {
  readonly name?: string;
  readonly source?: string;
  readonly header?: string;
  readonly destinations?: string;
  readonly agents?: string;
  readonly tools?: string;
  readonly more?: string;
}

const credential = (written: Written = {}): string => `---
kind: Credential
name: ${written.name ?? 'orders-read'}
source: ${written.source ?? '{ file: orders/read-key }'}
header: ${written.header ?? 'Authorization'}
destinations: ${written.destinations ?? '[orders]'}
agents: ${written.agents ?? '[triage]'}
tools: ${written.tools ?? '[{ effect: read }]'}
${written.more ?? ''}
`;

const OAUTH = '{ oauth_client_credentials: { server: orders, path: /token, client_id: me, client_secret_file: orders/secret } }';

/** What is wrong, as the author reads it. */
function saidOf(...documents: readonly string[]): readonly string[] {
  const source = parseDocuments([{ path: 'p.yaml', text: POLICY + documents.join('') }]);
  return source.ok ? [] : source.error.filter(({ severity }) => severity === undefined).map(formatProblem);
}

describe('a credential', () => {
  test('goes along with the calls that it is for, and is the same when it is read back from parts', () => {
    const source = parseDocuments([
      {
        path: 'p.yaml',
        text:
          POLICY +
          credential() +
          credential({ name: 'orders-write', tools: '[orders/put]', source: '{ file: w }', more: 'scheme: Bearer\nmax_age: 30d' }),
      },
    ]);
    if (!source.ok) throw new Error(source.error.map(formatProblem).join('\n'));
    const built = buildParts(source.value);
    if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
    expect(built.value.features).toContain('credential.file');
    const read = readParts(built.value.parts);
    if (!read.ok) throw new Error(read.error.map(formatProblem).join('\n'));
    const compiled = compile(read.value);
    if (!compiled.ok) throw new Error(compiled.error.map(formatProblem).join('\n'));
    const carried = (agent: string, tool: string): readonly string[] =>
      compiled.value.credentialsFor(agent as never, tool as never).map(({ name }) => name);
    expect([
      carried('triage', 'orders/get'),
      carried('triage', 'orders/put'),
      carried('triage', 'desk/get'),
      carried('billing', 'orders/get'),
      carried('nobody', 'orders/get'),
    ]).toEqual([['orders-read'], ['orders-write'], [], [], []]);
  });

  test('leaves no trace in a bundle that has none', () => {
    const source = parseDocuments([{ path: 'p.yaml', text: POLICY }]);
    const built = source.ok ? buildParts(source.value) : source;
    expect(built.ok && new TextDecoder().decode(built.value.parts.egress)).not.toContain('credentials');
  });

  test.each<[string, Written, string]>([
    ['an agent that is not there', { agents: '[triag]' }, 'no agent `triag` (did you mean `triage`)'],
    ['a destination that is not there', { destinations: '[orders, order]' }, 'no tool server `order` (did you mean `orders`)'],
    ['an agent whose calls never carry it', { agents: '[triage, billing]' }, 'no call of `billing` carries credential `orders-read`'],
    ['a selector that selects nothing there', { tools: '[{ effect: read }, desk/get]' }, 'no tool of its `destinations` is selected'],
    ['a public network in the clear', { destinations: '[desk]' }, 'would cross a public network unencrypted to `desk`'],
    ['a query, which is logged', { more: 'query: { name: key }' }, 'does not travel in a query'],
    ['a header that the gateway writes', { header: 'Content-Type' }, '`Content-Type` is not a credential’s header'],
    ['a header of the gateway’s own', { header: 'Sallyport-Session' }, 'is not a credential’s header'],
    ['a header that frames', { header: 'transfer-encoding' }, 'is not a credential’s header'],
    ['a header that is two lines', { header: '"X-A\\r\\nX-B"' }, 'this is not the name of a header'],
    ['a path out of the folder', { source: '{ file: ../etc/shadow }' }, 'this is not a file of the secrets folder'],
    ['an absolute path', { source: '{ file: /etc/shadow }' }, 'this is not a file of the secrets folder'],
    ['a hidden file', { source: '{ file: ..data/key }' }, 'this is not a file of the secrets folder'],
    ['a dot inside', { source: '{ file: a/./b }' }, 'this is not a file of the secrets folder'],
    ['no source', { source: '{}' }, 'a source has exactly one of `file`'],
    ['two sources', { source: '{ file: a, vault: { path: a, field: b } }' }, 'a source has exactly one of `file`'],
    ['a path of Vault that climbs', { source: '{ vault: { path: ../sys/seal, field: b } }' }, 'this is not a path of Vault'],
    ['a path of Vault with a query', { source: '{ vault: { path: "a?version=1", field: b } }' }, 'this is not a path of Vault'],
    ['a mount that climbs', { source: '{ vault: { mount: .., path: a, field: b } }' }, 'this is not a mount of Vault'],
    [
      'an address of Vault, which is not policy’s to choose',
      { source: '{ vault: { address: "https://evil", path: a, field: b } }' },
      '`address` is not a field',
    ],
    ['a token endpoint that nobody declared', { source: OAUTH.replace('orders', 'idp') }, 'no tool server `idp`'],
    ['a token endpoint in the clear', { source: OAUTH.replace('orders', 'desk') }, 'would cross a public network unencrypted to `desk`'],
    [
      'a token endpoint by URL',
      { source: OAUTH.replace('/token', 'https://evil.example/token') },
      'this is not the path of a token endpoint',
    ],
    ['a token endpoint that climbs', { source: OAUTH.replace('/token', '/a/../b') }, 'this is not the path of a token endpoint'],
    ['no tool', { tools: '[]' }, '`tools`'],
    ['no agent', { agents: '[]' }, '`agents`'],
    ['all agents at once', { agents: '"*"' }, '`agents` must be a list'],
  ])('is refused for %s', (_what, written, message) => {
    const said = saidOf(credential(written));
    expect(said.join('\n')).toContain(message);
    expect(said[0]).toMatch(/^p\.yaml:\d+:\d+: /);
  });

  const LEAK = 'sk_live_51Hn7Kq2eZvKYlo2C';
  test.each<[string, Written]>([
    ['as its source', { source: LEAK }],
    ['as a value of its source', { source: `{ value: ${LEAK} }` }],
    ['as a path', { source: `{ file: ${LEAK} }` }],
    ['in a path', { source: `{ file: orders/${LEAK} }` }],
    ['as a JWT', { source: `{ file: eyJhbGciOiJIUzI1NiJ9.${LEAK} }` }],
    ['as a path of Vault', { source: `{ vault: { path: ${LEAK}, field: a } }` }],
    ['as a token of Vault', { source: `{ vault: { token: ${LEAK}, path: a, field: a } }` }],
    ['as a client secret', { source: OAUTH.replace('client_id', `client_secret: ${LEAK}, client_id`) }],
    ['as the file of a client secret', { source: OAUTH.replace('orders/secret', LEAK) }],
    ['as a client id', { source: OAUTH.replace('client_id: me', `client_id: ${LEAK}`) }],
    ['as a header', { header: `X-${LEAK}` }],
    ['as `token`', { more: `token: ${LEAK}` }],
    ['as `password`', { more: `password: ${LEAK}` }],
  ])('that was pasted %s is refused with a remedy, and not repeated', (_where, written) => {
    const said = saidOf(credential(written)).join('\n');
    expect(said).not.toBe('');
    expect(said).not.toContain(LEAK);
  });

  test('is one for a header of a call: two are refused, whatever the case of the header, and both places told', () => {
    const said = saidOf(credential(), credential({ name: 'second', header: 'authorization', tools: '[orders/*]' }));
    expect(said).toHaveLength(1);
    expect(said[0]).toContain('`orders-read` and `second` are both for header `authorization` of `orders/get` by `triage`');
    expect(said[0]).toContain('the other is at p.yaml:');
    expect(saidOf(credential(), credential({ name: 'second', header: 'X-Tenant-Key' }))).toEqual([]);
  });
});

describe('what looks like a secret', () => {
  test.each([
    'sk_live_51Hn7Kq2eZvKYlo2C',
    'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
    'github_pat_11ABCDEFG0',
    'AKIAIOSFODNN7EXAMPLE',
    'hvs.CAESIJlU9JMYEhOPYv4igdhm9PnZDrabYTobQ4Ymnlq1qY',
    'eyJhbGciOiJFUzI1NiJ9',
    'xoxb-17653672481-19874698323',
    'orders/Zp4t8Qx2Lm9vHk7w3Rn5',
    '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b',
  ])('%s does', (text) => expect(looksLikeSecret(text)).toBe(true));

  test.each([
    'orders/read-key',
    'production-zendesk-api-token-2026',
    'tls.key',
    'SALESFORCE_CLIENT_SECRET',
    'a'.repeat(63),
    'team1/agent22/key3',
  ])('%s does not', (text) => expect(looksLikeSecret(text)).toBe(false));
});
