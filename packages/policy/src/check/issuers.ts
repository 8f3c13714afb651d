/** What an issuer says of its tokens must be able to hold, and a key set is fetched from one address that can be judged. */

import { ORIGIN_CLAIMS, STRICT_CLAIMS, algorithmsOf } from '@sallyport/model';
import type { Issuer } from '@sallyport/model';
import type { Located } from '../grammar/declared.ts';
import { placeAt } from '../reader/locate.ts';
import type { Place, Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import type { EnvironmentValues } from '../rule.ts';
import { parseBaseUrl, substitute } from './environment.ts';

/** Reports what cannot hold in an issuer's declaration. */
export function checkIssuer({ value, node }: Located<Issuer>, environment: EnvironmentValues, problems: Problems): void {
  const url = substitute(value.issuer, placeAt(node, 'issuer'), environment, problems);
  if (url?.startsWith(CALLER_METHODS) === true)
    problems.add(placeAt(node, 'issuer'), `${quote(url)} is how records name callers that a CallerMethod has proven`);
  substitute(value.audience, placeAt(node, 'audience'), environment, problems);
  if (value.environment !== undefined) substitute(value.environment.is, placeAt(node, 'environment'), environment, problems);
  checkAsked({ value, node }, problems);
  if (value.introspection !== undefined) {
    checkIntrospected({ value, node }, environment, problems);
    return;
  }
  if (value.keySource === undefined) {
    checkPinned({ value, node }, problems);
    return;
  }
  const { jwksUri, network } = value.keySource;
  const field = jwksUri === undefined ? 'issuer' : 'jwks_uri';
  const address = jwksUri === undefined ? url : substitute(jwksUri, placeAt(node, field), environment, problems);
  if (address !== undefined) checkKeyAddress(address, network, placeAt(node, field), problems);
}

/** A token can say only what a claim is named for: without one, every token would be refused. */
function checkAsked({ value, node }: Located<Issuer>, problems: Problems): void {
  const { requiredClaims = [], strictClaims, claims } = value;
  for (const name of ORIGIN_CLAIMS) {
    const field = requiredClaims.includes(name) ? 'required_claims' : 'strict_claims';
    const isAsked = field === 'required_claims' || (strictClaims === true && STRICT_CLAIMS.includes(name));
    if (!isAsked || claims.origin?.[name] !== undefined) continue;
    const remedy = `name the claim that carries it: claims: { ${name}: ${name} }`;
    problems.add(placeAt(node, field), `${quote(name)} is asked for and no claim is named for it`, { remedy });
  }
}

/** How the principal of a caller method names who vouched for it. */
const CALLER_METHODS = 'caller:';

/** Whoever hears the question has the token, so that it crosses no network in the clear. */
function checkIntrospected({ value, node }: Located<Issuer>, environment: EnvironmentValues, problems: Problems): void {
  const { url: template = '', network = 'public' } = value.introspection ?? {};
  const place = placeAt(node, 'introspection', 'url');
  const url = substitute(template, place, environment, problems);
  const base = url === undefined ? undefined : parseBaseUrl(url, place, problems);
  if (base?.scheme === 'http' && network !== 'loopback')
    problems.add(place, `tokens are sent to ${quote(template)} without TLS`, { remedy: 'https://, or `network: loopback` for a test' });
  for (const field of ['jwks_age_max', 'algorithms'])
    if (node.kind === 'map' && node.entries.has(field))
      problems.add(placeAt(node, field), `${quote(field)} is for tokens that are signed`, { remedy: 'leave it out' });
}

/** Keys in the document are of P-256, so that nothing else can be signed with them; what concerns fetching is a mistake. */
function checkPinned({ value, node }: Located<Issuer>, problems: Problems): void {
  for (const field of ['network', 'jwks_age_max']) {
    if (node.kind === 'map' && node.entries.has(field))
      problems.add(placeAt(node, field), `${quote(field)} is for keys that are fetched`, {
        remedy: 'leave it out, or say `discovery: true`',
      });
  }
  for (const algorithm of algorithmsOf(value)) {
    if (algorithm === 'ES256') continue;
    const remedy = 'leave `algorithms` out: keys in the document are of P-256';
    problems.add(placeAt(node, 'algorithms'), `no key of the issuer signs ${algorithm}`, { remedy });
  }
}

/** Who can change a key set on its way makes tokens, so that plain HTTP is for one's own machine. Spec: policy-v1, 3.4. */
export function checkKeyAddress(url: string, network: string, place: Place, problems: Problems): void {
  const base = parseBaseUrl(url, place, problems);
  if (base?.scheme === 'http' && network !== 'loopback')
    problems.add(place, `keys are fetched from ${quote(url)} without TLS`, { remedy: 'https://, or `network: loopback` for a test' });
}
