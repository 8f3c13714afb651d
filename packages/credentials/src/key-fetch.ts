/**
 * Fetches an issuer's key set: by its discovery document (OpenID Connect Discovery 1.0, RFC 8414) or from the declared
 * URL. Only the declared origin is ever dialled, through the checked dialler; no redirect is followed, nothing decoded,
 * and bytes and time are bounded as a whole. docs/spec/sessions.md, section 2a.
 */

import { concatBytes } from '@sallyport/crypto';
import { type Clock, type Destination, Fault, type Issuer, type JsonObject, type KeySource, type ServerName } from '@sallyport/model';
import type { UpstreamAnswer, Upstreams } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import { KEY_DOCUMENT_BYTES_MAX, type KeySet, readKeyDocument, readKeySet } from './key-set.ts';

export interface KeyFetchOptions {
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  /** For both documents together, to their last byte. */
  readonly fetchMsMax: number;
}

/** The issuer's keys as they are published now; rejects with a Fault, its message for the log alone. */
export async function fetchKeySet(
  issuer: Issuer,
  source: KeySource,
  options: KeyFetchOptions & { readonly signal: AbortSignal },
): Promise<KeySet> {
  const fault = (): Fault => new Fault('upstream_timeout', 'upstream', `the keys took more than ${options.fetchMsMax} ms`);
  const limit = deadline(options.clock, options.fetchMsMax, { signal: options.signal, fault });
  try {
    const get = (url: string): Promise<JsonObject | undefined> => getDocument(url, source, { ...options, signal: limit.signal });
    const jwksUri = source.jwksUri ?? (await discover(issuer.issuer, get));
    const document = await get(jwksUri);
    if (document === undefined) throw protocol('there is no key set at its address');
    const keys = readKeySet(document);
    if (!keys.ok) throw protocol(keys.error);
    return keys.value;
  } catch (error) {
    // The dialler says `aborted`; what it was is in the reason.
    if (limit.signal.aborted && limit.signal.reason instanceof Fault) throw limit.signal.reason;
    throw error;
  } finally {
    limit.clear();
  }
}

type Get = (url: string) => Promise<JsonObject | undefined>;

/** Where the issuer's own document says that its keys are. */
async function discover(issuer: string, get: Get): Promise<string> {
  const document = (await get(openIdAddress(issuer))) ?? (await get(oauthAddress(issuer)));
  if (document === undefined) throw protocol('there is no discovery document');
  // Discovery 1.0, section 4.3; RFC 8414, section 3.3: or another issuer of the same host speaks for this one.
  if (document['issuer'] !== issuer) throw protocol('the discovery document is another issuer’s');
  const { jwks_uri: uri } = document;
  const [declared, named] = [addressOf(issuer), typeof uri === 'string' ? addressOf(uri) : undefined];
  if (named === undefined) throw protocol('`jwks_uri` of the discovery document is no plain URL');
  // What a document of somebody else's says must not choose whom we dial.
  if (named.scheme !== declared?.scheme || named.host !== declared.host || named.port !== declared.port)
    throw protocol('`jwks_uri` of the discovery document leads to another origin: declare it as `jwks_uri` of the Issuer');
  return uri as string;
}

function openIdAddress(issuer: string): string {
  return `${issuer.endsWith('/') ? issuer.slice(0, -1) : issuer}/.well-known/openid-configuration`;
}

/** RFC 8414, section 3.1: between the host and the path. */
function oauthAddress(issuer: string): string {
  const [, origin = issuer, path = ''] = /^(https?:\/\/[^/]+)(.*)$/.exec(issuer) ?? [];
  return `${origin}/.well-known/oauth-authorization-server${path === '/' ? '' : path}`;
}

interface Address {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** With its query, which some issuers have in `jwks_uri`. */
  readonly path: string;
}

const URL_CHARS_MAX = 2_048;
const URL_FORM =
  /^(https?):\/\/([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::([1-9][0-9]{0,4}))?(\/[A-Za-z0-9._~!$&'()*+,;=:@/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?)?$/;

/** A URL without user, fragment and escapes; `undefined` for any other, so that two readers cannot read it differently. */
export function addressOf(url: string): Address | undefined {
  if (url.length > URL_CHARS_MAX) return undefined;
  const match = URL_FORM.exec(url);
  const scheme = match?.[1];
  if (match === null || (scheme !== 'http' && scheme !== 'https')) return undefined;
  const port = match[3] === undefined ? (scheme === 'https' ? 443 : 80) : Number(match[3]);
  const path = match[4] ?? '/';
  if (port > 65_535 || /(?:^|\/)\.{1,2}(?:\/|$|\?)/.test(path)) return undefined;
  return { scheme, host: match[2] ?? '', port, path };
}

/** One document; `undefined` where there is none. */
async function getDocument(
  url: string,
  { network }: KeySource,
  { upstreams, signal }: KeyFetchOptions & { readonly signal: AbortSignal },
): Promise<JsonObject | undefined> {
  const address = addressOf(url);
  if (address === undefined) throw protocol('the address is no plain URL');
  const { scheme, host, port, path } = address;
  if (scheme === 'http' && network !== 'loopback') throw protocol('keys are not fetched without TLS');
  // A lane of its own for each origin: names of tool servers hold no slash.
  const destination: Destination = { server: `identity ${scheme}://${host}:${port} ${network}` as ServerName, scheme, host, port, network };
  const answer = await upstreams.request(destination, {
    method: 'GET',
    path,
    headers: [['accept', 'application/json']],
    onlyReads: true,
    signal,
    bodyBytesMax: KEY_DOCUMENT_BYTES_MAX,
  });
  return readAnswer(answer);
}

async function readAnswer(answer: UpstreamAnswer): Promise<JsonObject | undefined> {
  if (answer.status === 200 && answer.contentEncoding === undefined) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    const document = readKeyDocument(concatBytes(...chunks));
    if (!document.ok) throw protocol(document.error);
    return document.value;
  }
  answer.discard();
  if (answer.status === 404) return undefined;
  const isRedirect = answer.status >= 300 && answer.status < 400;
  throw protocol(
    answer.contentEncoding === undefined
      ? `the answer is ${answer.status}${isRedirect ? ', and no redirect is followed' : ''}`
      : 'the answer is encoded although it was asked not to be',
  );
}

function protocol(message: string): Fault {
  return new Fault('upstream_protocol', 'upstream', message);
}
