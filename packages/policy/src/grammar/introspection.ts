/** Tokens that say nothing by themselves: where their issuer is asked about them (RFC 7662), and as whom. Spec: policy-v1 3.4. */

import type { Introspection, JsonObject } from '@sallyport/model';
import { LIMITS } from '../reader/limits.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, text } from '../reader/read.ts';
import { callerSecret } from './caller-form.ts';
import { clientName, encodeSource } from './credential.ts';

const CACHE_MS = 30_000;

/** Without the network of its host, which stands in the Issuer. */
export const introspection: Reader<Omit<Introspection, 'network'>> = (node, problems) => {
  const declared = fields(node, problems, '`introspection`', ['url!', 'client_id!', 'client_secret!', 'cache']);
  const url = declared?.get('url', text('the URL of an introspection endpoint'));
  const clientId = declared?.get('client_id', clientName);
  const secret = declared?.get('client_secret', callerSecret);
  const cacheMsMax = declared?.get('cache', duration('`cache`', LIMITS.introspectionCacheMsMax)) ?? CACHE_MS;
  if (url === undefined || clientId === undefined || secret === undefined) return undefined;
  return { url, clientId, secret, cacheMsMax };
};

export function encodeIntrospection({ url, clientId, secret, network, cacheMsMax }: Introspection): JsonObject {
  const asked = { url, client_id: clientId, client_secret: encodeSource(secret.source), cache: formatSpan(cacheMsMax) };
  return { introspection: asked, network };
}
