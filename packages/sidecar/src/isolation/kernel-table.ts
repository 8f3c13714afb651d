/**
 * Whose socket is at the other end of a connection, by the kernel's own table (proc(5), `/proc/net/tcp`). It is asked for
 * the agent's end: an established connection whose two addresses are ours turned about. Node has no SO_PEERCRED.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import { endianness } from 'node:os';
import type { ConnectionEnd, ConnectionEnds } from '@sallyport/net';

/** The uid at the other end; `elsewhere` where this machine has no such socket; `unknown` where that cannot be told. */
export type PeerUser = number | 'elsewhere' | 'unknown';

export interface PeerUsers {
  /** Of this process; `undefined` where the platform has none. */
  readonly own: number | undefined;
  of(ends: ConnectionEnds): PeerUser;
}

/** The kernel's table as text; `undefined` where there is none, or more than is read. */
export interface SocketTables {
  readonly tcp: string | undefined;
  readonly tcp6: string | undefined;
}

/** Tens of thousands of connections; a machine with more cannot be told apart in the time of a call. */
const TABLE_BYTES_MAX = 8_388_608;

/** Of this machine. */
export function kernelPeerUsers(): PeerUsers {
  return {
    own: process.getuid?.(),
    of: (ends) => peerUserIn({ tcp: tableOf('/proc/net/tcp'), tcp6: tableOf('/proc/net/tcp6') }, ends),
  };
}

/** Whose the agent's end is, by these tables. */
export function peerUserIn({ tcp, tcp6 }: SocketTables, { remote, local }: ConnectionEnds): PeerUser {
  if (remote === undefined || local === undefined) return 'unknown';
  const [from, to] = [wordsOf(remote.host), wordsOf(local.host)];
  if (from === undefined || to === undefined || (tcp === undefined && tcp6 === undefined)) return 'unknown';
  // A socket of either family may carry an IPv4 connection.
  const found =
    (from.v4 === undefined || to.v4 === undefined ? undefined : ownerIn(tcp, entryOf(from.v4, to.v4, remote, local))) ??
    ownerIn(tcp6, entryOf(from.v6, to.v6, remote, local));
  if (found !== undefined) return found;
  // Loopback, and our own address, lead nowhere else: whose it is could be told, and was not.
  return isLoopback(from.host) || from.host === to.host ? 'unknown' : 'elsewhere';
}

/** State 01 is ESTABLISHED; of a socket that is half closed the kernel may name an owner that is none. */
function entryOf(from: string, to: string, remote: ConnectionEnd, local: ConnectionEnd): string {
  return ` ${from}:${portOf(remote)} ${to}:${portOf(local)} 01 `;
}

function ownerIn(table: string | undefined, entry: string): number | undefined {
  const at = table?.indexOf(entry) ?? -1;
  if (table === undefined || at < 0) return undefined;
  const end = table.indexOf('\n', at);
  // After the state: tx_queue:rx_queue, tr:tm->when, retrnsmt, uid.
  const uid = table
    .slice(at + entry.length, end < 0 ? undefined : end)
    .trim()
    .split(/\s+/)[3];
  return uid !== undefined && /^[0-9]{1,10}$/.test(uid) ? Number(uid) : undefined;
}

interface Words {
  readonly host: string;
  readonly v4?: string;
  readonly v6: string;
}

/** An address as the table spells it: words of four bytes, each in the byte order of the machine. */
function wordsOf(address: string): Words | undefined {
  const plain = address.split('%', 1)[0] ?? '';
  const host = /^::ffff:([0-9.]+)$/i.exec(plain)?.[1] ?? plain;
  if (isIPv4(host)) {
    const v4 = word(host.split('.').map(Number));
    return { host, v4, v6: `${word([0, 0, 0, 0]).repeat(2)}${word([0, 0, 255, 255])}${v4}` };
  }
  if (!isIPv6(host)) return undefined;
  const bytes = ipv6Bytes(host);
  return { host, v6: [0, 4, 8, 12].map((at) => word(bytes.slice(at, at + 4))).join('') };
}

function word(bytes: readonly number[]): string {
  const ordered = endianness() === 'LE' ? bytes.toReversed() : bytes;
  return ordered.map((byte) => byte.toString(16).toUpperCase().padStart(2, '0')).join('');
}

/** Of a valid IPv6 address. */
function ipv6Bytes(address: string): readonly number[] {
  const dotted = /(?<=:)[0-9.]+$/.exec(address)?.[0] ?? '';
  const tail = dotted.includes('.') ? dotted.split('.').map(Number) : [];
  const groups = (text: string): number[] =>
    text
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]);
  const [head = '', rest] = (tail.length === 0 ? address : address.slice(0, -dotted.length)).split('::', 2);
  const [before, after] = [groups(head), [...groups(rest ?? ''), ...tail]];
  return [...before, ...Array.from({ length: 16 - before.length - after.length }, () => 0), ...after];
}

function portOf({ port }: ConnectionEnd): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

/** A file of the kernel has no length before it is read. */
function tableOf(path: string): string | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    // Another platform, or hidden from this process: nothing can be told.
    return undefined;
  }
  try {
    return readWhole(file);
  } catch {
    return undefined;
  } finally {
    closeSync(file);
  }
}

function readWhole(file: number): string | undefined {
  const parts: Buffer[] = [];
  for (let length = 0; length <= TABLE_BYTES_MAX;) {
    const part = Buffer.allocUnsafe(65_536);
    const read = readSync(file, part);
    if (read === 0) return Buffer.concat(parts).toString('latin1');
    parts.push(part.subarray(0, read));
    length += read;
  }
  return undefined;
}
