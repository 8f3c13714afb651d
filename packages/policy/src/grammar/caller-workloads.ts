/** Service-account tokens of a cluster, whose keys stand in the policy. Spec: callers, section 10. */

import { decodeBase64Url } from '@sallyport/crypto';
import type { ClusterJwk, Json, KubernetesMethod } from '@sallyport/model';
import { token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { compareText } from '../reader/node.ts';
import type { Node, Problems } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf, text } from '../reader/read.ts';
import type { Own } from './caller-form.ts';
import { publicKey } from './public-key.ts';

export const CLUSTER_KEYS_MAX = 32;
const LIFETIME_MS = 3_600_000;

export const readKubernetes: Reader<Own> = (node, problems) => {
  const declared = fields(node, problems, '`kubernetes`', ['issuer!', 'audience!', 'max_lifetime', 'keys!']);
  const [issuer, audience] = [declared?.get('issuer', token), declared?.get('audience', token)];
  const keys = declared?.get('keys', list('`keys`', clusterKey, { min: 1, max: CLUSTER_KEYS_MAX, key: ({ kid }) => kid }));
  if (declared === undefined || issuer === undefined || audience === undefined || keys === undefined) return undefined;
  const tokenLifetimeMsMax = declared.get('max_lifetime', duration('`max_lifetime`', LIMITS.tokenLifetimeMsMax)) ?? LIFETIME_MS;
  return { config: { kind: 'kubernetes', issuer, audience, tokenLifetimeMsMax, keys }, secrets: {} };
};

/** RSA with 2,048 to 8,192 bits. */
export const RSA_MODULUS = '^[A-Za-z0-9_-]{342,1366}$';
export const RSA_EXPONENT = '^[A-Za-z0-9_-]{2,6}$';
const MODULUS = { test: (n: string) => isBytes(n, RSA_MODULUS), words: 'a modulus of 256 to 1,024 bytes as base64url' };
const EXPONENT = { test: (e: string) => isBytes(e, RSA_EXPONENT), words: 'an exponent as base64url' };

function isBytes(encoded: string, form: string): boolean {
  return new RegExp(form).test(encoded) && decodeBase64Url(encoded) !== undefined;
}

const clusterKey: Reader<ClusterJwk> = (node, problems) => {
  const isRsa = node.kind === 'map' && isText(node.entries.get('kty')?.value, 'RSA');
  return isRsa ? rsaKey(node, problems) : publicKey(node, problems);
};

function isText(node: Node | undefined, value: string): boolean {
  return node?.kind === 'scalar' && node.value === value;
}

function rsaKey(node: Node, problems: Problems): ClusterJwk | undefined {
  if (node.kind === 'map' && node.entries.has('d'))
    return problems.add(node.place, 'this is a private key', { remedy: 'remove `d`, and replace the key: it has been written down' });
  const declared = fields(node, problems, 'a key', ['kid!', 'kty!', 'n!', 'e!', 'use', 'alg']);
  const kid = declared?.get('kid', text('a key id', undefined, 128));
  const [n, e] = [declared?.get('n', text('a modulus', MODULUS)), declared?.get('e', text('an exponent', EXPONENT))];
  declared?.get('use', oneOf('key use', ['sig']));
  declared?.get('alg', oneOf('key algorithm', ['RS256']));
  return kid === undefined || n === undefined || e === undefined ? undefined : { kid, kty: 'RSA', n, e };
}

export function encodeKubernetes({ issuer, audience, tokenLifetimeMsMax, keys }: KubernetesMethod): Json {
  return {
    issuer,
    audience,
    max_lifetime: formatSpan(tokenLifetimeMsMax),
    keys: keys.toSorted((a, b) => compareText(a.kid, b.kid)).map((key) => ({ ...key })),
  };
}
