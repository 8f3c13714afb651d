/** Every credential of a running gateway is replaced in turn while requests go on, in both directions, and none of them fails. */

import { certificatePem } from '@sallyport/crypto/keys';
import { systemClock } from '@sallyport/runtime';
import {
  fakeClock,
  projectedVolume,
  recordingUpstream,
  testAuthority,
  type FakeClock,
  type ProjectedVolume,
  type RecordedRequest,
  type RecordingUpstream,
  type TestAuthority,
} from '@sallyport/testkit';
import type { Instant } from '@sallyport/model';
import { replayMemory, verifyRequest } from '@sallyport/verifier';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askAgent, inboundConfig, inboundPort } from '../../support/inbound.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, pass, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const SECOND_MS = 1_000;
/** So that a renewal comes within the minute; what OpenSSL reads is the machine's clock, this far ahead. */
const [CERTIFICATE_MS, BEHIND_MS] = [120 * SECOND_MS, 60 * SECOND_MS];
/** Fifty requests a second. */
const EVERY_MS = 20;
const [FIRST, SECOND] = ['a'.repeat(40), 'b'.repeat(40)];

interface Pair {
  readonly cert: string;
  readonly key: string;
}

let clock: FakeClock;
let world: World;
let sidecar: RunningSidecar;
let agent: RecordingUpstream;
let tool: RecordingUpstream;
let volume: ProjectedVolume;
/** Who vouches for: the port of callers, callers, the tool, and the sidecar as the tool's client. */
let gate: TestAuthority;
let callers: readonly [TestAuthority, TestAuthority];
let bank: TestAuthority;
let clients: readonly [TestAuthority, TestAuthority];
let inbound: Awaited<ReturnType<typeof inboundConfig>>;
let credentialFile: string;
let session: string;
/** What callers and the agent show now. */
const shown = { credential: FIRST, caller: undefined as Pair | undefined };
const failures: string[] = [];
let sent = 0;

const pem = (authority: TestAuthority): string => certificatePem(authority.ca.certificate);
async function pair(authority: TestAuthority, path: string, options: Parameters<TestAuthority['issue']>[1] = {}): Promise<Pair> {
  const { chain, privatePem } = await authority.issue(path, options);
  return { cert: chain.map((der) => certificatePem(der)).join(''), key: privatePem };
}
const served = (): Promise<Pair> => pair(bank, '/service/bank', { usage: 'tls-server', ipAddresses: ['127.0.0.1'] });
const asFiles = ({ cert, key }: Pair): Record<string, string> => ({ 'bank.crt': cert, 'bank.key': key });

/** What the receiver makes of it: the code, or nothing where all is well. */
const replay = { agent: replayMemory(), tool: replayMemory() };
function judged(what: 'agent' | 'tool', { method, target, rawHeaders, body }: RecordedRequest): string | undefined {
  const verified = verifyRequest(
    { method, target, rawHeaders, body },
    {
      trustDomain: 'demo.local',
      authorities: readFileSync(join(world.dir, 'control-plane', 'workload-ca.crt'), 'utf8'),
      audience: what === 'agent' ? `sallyport:demo.local:agent:${AGENT}` : 'sallyport:demo.local:server:bank',
      tool: what === 'agent' ? `agents/${AGENT}` : 'bank/transfer',
      scheme: what === 'agent' ? 'http' : 'https',
      now: clock.wall(),
      replay: replay[what],
    },
  );
  return verified.ok ? undefined : verified.code;
}
const receiving =
  (what: 'agent' | 'tool') =>
  (request: RecordedRequest): { kind: 'json'; status: number; body: object } => {
    const wrong = judged(what, request);
    return { kind: 'json', status: wrong === undefined ? 200 : 401, body: { wrong } };
  };

const callOut = (credential = shown.credential): ReturnType<RunningSidecar['request']> =>
  sidecar.request('/tools/bank/transfer', {
    body: '{"to":"DE1"}',
    headers: { 'content-type': 'application/json', 'sallyport-session': session, 'sallyport-agent': credential },
  });
const callIn = (connection: Partial<Pair> & { agent?: HttpsAgent } = { ...shown.caller }): ReturnType<typeof askAgent> =>
  askAgent(
    { port: inboundPort(sidecar), ca: pem(gate), path: `/agents/${AGENT}/run`, token: () => world.idp.mint(clock.wall() as Instant) },
    { json: { task: 'x' }, connection },
  );

/** Requests for so long, in both directions in turn; all of them have ended when it resolves. */
async function load(ms: number): Promise<void> {
  const running: Promise<void>[] = [];
  // Callers keep their connections for a while, and then make new ones.
  const kept = new HttpsAgent({ keepAlive: true, maxSockets: 16, ca: pem(gate), ...shown.caller });
  for (let passed = 0; passed < ms; passed += EVERY_MS) {
    const isOut = sent++ % 2 === 0;
    running.push(
      (isOut ? callOut() : callIn({ agent: kept })).then(
        ({ status, text }) => void (status === 200 || failures.push(`${isOut ? 'out' : 'in'} ${status} ${text.slice(0, 200)}`)),
        (error: unknown) => void failures.push(`${isOut ? 'out' : 'in'} ${String(error)}`),
      ),
    );
    await clock.advance(EVERY_MS);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(running);
  kept.destroy();
}
const kidOf = ({ rawHeaders }: RecordedRequest): string => {
  const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'sallyport-assertion');
  const [head = ''] = (rawHeaders[at + 1] ?? '').split('.');
  return (JSON.parse(Buffer.from(head, 'base64url').toString()) as { kid: string }).kid;
};

const policy = (): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [bank]
callers: [{ roles: [support-rep] }]
---
kind: ToolServer
name: bank
http: { url: "${tool.url}" }
network: loopback
tls: { authorities: [${JSON.stringify(pem(bank))}], client: { certificate: bank.crt, key: bank.key } }
---
kind: Tool
name: bank/transfer
effect: write
route: { method: POST, path: /transfers }
arguments: { properties: { to: { type: string } } }
sign: {}
---
kind: Policy
agent: ${AGENT}
rules: [{ id: all, allow: [bank/*], for: { roles: [support-rep] } }]
`;

beforeAll(async () => {
  clock = fakeClock({ wall: (Math.floor(systemClock().wall() / 1_000) * 1_000 - BEHIND_MS) as Instant });
  [gate, bank] = [await testAuthority('gate.example'), await testAuthority('bank.example')];
  callers = [await testAuthority('callers.example'), await testAuthority('callers.example')];
  clients = [await testAuthority('clients.example'), await testAuthority('clients.example')];
  agent = await recordingUpstream(receiving('agent'));
  // The tool itself takes clients of both authorities from the first: whom it trusts is its own affair.
  tool = await recordingUpstream(receiving('tool'), { ...(await served()), ca: clients.map(pem) });
  volume = projectedVolume(asFiles(await pair(clients[0], '/client/one', { usage: 'tls-client' })));
  world = await startWorld({ clock, controlPlane: { workload_certificate_ms: CERTIFICATE_MS } });
  await world.admin.publish(policy() + issuerDocument(world.idp));
  const clientCa = join(world.dir, 'client-ca.pem');
  writeFileSync(clientCa, pem(callers[0]));
  inbound = { ...(await inboundConfig({ world, authority: gate }, agent.url)), client_ca_file: clientCa };
  credentialFile = join(world.dir, 'agent-credential');
  writeFileSync(credentialFile, `${FIRST}\n`, { mode: 0o600 });
  shown.caller = await pair(callers[0], '/caller/one', { usage: 'tls-client' });
  sidecar = await world.startSidecar({
    config: {
      inbound,
      outbound: { agent_credential_file: credentialFile },
      secrets: { folder: volume.folder, refresh_ms: SECOND_MS },
    },
  });
  await eventually(async () => {
    await clock.advance(10);
    return sidecar.ready();
  }, 'readiness');
  const headers = { authorization: `Bearer ${world.idp.mint(clock.wall() as Instant)}`, 'sallyport-agent': FIRST };
  const opened = await sidecar.request('/session', { headers });
  session = String(opened.json()['token']);
  // Nearer to the renewal.
  await pass(clock, 8 * SECOND_MS);
});
afterAll(async () => {
  await world?.close();
  await agent?.close();
  await tool?.close();
  volume?.close();
});

describe('fifty requests a second', () => {
  it('[R14.02] lose none while the agent’s credential, the CA of callers, the certificates of both ports and the signing key are replaced', async () => {
    await load(SECOND_MS);
    expect(failures).toEqual([]);

    // The agent's own credential: both are good while the agent takes the other one up.
    writeFileSync(credentialFile, `${FIRST}\n${SECOND}\n`, { mode: 0o600 });
    await load(2 * SECOND_MS);
    shown.credential = SECOND;
    writeFileSync(credentialFile, `${SECOND}\n`, { mode: 0o600 });
    await load(2 * SECOND_MS);
    expect(failures).toEqual([]);
    expect((await callOut(FIRST)).status).toBe(401);

    // Who vouches for callers, and the port's own certificate.
    const before = shown.caller;
    writeFileSync(String(inbound.client_ca_file), callers.map(pem).join(''));
    const port = await pair(gate, '/gate/two', { usage: 'tls-server', ipAddresses: ['127.0.0.1'] });
    writeFileSync(inbound.key_file, port.key, { mode: 0o600 });
    writeFileSync(inbound.certificate_file, port.cert);
    for (let seconds = 0; seconds < 11; seconds++) await load(SECOND_MS);
    shown.caller = await pair(callers[1], '/caller/two', { usage: 'tls-client' });
    writeFileSync(String(inbound.client_ca_file), pem(callers[1]));
    for (let seconds = 0; seconds < 11; seconds++) await load(SECOND_MS);
    expect(failures).toEqual([]);
    await expect(callIn({ ...before })).rejects.toThrow();

    // What the sidecar shows to the tool.
    const client = await pair(clients[0], '/client/one', { usage: 'tls-client' });
    volume.write(asFiles(await pair(clients[1], '/client/two', { usage: 'tls-client' })));
    await load(2 * SECOND_MS);
    tool.secure({ ...(await served()), ca: pem(clients[1]) });
    await load(2 * SECOND_MS);
    expect(failures).toEqual([]);
    await expect(refusedBy(tool.port, client)).resolves.toMatch(/alert|closed|hang up|reset/i);

    // The key of assertions and signatures, and the certificates of the sidecar: at the half of their life, by itself.
    const first = kidOf(tool.requests[0] as RecordedRequest);
    expect(kidOf(tool.requests.at(-1) as RecordedRequest)).toBe(first);
    for (let seconds = 0; kidOf(tool.requests.at(-1) as RecordedRequest) === first && seconds < 40; seconds++) await load(SECOND_MS);
    expect(kidOf(tool.requests.at(-1) as RecordedRequest)).not.toBe(first);
    await load(2 * SECOND_MS);
    expect(failures).toEqual([]);
    expect(sent).toBeGreaterThan(1_400);
    expect(agent.requests.length + tool.requests.length).toBe(sent);
    // Each was verified by who received it, under the key that was in use then; the old one opens nothing once its minute is over.
    const stale = tool.requests.find((request) => kidOf(request) === first) as RecordedRequest;
    await clock.advance(61 * SECOND_MS);
    expect(judged('tool', stale)).toBe('expired');
  });
});

/** How a connection ends that shows a certificate which is not taken any more. */
function refusedBy(port: number, { cert, key }: Pair): Promise<string> {
  return new Promise((resolve, reject) => {
    const sentNow = httpsRequest({ host: '127.0.0.1', port, cert, key, ca: pem(bank), agent: false }, () => reject(new Error('answered')));
    sentNow.on('error', (error) => resolve(error.message));
    sentNow.end();
  });
}
