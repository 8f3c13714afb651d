import { describe, expect, test } from 'vitest';
import { decodeHex, encodeBase64Url, utf8 } from './bytes.ts';
import { generateKey, randomBytes, signerFromPem } from './signer.ts';
import { readP256Jwk, readVerifyKey, verify } from './verify.ts';
import { keyIdOf } from './verify-key.ts';
import type { VerifyKey } from './verify-key.ts';

const message = utf8('one call');

describe.each(['ed25519', 'es256'] as const)('%s', (alg) => {
  const signer = signerFromPem(generateKey(alg).privatePem);
  const key = readVerifyKey(alg, signer.publicRaw) as VerifyKey;
  const signature = signer.sign(message);

  test('a signature verifies under its own key, over its own message, alone', () => {
    const stranger = readVerifyKey(alg, generateKey(alg).publicRaw) as VerifyKey;
    expect(signature.byteLength).toBe(64);
    expect(verify(key, message, signature)).toBe(true);
    expect(verify(stranger, message, signature)).toBe(false);
    expect(verify(key, utf8('another call'), signature)).toBe(false);
  });

  test('every flipped byte of a signature is refused', () => {
    for (let i = 0; i < signature.byteLength; i++) {
      const bent = Uint8Array.from(signature);
      bent[i] = (bent[i] ?? 0) ^ 0x40;
      expect(verify(key, message, bent)).toBe(false);
    }
  });

  test('random bytes are a false answer, never an exception', () => {
    for (let i = 0; i < 100; i++) {
      const garbage: VerifyKey = { alg, raw: randomBytes(i) };
      expect(verify(garbage, message, randomBytes(64))).toBe(false);
      expect(verify(key, message, randomBytes(i))).toBe(false);
    }
  });

  test('a key keeps its bytes when the caller changes the array it was read from', () => {
    const source = Uint8Array.from(signer.publicRaw);
    const read = readVerifyKey(alg, source) as VerifyKey;
    source.fill(0);
    expect(read.raw).toEqual(signer.publicRaw);
    expect(verify(read, message, signature)).toBe(true);
  });

  test('a key object changed after its first use verifies as what it now is', () => {
    const raw = Uint8Array.from(signer.publicRaw);
    const changing: VerifyKey = { alg, raw };
    expect(verify(changing, message, signature)).toBe(true);
    raw.set(generateKey(alg).publicRaw);
    expect(verify(changing, message, signature)).toBe(false);
  });
});

test('algorithm confusion: a key serves the algorithm it was read with alone', () => {
  const ed25519 = generateKey('ed25519');
  expect(readVerifyKey('es256', ed25519.publicRaw)).toBeUndefined();
  expect(readVerifyKey('ed25519', generateKey('es256').publicRaw)).toBeUndefined();
  for (const alg of ['', 'none', 'rsa', 'Ed25519', 'ES256']) expect(readVerifyKey(alg, ed25519.publicRaw)).toBeUndefined();
});

test('small-order key: a signature that fits every message is refused', () => {
  // With the neutral element as key, R = s*B holds whatever the message is; s = 0 gives R = neutral element.
  const neutral = decodeHex(`01${'00'.repeat(31)}`) ?? new Uint8Array();
  const universal = Uint8Array.of(...neutral, ...new Uint8Array(32));
  expect(readVerifyKey('ed25519', neutral)).toBeUndefined();
  expect(verify({ alg: 'ed25519', raw: neutral }, message, universal)).toBe(false);
});

test('a P-256 key comes from the x and y of a JWK, each 32 bytes and canonical', () => {
  const { publicRaw } = generateKey('es256');
  const [x, y] = [encodeBase64Url(publicRaw.subarray(1, 33)), encodeBase64Url(publicRaw.subarray(33))];
  expect(readP256Jwk(x, y)?.raw).toEqual(publicRaw);
  expect(readP256Jwk(y, x)).toBeUndefined();
  expect(readP256Jwk(`${x}=`, y)).toBeUndefined();
  expect(readP256Jwk(x, '')).toBeUndefined();
});

test('a key id is the beginning of the SHA-256 of the raw key', () => {
  expect(keyIdOf(utf8('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223');
});
