/** The parameters of an HTTP message signature (RFC 9421, section 2.3): all of them required here but `alg`, none unknown. */

import { type Instant, type Result, fail, ok } from '@sallyport/model';
import type { InnerList } from './structured-fields.ts';

export interface SignatureParameters {
  readonly createdAt: Instant;
  readonly expiresAt: Instant;
  readonly nonce: string;
  readonly keyId: string;
  readonly alg: string | undefined;
}

const NAMES: ReadonlySet<string> = new Set(['created', 'expires', 'nonce', 'keyid', 'alg', 'tag']);
/** A nonce has to be unique among the requests of one key within minutes; a counter of any length will do. */
const NONCE = /^[\x21-\x7e]{1,256}$/;
const SECONDS_MAX = 253_402_300_799;

/** Reads them; the tag has been compared. */
export function readSignatureParameters({ parameters }: InnerList): Result<SignatureParameters, string> {
  for (const name of parameters.keys()) if (!NAMES.has(name)) return fail('a parameter is unknown');
  const [created, expires, nonce] = [parameters.get('created'), parameters.get('expires'), parameters.get('nonce')];
  const [keyId, alg] = [parameters.get('keyid'), parameters.get('alg')];
  if (!isSeconds(created) || !isSeconds(expires)) return fail('`created` or `expires` is not there or no count of seconds');
  if (typeof nonce !== 'string' || !NONCE.test(nonce)) return fail('`nonce` is not there or not 1 to 256 printable characters');
  if (typeof keyId !== 'string') return fail('`keyid` is not there or no text');
  if (alg !== undefined && typeof alg !== 'string') return fail('`alg` is no text');
  return ok({ createdAt: (created * 1000) as Instant, expiresAt: (expires * 1000) as Instant, nonce, keyId, alg });
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= SECONDS_MAX;
}
