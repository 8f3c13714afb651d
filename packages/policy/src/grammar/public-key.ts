/** Public keys as they stand in documents (RFC 7517). */

import { readP256Jwk } from '@sallyport/crypto';
import type { Json, PinnedJwk } from '@sallyport/model';
import type { Reader } from '../reader/read.ts';
import { fields, oneOf, text } from '../reader/read.ts';

const COORDINATE = { test: (value: string) => /^[A-Za-z0-9_-]{43}$/.test(value), words: 'a P-256 coordinate: 32 bytes as base64url' };

/** An EC P-256 public key of RFC 7517. Members that name a URL or hold the private half are refused, not ignored. */
export const publicKey: Reader<PinnedJwk> = (node, problems) => {
  if (node.kind === 'map' && node.entries.has('d')) {
    return problems.add(node.place, 'this is a private key', { remedy: 'remove `d`, and replace the key: it has been written down' });
  }
  const declared = fields(node, problems, 'a key', ['kid!', 'kty!', 'crv!', 'x!', 'y!', 'use', 'alg']);
  const kid = declared?.get('kid', text('a key id', undefined, 128));
  const kty = declared?.get('kty', oneOf('kty', ['EC']));
  const crv = declared?.get('crv', oneOf('crv', ['P-256']));
  const x = declared?.get('x', text('a coordinate', COORDINATE));
  const y = declared?.get('y', text('a coordinate', COORDINATE));
  declared?.get('use', oneOf('key use', ['sig']));
  declared?.get('alg', oneOf('key algorithm', ['ES256']));
  if (kid === undefined || kty === undefined || crv === undefined || x === undefined || y === undefined) return undefined;
  if (readP256Jwk(x, y) === undefined) return problems.add(node.place, 'the coordinates are not a point of P-256');
  return { kid, kty, crv, x, y };
};

export function encodeKey({ kid, kty, crv, x, y }: PinnedJwk): Json {
  return { kid, kty, crv, x, y };
}
