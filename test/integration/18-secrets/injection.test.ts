/** Credentials go along with calls by reference: tools see them, and neither the agent nor anything that is kept ever does. */

import {
  projectedVolume,
  recordingMcpUpstream,
  recordingUpstream,
  type FakeClock,
  type ProjectedVolume,
  type RecordingMcpUpstream,
  type RecordingUpstream,
} from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { realpathSync, utimesSync } from 'node:fs';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { join } from 'node:path';
import { allCalls } from '../../support/audit.ts';
import { issuerDocument } from '../../support/policies.ts';
import { AGENT, eventually, pass, startWorld, testClock, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const READ = 'read-Zp4t8Qx2Lm9v';
const WRITE = 'write-Hk7w3Rn5Bc1y';
const DESK = 'desk-Vj6s0Td4Gf8e';

const policyOf = (orders: string, desk: string): string => `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [orders, desk, other]
---
kind: ToolServer
name: orders
http: { url: "${orders}" }
network: loopback
---
kind: ToolServer
name: other
http: { url: "${orders}/other" }
network: loopback
---
kind: ToolServer
name: desk
mcp: { url: "${desk}" }
network: loopback
---
kind: Tool
name: orders/get_order
effect: read
route: { method: GET, path: /orders }
---
kind: Tool
name: orders/cancel_order
effect: write
route: { method: POST, path: /orders/cancel }
---
kind: Tool
name: other/look
effect: read
route: { method: GET, path: /look }
---
kind: Tool
name: desk/look
effect: read
---
kind: Policy
agent: ${AGENT}
rules:
  - { id: all, allow: [orders/*, desk/*, other/*], for: { roles: [support-rep] } }
---
kind: Credential
name: orders-read
source: { file: orders-read }
header: Authorization
scheme: Bearer
destinations: [orders]
agents: [${AGENT}]
tools: [{ effect: read }]
---
kind: Credential
name: orders-write
source: { file: orders-write }
header: Authorization
scheme: Bearer
destinations: [orders]
agents: [${AGENT}]
tools: [orders/cancel_order]
max_age: 20s
---
kind: Credential
name: desk
source: { file: desk }
header: X-Api-Key
destinations: [desk]
agents: [${AGENT}]
tools: [desk/*]
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/get_order, expect: allow }
  - { call: orders/cancel_order, expect: allow }
  - { call: other/look, expect: allow }
  - { call: desk/look, expect: allow }
`;

const SECOND_MS = 1_000;

let clock: FakeClock;
let volume: ProjectedVolume;
let up: RecordingUpstream;
let desk: RecordingMcpUpstream;
let world: World;
let sidecar: RunningSidecar;
let session: string;
let before = 0;

const ALL = { 'orders-read': `${READ}\n`, 'orders-write': WRITE, desk: DESK };
const arrived = (): RecordingUpstream['requests'] => up.requests.slice(before);
/** Values of a header as they reached the tool, each by itself. */
const sentAs = (name: string): readonly (readonly string[])[] =>
  arrived().map(({ rawHeaders }) => rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name));
const once = <T>(look: () => T | undefined | false | Promise<T | undefined | false>, what: string): Promise<T> =>
  eventually(async () => {
    await pass(clock, 100);
    return look();
  }, what);
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
const adminOf = (path: string): Promise<string> => {
  const { admin } = sidecar.sidecar.addresses();
  return textAt({ socketPath: admin.kind === 'unix' ? admin.path : '', path });
};
/** Everything that the sidecar tells anybody but the tool. */
async function everythingTold(): Promise<string> {
  const ask = (path: string): Promise<string> => textAt({ host: '127.0.0.1', port: sidecar.healthPort, path });
  const records = await world.admin.tail('records');
  return [
    ...records,
    ...world.log,
    await ask('/metrics'),
    await ask('/readyz'),
    await adminOf('/credentials'),
    await adminOf('/decisions'),
    JSON.stringify(sidecar.sidecar.readiness()),
  ].join('\n');
}
const heard = (answer: HttpAnswer): string => `${answer.status} ${JSON.stringify(answer.headers)} ${answer.text}`;

beforeAll(async () => {
  clock = testClock();
  volume = projectedVolume(ALL);
  up = await recordingUpstream();
  desk = await recordingMcpUpstream();
  world = await startWorld({ clock });
  await world.admin.publish(policyOf(up.url, desk.mcpUrl) + issuerDocument(world.idp));
  sidecar = await world.startSidecar({ config: { secrets: { folder: volume.folder, last_good_ms_max: 40_000 } } });
  await once(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
beforeEach(async () => {
  volume.write(ALL);
  up.answer({ kind: 'json', body: { ok: true } });
  await pass(clock, 11 * SECOND_MS);
  session = await sidecar.session();
  before = up.requests.length;
});
afterAll(async () => {
  await world?.close();
  await up?.close();
  await desk?.close();
  volume?.close();
});

describe('a credential that the sidecar sends along', () => {
  it('[R7.01] reaches the tool, replaces what the client sends under that name, and is in nothing that anybody else sees', async () => {
    // A tool that tells its caller's headers, which is what a leaking one does.
    up.answer((request) => ({
      kind: 'json',
      body: { ok: true },
      headers: { authorization: String(request.headers['authorization']), 'x-seen': READ },
    }));
    const headers = {
      'content-type': 'application/json',
      'sallyport-session': session,
      'x-api-key': 'mine',
      authorization: 'Basic bWluZQ==',
    };
    const answers = [
      await sidecar.request('/tools/orders/get_order', { headers, body: '{}' }),
      await sidecar.request('/tools/orders/invoke', { headers, body: '{"tool":"get_order"}' }),
      await sidecar.request('/http/orders/orders', { method: 'GET', headers: { 'sallyport-session': session, 'x-api-key': 'mine' } }),
    ];
    const called = await sidecar.request('/tools/desk/look', { headers, body: '{}' });
    expect([...answers, called].map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(sentAs('authorization')).toEqual([[`Bearer ${READ}`], [`Bearer ${READ}`], [`Bearer ${READ}`]]);
    expect(sentAs('x-api-key')).toEqual([[], [], []]);
    // Every message to the server carries it: the handshake too.
    expect(new Set(desk.requests.map(({ headers: sent }) => sent['x-api-key']))).toEqual(new Set([DESK]));

    volume.write({});
    await pass(clock, 41 * SECOND_MS);
    const refused = await sidecar.call('orders/get_order', {}, await sidecar.session());
    expect(refused.status).toBe(503);

    await once(async () => (await allCalls(world)).filter(({ tool }) => tool === 'desk/look').length > 0, 'the records');
    const told = [...[...answers, called, refused].map(heard), await everythingTold()].join('\n');
    for (const secret of [READ, WRITE, DESK]) expect(told.includes(secret)).toBe(false);
  });

  it('[R7.03] is another one for the read tool than for the write tool of the same agent', async () => {
    await sidecar.call('orders/get_order', {}, session);
    await sidecar.call('orders/cancel_order', {}, session);
    expect(sentAs('authorization')).toEqual([[`Bearer ${READ}`], [`Bearer ${WRITE}`]]);
  });

  it('does not go to a server that is not among its destinations, though the tool is a read', async () => {
    expect((await sidecar.call('other/look', {}, session)).status).toBe(200);
    expect(sentAs('authorization')).toEqual([[]]);
  });

  it('[R14.01] is the new one within the interval after it was changed where it lies, while calls go on', async () => {
    const seen = new Set<number>();
    for (const [round, key] of [READ, 'second-key', 'third-key'].entries()) {
      volume.write({ ...ALL, 'orders-read': key });
      await pass(clock, 10 * SECOND_MS);
      seen.add((await sidecar.call('orders/get_order', {}, session)).status);
      expect(sentAs('authorization')[round]).toEqual([`Bearer ${key}`]);
    }
    expect([...seen]).toEqual([200]);
  });

  it.each(['GET', 'POST'] as const)(
    'is looked at again when the tool says 401 to a %s, and only a read goes out a second time',
    async (method) => {
      await sidecar.call('orders/get_order', {}, session);
      await sidecar.call('orders/cancel_order', {}, session);
      before = up.requests.length;
      volume.write({ ...ALL, 'orders-read': 'newer-read', 'orders-write': 'newer-write' });
      up.answer(({ headers }) =>
        String(headers['authorization']).startsWith('Bearer newer')
          ? { kind: 'json', body: { ok: true } }
          : { kind: 'json', status: 401, body: {} },
      );
      const answer = await sidecar.call(method === 'GET' ? 'orders/get_order' : 'orders/cancel_order', {}, session);
      const sent = method === 'GET' ? [[`Bearer ${READ}`], ['Bearer newer-read']] : [[`Bearer ${WRITE}`]];
      expect([answer.status, sentAs('authorization')]).toEqual([method === 'GET' ? 200 : 502, sent]);
    },
  );

  it('is not asked for twice where the source has nothing newer: the 401 of a tool is answered once', async () => {
    up.answer({ kind: 'json', status: 401, body: {} });
    const answer = await sidecar.call('orders/get_order', {}, session);
    expect([answer.json()['code'], arrived().length]).toEqual(['upstream_error', 1]);
  });
});

describe('a credential that cannot be had', () => {
  const refusal = async (tool = 'orders/get_order'): Promise<readonly unknown[]> => {
    const answer = await sidecar.call(tool, {}, await sidecar.session());
    return [
      answer.status,
      answer.json()['code'],
      answer.json()['effect'],
      answer.json()['retryable'],
      answer.text.includes('orders-'),
      arrived().length,
    ];
  };

  it('[R13.10] means no call once nothing is held: 503, nothing sent, and the error names no path', async () => {
    volume.write({});
    await pass(clock, 41 * SECOND_MS);
    before = up.requests.length;
    expect(await refusal()).toEqual([503, 'credential_unavailable', 'none', true, false, 0]);
    const answer = await sidecar.call('orders/get_order', {}, await sidecar.session());
    expect(answer.text).not.toContain(volume.folder);
    const record = await once(
      async () => (await allCalls(world)).find((one) => one.decision_id === answer.json()['decision_id']),
      'the record',
    );
    expect(JSON.stringify(record)).not.toContain(volume.folder);
    expect([record.result, record.code]).toEqual(['not_forwarded', 'credential_unavailable']);
    // And again as soon as it is there.
    volume.write(ALL);
    await pass(clock, 1_000);
    expect((await sidecar.call('orders/get_order', {}, await sidecar.session())).status).toBe(200);
  });

  it('is used on for as long as is configured, and not beyond its own `max_age`', async () => {
    await sidecar.call('orders/get_order', {}, session);
    await sidecar.call('orders/cancel_order', {}, session);
    volume.write({});
    await pass(clock, 9 * SECOND_MS);
    session = await sidecar.session();
    expect((await sidecar.call('orders/cancel_order', {}, session)).status).toBe(200);
    await pass(clock, 12 * SECOND_MS);
    before = up.requests.length;
    expect(await refusal('orders/cancel_order')).toEqual([503, 'credential_unavailable', 'none', true, false, 0]);
    session = await sidecar.session();
    expect((await sidecar.call('orders/get_order', {}, session)).status).toBe(200);
  });
});

describe('a credential that is older than it may be', () => {
  it('is told of once, listed with its age and its use on the administration socket, and used on; a new one ends it', async () => {
    const age = (name: string, ageMs: number): void => {
      const at = (clock.wall() - ageMs) / SECOND_MS;
      utimesSync(realpathSync(join(volume.folder, name)), at, at);
    };
    const listed = async (): Promise<Record<string, unknown> | undefined> => {
      const answer = await adminOf('/credentials');
      return (JSON.parse(answer) as { credentials: Record<string, unknown>[] }).credentials.find(({ name }) => name === 'orders-write');
    };
    await sidecar.call('orders/cancel_order', {}, session);
    age('orders-write', 15 * SECOND_MS);
    await pass(clock, 11 * SECOND_MS);
    expect(await listed()).toMatchObject({ stale: true, usable: true, failure: null, max_age_ms: 20_000, source: 'file' });
    expect((await listed())?.['uses']).toBeGreaterThan(0);
    expect(sidecar.sidecar.readiness()).toMatchObject({ ready: true, stale_credentials: ['orders-write'], failing_credentials: [] });
    expect((await sidecar.call('orders/cancel_order', {}, await sidecar.session())).status).toBe(200);
    await pass(clock, 21 * SECOND_MS);
    const told = await once(async () => {
      const alerts = (await world.admin.tail('records')).filter((line) => line.includes('CREDENTIAL_STALE'));
      return alerts.length > 0 ? alerts : undefined;
    }, 'the alert');
    expect([told.length, told[0]?.includes('`orders-write`')]).toEqual([1, true]);
    const everything = await everythingTold();
    expect(everything).toMatch(/sallyport_credential_age_seconds\{credential="orders-write"\} [0-9]/);
    expect(everything).toContain('sallyport_alerts_total{code="CREDENTIAL_STALE"} 1');
    volume.write({ ...ALL, 'orders-write': 'newer' });
    age('orders-write', 0);
    await pass(clock, 11 * SECOND_MS);
    expect(await listed()).toMatchObject({ stale: false, usable: true });
    for (const secret of [WRITE, READ, DESK, volume.folder]) expect(await adminOf('/credentials')).not.toContain(secret);
  });
});

describe('a literal in a policy', () => {
  const LITERAL = 'sk_live_51Hn7Kq2eZvKYlo2C';
  it.each<[string, (policy: string) => string]>([
    ['in place of the source', (policy) => policy.replace('source: { file: desk }', `source: ${LITERAL}`)],
    ['as a value', (policy) => policy.replace('source: { file: desk }', `source: { value: ${LITERAL} }`)],
    ['in place of a path', (policy) => policy.replace('source: { file: desk }', `source: { file: ${LITERAL} }`)],
    ['beside the source', (policy) => policy.replace('header: X-Api-Key', `header: X-Api-Key\nvalue: ${LITERAL}`)],
    ['as the scheme', (policy) => policy.replace('scheme: Bearer', 'scheme: Bearer-abc')],
  ])('%s refuses the build with file, line and remedy, and is not repeated', async (_where, edit) => {
    const policy = policyOf(up.url, desk.mcpUrl) + issuerDocument(world.idp);
    const refused = await world.admin.publish(edit(policy)).catch((error: unknown) => String(error));
    expect(refused).toMatch(/"line": \d+/);
    expect(refused).toContain('"remedy"');
    expect(refused).toContain('policy.yaml');
    expect(refused).not.toContain(LITERAL);
  });

  it('[R7.02] refuses the publish of parts that no builder wrote, and a reference is accepted and resolved at run time', async () => {
    const policy = policyOf(up.url, desk.mcpUrl) + issuerDocument(world.idp);
    const bent = await world.admin.submitParts(policy, (name, text) =>
      name === 'egress' ? text.replace('{"file":"desk"}', `{"value":"${LITERAL}"}`) : text,
    );
    expect(bent.problems.length).toBeGreaterThan(0);
    expect(JSON.stringify(bent.problems)).not.toContain(LITERAL);
    const { releaseSeq } = await world.admin.publish(policy);
    await once(() => sidecar.sidecar.readiness().release_seq === releaseSeq, 'the release');
    await sidecar.call('orders/get_order', {}, await sidecar.session());
    expect(sentAs('authorization')).toEqual([[`Bearer ${READ}`]]);
  });
});
