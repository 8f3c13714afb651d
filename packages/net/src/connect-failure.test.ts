import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Publish, create } from '@sallyport/contract';
import { systemClock } from '@sallyport/runtime';
import { testAuthority, type TestAuthority } from '@sallyport/testkit';
import { connectFailure } from './connect-failure.ts';
import { createClient, openChannel } from './grpc-client.ts';
import { startGrpcServer } from './grpc-server.ts';
import type { GrpcStatus } from './grpc-status.ts';
import { secureOptions, tlsHolder, type TlsHolder, type TlsMaterial } from './tls.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

let authority: TestAuthority;
let admin: TlsMaterial;
beforeAll(async () => {
  authority = await testAuthority();
  admin = await authority.issue('/admin/ada', { usage: 'tls-client' });
});

function holding(material: TlsMaterial): TlsHolder {
  const holder = tlsHolder(material);
  if (!holder.ok) throw new Error(JSON.stringify(holder.error));
  return holder.value;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** What an administrator is told who asks this port. */
async function asking(port: number): Promise<GrpcStatus | undefined> {
  const channel = openChannel({
    host: '127.0.0.1',
    port,
    trust: { kind: 'peer', tls: holding(admin), trustDomain: authority.trustDomain, purpose: 'control_plane' },
    clock: systemClock(),
  });
  cleanups.push(() => channel.close());
  const answer = await createClient(Publish, channel).getHeads(create(Publish.method.getHeads.input), { deadlineMs: 20_000 });
  return answer.ok ? undefined : answer.error;
}

describe('whoever is not reached is told why, without inner names:', () => {
  test('nobody listens', async () => {
    const gone = createServer();
    const port = await listening(gone);
    gone.close();
    await once(gone, 'close');
    expect(await asking(port)).toEqual({
      code: 'unavailable',
      failure: 'nobody_listens',
      message: `nothing listens at 127.0.0.1:${port}`,
    });
  });

  test('a port without TLS', async () => {
    const port = await listening(createHttpServer());
    expect(await asking(port)).toEqual({ code: 'unavailable', failure: 'no_tls', message: 'what listens there does not speak TLS' });
  });

  test('a server of another root', async () => {
    const other = await testAuthority();
    const port = await listening(createTlsServer({ ...secureOptions(await other.issue('/control-plane')), ALPNProtocols: ['h2'] }));
    expect(await asking(port)).toEqual({
      code: 'unavailable',
      failure: 'another_root',
      message: 'the certificate there is of another root',
    });
  });

  test('a peer that is no control plane', async () => {
    const port = await listening(createTlsServer({ ...secureOptions(await authority.issue('/sidecar/helper/1')), ALPNProtocols: ['h2'] }));
    const told = await asking(port);
    expect(told?.code).toBe('unavailable');
    expect(told?.message).toMatch(/^the server is not trusted: [^\n]+$/);
  });

  test('a service that is not served there', async () => {
    const running = await startGrpcServer({
      host: '127.0.0.1',
      port: 0,
      tls: holding(await authority.issue('/control-plane')),
      trustDomain: authority.trustDomain,
      clients: 'anyone',
      services: [],
      clock: systemClock(),
      onBug: () => undefined,
    });
    cleanups.push(() => running.drain({ graceMs: 0 }).then(() => undefined));
    expect((await asking(running.port))?.code).toBe('unimplemented');
  });
});

describe('what grpc-js says', () => {
  test.each([
    [
      'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:7443. Resolution note: ',
      'nobody_listens',
      'nothing listens at 127.0.0.1:7443',
    ],
    ['Name resolution failed for target dns:nowhere.invalid:7443', 'unknown_name', 'the name of nowhere.invalid:7443 has no address'],
    [
      'No connection established. Last error: connect ETIMEDOUT 10.0.0.1:7443. Resolution note: ',
      'unreachable',
      '10.0.0.1:7443 cannot be reached',
    ],
    [
      'No connection established. Last error: Error: 40:error:0A00010B:SSL routines:tls:wrong version number:../deps/x.c:78:\n. Resolution note: ',
      'no_tls',
      'what listens there does not speak TLS',
    ],
    [
      'No connection established. Last error: Error: 40:error:0A000418:SSL routines:ssl3:tlsv1 alert unknown ca:../deps/x.c:1:SSL alert number 48\n. Resolution note: ',
      'not_admitted',
      'our certificate is not admitted there',
    ],
    [
      'No connection established. Last error: Error: the connection was closed\nin the handshake. Resolution note: none',
      undefined,
      'the connection was closed in the handshake',
    ],
    ['Connection dropped', undefined, 'Connection dropped'],
  ])('%j is told as what it is', (details, failure, message) => {
    expect(connectFailure(details)).toEqual(failure === undefined ? { message } : { failure, message });
  });
});
