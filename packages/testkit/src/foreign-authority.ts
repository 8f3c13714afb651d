/**
 * Somebody else's certificate authority: client certificates with any names and usages, and revocation lists, as a company
 * issues them. Written here by hand, so that what reads them is not tested against itself.
 */

import { type KeyObject, generateKeyPairSync, sign } from 'node:crypto';

export interface ForeignLeaf {
  readonly commonNames?: readonly string[];
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** Dotted; by default clientAuth. None makes a certificate without the extension. */
  readonly extendedKeyUsages?: readonly string[];
  readonly serial?: Uint8Array;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Whose certificate it is; one that nobody has unless given. */
  readonly publicKey?: KeyObject;
}

export interface ForeignList {
  readonly serials: readonly Uint8Array[];
  readonly thisUpdate: number;
  /** `null` leaves it out. */
  readonly nextUpdate: number | null;
  /** OIDs of extensions of the list, marked critical. */
  readonly critical?: readonly string[];
}

export interface ForeignAuthority {
  /** The CA's certificate, DER. */
  readonly certificate: Uint8Array;
  /** The CA's, for a leaf that vouches for itself. */
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  /** A client certificate, DER. */
  issue(leaf: ForeignLeaf): Uint8Array;
  /** A revocation list, DER. */
  list(list: ForeignList): Uint8Array;
}

export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const ECDSA_SHA256 = seq(oid('1.2.840.10045.4.3.2'));
const DAY_MS = 86_400_000;

/** A new P-256 CA of this name, valid for a year around `now` (milliseconds since 1970). */
export function foreignAuthority(name: string, now: number, options: { readonly mayList?: boolean } = {}): ForeignAuthority {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const year = { notBefore: now - 180 * DAY_MS, notAfter: now + 180 * DAY_MS };
  const self = nameOf([name]);
  const signed = (tbs: Buffer): Uint8Array =>
    Uint8Array.from(seq(tbs, ECDSA_SHA256, tlv(0x03, Buffer.of(0), sign('sha256', tbs, privateKey))));
  const certificate = (
    subject: Buffer,
    key: KeyObject,
    serial: Uint8Array,
    life: { notBefore: number; notAfter: number },
    extensions: Buffer[],
  ) =>
    signed(
      seq(
        tlv(0xa0, integer(Uint8Array.of(2))),
        integer(serial),
        ECDSA_SHA256,
        self,
        seq(time(life.notBefore), time(life.notAfter)),
        subject,
        key.export({ format: 'der', type: 'spki' }),
        tlv(0xa3, seq(...extensions)),
      ),
    );
  const caExtensions = [
    extension('2.5.29.19', seq(tlv(0x01, Buffer.of(0xff))), true),
    extension('2.5.29.15', tlv(0x03, Buffer.of(1, options.mayList === false ? 0x04 : 0x06)), true),
  ];
  return {
    certificate: certificate(self, publicKey, Uint8Array.of(1), year, caExtensions),
    publicKey,
    privateKey,
    issue: ({
      commonNames = [],
      uris = [],
      dnsNames = [],
      extendedKeyUsages = [CLIENT_AUTH],
      serial = Uint8Array.of(7),
      publicKey: own,
      ...life
    }) => {
      const names = [...uris.map((uri) => tlv(0x86, Buffer.from(uri))), ...dnsNames.map((dns) => tlv(0x82, Buffer.from(dns)))];
      const extensions = [
        extension('2.5.29.15', tlv(0x03, Buffer.of(7, 0x80)), true),
        ...(extendedKeyUsages.length === 0 ? [] : [extension('2.5.29.37', seq(...extendedKeyUsages.map(oid)), false)]),
        ...(names.length === 0 ? [] : [extension('2.5.29.17', seq(...names), false)]),
      ];
      const leafKey = own ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
      return certificate(nameOf(commonNames), leafKey, serial, { ...year, ...life }, extensions);
    },
    list: ({ serials, thisUpdate, nextUpdate, critical = [] }) => {
      const entries = serials.map((serial) => seq(integer(serial), time(thisUpdate)));
      return signed(
        seq(
          integer(Uint8Array.of(1)),
          ECDSA_SHA256,
          self,
          time(thisUpdate),
          ...(nextUpdate === null ? [] : [time(nextUpdate)]),
          ...(entries.length === 0 ? [] : [seq(...entries)]),
          tlv(0xa0, seq(extension('2.5.29.20', integer(Uint8Array.of(1)), false), ...critical.map((id) => extension(id, seq(), true)))),
        ),
      );
    },
  };
}

function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...length), content]);
}

function seq(...members: readonly Uint8Array[]): Buffer {
  return tlv(0x30, ...members);
}

function integer(unsigned: Uint8Array): Buffer {
  return (unsigned[0] ?? 0) >= 0x80 ? tlv(0x02, Buffer.of(0), unsigned) : tlv(0x02, unsigned);
}

function oid(dotted: string): Buffer {
  const [root = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [root * 40 + second, ...rest].flatMap((arc) => {
    const digits = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return tlv(0x06, Buffer.from(bytes));
}

function extension(id: string, value: Uint8Array, isCritical: boolean): Buffer {
  return seq(oid(id), ...(isCritical ? [tlv(0x01, Buffer.of(0xff))] : []), tlv(0x04, value));
}

function nameOf(commonNames: readonly string[]): Buffer {
  return seq(...commonNames.map((name) => tlv(0x31, seq(oid('2.5.4.3'), tlv(0x0c, Buffer.from(name))))));
}

function time(ms: number): Buffer {
  return tlv(0x17, Buffer.from(`${new Date(ms).toISOString().slice(2, 19).replaceAll(/[-T:]/g, '')}Z`));
}
