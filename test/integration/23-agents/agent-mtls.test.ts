/** The anti-spoofing control: the agent's port lets nobody in without a certificate, and knows which agent it names. */

import { certificatePem } from '@sallyport/crypto/keys';
import type { AgentName } from '@sallyport/model';
import type { SidecarConfig } from '@sallyport/sidecar';
import { recordingUpstream, testAuthority, type RecordingUpstream, type TestAuthority } from '@sallyport/testkit';
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const KEY = 'k'.repeat(44);
/** Of RFC 8446, section 6, as a client names them. */
const CERTIFICATE_EXPIRED = 'alert number 45';
const UNKNOWN_CA = 'alert number 48';
const CERTIFICATE_REQUIRED = 'alert number 116';

let world: World;
let up: RecordingUpstream;
let agents: TestAuthority;
let sidecar: RunningSidecar;
beforeAll(async () => {
  up = await recordingUpstream();
  agents = await testAuthority('agents.acme.example');
  world = await startWorld();
  await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
  sidecar = await started('mtls', AGENT);
  await eventually(() => sidecar.ready(), 'readiness');
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});

const started = async (name: string, agent: AgentName): Promise<RunningSidecar> =>
  world.startSidecar({ name, agent, config: { outbound: { agent_auth: 'mtls', agent_certificate: await section(name, agent) } } });

async function section(name: string, agent: AgentName): Promise<NonNullable<SidecarConfig['outbound']['agent_certificate']>> {
  const [certificate, key, authorities] = ['pem', 'key', 'ca'].map((end) => join(world.dir, `${name}.${end}`)) as [string, string, string];
  const own = await agents.issue('/port', { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
  writeFileSync(certificate, own.chain.map((der) => certificatePem(der)).join(''));
  writeFileSync(key, own.privatePem, { mode: 0o600 });
  writeFileSync(authorities, certificatePem(agents.ca.certificate));
  const subject = `uri:spiffe://${agents.trustDomain}/agent/${agent}`;
  return { certificate_file: certificate, key_file: key, client_ca_file: authorities, subject };
}

type Client = Pick<RequestOptions, 'cert' | 'key'>;

async function clientOf(agent: string, by = agents, life: { notBefore?: number; notAfter?: number } = {}): Promise<Client> {
  const { chain, privatePem } = await by.issue(`/agent/${agent}`, { usage: 'tls-client', ...life });
  return { cert: chain.map((der) => certificatePem(der)).join(''), key: privatePem };
}

/** An answer, or the alert that ended the handshake, where there was no HTTP at all. */
function ask(
  to: RunningSidecar,
  path: string,
  client: RequestOptions,
  headers: Record<string, string>,
  body = '',
): Promise<HttpAnswer | string> {
  return new Promise((resolve) => {
    const named = { servername: 'localhost', checkServerIdentity: () => undefined };
    const options = {
      ...named,
      host: '127.0.0.1',
      port: to.port,
      path,
      method: 'POST',
      headers,
      ca: certificatePem(agents.ca.certificate),
      agent: false,
    };
    const sent = httpsRequest({ ...options, ...client }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const json = (): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    sent.on('error', ({ message }) => resolve(/alert number \d+/.exec(message)?.[0] ?? 'no handshake'));
    sent.end(body);
  });
}

const open = (client: RequestOptions, headers: Record<string, string> = {}, to = sidecar): Promise<HttpAnswer | string> =>
  ask(to, '/session', client, { authorization: `Bearer ${world.idp.mint(world.clock.wall())}`, ...headers });
const call = (client: RequestOptions, session: string, headers: Record<string, string> = {}): Promise<HttpAnswer | string> =>
  ask(
    sidecar,
    '/tools/orders/get_order',
    client,
    { 'content-type': 'application/json', 'sallyport-session': session, ...headers },
    '{"order_id":"O-000123"}',
  );
const answered = (answer: HttpAnswer | string): HttpAnswer => {
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
};
const sessionWith = async (client: Client): Promise<string> => answered(await open(client)).json()['token'] as string;

/** One connection, on which calls are made one after another: status, and code of a refusal. */
async function connected(client: Client): Promise<{ call(session: string): Promise<string>; close(): void }> {
  const socket = tlsConnect({
    host: '127.0.0.1',
    port: sidecar.port,
    servername: 'localhost',
    ca: certificatePem(agents.ca.certificate),
    ...client,
  });
  await once(socket, 'secureConnect');
  const body = '{"order_id":"O-000123"}';
  return {
    async call(session) {
      const head = `POST /tools/orders/get_order HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nSallyport-Session: ${session}`;
      socket.write(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      let text = '';
      do text += String((await once(socket, 'data'))[0]);
      while (!isWhole(text));
      return `${text.slice(9, 12)} ${/"code":"(\w+)"/.exec(text)?.[1] ?? ''}`;
    },
    close: () => void socket.destroy(),
  };
}

function isWhole(text: string): boolean {
  const [head = '', body] = text.split('\r\n\r\n');
  return body !== undefined && Buffer.byteLength(body) >= Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
}

describe('with `agent_auth: mtls`', () => {
  it('[R1.10] the agent whose certificate names it is let in, and its calls are recorded as its own', async () => {
    const mine = await clientOf(AGENT);
    const session = await sessionWith(mine);
    expect(answered(await call(mine, session)).status).toBe(200);
    expect((await callsOfSession(world, session, 1))[0]).toMatchObject({ agent_id: AGENT, decision: 'allow', leg: 'outbound' });
  });

  it('[R1.11] an agent that offers only a key is refused in the handshake, and nothing is forwarded', async () => {
    const session = await sessionWith(await clientOf(AGENT));
    const before = up.requests.length;
    const key = { 'sallyport-agent': KEY, authorization: `Bearer ${KEY}` };
    expect([await open({}, key), await call({}, session, key)]).toEqual(Array(2).fill(CERTIFICATE_REQUIRED));
    await eventually(() => world.log.some((line) => line.includes('handshake_failed')), 'the refusal in the log');
    expect(up.requests).toHaveLength(before);
  });

  it('plain HTTP finds no port', async () => {
    const heard = await new Promise<string>((resolve) => {
      const sent = httpRequest({ host: '127.0.0.1', port: sidecar.port, path: '/session', method: 'POST', agent: false }, () =>
        resolve('an answer'),
      );
      sent.on('error', () => resolve('nothing'));
      sent.end();
    });
    expect(heard).toBe('nothing');
  });

  it('A.39.1: a process without the agent’s certificate that claims to be the agent gets no further than it proves [R1.10]', async () => {
    const session = await sessionWith(await clientOf(AGENT));
    const before = up.requests.length;
    const claims = { 'sallyport-agent': AGENT, 'x-agent-id': AGENT };
    const stranger = await clientOf(AGENT, await testAuthority(agents.trustDomain));
    const refused = [
      [{}, CERTIFICATE_REQUIRED],
      [stranger, UNKNOWN_CA],
    ] as const;
    for (const [client, alert] of refused)
      expect([await open(client, claims), await call(client, session, claims)]).toEqual([alert, alert]);
    const neighbour = await clientOf('reporting-agent');
    for (const answer of [await open(neighbour, claims), await call(neighbour, session, claims)].map(answered)) {
      expect(answer.status).toBe(401);
      expect(await recordOf(world, answer)).toMatchObject({
        agent_id: '-',
        operator: '-',
        decision: 'deny',
        rule_id: 'gate:authentication',
      });
    }
    expect(up.requests).toHaveLength(before);
  });

  it('A.39.2: a valid certificate of an agent that the inventory does not have, or no longer, moves nothing', async () => {
    const rogue = 'reporting-agent' as AgentName;
    const beside = await started('rogue', rogue);
    await eventually(() => world.log.some((line) => line.includes(`agent \`${rogue}\` is not registered`)), 'the refused enrolment');
    const mine = await clientOf(rogue);
    expect(answered(await open(mine, {}, beside)).json()['code']).toBe('policy_unavailable');
    const without = ordersPolicy(up.url, READ_ORDERS.replace('kind: Test', `kind: Test\nagent: ${AGENT}`), world.idp);
    await world.admin.publish(
      `${without}---\nkind: Agent\nname: ${rogue}\nowner: team-reports\nuses: []\nsessions: { roots: [operator], idle: 15m, max: 8h }\n`,
    );
    await eventually(() => beside.ready(), 'readiness');
    // The first release that it sees may be the one before.
    await eventually(async () => answered(await open(mine, {}, beside)).status === 201, 'the bundle with it');
    await world.admin.publish(without);
    const refusal = await eventually(async () => {
      const answer = answered(await open(mine, {}, beside));
      return answer.status === 201 ? undefined : answer;
    }, 'the bundle without it');
    expect([refusal.status, refusal.json()['code']]).toEqual([403, 'agent_not_registered']);
    expect(await recordOf(world, refusal)).toMatchObject({ agent_id: rogue, decision: 'deny' });
  });

  it('a page in the machine’s browser is kept out under TLS as well', async () => {
    const mine = await clientOf(AGENT);
    for (const headers of [{ origin: 'https://evil.example' }, { host: 'evil.example' }, { 'sec-fetch-site': 'cross-site' }])
      expect(answered(await open(mine, headers as unknown as Record<string, string>)).status).toBe(400);
  });

  it('[R2.23] a certificate is worth nothing past its end, on a connection that goes on and on a new one; one renewed before goes on', async () => {
    const second = Math.ceil(world.clock.wall() / 1_000) * 1_000;
    const [ending, renewed] = [await clientOf(AGENT, agents, { notAfter: second + 4_000 }), await clientOf(AGENT)];
    const session = await sessionWith(ending);
    const kept = await connected(ending);
    const first = await kept.call(session);
    const refusal = await eventually(async () => {
      expect(answered(await call(renewed, session)).status).toBe(200);
      const said = await kept.call(session);
      return said.startsWith('200') ? undefined : said;
    }, 'its end');
    expect([first.slice(0, 3), refusal]).toEqual(['200', '401 token_expired']);
    expect(world.clock.wall()).toBeGreaterThan(second + 4_000);
    expect(await call(ending, session)).toBe(CERTIFICATE_EXPIRED);
    kept.close();
  });
});
