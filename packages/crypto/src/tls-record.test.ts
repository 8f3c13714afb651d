import { type CipherGCMTypes, createDecipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeHex, encodeHex } from './bytes.ts';
import { protectTlsRecord } from './tls-record.ts';

const hex = (text: string): Uint8Array => decodeHex(text.replaceAll(' ', '')) ?? Uint8Array.of();

/** RFC 8448, section 3: the server's application traffic secret. */
const SECRET = hex('a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643');
const SUITE = 'TLS_AES_128_GCM_SHA256';
const CLOSE_NOTIFY = { type: 21, content: Uint8Array.of(1, 0), sequence: 2 };

describe('a record of TLS 1.3', () => {
  it('is that of the trace of RFC 8448: the alert of the server, its third record', () => {
    const record = protectTlsRecord(SUITE, SECRET, CLOSE_NOTIFY);
    expect(encodeHex(record ?? Uint8Array.of())).toBe('1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9');
  });

  it('is that of the trace: data of the server, its second record', () => {
    const content = Uint8Array.from({ length: 50 }, (_, at) => at);
    const record = protectTlsRecord(SUITE, SECRET, { type: 23, content, sequence: 1 });
    expect(encodeHex(record ?? Uint8Array.of())).toBe(
      '1703030043' +
        '2e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2' +
        'e5f0a21c0047c2abf332540dd032e167c2955d',
    );
  });

  it('leaves the secret as it was, for its owner to wipe', () => {
    const before = encodeHex(SECRET);
    protectTlsRecord(SUITE, SECRET, CLOSE_NOTIFY);
    expect(encodeHex(SECRET)).toBe(before);
  });

  // The keys by `openssl kdf TLS13-KDF`.
  it.each<[suite: string, aead: string, secretBytes: number, key: string, iv: string]>([
    [
      'TLS_AES_256_GCM_SHA384',
      'aes-256-gcm',
      48,
      'a4acc85793d22183a2ecfedf56e52abe8cb87220c384ae93049602c51bc07826',
      'e05377655b035bfa7842bf70',
    ],
    [
      'TLS_CHACHA20_POLY1305_SHA256',
      'chacha20-poly1305',
      32,
      '3456f199518c7ece066b576773055ee57583e26ae707b99439440f14169d3836',
      '11215b213bc073db189c2040',
    ],
  ])('of %s opens with the keys that OpenSSL derives', (suite, aead, secretBytes, key, iv) => {
    const secret = new Uint8Array(secretBytes).fill(7);
    const record = Buffer.from(protectTlsRecord(suite, secret, { type: 21, content: Uint8Array.of(2, 48), sequence: 0 }) ?? []);
    expect([...record.subarray(0, 5)]).toEqual([23, 3, 3, 0, 19]);
    const decipher = createDecipheriv(aead as CipherGCMTypes, hex(key), hex(iv), { authTagLength: 16 });
    decipher.setAAD(record.subarray(0, 5)).setAuthTag(record.subarray(-16));
    expect([...decipher.update(record.subarray(5, -16)), ...decipher.final()]).toEqual([2, 48, 21]);
  });

  it.each<[what: string, make: () => Uint8Array | undefined]>([
    ['a suite of TLS 1.2', () => protectTlsRecord('ECDHE-RSA-AES128-GCM-SHA256', SECRET, CLOSE_NOTIFY)],
    ['a suite with a short tag', () => protectTlsRecord('TLS_AES_128_CCM_8_SHA256', SECRET, CLOSE_NOTIFY)],
    ['a secret of another length', () => protectTlsRecord('TLS_AES_256_GCM_SHA384', SECRET, CLOSE_NOTIFY)],
    ['no secret', () => protectTlsRecord(SUITE, Uint8Array.of(), CLOSE_NOTIFY)],
    ['a number that would need another byte of the nonce', () => protectTlsRecord(SUITE, SECRET, { ...CLOSE_NOTIFY, sequence: 256 })],
    ['a negative number', () => protectTlsRecord(SUITE, SECRET, { ...CLOSE_NOTIFY, sequence: -1 })],
    ['more than a record holds', () => protectTlsRecord(SUITE, SECRET, { ...CLOSE_NOTIFY, content: new Uint8Array(16_385) })],
  ])('is not made for %s', (_what, make) => {
    expect(make()).toBeUndefined();
  });
});
