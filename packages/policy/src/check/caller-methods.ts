/**
 * What several documents say together of how callers prove themselves: each credential is told as one method's, a secret
 * that proves callers is sent nowhere, and an attribute has the type that issuers give it. Spec: policy-v1 3.4b.
 */

import { isAttributeOf, judgeHmacTemplate } from '@sallyport/model';
import type { CallerMethodConfig } from '@sallyport/model';
import { inWords, type DeclaredAttribute } from './attributes.ts';
import { secretOf } from '../grammar/credential.ts';
import type { CallerMethodDocument } from '../grammar/caller-method.ts';
import type { Declared, Located } from '../grammar/declared.ts';
import { placeAt, placeOfPath } from '../reader/locate.ts';
import { quote } from '../reader/node.ts';
import type { Problems } from '../reader/node.ts';

/** Reports methods that cannot be told apart, secrets with two uses, and attributes of another type. */
export function checkCallerMethods(declared: Declared, attributes: ReadonlyMap<string, DeclaredAttribute>, problems: Problems): void {
  checkTold(declared, problems);
  checkSecrets(declared, problems);
  checkIntrospection(declared, problems);
  for (const located of declared.callerMethods) {
    checkOwn(located, problems);
    checkAttributes(located, attributes, problems);
  }
}

/** A kubelet asks for ten minutes at least. */
const CLUSTER_LIFETIME_MS_MIN = 60_000;

/** What one method says of itself in several places. */
function checkOwn({ value: { config }, node }: Located<CallerMethodDocument>, problems: Problems): void {
  const own = node.kind === 'map' ? (node.entries.get(config.kind)?.value ?? node) : node;
  if (config.kind === 'hmac') {
    for (const { path, message, remedy } of judgeHmacTemplate(config.template))
      problems.add(placeOfPath(own, path), message, remedy === undefined ? {} : { remedy });
    if (config.headers.keyId === undefined && config.keys.length > 1)
      problems.add(placeAt(own, 'keys'), 'several keys need a header that names one', { remedy: 'headers: { …, key_id: x-key-id }' });
  }
  if (config.kind !== 'kubernetes') return;
  if (config.audience === config.issuer)
    problems.add(placeAt(own, 'audience'), '`audience` is that of the cluster itself', { remedy: 'an audience of this gateway alone' });
  if (config.tokenLifetimeMsMax < CLUSTER_LIFETIME_MS_MIN)
    problems.add(placeAt(own, 'max_lifetime'), '`max_lifetime` is shorter than any token of a cluster lives', { remedy: 'such as 10m' });
}

/** Where a request carries a method's credential. */
function placeOf(config: CallerMethodConfig): string {
  switch (config.kind) {
    case 'slack':
      return 'header `x-slack-signature`';
    case 'hmac':
      return `header \`${config.headers.signature}\``;
    case 'api_key':
      return config.header === 'authorization' ? 'an API key in `authorization`' : `header \`${config.header}\``;
    case 'http_signature':
      return 'header `signature`';
    case 'mtls':
      return 'the certificate of the connection';
    case 'kubernetes':
      return `a token of ${quote(config.issuer)}`;
  }
}

/** A request whose credential two methods claim is refused, so that every request would be. */
function checkTold({ callerMethods, issuers }: Declared, problems: Problems): void {
  const taken = new Map<string, string>(issuers.map(({ value }) => [`a token of ${quote(value.issuer)}`, `issuer ${quote(value.issuer)}`]));
  for (const { value, node } of callerMethods) {
    const place = placeOf(value.config);
    const first = taken.get(place);
    taken.set(place, first ?? `caller method ${quote(value.config.name)}`);
    if (first !== undefined)
      problems.add(placeAt(node, value.config.kind), `${place} is told as that of ${first} already`, {
        remedy: 'one method for each place where a credential stands; it may have many keys',
      });
  }
}

/** Whoever is sent a secret that proves callers could pass for every one of them. */
function checkSecrets({ callerMethods, credentials, issuers }: Declared, problems: Problems): void {
  const sent = new Map(credentials.map(({ value }) => [secretOf(value.source), value.name]));
  for (const { value, node } of callerMethods)
    for (const name of Object.keys(value.secrets)) {
      const credential = sent.get(name);
      if (credential !== undefined)
        problems.add(placeAt(node, value.config.kind), `credential ${quote(credential)} sends the secret that proves callers here`, {
          remedy: 'a secret of its own for each',
        });
    }
  for (const { value, node } of issuers) {
    const credential = sent.get(value.introspection?.secret.name ?? '');
    if (credential !== undefined)
      problems.add(placeAt(node, 'introspection'), `credential ${quote(credential)} sends the secret that the issuer is asked with`, {
        remedy: 'a secret of its own for each',
      });
  }
}

/** Of a token that says nothing, nobody could tell which of two to ask. */
function checkIntrospection({ issuers }: Declared, problems: Problems): void {
  const [first, ...others] = issuers.filter(({ value }) => value.introspection !== undefined);
  for (const { node } of others)
    problems.add(placeAt(node, 'introspection'), `${quote(first?.value.issuer ?? '')} is asked about tokens already`, {
      remedy: 'one issuer with `introspection`',
    });
}

function checkAttributes(
  { value, node }: Located<CallerMethodDocument>,
  attributes: ReadonlyMap<string, DeclaredAttribute>,
  problems: Problems,
): void {
  for (const [index, { identity }] of value.config.principals.entries())
    for (const [name, given] of Object.entries(identity.attributes)) {
      const attribute = attributes.get(name);
      const place = placeAt(node, 'principals', index, 'attributes', name);
      if (attribute?.isOfDirectory === true)
        problems.add(place, `attribute ${quote(name)} is the directory's to say`, { remedy: 'leave it out' });
      else if (attribute !== undefined && !isAttributeOf(given, attribute))
        problems.add(place, `attribute ${quote(name)} is ${inWords(attribute)}`);
    }
}
