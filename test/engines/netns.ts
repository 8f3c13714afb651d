/**
 * A neighbour on the network: a namespace of its own, joined to this machine by a pair of virtual interfaces, as a pod is to
 * its node. It ends with the process that holds it, and the interfaces with it. Needs root, `unshare` and `ip`.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlink } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { run, type Running } from './running.ts';

/** How long a namespace lives that nobody stopped. */
const LIFE_S = '600';
const LOOKS_MAX = 500;

export interface Neighbour extends Running {
  /** The address at which the neighbour reaches this machine. */
  readonly address: string;
  /** Its own address. */
  readonly ownAddress: string;
  /** Runs a script of Node in the namespace, its arguments in `process.argv` from 1 on, and gives what it prints. */
  script(source: string, ...args: readonly string[]): Promise<string>;
}

/** One namespace. Addresses are of the range for benchmarks between networks (RFC 2544), which nothing else has. */
export async function startNetns(): Promise<Neighbour> {
  const holder = spawn('unshare', ['--net', '--', 'sleep', LIFE_S], { stdio: 'ignore' });
  // Where there is no such command, it ends without having begun.
  const ended = once(holder, 'exit').catch(() => undefined);
  await once(holder, 'spawn');
  const pid = String(holder.pid);
  const stop = async (): Promise<void> => {
    holder.kill('SIGKILL');
    await ended;
  };
  try {
    await separated(pid, holder);
    const [net, name] = [`198.18.${randomInt(256)}.${randomInt(64) * 4}`, `sp${randomInt(2 ** 32).toString(36)}`];
    const [own, its] = [nth(net, 1), nth(net, 2)];
    const within = (...args: readonly string[]): Promise<string> => run({ file: 'nsenter', args: ['-t', pid, '-n', ...args] });
    const ip = (...args: readonly string[]): Promise<string> => run({ file: 'ip', args });
    await ip('link', 'add', `${name}h`, 'type', 'veth', 'peer', 'name', `${name}p`, 'netns', pid);
    await ip('addr', 'add', `${own}/30`, 'dev', `${name}h`);
    await ip('link', 'set', `${name}h`, 'up');
    await within('ip', 'addr', 'add', `${its}/30`, 'dev', `${name}p`);
    await within('ip', 'link', 'set', `${name}p`, 'up');
    await within('ip', 'link', 'set', 'lo', 'up');
    const script = (source: string, ...args: readonly string[]): Promise<string> =>
      within(process.execPath, '--input-type=module', '-e', source, ...args);
    return { detail: `a namespace at ${its}`, address: own, ownAddress: its, script, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Until the holder has left this machine's network: an interface that came too early would stay here. */
async function separated(pid: string, holder: { readonly exitCode: number | null }): Promise<void> {
  const ours = await readlink('/proc/self/ns/net');
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (holder.exitCode !== null) throw new Error('`unshare --net` ended: it needs root');
    if ((await readlink(`/proc/${pid}/ns/net`)) !== ours) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('`unshare --net` has not left this network');
}

function nth(net: string, host: number): string {
  const parts = net.split('.');
  return [...parts.slice(0, 3), Number(parts[3]) + host].join('.');
}
