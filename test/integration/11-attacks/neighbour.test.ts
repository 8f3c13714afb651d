import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const [MINE, NEXT] = ['m'.repeat(44), 'n'.repeat(44)];

/** A neighbour on the same loopback: another container of the pod, another user of the machine. It has not the agent's credential. */
describe('a neighbour of the agent', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  let dir: string;
  let file: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-neighbour-'));
    file = join(dir, 'credential');
    writeFileSync(file, `${MINE}\n`, { mode: 0o600 });
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
    sidecar = await world.startSidecar({ config: { outbound: { agent_credential_file: file } } });
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const open = (headers: Record<string, string | string[]>): ReturnType<RunningSidecar['request']> =>
    sidecar.request('/session', { headers: { authorization: `Bearer ${world.idp.mint(world.clock.wall())}`, ...headers } });
  const call = (session: string, headers: Record<string, string | string[]>): ReturnType<RunningSidecar['request']> =>
    sidecar.request('/tools/orders/get_order', {
      body: '{"order_id":"O-000123"}',
      headers: { 'content-type': 'application/json', 'sallyport-session': session, ...headers },
    });
  const sessionOf = async (credential: string): Promise<string> => {
    const opened = await open({ 'sallyport-agent': credential });
    expect(opened.status).toBe(201);
    return opened.json()['token'] as string;
  };

  it('opens no session with a stolen operator’s token, and calls nothing with a stolen session’s', async () => {
    const session = await sessionOf(MINE);
    const before = up.requests.length;
    for (const headers of [{}, { 'sallyport-agent': NEXT }, { 'sallyport-agent': '' }, { 'sallyport-agent': [MINE, MINE] }]) {
      for (const answer of [await open(headers), await call(session, headers)]) {
        expect([400, 401]).toContain(answer.status);
        expect(answer.text).not.toContain(MINE);
      }
    }
    expect(up.requests).toHaveLength(before);
    expect((await call(session, { 'sallyport-agent': MINE })).status).toBe(200);
  });

  it('does not learn the credential at the tool: it goes no further than the sidecar', async () => {
    const session = await sessionOf(MINE);
    await call(session, { 'sallyport-agent': MINE });
    expect(JSON.stringify(up.requests)).not.toContain(MINE);
  });

  it('that called with the credential while it was good hears nothing more once it is withdrawn', async () => {
    const session = await sessionOf(MINE);
    const before = up.requests.length;
    up.answer({ kind: 'hang' });
    const out = call(session, { 'sallyport-agent': MINE });
    await eventually(() => up.requests.length > before, 'the call at its tool');
    writeFileSync(file, `${NEXT}\n`, { mode: 0o600 });
    const answer = await out;
    expect([answer.status, answer.json()['code']]).toEqual([401, 'unauthenticated']);
    up.answer({ kind: 'json', body: { ok: true } });
    writeFileSync(file, `${MINE}\n`, { mode: 0o600 });
    await eventually(async () => (await open({ 'sallyport-agent': MINE })).status === 201, 'the credential as it was');
  });

  it('keeps an old credential in vain: it is exchanged under calls, none of which is refused', async () => {
    const session = await sessionOf(MINE);
    const put = (text: string): void => {
      writeFileSync(`${file}.next`, text, { mode: 0o600 });
      renameSync(`${file}.next`, file);
    };
    put(`${NEXT}\n${MINE}\n`);
    await eventually(async () => {
      expect((await call(session, { 'sallyport-agent': MINE })).status).toBe(200);
      return (await call(session, { 'sallyport-agent': NEXT })).status === 200;
    }, 'the new credential');
    put(`${NEXT}\n`);
    await eventually(async () => {
      expect((await call(session, { 'sallyport-agent': NEXT })).status).toBe(200);
      return (await call(session, { 'sallyport-agent': MINE })).status === 401;
    }, 'the end of the old one');
  });
});
