/**
 * Asks an issuer about tokens that say nothing by themselves (RFC 7662). The declared address alone is dialled, the gateway
 * proves itself with its own secret, and an answer is believed for a while and no longer. What cannot be asked is `unavailable`,
 * never active. docs/spec/sessions.md, section 2b.
 */

import { concatBytes, encodeBase64, utf8 } from '@sallyport/crypto';
import {
  type BootMs,
  type Clock,
  type Destination,
  Fault,
  type Introspection,
  type Issuer,
  type JsonObject,
  type ServerName,
} from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import { deadline } from '@sallyport/runtime';
import { addressOf } from './key-fetch.ts';
import { readKeyDocument } from './key-set.ts';

export type IntrospectedIssuer = Issuer & { readonly introspection: Introspection };

export type Told =
  | { readonly state: 'active'; readonly claims: JsonObject; readonly askedAt: BootMs }
  | { readonly state: 'inactive' }
  /** `why` is for the record: nothing of the token, nor of the answer. */
  | { readonly state: 'unavailable'; readonly why: string };

export interface TokenIntrospection {
  /** Never rejects. */
  ask(token: string, issuer: IntrospectedIssuer): Promise<Told>;
  /** Whether what was said then is believed now. */
  isYoung(askedAt: BootMs, issuer: IntrospectedIssuer): boolean;
}

export interface TokenIntrospectionOptions {
  readonly upstreams: Upstreams;
  readonly clock: Clock;
  /** From the request to the last byte of the answer. */
  readonly askMsMax: number;
  /** The secret of the gateway at this issuer; `undefined` where it cannot be had. */
  readonly secretOf: (of: Introspection) => Promise<string | undefined>;
}

const ANSWER_BYTES_MAX = 65_536;
/** RFC 6749, appendix A.12, as long as servers make them. Keys of this house are nobody's to hear of. */
const TOKEN = /^(?!sp_)[\x21-\x7e]{8,4096}$/;

export function tokenIntrospection(options: TokenIntrospectionOptions): TokenIntrospection {
  const { clock } = options;
  return {
    async ask(token, { introspection }) {
      if (!TOKEN.test(token)) return { state: 'inactive' };
      const secret = await options.secretOf(introspection);
      if (secret === undefined) return { state: 'unavailable', why: 'the secret cannot be resolved' };
      // What is withdrawn while the answer travels is not in it.
      const askedAt = clock.boot();
      try {
        return toldBy(await post(token, secret, introspection, options), askedAt);
      } catch (thrown) {
        return { state: 'unavailable', why: thrown instanceof Fault ? `${thrown.code}: ${thrown.message}` : 'it failed' };
      }
    },
    isYoung: (askedAt, { introspection }) => clock.boot() - askedAt < introspection.cacheMsMax,
  };
}

/** RFC 7662, section 2.2: nothing but `true` is active. */
function toldBy(document: JsonObject, askedAt: BootMs): Told {
  return document['active'] === true ? { state: 'active', claims: document, askedAt } : { state: 'inactive' };
}

async function post(
  token: string,
  secret: string,
  { url, network, clientId }: Introspection,
  { upstreams, clock, askMsMax }: TokenIntrospectionOptions,
): Promise<JsonObject> {
  const address = addressOf(url);
  if (address === undefined) throw protocol('the address is no plain URL');
  const { scheme, host, port, path } = address;
  if (scheme === 'http' && network !== 'loopback') throw protocol('tokens are not sent without TLS');
  const limit = deadline(clock, askMsMax, { fault: () => new Fault('upstream_timeout', 'upstream', `no answer within ${askMsMax} ms`) });
  // A lane of its own for each origin: names of tool servers hold no slash.
  const destination: Destination = { server: `identity ${scheme}://${host}:${port} ${network}` as ServerName, scheme, host, port, network };
  try {
    const answer = await upstreams.request(destination, {
      method: 'POST',
      path,
      headers: [
        ['accept', 'application/json'],
        ['authorization', `Basic ${basic(clientId, secret)}`],
        ['content-type', 'application/x-www-form-urlencoded'],
      ],
      body: utf8(`token=${encoded(token)}&token_type_hint=access_token`),
      signal: limit.signal,
      bodyBytesMax: ANSWER_BYTES_MAX,
    });
    if (answer.status !== 200 || answer.contentEncoding !== undefined) {
      answer.discard();
      throw protocol(`the answer is ${answer.status}`);
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    const document = readKeyDocument(concatBytes(...chunks));
    if (!document.ok) throw protocol(document.error);
    return document.value;
  } finally {
    limit.clear();
  }
}

/** RFC 6749, section 2.3.1: both halves are form-encoded first. */
function basic(id: string, secret: string): string {
  return encodeBase64(utf8(`${encoded(id)}:${encoded(secret)}`));
}

const encoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);

function protocol(message: string): Fault {
  return new Fault('upstream_protocol', 'upstream', message);
}
