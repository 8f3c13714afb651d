/** A session that is bound to its client: its token and the credential, both stolen, are worth nothing from elsewhere. */

import { certificatePem } from '@sallyport/crypto/keys';
import { testAuthority, type TestAuthority } from '@sallyport/testkit';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AgentOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { recordOf } from '../../support/audit.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import type { HttpAnswer } from '../../support/world.ts';

const dir = mkdtempSync(join(tmpdir(), 'sallyport-binding-'));
const authorities = join(dir, 'clients.pem');
let clients: TestAuthority;
beforeAll(async () => {
  clients = await testAuthority('clients.example');
  writeFileSync(authorities, certificatePem(clients.ca.certificate));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const clientOf = async (path: string): Promise<AgentOptions> => {
  const { chain, privatePem } = await clients.issue(path, { usage: 'tls-client' });
  return { cert: chain.map((der) => certificatePem(der)).join(''), key: privatePem };
};

describe.each([
  {
    session_binding: 'certificate' as const,
    own: { client_ca_file: authorities },
    mine: () => clientOf('/admin/alice'),
    // Of the same name: it is the certificate that counts, not who it names.
    elsewhere: () => clientOf('/admin/alice'),
  },
  {
    session_binding: 'address' as const,
    own: {},
    mine: async (): Promise<AgentOptions> => ({ localAddress: '127.0.0.1' }),
    elsewhere: async (): Promise<AgentOptions> => ({ localAddress: '127.0.0.2' }),
  },
])('with `session_binding: $session_binding`', ({ session_binding: binding, own, mine, elsewhere }) => {
  let side: InboundSide;
  let [here, there]: [AgentOptions, AgentOptions] = [{}, {}];
  beforeAll(async () => {
    side = await startInbound({ inbound: { session_binding: binding, ...own } });
    [here, there] = [await mine(), await elsewhere()];
  });
  afterAll(() => side?.close());

  const invoke = (connection: AgentOptions, session?: string): Promise<HttpAnswer> =>
    side.ask('/agents/support-triage/invoke', {
      json: { input: 'x' },
      connection,
      headers: session === undefined ? {} : { 'sallyport-session': session },
    });
  const end = (connection: AgentOptions, session: string): Promise<HttpAnswer> =>
    side.ask('/session', { method: 'DELETE', connection, headers: { 'sallyport-session': session } });

  it('[R1.17] the same token replayed from elsewhere is 401, on record as such, and the agent hears nothing of it', async () => {
    const opened = await invoke(here);
    const session = String(opened.json()['session_token']);
    expect([opened.status, codeOf(await invoke(here, session))]).toEqual([200, '200']);
    const before = side.agent.requests.length;
    for (const replayed of [await invoke(there, session), await end(there, session)]) {
      expect([replayed.status, codeOf(replayed)]).toEqual([401, 'session_binding_mismatch']);
      expect(await recordOf(side.world, replayed)).toMatchObject({ code: 'session_binding_mismatch', decision: 'deny', leg: 'inbound' });
    }
    expect(side.agent.requests).toHaveLength(before);
  });

  it('goes on for its client after the replay, which has ended nothing', async () => {
    const session = String((await invoke(here)).json()['session_token']);
    await end(there, session);
    expect(codeOf(await invoke(here, session))).toBe('200');
    expect((await end(here, session)).status).toBe(204);
  });

  it('elsewhere the same person opens a session of their own', async () => {
    expect((await invoke(there)).status).toBe(200);
  });
});

it('without a binding a client may move from one connection to another', async () => {
  const side = await startInbound();
  try {
    const ask = (connection: AgentOptions, headers = {}): Promise<HttpAnswer> =>
      side.ask('/agents/support-triage/invoke', { json: { input: 'x' }, connection, headers });
    const opened = await ask({ localAddress: '127.0.0.1' });
    const moved = await ask({ localAddress: '127.0.0.2' }, { 'sallyport-session': String(opened.json()['session_token']) });
    expect(moved.status).toBe(200);
  } finally {
    await side.close();
  }
});
