/** A credential that grew too old, and one that leaked: found, told, listed and counted, until another value lies in its place. */

import { projectedVolume, recordingUpstream, type FakeClock, type ProjectedVolume, type RecordingUpstream } from '@sallyport/testkit';
import { realpathSync, utimesSync } from 'node:fs';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, pass, startWorld, testClock, type RunningSidecar, type World } from '../../support/world.ts';

const [SECOND_MS, DAY_MS] = [1_000, 86_400_000];
const KEYS = {
  fine: 'fine-Zp4t8Qx2',
  old: 'old-Hk7w3Rn5',
  leaked: 'leaked-Vj6s0Td4',
  critical: 'critical-Qm2x9Lb7',
  replaced: 'replaced-Ty5u1Pw8',
};

let clock: FakeClock;
let volume: ProjectedVolume;
let up: RecordingUpstream;
let world: World;
let sidecar: RunningSidecar;

const credential = (name: string, more = ''): string => `---
kind: Credential
name: ${name}
source: { file: ${name} }
header: X-${name}
destinations: [orders]
agents: [${AGENT}]
tools: [orders/get_order]
${more}
`;
const ago = (ms: number): string => new Date(clock.wall() - ms).toISOString();
const policy = (): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [orders]
---
kind: ToolServer
name: orders
http: { url: "${up.url}" }
network: loopback
---
kind: Tool
name: orders/get_order
effect: read
route: { method: GET, path: /orders }
---
kind: Policy
agent: ${AGENT}
rules: [{ id: all, allow: [orders/*], for: { roles: [support-rep] } }]
${credential('fine', 'max_age: 30d')}
${credential('old', 'max_age: 30d')}
${credential('leaked', `leaked_at: ${ago(5 * DAY_MS - 60_000)}`)}
${credential('critical', `leaked_at: ${ago(5 * DAY_MS)}`)}
${credential('replaced', `leaked_at: ${ago(6 * DAY_MS)}`)}`;

const aged = (name: string, ageMs: number): void => {
  const at = (clock.wall() - ageMs) / SECOND_MS;
  utimesSync(realpathSync(join(volume.folder, name)), at, at);
};
const textAt = (where: RequestOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = httpRequest(where, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
    sent.on('error', reject);
    sent.end();
  });
async function listed(): Promise<Record<string, { stale: boolean; leak: string | null; uses: number }>> {
  const { admin } = sidecar.sidecar.addresses();
  const text = await textAt({ socketPath: admin.kind === 'unix' ? admin.path : '', path: '/credentials' });
  for (const secret of Object.values(KEYS)) expect(text).not.toContain(secret);
  const { credentials } = JSON.parse(text) as { credentials: { name: string; stale: boolean; leak: string | null; uses: number }[] };
  return Object.fromEntries(credentials.map((one) => [one.name, one]));
}
const metrics = (): Promise<string> => textAt({ host: '127.0.0.1', port: sidecar.healthPort, path: '/metrics' });
const alerts = async (): Promise<readonly string[]> =>
  (await world.admin.tail('records'))
    .map((line) => JSON.parse(line) as { kind: string; code: string; detail: string })
    .filter(({ kind }) => kind === 'ALERT')
    .map(({ code, detail }) => `${code} ${/`([^`]+)`/.exec(detail)?.[1] ?? ''}`)
    .filter((one) => one.startsWith('CREDENTIAL'));

beforeAll(async () => {
  clock = testClock();
  volume = projectedVolume(KEYS);
  up = await recordingUpstream();
  world = await startWorld({ clock });
  aged('fine', DAY_MS);
  aged('old', 31 * DAY_MS);
  aged('leaked', 40 * DAY_MS);
  aged('critical', 40 * DAY_MS);
  aged('replaced', 3 * DAY_MS);
  await world.admin.publish(policy() + issuerDocument(world.idp));
  sidecar = await world.startSidecar({ config: { secrets: { folder: volume.folder } } });
  await eventually(async () => {
    await pass(clock, 100);
    return sidecar.ready();
  }, 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
  volume?.close();
});

it('[R14.03] one older than its maximum is told of and listed, and one that leaked five days ago and is in use is critical', async () => {
  const session = await sidecar.session();
  expect((await sidecar.call('orders/get_order', {}, session)).status).toBe(200);
  await pass(clock, 11 * SECOND_MS);
  const list = await listed();
  expect(Object.fromEntries(Object.entries(list).map(([name, { stale, leak }]) => [name, [stale, leak]]))).toEqual({
    fine: [false, null],
    old: [true, null],
    leaked: [false, 'open'],
    critical: [false, 'critical'],
    // Another value lies there since: what leaked opens nothing any more.
    replaced: [false, null],
  });
  expect(list['critical']?.uses).toBe(1);
  expect(sidecar.sidecar.readiness()).toMatchObject({
    ready: true,
    stale_credentials: ['old'],
    leaked_credentials: ['critical', 'leaked'].toSorted(),
    critical_credentials: ['critical'],
  });
  const told = await eventually(async () => {
    await pass(clock, SECOND_MS);
    const all = await alerts();
    return all.length >= 3 ? all : undefined;
  }, 'three alerts');
  expect(told.toSorted()).toEqual(['CREDENTIAL_LEAKED leaked', 'CREDENTIAL_LEAK_CRITICAL critical', 'CREDENTIAL_STALE old']);
  const text = await metrics();
  expect(text).toContain('sallyport_alerts_total{code="CREDENTIAL_LEAK_CRITICAL"} 1');
  expect(Number(/sallyport_credential_leaked_seconds\{credential="critical"\} (\S+)/.exec(text)?.[1])).toBeGreaterThanOrEqual(432_000);
  expect(text).toContain('sallyport_credential_leaked_seconds{credential="replaced"} 0');
});

it('the fifth day comes, and what was open is critical and told of once more', async () => {
  await pass(clock, 61 * SECOND_MS);
  expect((await listed())['leaked']?.leak).toBe('critical');
  await eventually(async () => {
    await pass(clock, SECOND_MS);
    return (await alerts()).includes('CREDENTIAL_LEAK_CRITICAL leaked');
  }, 'the second alert');
});

it('another value in its place ends it', async () => {
  volume.write({ ...KEYS, critical: 'another', leaked: 'another-too' });
  for (const name of ['critical', 'leaked']) aged(name, 0);
  await pass(clock, 11 * SECOND_MS);
  const list = await listed();
  expect([list['critical']?.leak, list['leaked']?.leak]).toEqual([null, null]);
  expect(await metrics()).toContain('sallyport_credential_leaked_seconds{credential="critical"} 0');
});
