/**
 * What kind of network an IP address leads to, from the IANA special-purpose registries. Nothing is dialled here.
 * IPv6 is judged by what is allowed (global unicast, less what the registry takes out), so that a form nobody thought of
 * is refused; every form that carries an IPv4 address inside is refused whatever that address is.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { invariant } from '@sallyport/model';
import type { Destination } from '@sallyport/model';

/** `public` is what the registries leave; everything else is named for what it is. */
export type AddressKind =
  | 'public'
  | 'private'
  | 'loopback'
  | 'link_local'
  | 'metadata'
  | 'shared'
  | 'unspecified'
  | 'multicast'
  | 'documentation'
  | 'embedded_ipv4'
  | 'reserved'
  | 'not_an_address';

/** First match wins; what matches nothing is public. */
const IPV4: readonly Range[] = ranges([
  // Instance metadata: AWS and most others, AWS container credentials, Azure's wire server, Alibaba.
  ['169.254.169.254/32', 'metadata'],
  ['169.254.170.2/32', 'metadata'],
  ['168.63.129.16/32', 'metadata'],
  ['100.100.100.200/32', 'metadata'],
  ['0.0.0.0/32', 'unspecified'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link_local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'reserved'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
]);

/** First match wins; what matches nothing is public inside 2000::/3 and reserved outside. */
const IPV6: readonly Range[] = ranges([
  ['fd00:ec2::254/128', 'metadata'],
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  // Deprecated IPv4-compatible, IPv4-mapped, IPv4-translated, NAT64 (well-known and local), Teredo, 6to4.
  ['::/96', 'embedded_ipv4'],
  ['::ffff:0:0/96', 'embedded_ipv4'],
  ['::ffff:0:0:0/96', 'embedded_ipv4'],
  ['64:ff9b::/96', 'embedded_ipv4'],
  ['64:ff9b:1::/48', 'embedded_ipv4'],
  ['2001::/32', 'embedded_ipv4'],
  ['2002::/16', 'embedded_ipv4'],
  ['2001:db8::/32', 'documentation'],
  ['3fff::/20', 'documentation'],
  ['2001::/23', 'reserved'],
  ['fc00::/7', 'private'],
  ['fe80::/10', 'link_local'],
  ['ff00::/8', 'multicast'],
  ['2000::/3', 'public'],
  ['::/0', 'reserved'],
]);

/** ISATAP puts an IPv4 address under `0:5efe` or `200:5efe` in the interface part of any prefix (RFC 5214). */
const ISATAP = [0x0000_5efen, 0x0200_5efen];

/** The kind of an IPv4 or IPv6 address, without brackets or zone; `not_an_address` for anything else. */
export function addressKind(address: string): AddressKind {
  if (isIPv4(address)) return kindIn(IPV4, ipv4Bits(address)) ?? 'public';
  if (!isIPv6(address) || address.includes('%')) return 'not_an_address';
  const bits = ipv6Bits(address);
  const kind = kindIn(IPV6, bits) ?? 'reserved';
  return kind === 'public' && ISATAP.includes((bits >> 32n) & 0xffff_ffffn) ? 'embedded_ipv4' : kind;
}

/**
 * Whether a destination may be dialled at this address; the reason in words where it may not. `public` takes public
 * addresses only; `private` those, private ranges and shared address space; `loopback` nothing but loopback. Link-local
 * and metadata addresses must be the declared host itself, literally, and not be called public.
 */
export function judgeAddress(
  destination: Destination,
  address: string,
): { readonly kind: AddressKind; readonly refusal: string | undefined } {
  const kind = addressKind(address);
  const isLiteral = unbracketed(destination.host) === address;
  if (ACCEPTED[destination.network].includes(kind)) return { kind, refusal: undefined };
  if ((kind === 'link_local' || kind === 'metadata') && isLiteral && destination.network === 'private') return { kind, refusal: undefined };
  return { kind, refusal: `${address} is ${WORDS[kind]}, and \`${destination.server}\` is declared ${destination.network}` };
}

/** `[::1]` and `::1` are one host. */
export function unbracketed(host: string): string {
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

const ACCEPTED: Readonly<Record<Destination['network'], readonly AddressKind[]>> = {
  public: ['public'],
  private: ['public', 'private', 'shared'],
  loopback: ['loopback'],
};

const WORDS: Readonly<Record<AddressKind, string>> = {
  public: 'a public address',
  private: 'a private address',
  loopback: 'a loopback address',
  link_local: 'a link-local address',
  metadata: 'an instance metadata address',
  shared: 'a shared (carrier) address',
  unspecified: 'the unspecified address',
  multicast: 'a multicast address',
  documentation: 'a documentation address',
  embedded_ipv4: 'an IPv6 address with an IPv4 address inside',
  reserved: 'a reserved address',
  not_an_address: 'no address',
};

interface Range {
  readonly network: bigint;
  readonly shift: bigint;
  readonly kind: AddressKind;
}

function ranges(table: readonly (readonly [cidr: string, kind: AddressKind])[]): readonly Range[] {
  return table.map(([cidr, kind]) => {
    const [address = '', length = ''] = cidr.split('/');
    const isFour = isIPv4(address);
    const shift = BigInt((isFour ? 32 : 128) - Number(length));
    const bits = isFour ? ipv4Bits(address) : ipv6Bits(address);
    invariant((bits >> shift) << shift === bits, `\`${cidr}\` is a network`);
    return { network: bits >> shift, shift, kind };
  });
}

function kindIn(table: readonly Range[], bits: bigint): AddressKind | undefined {
  return table.find((range) => bits >> range.shift === range.network)?.kind;
}

function ipv4Bits(address: string): bigint {
  return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
}

/** For text that `isIPv6` has accepted. */
function ipv6Bits(address: string): bigint {
  const [before = '', after] = address.split('::');
  const front = groups(before);
  const back = after === undefined ? [] : groups(after);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0n);
  return [...front, ...zeros, ...back].reduce((bits, group) => (bits << 16n) | group, 0n);
}

function groups(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [BigInt(`0x${part}`)];
    const four = ipv4Bits(part);
    return [four >> 16n, four & 0xffffn];
  });
}
