/** `doctor session`: a request goes in by the inbound port, and what the agent does of it is seen at the other one. */

import { createServer, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { terminal, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { startInbound, type InboundSide } from '../../support/inbound.ts';

/** What the agent does with a request. */
type Agent = (given: IncomingMessage['headers']) => Promise<number>;

let side: InboundSide;
let at: Terminal;
let server: Server;
let agent: Agent;
let socket: string;

const call = (headers: Record<string, string>, tool = 'get_order'): Promise<unknown> =>
  side.sidecar.request(`/tools/orders/${tool}`, {
    body: '{"order_id":"O-000123"}',
    headers: { 'content-type': 'application/json', ...headers },
  });
const tied = (given: IncomingMessage['headers']): Record<string, string> => ({ 'sallyport-session': String(given['sallyport-session']) });

interface Told {
  readonly exit: number;
  readonly checks: Readonly<Record<string, string>>;
  readonly text: string;
}
async function examined(more: readonly string[] = []): Promise<Told> {
  const argv = ['--inbound', `https://localhost:${side.port}`, '--agent', 'support-triage', '--ca', 'ca.pem', '--token-file', 'alice.jwt'];
  const ran = await at.type('doctor', 'session', ...argv, '--socket', socket, '--wait', '0s', ...more, '--json');
  const answer = ran.json() as { readonly checks?: readonly { readonly check: string; readonly health: string; readonly says: string }[] };
  const checks = (answer.checks ?? []).map(({ check, health, says }) => [check, `${health}: ${says}`] as const);
  return { exit: ran.exit, checks: Object.fromEntries(checks), text: ran.out + ran.err };
}

beforeAll(async () => {
  server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      void agent(request.headers).then((status) => response.writeHead(status, { 'content-type': 'application/json' }).end('{}'));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  side = await startInbound({ inbound: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
  const { admin } = side.sidecar.sidecar.addresses();
  socket = admin.kind === 'unix' ? admin.path : '';
  at = terminal();
  at.write('ca.pem', side.ca);
});
afterAll(async () => {
  at?.close();
  await side?.close();
  server?.closeAllConnections();
  server?.close();
});
beforeEach(() => at.write('alice.jwt', `${side.token()}\n`));

describe('doctor session', () => {
  it('is content where the agent names the session of its request', async () => {
    agent = async (given) => {
      await call(tied(given));
      return 200;
    };
    const { exit, checks, text } = await examined();
    expect(exit).toBe(0);
    expect(checks).toEqual({
      'caller to sidecar': expect.stringMatching(/^ok: the request opened session /),
      'sidecar to agent': 'ok: the agent answered 200',
      'agent to sidecar': 'ok: 1 call of the agent named the session',
      'sidecar to tool': 'ok: 1 call allowed',
    });
    expect(text).not.toContain(side.token().split('.')[0]);
  });

  it('says that the tie was lost in the agent, where its call names no session', async () => {
    agent = async () => {
      await call({});
      return 200;
    };
    const { exit, checks } = await examined();
    expect([exit, checks['agent to sidecar']]).toEqual([1, 'fail: 1 call of the agent named no session, or another: unauthenticated']);
    expect(checks['sidecar to tool']).toBeUndefined();
  });

  it('does not take one call that is tied for all of them', async () => {
    agent = async (given) => {
      await call(tied(given));
      await call({ 'sallyport-session': 'e30.e30.e30' });
      return 200;
    };
    const { exit, checks } = await examined();
    expect([exit, checks['agent to sidecar']]).toEqual([
      1,
      expect.stringMatching(/^fail: 1 call of the agent named no session.*; 1 call did$/),
    ]);
  });

  it('says that nothing is lost where a rule refuses the call, and that nothing was seen where there was none', async () => {
    agent = async (given) => {
      await call(tied(given), 'erase');
      return 200;
    };
    const refused = await examined();
    expect([refused.exit, refused.checks['agent to sidecar'], refused.checks['sidecar to tool']]).toEqual([
      0,
      'ok: 1 call of the agent named the session',
      'warn: 1 call refused: tool_not_allowed',
    ]);
    agent = async () => 200;
    const silent = await examined();
    expect([silent.exit, silent.checks['agent to sidecar']]).toEqual([0, 'warn: the agent made no call']);
  });

  it('waits for a call that comes after the answer', async () => {
    agent = async (given) => {
      setImmediate(() => void call(tied(given)));
      return 200;
    };
    const { checks } = await examined(['--wait', '20s']);
    expect(checks['agent to sidecar']).toBe('ok: 1 call of the agent named the session');
  });

  it('ends where the request does: refused by the sidecar, or by an agent that breaks off', async () => {
    at.write('alice.jwt', side.token({ roles: ['guest'] }));
    expect((await examined()).checks).toEqual({ 'caller to sidecar': 'fail: answered 403 no_matching_policy' });
    at.write('alice.jwt', side.token());
    agent = async () => {
      server.closeAllConnections();
      return 200;
    };
    const broken = await examined();
    expect([broken.exit, Object.values(broken.checks).join(' ')]).toEqual([1, expect.stringContaining('fail: ')]);
    agent = async () => 500;
    expect((await examined()).checks['sidecar to agent']).toBe('warn: the agent answered 500');
  });

  it('believes the port by the authorities that are named, and speaks to nothing without TLS', async () => {
    at.write('other.pem', '');
    const argv = ['doctor', 'session', '--agent', 'support-triage', '--token-file', 'alice.jwt', '--socket', socket];
    const unbelieved = await at.type(...argv, '--inbound', `https://localhost:${side.port}`);
    expect([unbelieved.exit, unbelieved.err]).toEqual([1, expect.stringMatching(/while asking/)]);
    expect(await at.type(...argv, '--inbound', `http://localhost:${side.port}`)).toMatchObject({ exit: 2 });
  });
});
