import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import type { ConnectionEnds } from '@sallyport/net';
import { describe, expect, test } from 'vitest';
import { kernelPeerUsers, peerUserIn } from './kernel-table.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const REST = '00000000:00000000 00:00000000 00000000';
const row = (from: string, to: string, state: string, uid: number): string =>
  `   0: ${from} ${to} ${state} ${REST}  ${uid}        0 71 1\n`;
const ends = (host: string, local = host): ConnectionEnds => ({ remote: { host, port: 40_112 }, local: { host: local, port: 15_001 } });
/** Port 40112 is 9CB0, 15001 is 3A99; words of an address are in the byte order of a small-endian machine. */
const V4 = ['0100007F:9CB0', '0100007F:3A99'] as const;
const MAPPED = ['0000000000000000FFFF00000100007F:9CB0', '0000000000000000FFFF00000100007F:3A99'] as const;
const V6 = ['00000000000000000000000001000000:9CB0', '00000000000000000000000001000000:3A99'] as const;
const FAR = ['0500000A:9CB0', '0100000A:3A99'] as const;

const table = (pair: readonly [string, string], uid: number, state = '01'): string => HEAD + row(pair[0], pair[1], state, uid);

describe('whose the other end of a connection is', () => {
  test.each([
    ['an IPv4 client', { tcp: table(V4, 1_000), tcp6: HEAD }, ends('127.0.0.1'), 1_000],
    ['a client that reaches IPv4 by a socket of IPv6', { tcp: HEAD, tcp6: table(MAPPED, 1_001) }, ends('127.0.0.1'), 1_001],
    ['the same, as a socket for both tells it', { tcp: HEAD, tcp6: table(MAPPED, 1_001) }, ends('::ffff:127.0.0.1'), 1_001],
    ['an IPv6 client', { tcp: undefined, tcp6: table(V6, 1_002) }, ends('::1'), 1_002],
    ['a peer of another machine', { tcp: HEAD, tcp6: HEAD }, ends('10.0.0.5', '10.0.0.1'), 'elsewhere'],
    ['this machine, by an address that is not loopback', { tcp: table(FAR, 7), tcp6: HEAD }, ends('10.0.0.5', '10.0.0.1'), 7],
  ] as const)('is told of %s', (_, tables, of, user) => {
    expect(peerUserIn(tables, of)).toBe(user);
  });

  test.each([
    ['there is no table', { tcp: undefined, tcp6: undefined }, ends('127.0.0.1')],
    ['it is not in the table', { tcp: HEAD, tcp6: HEAD }, ends('127.0.0.1')],
    ['it is not in the table, and the address is our own', { tcp: HEAD, tcp6: HEAD }, ends('10.0.0.1')],
    // The sidecar's own end: whoever reads that would take every agent for the sidecar.
    ['only our own end is there', { tcp: table([V4[1], V4[0]], 0), tcp6: HEAD }, ends('127.0.0.1')],
    // The kernel names root for what nobody holds any more.
    ['it is half closed', { tcp: table(V4, 0, '05'), tcp6: HEAD }, ends('127.0.0.1')],
    ['another connection has its port', { tcp: table(['0100007F:9CB0', '0100007F:3A98'], 5), tcp6: HEAD }, ends('127.0.0.1')],
    ['the row breaks off', { tcp: `${HEAD}   0: ${V4[0]} ${V4[1]} 01 0000`, tcp6: HEAD }, ends('127.0.0.1')],
    ['the owner is no number', { tcp: table(V4, Number.NaN), tcp6: HEAD }, ends('127.0.0.1')],
    ['the client has gone before it was asked', { tcp: table(V4, 1), tcp6: HEAD }, { local: { host: '127.0.0.1', port: 15_001 } }],
    ['the address is none', { tcp: HEAD, tcp6: HEAD }, ends('localhost')],
  ] as const)('is unknown where %s', (_, tables, of) => {
    expect(peerUserIn(tables, of)).toBe('unknown');
  });

  // Not run elsewhere: only Linux has the table (`/proc/net/tcp`).
  test.skipIf(process.platform !== 'linux')('is our own user for a connection of this process, of either family', async () => {
    const users = kernelPeerUsers();
    for (const host of ['127.0.0.1', '::1']) expect(await userOn(host, (port) => createConnection(port, host))).toBe(users.own);
  });

  // Not run by others than root: only root can start a process of another user.
  test.skipIf(process.platform !== 'linux' || process.getuid?.() !== 0)('is another user for a process of another user', async () => {
    const user = await userOn('127.0.0.1', (port) => {
      const code = `require('net').createConnection(${port}, '127.0.0.1'); process.stdin.resume().on('end', () => process.exit());`;
      const child = spawn(process.execPath, ['-e', code], { uid: 4_242, gid: 4_242, env: {}, cwd: '/' });
      return { destroy: () => void child.stdin.end() };
    });
    expect(user).toBe(4_242);
  });
});

async function userOn(host: string, connect: (port: number) => { destroy(): unknown }): Promise<unknown> {
  const server = createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket;
  const user = kernelPeerUsers().of({
    remote: { host: remoteAddress, port: remotePort },
    local: { host: localAddress, port: localPort },
  });
  client.destroy();
  socket.destroy();
  server.close();
  return user;
}
