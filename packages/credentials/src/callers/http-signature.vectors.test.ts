/** RFC 9421, appendix B.2: requests and a response that its authors signed, with the keys of appendix B.1. */

import {
  decodeBase64,
  decodeBase64Url,
  equalBytes,
  fromUtf8,
  hmacSha256,
  readP256Jwk,
  readVerifyKey,
  utf8,
  verify,
} from '@sallyport/crypto';
import { describe, expect, it } from 'vitest';
import {
  type InnerList,
  coveredNames,
  isContentDigest,
  isInnerList,
  parseDictionary,
  serializeInnerList,
  signatureBase,
} from '@sallyport/identity';

const REQUEST = {
  method: 'POST',
  target: '/foo?param=Value&Pet=dog',
  authority: 'example.com',
  rawHeaders: [
    ['Host', 'example.com'],
    ['Date', 'Tue, 20 Apr 2021 02:07:55 GMT'],
    ['Content-Type', 'application/json'],
    ['Content-Digest', 'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:'],
    ['Content-Length', '18'],
  ].flat(),
};

function inputOf(field: string): InnerList {
  const [member] = parseDictionary(field)?.values() ?? [];
  if (member === undefined || !isInnerList(member)) throw new Error('not an input');
  return member;
}

function signatureOf(field: string): Uint8Array {
  const [member] = parseDictionary(field)?.values() ?? [];
  if (member === undefined || isInnerList(member) || !(member.value instanceof Uint8Array)) throw new Error('not a signature');
  return member.value;
}

function baseOf(field: string): Uint8Array {
  const input = inputOf(field);
  const names = coveredNames(input);
  const base = names.ok ? signatureBase(REQUEST, names.value, input) : names;
  if (!base.ok) throw new Error(base.error);
  return base.value;
}

const bytes = (base64: string): Uint8Array => decodeBase64(base64) ?? new Uint8Array();

describe('RFC 9421, appendix B.2', () => {
  it('B.2.5: hmac-sha256', () => {
    const secret = bytes('uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==');
    const base = baseOf('sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"');
    const signature = signatureOf('sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:');
    expect(equalBytes(hmacSha256(secret, base), signature)).toBe(true);
  });

  it('B.2.6: ed25519, and the base as it is printed there', () => {
    const base = baseOf(
      'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    );
    expect(fromUtf8(base)).toBe(
      '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@method": POST\n"@path": /foo\n"@authority": example.com\n"content-type": application/json\n"content-length": 18\n' +
        '"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
    );
    const key = readVerifyKey('ed25519', decodeBase64Url('JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs') ?? new Uint8Array());
    const signature = signatureOf('sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:');
    expect(key !== undefined && verify(key, base, signature)).toBe(true);
  });

  it('B.2.4: ecdsa-p256-sha256, over the base of a response', () => {
    const key = readP256Jwk('qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA', 'Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0');
    const input = '("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"';
    const digest = 'sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:';
    const base = `"@status": 200\n"content-type": application/json\n"content-digest": ${digest}\n"content-length": 23\n"@signature-params": ${serializeInnerList(inputOf(`sig-b24=${input}`))}`;
    const signature = signatureOf('sig-b24=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==:');
    expect(key !== undefined && verify(key, utf8(base), signature)).toBe(true);
    expect(isContentDigest(digest, utf8('{"message": "good dog"}'))).toBe(true);
  });

  it('B.2: the digest of the request’s content (RFC 9530)', () => {
    expect(isContentDigest(REQUEST.rawHeaders[7] as string, utf8('{"hello": "world"}'))).toBe(true);
    expect(isContentDigest(REQUEST.rawHeaders[7] as string, utf8('{"hello": "World"}'))).toBe(false);
  });

  it('section 2.2.7: a request without a query has an empty one', () => {
    const input = inputOf('sig=("@query")');
    const base = signatureBase({ ...REQUEST, target: '/foo' }, ['@query'], input);
    expect(base.ok && fromUtf8(base.value)).toBe('"@query": ?\n"@signature-params": ("@query")');
  });

  it('section 2.2.3: the default port is no part of the authority', () => {
    const base = signatureBase({ ...REQUEST, authority: 'example.com:443' }, ['@authority'], inputOf('sig=("@authority")'));
    expect(base.ok && fromUtf8(base.value)).toContain('"@authority": example.com\n');
  });
});
