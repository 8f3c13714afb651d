import { describe, expect, test } from 'vitest';
import type { Destination, ServerName } from '@sallyport/model';
import { addressKind, judgeAddress } from './address.ts';

const to = (network: Destination['network'], host = 'api.company.com'): Destination => ({
  server: 'orders' as ServerName,
  scheme: 'https',
  host,
  port: 443,
  network,
});

/** Every special form by name, with the kind that it must be recognised as. */
const FORMS: readonly (readonly [what: string, address: string, kind: ReturnType<typeof addressKind>])[] = [
  ['a public IPv4 address', '93.184.216.34', 'public'],
  ['the last public address before a private range', '9.255.255.255', 'public'],
  ['the first public address after a private range', '172.32.0.0', 'public'],
  ['a public IPv6 address', '2606:2800:220:1::1', 'public'],
  ['RFC 1918, ten', '10.0.0.1', 'private'],
  ['RFC 1918, its end', '10.255.255.255', 'private'],
  ['RFC 1918, 172.16', '172.16.0.1', 'private'],
  ['RFC 1918, 172.31', '172.31.255.255', 'private'],
  ['RFC 1918, 192.168', '192.168.1.1', 'private'],
  ['a unique local address', 'fd12:3456:789a::1', 'private'],
  ['a unique local address, other half', 'fc00::1', 'private'],
  ['loopback', '127.0.0.1', 'loopback'],
  ['loopback, another', '127.8.8.8', 'loopback'],
  ['IPv6 loopback', '::1', 'loopback'],
  ['IPv6 loopback written out', '0:0:0:0:0:0:0:1', 'loopback'],
  ['link-local', '169.254.1.1', 'link_local'],
  ['IPv6 link-local', 'fe80::1', 'link_local'],
  ['IPv6 link-local, its end', 'febf::1', 'link_local'],
  ['the metadata service', '169.254.169.254', 'metadata'],
  ['the metadata service over IPv6', 'fd00:ec2::254', 'metadata'],
  ['container credentials', '169.254.170.2', 'metadata'],
  ["Azure's wire server", '168.63.129.16', 'metadata'],
  ["Alibaba's metadata service", '100.100.100.200', 'metadata'],
  ['carrier-grade NAT', '100.64.0.1', 'shared'],
  ['carrier-grade NAT, its end', '100.127.255.255', 'shared'],
  ['after carrier-grade NAT', '100.128.0.1', 'public'],
  ['the unspecified address', '0.0.0.0', 'unspecified'],
  ['this network', '0.1.2.3', 'reserved'],
  ['the unspecified IPv6 address', '::', 'unspecified'],
  ['multicast', '224.0.0.1', 'multicast'],
  ['IPv6 multicast', 'ff02::1', 'multicast'],
  ['broadcast', '255.255.255.255', 'reserved'],
  ['class E', '240.0.0.1', 'reserved'],
  ['benchmarking', '198.19.0.1', 'reserved'],
  ['IETF protocol assignments', '192.0.0.192', 'reserved'],
  ['6to4 relays', '192.88.99.1', 'reserved'],
  ['documentation 1', '192.0.2.1', 'documentation'],
  ['documentation 2', '198.51.100.1', 'documentation'],
  ['documentation 3', '203.0.113.1', 'documentation'],
  ['IPv6 documentation', '2001:db8::1', 'documentation'],
  ['IPv6 documentation, the newer', '3fff:0fff::1', 'documentation'],
  ['IPv4-mapped loopback', '::ffff:127.0.0.1', 'embedded_ipv4'],
  ['IPv4-mapped loopback in hex', '::ffff:7f00:1', 'embedded_ipv4'],
  ['IPv4-mapped, upper case and written out', '0:0:0:0:0:FFFF:A00:1', 'embedded_ipv4'],
  ['IPv4-mapped public', '::ffff:93.184.216.34', 'embedded_ipv4'],
  ['IPv4-compatible', '::10.0.0.1', 'embedded_ipv4'],
  ['IPv4-translated', '::ffff:0:10.0.0.1', 'embedded_ipv4'],
  ['NAT64 to the metadata service', '64:ff9b::a9fe:a9fe', 'embedded_ipv4'],
  ['NAT64, local prefix', '64:ff9b:1::1', 'embedded_ipv4'],
  ['6to4 of a private address', '2002:0a00:0001::1', 'embedded_ipv4'],
  ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2', 'embedded_ipv4'],
  ['ISATAP', '2606:2800::5efe:10.0.0.1', 'embedded_ipv4'],
  ['ISATAP, global', '2606:2800::200:5efe:a00:1', 'embedded_ipv4'],
  ['ORCHID', '2001:20::1', 'reserved'],
  ['outside global unicast', '4000::1', 'reserved'],
  ['discard-only', '100::1', 'reserved'],
  ['site-local', 'fec0::1', 'reserved'],
  ['segment routing', '5f00::1', 'reserved'],
  ['a zone', 'fe80::1%eth0', 'not_an_address'],
  ['brackets', '[::1]', 'not_an_address'],
  ['a name', 'localhost', 'not_an_address'],
  ['octal', '0177.0.0.1', 'not_an_address'],
  ['one number', '2130706433', 'not_an_address'],
  ['short', '127.1', 'not_an_address'],
  ['nothing', '', 'not_an_address'],
];

test.each(FORMS)('%s (%s) is %s', (_what, address, kind) => expect(addressKind(address)).toBe(kind));

describe('what a declared network accepts', () => {
  const accepted = (network: Destination['network']): string[] => [
    ...new Set(FORMS.filter(([, address]) => judgeAddress(to(network), address).refusal === undefined).map(([, , kind]) => kind)),
  ];
  test('public: public addresses', () => expect(accepted('public')).toEqual(['public']));
  test('private: private ranges and shared space too', () => expect(accepted('private')).toEqual(['public', 'private', 'shared']));
  test('loopback: loopback alone', () => expect(accepted('loopback')).toEqual(['loopback']));
});

test.each(['169.254.169.254', '169.254.7.7', 'fe80::1', 'fd00:ec2::254'])(
  '%s needs to be declared literally, and as private',
  (address) => {
    expect(judgeAddress(to('private', address), address).refusal).toBeUndefined();
    expect(judgeAddress(to('private', 'metadata.company.com'), address).refusal).toContain(address);
    expect(judgeAddress(to('public', address), address).refusal).toContain('is declared public');
    expect(judgeAddress(to('loopback', address), address).refusal).toContain('is declared loopback');
  },
);
