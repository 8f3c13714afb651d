import { BlockList } from 'node:net';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Destination, ServerName } from '@sallyport/model';
import { addressKind, judgeAddress } from './address.ts';

/** Node's own arithmetic over the ranges that must never be reached as public. */
const [special4, special6] = [new BlockList(), new BlockList()];
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  special4.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['::', 3],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
  ['2002::', 16],
  ['2001:db8::', 32],
] as const) {
  special6.addSubnet(network, prefix, 'ipv6');
}
const destination: Destination = { server: 'orders' as ServerName, scheme: 'https', host: 'api.company.com', port: 443, network: 'public' };

test('no address of a special range is ever accepted for a public destination', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
      const isSpecial = address.includes(':') ? special6.check(address, 'ipv6') : special4.check(address, 'ipv4');
      if (isSpecial) expect(judgeAddress(destination, address).refusal).toBeDefined();
    }),
    { numRuns: 5_000 },
  );
});

test('an address is judged the same in every spelling', () => {
  const hextet = fc.integer({ min: 0, max: 0xffff });
  fc.assert(
    fc.property(fc.array(hextet, { minLength: 8, maxLength: 8 }), (groups) => {
      const plain = groups.map((group) => group.toString(16)).join(':');
      const padded = groups.map((group) => group.toString(16).padStart(4, '0').toUpperCase()).join(':');
      const compressed = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
      expect([addressKind(padded), addressKind(compressed)]).toEqual([addressKind(plain), addressKind(plain)]);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever IPv4 address an IPv6 address carries, it is not dialled as public', () => {
  fc.assert(
    fc.property(
      fc.ipV4(),
      fc.constantFrom('::ffff:', '::', '::ffff:0:', '64:ff9b::', '64:ff9b:1::', '2606:2800::5efe:'),
      (four, prefix) => {
        expect(judgeAddress(destination, `${prefix}${four}`).refusal).toBeDefined();
      },
    ),
    { numRuns: 1_000 },
  );
});

test('any text at all has a kind', () => {
  fc.assert(fc.property(fc.string({ maxLength: 60 }), (text) => typeof addressKind(text) === 'string'));
});
