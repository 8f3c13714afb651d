/**
 * Where a call comes from proves nothing. It is judged the same from loopback, and from another pod beside this one: a
 * network namespace of its own, joined to this machine as a pod is to its node.
 */

import { certificatePem } from '@sallyport/crypto/keys';
import { recordingUpstream, testAuthority, type RecordingUpstream } from '@sallyport/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { needs } from '../../engines.ts';
import { startNetns, type Neighbour } from '../../engines/netns.ts';
import { allCalls } from '../../support/audit.ts';
import { ALICE_ALONE, askAgent, codeOf, inboundPolicy } from '../../support/inbound.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const PATH = '/agents/support-triage/invoke';
/** One request over TLS; prints the status and the code, or that there was no connection. */
const CLIENT = `
import { request } from 'node:https';
const [, host, port, path, ca, headers] = process.argv;
const sent = request({ host, port, path, method: 'POST', ca, agent: false, headers: { 'content-type': 'application/json', ...JSON.parse(headers) } }, (response) => {
  let text = '';
  response.on('data', (chunk) => (text += chunk));
  response.on('end', () => {
    const { code = 'ok' } = JSON.parse(text);
    console.log(response.statusCode + ' ' + code);
  });
});
sent.on('error', (error) => console.log(error.code));
sent.end('{"input":"x"}');
`;

const withNetns = await needs('netns');

withNetns('a call without a credential', () => {
  let neighbour: Neighbour;
  let world: World;
  let agent: RecordingUpstream;
  let tool: RecordingUpstream;
  let sidecar: RunningSidecar;
  let port: number;
  let ca: string;

  beforeAll(async () => {
    neighbour = await startNetns();
    [world, agent, tool] = [await startWorld(), await recordingUpstream(), await recordingUpstream()];
    const authority = await testAuthority();
    ca = certificatePem(authority.ca.certificate);
    const { chain, privatePem } = await authority.issue('/port', { ipAddresses: [neighbour.address, '127.0.0.1'] });
    const [certificate, key] = [join(world.dir, 'port.pem'), join(world.dir, 'port.key')];
    writeFileSync(certificate, chain.map((der) => certificatePem(der)).join(''));
    writeFileSync(key, privatePem, { mode: 0o600 });
    await world.admin.publish(inboundPolicy({ world, tool }, ALICE_ALONE));
    const listen = { kind: 'tcp', host: '0.0.0.0', port: 0 } as const;
    const inbound = {
      listen,
      certificate_file: certificate,
      key_file: key,
      session_binding: 'none' as const,
      headers: [],
      agent: { url: agent.url },
    };
    sidecar = await world.startSidecar({ config: { inbound } });
    const address = sidecar.sidecar.addresses().inbound;
    port = address?.kind === 'tcp' ? address.port : 0;
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await agent?.close();
    await tool?.close();
    await neighbour?.stop();
  });

  const token = (): string => world.idp.mint(world.clock.wall());
  const fromPod = async (headers: Record<string, string>, at = port): Promise<string> =>
    (await neighbour.script(CLIENT, neighbour.address, String(at), PATH, ca, JSON.stringify(headers))).trim();
  const fromHere = async (headers: Record<string, string>): Promise<string> => {
    const answer = await askAgent(
      { port, ca, path: PATH, token },
      { json: { input: 'x' }, headers: { authorization: undefined, ...headers } },
    );
    return codeOf(answer) === '200' ? '200 ok' : `${answer.status} ${codeOf(answer)}`;
  };

  it('[R1.18] is 401 from loopback and 401 from a pod of the same namespace, whatever it says of where it is', async () => {
    for (const headers of [{}, { 'x-forwarded-for': '127.0.0.1' }, { forwarded: 'for=127.0.0.1', 'x-real-ip': '::1' }]) {
      expect(await fromHere(headers)).toBe('401 unauthenticated');
      expect(await fromPod(headers)).toBe('401 unauthenticated');
    }
    const call = await sidecar.request('/tools/orders/get_order', {
      body: '{"order_id":"O-000123"}',
      headers: { 'content-type': 'application/json' },
    });
    const session = await sidecar.request('/session');
    expect([call.status, session.status]).toEqual([401, 401]);
    expect([agent.requests, tool.requests]).toEqual([[], []]);
    const refused = await eventually(async () => {
      const calls = (await allCalls(world)).filter(({ code }) => code === 'unauthenticated');
      return calls.length >= 8 ? calls : undefined;
    }, 'the records of all');
    expect(refused.map(({ decision, operator }) => [decision, operator])).toEqual(refused.map(() => ['deny', '-']));
  });

  it('is told from one with a credential, which both are let in by', async () => {
    const headers = { authorization: `Bearer ${token()}` };
    expect([await fromHere(headers), await fromPod(headers)]).toEqual(['200 ok', '200 ok']);
  });

  it('finds no port of the agent’s at all from the pod', async () => {
    expect(await fromPod({ authorization: `Bearer ${token()}` }, sidecar.port)).toBe('ECONNREFUSED');
  });
});
