/** Whether ports are free, in use by the process that they are configured for, or by somebody else. */

import { createConnection } from 'node:net';
import { formatListenAddress } from '@sallyport/runtime';
import type { ListenAddress } from '@sallyport/runtime';
import type { Io } from '../../io.ts';
import { failed, warned, well } from './check.ts';
import type { Check } from './check.ts';

const CONNECT_MS_MAX = 2_000;
/** What listens everywhere is reached here. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Where a process of this machine that listens there can be asked. */
export function reachable(address: ListenAddress): ListenAddress {
  return address.kind === 'tcp' ? { ...address, host: LOOPBACK[address.host] ?? address.host } : address;
}

/** Whether anybody takes connections there. */
export async function isListening(address: ListenAddress, io: Pick<Io, 'clock' | 'signal'>): Promise<boolean> {
  const target = reachable(address);
  return new Promise((resolve) => {
    const over = new AbortController();
    const socket = createConnection(target.kind === 'unix' ? { path: target.path } : { host: target.host, port: target.port });
    const done = (isThere: boolean): void => {
      over.abort();
      socket.destroy();
      resolve(isThere);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
    io.clock.timer(CONNECT_MS_MAX, () => done(false), { signal: over.signal });
  });
}

/** `holder`: the living process that has the state folder of whoever the port is configured for. */
export async function judgePort(
  subject: string,
  { key, address, holder }: { readonly key: string; readonly address: ListenAddress; readonly holder: number | undefined },
  io: Pick<Io, 'clock' | 'signal'>,
): Promise<readonly Check[]> {
  // Port 0 is any that is free, and which one it became is not known here.
  if (address.kind === 'tcp' && address.port === 0) return [];
  const shown = formatListenAddress(address);
  const isThere = await isListening(address, io);
  if (holder !== undefined)
    return [
      isThere
        ? well(subject, `${shown} is in use by its own process ${holder}`)
        : warned(subject, `process ${holder} runs and does not listen at ${shown}`, 'is it starting or ending? its log says'),
    ];
  if (isThere) return [failed(subject, `${shown} is in use by another process`, `stop that one, or choose another address as ${key}`)];
  return [well(subject, `${shown} is free`)];
}
