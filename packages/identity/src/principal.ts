/**
 * From the claims of a verified token to a principal: an issuer's mapping is the only way in, so a claim that the
 * bundle does not name is not a fact. Verifies nothing; the caller holds a proven signature before it asks.
 */

import type { AttributeType, AttributeValue, Instant, Issuer, JsonObject, Principal, PrincipalId } from '@sallyport/model';
import type { Problem, Result, TenantId } from '@sallyport/model';
import { fail, hasAttributeType, ok } from '@sallyport/model';
import { LIST_ITEMS_MAX, TEXT_CHARS_MAX, isText, isTextList, own, readName, readWords } from './claim-readers.ts';
import { readNumericDate } from './token-times.ts';

/**
 * The principal that an issuer's token speaks of. Every mapped claim is typed: subject and tenant are required
 * text, roles and scopes an array of text or one space-separated text, attributes of the type that the mapping declares,
 * else text, numbers, booleans or lists of text. What is there and does not fit is refused, not taken for absent.
 * Reports every problem with the claim's name as its path.
 */
export function principalFromClaims(issuer: Issuer, claims: JsonObject): Result<Principal, readonly Problem[]> {
  const problems: Problem[] = [];
  const id = readName(claims, issuer.claims.subject, problems);
  const tenant = readName(claims, issuer.claims.tenant, problems);
  const roles = mappedRoles(issuer.groups, readWords(claims, issuer.claims.roles, problems));
  const scopes = readWords(claims, issuer.claims.scopes, problems);
  const attributes = readAttributes(claims, issuer.claims.attributes, problems);
  const authenticatedAt = readAuthenticatedAt(claims, problems);
  const acr = own(claims, 'acr') === undefined ? undefined : readName(claims, 'acr', problems);
  const amr = own(claims, 'amr') === undefined ? undefined : readWords(claims, 'amr', problems);
  if (id === undefined || tenant === undefined || authenticatedAt === undefined || problems.length > 0) return fail(problems);
  return ok({
    id: id as PrincipalId,
    kind: 'person',
    tenant: tenant as TenantId,
    issuer: issuer.issuer,
    roles,
    scopes,
    attributes,
    authenticatedAt,
    ...(acr === undefined ? {} : { acr }),
    ...(amr === undefined ? {} : { amr }),
  });
}

/** What a token says that a session is for. */
export interface Purpose {
  readonly task?: string;
  /** The one tool that the token was issued for: `server/tool`, or its local name. */
  readonly step?: string;
}

/** The purpose that the token ties its session to; empty where it names none. */
export function purposeFromClaims({ claims: names }: Issuer, claims: JsonObject): Result<Purpose, readonly Problem[]> {
  const problems: Problem[] = [];
  const read = (name: string | undefined): string | undefined =>
    name === undefined || own(claims, name) === undefined ? undefined : readName(claims, name, problems);
  const [task, step] = [read(names.task), read(names.step)];
  return problems.length > 0 ? fail(problems) : ok({ ...(task === undefined ? {} : { task }), ...(step === undefined ? {} : { step }) });
}

/** The case that the token ties its session to, or `null` where it names none. */
export function caseFromClaims(issuer: Issuer, claims: JsonObject): Result<string | null, readonly Problem[]> {
  if (own(claims, issuer.claims.case) === undefined) return ok(null);
  const problems: Problem[] = [];
  const value = readName(claims, issuer.claims.case, problems);
  return value === undefined ? fail(problems) : ok(value);
}

/** A group that the bundle does not map is no role, whatever it is called: an identity provider's names are not ours. */
function mappedRoles(groups: Issuer['groups'], words: readonly string[]): readonly string[] {
  if (groups === undefined) return words;
  const roles = words.map((word) => (Object.hasOwn(groups, word) ? groups[word] : undefined)).filter((role) => role !== undefined);
  return [...new Set(roles)];
}

function readAttributes(claims: JsonObject, mapping: Issuer['claims']['attributes'], problems: Problem[]): Principal['attributes'] {
  const entries: [string, AttributeValue][] = [];
  for (const [attribute, { claim, type }] of Object.entries(mapping)) {
    const value = own(claims, claim);
    if (value === undefined) continue;
    const isScalar = typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value)) || isText(value);
    const isKnown = isScalar || isTextList(value);
    if (isKnown && (type === undefined || hasAttributeType(value, type))) entries.push([attribute, value]);
    else problems.push({ path: claim, message: `is not ${type === undefined ? ANY_ATTRIBUTE : ATTRIBUTE_WORDS[type]}` });
  }
  return Object.fromEntries(entries);
}

const ANY_ATTRIBUTE = 'text, a number, a boolean or a list of texts';
const ATTRIBUTE_WORDS: Readonly<Record<AttributeType, string>> = {
  string: `a printable text of at most ${TEXT_CHARS_MAX} characters`,
  integer: 'a whole number',
  decimal: 'a number without exponent',
  boolean: 'true or false',
  strings: `a list of at most ${LIST_ITEMS_MAX} printable texts`,
};

/** A refresh renews `iat` without a person's presence, so `auth_time` wins where the issuer tells it (OpenID Connect Core 1.0, section 2). */
function readAuthenticatedAt(claims: JsonObject, problems: Problem[]): Instant | undefined {
  return readNumericDate(claims, own(claims, 'auth_time') === undefined ? 'iat' : 'auth_time', problems);
}
