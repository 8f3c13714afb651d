/** IP addresses as certificates hold them. */

import { isIP } from 'node:net';

/** 4 or 16 bytes in network order; `undefined` for what is not an address, or has a zone. */
export function ipAddressBytes(text: string): Uint8Array | undefined {
  const family = text.includes('%') ? 0 : isIP(text);
  if (family === 4) return Uint8Array.from(text.split('.'), Number);
  if (family !== 6) return undefined;
  // The last 32 bits may be spelled as IPv4: rewrite them as two groups.
  const groups = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  );
  const [left = [], right = []] = groups.split('::').map((side) => (side === '' ? [] : side.split(':')));
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const numbers = [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 0xff]));
}
