/** Both sides of a connection to a tool's server prove who they are; where the server cannot, nothing is sent. */

import { readCertificate } from '@sallyport/crypto';
import { certificatePem } from '@sallyport/crypto/keys';
import { systemClock } from '@sallyport/runtime';
import {
  projectedVolume,
  recordingMcpUpstream,
  recordingUpstream,
  testAuthority,
  type FakeClock,
  type ProjectedVolume,
  type RecordingMcpUpstream,
  type RecordingTls,
  type RecordingUpstream,
  type TestAuthority,
} from '@sallyport/testkit';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { mcpPost, toolCall } from '../../support/mcp-clients.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, pass, startWorld, testClock, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const LEDGER = 'spiffe://demo.local/service/ledger';
const SIDECAR = `spiffe://demo.local/sidecar/${AGENT}/one`;

const server = (name: string, kind: 'http' | 'mcp', url: string, tls: string): string => `---
kind: ToolServer
name: ${name}
${kind}: { url: "${url}" }
network: loopback
tls: ${tls}
---
kind: Tool
name: ${name}/look
effect: read
${kind === 'http' ? 'route: { method: GET, path: /look }' : ''}
`;

const policyOf = (servers: readonly string[], issuer: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [web, ledger, desk, bank]
${servers.join('')}---
kind: Policy
agent: ${AGENT}
rules:
  - { id: all, allow: [web/*, ledger/*, desk/*, bank/*], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: web/look, expect: allow }
${issuer}`;

let clock: FakeClock;
let world: World;
let sidecar: RunningSidecar;
let session: string;
let volume: ProjectedVolume;
/** A company's own CA; the workload CA of this world; somebody else's. */
let company: TestAuthority;
let workload: TestAuthority;
let stranger: TestAuthority;
let life: { notBefore: number; notAfter: number };
let web: RecordingUpstream;
let ledger: RecordingUpstream;
let bank: RecordingUpstream;
let desk: RecordingMcpUpstream;

/** A look at the files is due after this long. */
const REFRESH_MS = 10_000;
const HERE = { ipAddresses: ['127.0.0.1'] };
const pem = (authority: TestAuthority): string => certificatePem(authority.ca.certificate);

/** What a server presents: a certificate of an authority. It asks its clients for one of `clients`. */
async function presenting(
  authority: TestAuthority,
  path: string,
  options: Parameters<TestAuthority['issue']>[1] = {},
  clients?: TestAuthority,
): Promise<RecordingTls> {
  const { chain, privatePem } = await authority.issue(path, { usage: 'tls-server', ...life, ...options });
  const cert = chain.map((der) => certificatePem(der)).join('');
  return { cert, key: privatePem, ...(clients === undefined ? {} : { ca: pem(clients) }) };
}

const call = (tool: string): Promise<HttpAnswer> => sidecar.call(tool, {}, session);
const nameOf = (der: Uint8Array | undefined): string | undefined => (der === undefined ? undefined : readCertificate(der)?.spiffeId);
const indented = (text: string): string => JSON.stringify(text);

async function bankFiles(authority: TestAuthority, path: string): Promise<{ 'bank.crt': string; 'bank.key': string }> {
  const { chain, privatePem } = await authority.issue(path, { usage: 'tls-client' });
  return { 'bank.crt': chain.map((der) => certificatePem(der)).join(''), 'bank.key': privatePem };
}

beforeAll(async () => {
  const now = Math.floor(systemClock().wall() / 1_000) * 1_000;
  life = { notBefore: now - 60_000, notAfter: now + 600_000 };
  // OpenSSL reads the machine's clock, half an hour ahead of this one; certificates of a world are good by both.
  clock = testClock();
  world = await startWorld({ clock });
  const folder = join(world.dir, 'control-plane');
  const der = Buffer.from(readFileSync(join(folder, 'workload-ca.crt'), 'utf8').replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  workload = await testAuthority('demo.local', {
    certificate: new Uint8Array(der),
    privatePem: readFileSync(join(folder, 'workload-ca.pem'), 'utf8'),
  });
  company = await testAuthority('company.example');
  stranger = await testAuthority('demo.local');
  web = await recordingUpstream(undefined, await presenting(company, '/service/web', HERE, workload));
  ledger = await recordingUpstream(undefined, await presenting(workload, '/service/ledger', {}, workload));
  desk = await recordingMcpUpstream({}, await presenting(workload, '/service/ledger', {}, workload));
  bank = await recordingUpstream(undefined, await presenting(company, '/service/bank', HERE, company));
  volume = projectedVolume(await bankFiles(company, '/client/one'));
  const ours = `{ authorities: workload, identity: ${LEDGER}, client: workload }`;
  const theirs = (client: string): string => `{ authorities: [${indented(pem(company))}], client: ${client} }`;
  const servers = [
    server('web', 'http', web.url, theirs('workload')),
    server('ledger', 'http', ledger.url, ours),
    server('desk', 'mcp', desk.mcpUrl, ours),
    server('bank', 'http', bank.url, theirs('{ certificate: bank.crt, key: bank.key }')),
  ];
  await world.admin.publish(policyOf(servers, issuerDocument(world.idp)));
  sidecar = await world.startSidecar({
    config: { secrets: { folder: volume.folder, refresh_ms: REFRESH_MS, last_good_ms_max: 60_000, read_ms_max: 5_000 } },
  });
  await eventually(async () => {
    await pass(clock, 100);
    return sidecar.ready();
  }, 'readiness');
});
beforeEach(async () => {
  session = await sidecar.session();
});
afterAll(async () => {
  await world?.close();
  for (const up of [web, ledger, desk, bank]) await up?.close();
  volume?.close();
});

describe('a server of a company’s own CA', () => {
  it('is called, and sees the sidecar by its workload certificate', async () => {
    expect((await call('web/look')).status).toBe(200);
    expect(nameOf(web.requests.at(-1)?.shown)).toBe(SIDECAR);
  });

  it.each([
    ['another CA vouches for', () => presenting(stranger, '/service/web', HERE)],
    ['the workload CA vouches for, which was not asked', () => presenting(workload, '/service/web', HERE)],
    ['has the name of another host', () => presenting(company, '/service/web', { ipAddresses: ['127.0.0.2'], dnsNames: ['localhost'] })],
    ['has ended', () => presenting(company, '/service/web', { ...HERE, notBefore: life.notBefore - 60_000, notAfter: life.notBefore })],
    ['has not begun', () => presenting(company, '/service/web', { ...HERE, notBefore: life.notAfter - 60_000 })],
    ['is for clients', () => presenting(company, '/service/web', { ...HERE, usage: 'tls-client' })],
    ['is for assertions', () => presenting(company, '/service/web', { ...HERE, usage: 'assertion' })],
  ])('[R7.20] gets nothing while its certificate %s', async (_, present) => {
    const before = web.requests.length;
    web.secure(await present());
    const answer = await call('web/look');
    expect([answer.status, answer.json()['code'], answer.json()['effect']]).toEqual([502, 'upstream_untrusted', 'none']);
    expect(web.requests).toHaveLength(before);
    web.secure(await presenting(company, '/service/web', HERE, workload));
    expect((await call('web/look')).status).toBe(200);
  });
});

describe('a server of the workload CA', () => {
  it.each([
    ['http', async () => (await call('ledger/look')).status, () => ledger.requests.at(-1)],
    [
      'mcp',
      async () => (await mcpPost(sidecar, 'desk', toolCall('look', {}), { 'sallyport-session': session })).status,
      () => desk.requests.at(-1),
    ],
  ] as const)('is known by its SPIFFE id and not by the name of a host: %s', async (_, status, last) => {
    expect(await status()).toBe(200);
    expect(nameOf(last()?.shown)).toBe(SIDECAR);
  });

  it.each([
    ['another service', '/service/bank'],
    ['the control plane', '/control-plane'],
    ['a sidecar', `/sidecar/${AGENT}/one`],
    ['an administrator', '/admin/root'],
  ])('is not %s, whatever hosts its certificate names', async (_, path) => {
    const before = ledger.requests.length;
    const [http, mcp] = [await presenting(workload, path, HERE), await presenting(workload, path, HERE)];
    ledger.secure(http);
    desk.secure(mcp);
    const beforeMcp = desk.requests.length;
    const other = await sidecar.session();
    const answers = [await sidecar.call('ledger/look', {}, other), await sidecar.call('desk/look', {}, other)];
    expect(answers.map((answer) => [answer.status, answer.json()['code']])).toEqual([
      [502, 'upstream_untrusted'],
      [502, 'upstream_untrusted'],
    ]);
    expect([ledger.requests.length, desk.requests.length]).toEqual([before, beforeMcp]);
    ledger.secure(await presenting(workload, '/service/ledger', {}, workload));
    desk.secure(await presenting(workload, '/service/ledger', {}, workload));
  });

  it('is not one of another CA that says it is of this trust domain', async () => {
    const before = ledger.requests.length;
    ledger.secure(await presenting(stranger, '/service/ledger', HERE));
    expect((await call('ledger/look')).json()['code']).toBe('upstream_untrusted');
    expect(ledger.requests).toHaveLength(before);
    ledger.secure(await presenting(workload, '/service/ledger', {}, workload));
  });
});

describe('a client certificate from files', () => {
  const shown = async (): Promise<string | undefined> => {
    await pass(clock, REFRESH_MS, REFRESH_MS);
    expect((await call('bank/look')).status).toBe(200);
    return nameOf(bank.requests.at(-1)?.shown);
  };

  it('is shown, and another one is shown once it lies there, without a restart', async () => {
    expect(await shown()).toBe('spiffe://company.example/client/one');
    volume.write(await bankFiles(company, '/client/two'));
    expect(await shown()).toBe('spiffe://company.example/client/two');
  });

  it('is the one from before while only one of the two files has been replaced', async () => {
    const whole = await bankFiles(company, '/client/three');
    volume.write(whole);
    expect(await shown()).toBe('spiffe://company.example/client/three');
    const next = await bankFiles(company, '/client/four');
    volume.write({ ...whole, 'bank.crt': next['bank.crt'] });
    expect(await shown()).toBe('spiffe://company.example/client/three');
    volume.write(next);
    expect(await shown()).toBe('spiffe://company.example/client/four');
  });

  it('that nobody has looked at for too long, or that is not there, stops calls before anything is sent', async () => {
    const before = bank.requests.length;
    volume.write({});
    await pass(clock, 70_000, REFRESH_MS);
    session = await sidecar.session();
    const answer = await call('bank/look');
    expect([answer.status, answer.json()['code'], answer.json()['effect']]).toEqual([503, 'credential_unavailable', 'none']);
    expect(bank.requests).toHaveLength(before);
    volume.write(await bankFiles(company, '/client/five'));
    expect(await shown()).toBe('spiffe://company.example/client/five');
  });

  it('one that the server does not admit ends in no answer of the tool', async () => {
    const before = bank.requests.length;
    bank.secure(await presenting(company, '/service/bank', HERE, stranger));
    const answer = await call('bank/look');
    expect([answer.status, bank.requests.length]).toEqual([502, before]);
    bank.secure(await presenting(company, '/service/bank', HERE, company));
  });
});
