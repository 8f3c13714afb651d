/** What the kinds of a CallerMethod share: secrets by reference, names of headers. */

import type { CallerMapping, CallerMethodConfig, Json } from '@sallyport/model';
import { invariant } from '@sallyport/model';
import type { Reader } from '../reader/read.ts';
import { text } from '../reader/read.ts';
import type { FileSource, VaultSource } from './credential.ts';
import { encodeSource, heldSource, secretOf } from './credential.ts';

/** Where a secret lies that proves callers. A token that is fetched is none. */
export type CallerSecret = FileSource | VaultSource;
export type Secrets = Readonly<Record<string, CallerSecret>>;

/** A method of one kind without its name and its rows. */
export interface Own {
  readonly config: DistributiveOmit<CallerMethodConfig, 'name' | 'principals'>;
  readonly secrets: Secrets;
}

type DistributiveOmit<T extends { readonly principals: readonly CallerMapping[] }, K extends keyof T> = T extends unknown
  ? Omit<T, K>
  : never;

/** A reference, under the name by which the method asks for it: two methods that name one place share one secret. */
export const callerSecret: Reader<{ readonly name: string; readonly source: CallerSecret }> = (node, problems) => {
  const source = heldSource(node, problems);
  return source === undefined ? undefined : { name: secretOf(source), source };
};

export function encodeSecret(name: string, secrets: Secrets): Json {
  const source = secrets[name];
  invariant(source !== undefined, 'a method names the secrets that stand beside it');
  return encodeSource(source);
}

/** Neither what means something between neighbours, nor where the body is described, nor this gateway's own. */
export const CALLER_HEADER =
  '^(?!(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|cookie|dpop|sallyport-.*|content-(?:length|type|encoding))$)[a-z][a-z0-9_-]{0,62}$';
const HEADER = { test: (name: string) => new RegExp(CALLER_HEADER).test(name), words: 'the name of a header, in lower case' };
export const callerHeader: Reader<string> = text('the name of a header', HEADER);

/** As `callerHeader`, where a token of an issuer must keep its place. */
export const OTHER_HEADER: string = `^(?!authorization$)${CALLER_HEADER.slice(1)}`;
const OTHER = { test: (name: string) => new RegExp(OTHER_HEADER).test(name), words: 'the name of a header, in lower case' };
export const otherHeader: Reader<string> = text('the name of a header', OTHER);

/** Any header that a signature may be over. */
export const SIGNED_HEADER = '^[a-z][a-z0-9_-]{0,62}$';
const SIGNED = { test: (name: string) => new RegExp(SIGNED_HEADER).test(name), words: 'the name of a header, in lower case' };
export const signedHeader: Reader<string> = text('the name of a header', SIGNED);

export const KEY_ID = '^[A-Za-z0-9._-]{1,64}$';
export const keyId: Reader<string> = text('a key id', {
  test: (id) => new RegExp(KEY_ID).test(id),
  words: 'a key id: 1 to 64 of A-Za-z0-9, `.`, `_` and `-`',
});
