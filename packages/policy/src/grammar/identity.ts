/** Agents and issuers: read from documents and parts alike, and written back in the same form. */

import { REQUIRABLE_CLAIMS, TOKEN_ALGORITHMS } from '@sallyport/model';
import type { Agent, CallerGrant, Issuer, Json, JsonObject, KeySource, PinnedJwk } from '@sallyport/model';
import { agentName, scope, serverName, token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Node, Problems } from '../reader/node.ts';
import type { Fields, Reader } from '../reader/read.ts';
import { count, isTrue } from '../reader/read-more.ts';
import { bool, duration, fields, formatSpan, list, oneOf, record, text } from '../reader/read.ts';
import { NETWORKS } from './catalog.ts';
import { encodeIntrospection, introspection } from './introspection.ts';
import { claimDefaults, claimNames, encodeClaims } from './claims.ts';
import { agentDelegation, encodeAgentDelegation } from './delegation.ts';
import { directoryAttributes, encodeDirectoryAttributes } from './directory.ts';
import { encodeKey, publicKey } from './public-key.ts';
import { USUAL_SESSIONS, encodeSessionRules, sessionRules } from './sessions.ts';

/** One in use, and others that are taking its place. */
export const SIGNING_KEYS_MAX = 8;

/** An agent; sessions are opened by operators, idle for 15 minutes at most and over after 8 hours, unless said otherwise. */
export const agent: Reader<Agent> = (node, problems) => {
  const declared = fields(node, problems, 'an Agent', [
    'name!',
    'owner!',
    'uses!',
    'callers',
    'delegation',
    'signing_keys',
    'isolation',
    'sessions',
  ]);
  const name = declared?.get('name', agentName);
  if (declared === undefined || name === undefined) return undefined;
  const callers = declared.get('callers', list('`callers`', callerGrant));
  const delegation = declared.get('delegation', agentDelegation);
  const signingKeys = declared.get(
    'signing_keys',
    list('`signing_keys`', publicKey, { min: 1, max: SIGNING_KEYS_MAX, key: (key) => key.kid }),
  );
  const isolation = declared.get('isolation', oneOf('isolation of an Agent', ['advisory']));
  return {
    name,
    owner: declared.get('owner', text('an owner')) ?? '',
    uses: declared.get('uses', list('`uses`', serverName, { key: (entry) => entry })) ?? [],
    ...(callers === undefined ? {} : { callers }),
    ...(delegation === undefined ? {} : { delegation }),
    ...(signingKeys === undefined ? {} : { signingKeys }),
    ...(isolation === undefined ? {} : { isolation }),
    sessions: declared.get('sessions', sessionRules) ?? USUAL_SESSIONS,
  };
};

const GRANT_FIELDS = ['roles', 'tenants', 'principals', 'scopes'] as const;

/** At least one list: a grant that names nobody would be one to everybody. */
const callerGrant: Reader<CallerGrant> = (node, problems) => {
  const declared = fields(node, problems, 'a caller', GRANT_FIELDS);
  if (declared === undefined) return undefined;
  if (!GRANT_FIELDS.some((name) => declared.has(name)))
    return problems.add(node.place, 'a caller names nobody', { remedy: 'such as roles: [engineering]' });
  const lists = GRANT_FIELDS.map(
    (name) =>
      [name, declared.get(name, list(`\`${name}\``, name === 'scopes' ? scope : token, { min: 1, key: (entry) => entry }))] as const,
  );
  return Object.fromEntries(lists.filter(([, names]) => names !== undefined));
};

function encodeCallerGrant(grant: CallerGrant): Json {
  return Object.fromEntries(
    GRANT_FIELDS.flatMap((name) => {
      const names = grant[name];
      return names === undefined ? [] : [[name, names.toSorted()]];
    }),
  );
}

export function encodeAgent({ name, owner, uses, callers, delegation, signingKeys, isolation, sessions }: Agent): Json {
  // In the order of the document: which of them granted is on record by its place.
  const granted = callers === undefined ? {} : { callers: callers.map(encodeCallerGrant) };
  return {
    name,
    owner,
    uses: uses.toSorted(),
    ...granted,
    ...(delegation === undefined ? {} : { delegation: encodeAgentDelegation(delegation) }),
    ...(signingKeys === undefined ? {} : { signing_keys: signingKeys.map(encodeKey) }),
    ...(isolation === undefined ? {} : { isolation }),
    sessions: encodeSessionRules(sessions),
  };
}

/** Where keys come from: exactly one of these. */
export const KEY_FIELDS = ['keys', 'keys_file', 'discovery', 'jwks_uri', 'introspection'] as const;
const ISSUER_FIELDS = [
  'issuer!',
  'audience!',
  ...KEY_FIELDS,
  'network',
  'jwks_age_max',
  'algorithms',
  'max_lifetime',
  'environment',
  'min_scope_version',
  'groups',
  'required_claims',
  'strict_claims',
  'claims',
  'directory',
];
const JWKS_AGE_MS = 3_600_000;

/** Finds the key set that `keys_file` names, already read; `undefined` where there is none. */
export type FindKeys = (file: string, node: Node) => Node | undefined;

/** An issuer whose URL and audience may still hold `${env.x}`; the longest token life is an hour unless said otherwise. */
export function issuer(findKeys: FindKeys): Reader<Issuer> {
  return (node, problems) => {
    const declared = fields(node, problems, 'an Issuer', ISSUER_FIELDS);
    const url = declared?.get('issuer', text('an issuer'));
    if (declared === undefined || url === undefined) return undefined;
    const claims = declared.get('claims', claimNames) ?? claimDefaults({});
    const refinements = refinementsOf(declared, claims);
    const directory = declared.get('directory', directoryAttributes);
    return {
      issuer: url,
      audience: declared.get('audience', text('an audience')) ?? '',
      ...keysOf(declared, findKeys, problems),
      ...refinements,
      tokenLifetimeMsMax: declared.get('max_lifetime', duration('`max_lifetime`', LIMITS.tokenLifetimeMsMax)) ?? 3_600_000,
      claims: compared(claims, refinements),
      ...(directory === undefined ? {} : { directory }),
    };
  };
}

type Refinements = Pick<Issuer, 'algorithms' | 'environment' | 'scopeVersion' | 'groups' | 'requiredClaims' | 'strictClaims'>;

/** What an issuer may ask of its tokens beyond a signature. */
function refinementsOf(declared: Fields, names: Issuer['claims']): Refinements {
  const reader = list('`algorithms`', oneOf('token algorithm', TOKEN_ALGORITHMS), { min: 1, key: (name) => name });
  const algorithms = declared.get('algorithms', reader);
  const environment = declared.get('environment', text('an environment', undefined, 128));
  const version = declared.get('min_scope_version', count('`min_scope_version`', 1, LIMITS.countMax));
  const groups = declared.get('groups', record('`groups`', token, GROUP));
  const required = declared.get(
    'required_claims',
    list('`required_claims`', oneOf('claim', REQUIRABLE_CLAIMS), { min: 1, key: (name) => name }),
  );
  const strict = declared.get('strict_claims', isTrue);
  return {
    ...(algorithms === undefined ? {} : { algorithms }),
    ...(environment === undefined ? {} : { environment: { claim: names.environment ?? ENVIRONMENT_CLAIM, is: environment } }),
    ...(version === undefined ? {} : { scopeVersion: { claim: names.scopeVersion ?? SCOPE_VERSION_CLAIM, min: version } }),
    ...(groups === undefined ? {} : { groups }),
    ...(required === undefined ? {} : { requiredClaims: required }),
    ...(strict === undefined ? {} : { strictClaims: strict }),
  };
}

/** What is compared or asked for is read as well, by its usual name where the mapping gives none. */
function compared(claims: Issuer['claims'], asked: Refinements): Issuer['claims'] {
  const isAsked = (name: 'environment' | 'scope_version'): boolean =>
    asked.strictClaims === true || asked.requiredClaims?.includes(name) === true;
  return {
    ...claims,
    ...(asked.environment !== undefined || isAsked('environment') ? { environment: claims.environment ?? ENVIRONMENT_CLAIM } : {}),
    ...(asked.scopeVersion !== undefined || isAsked('scope_version') ? { scopeVersion: claims.scopeVersion ?? SCOPE_VERSION_CLAIM } : {}),
  };
}

const ENVIRONMENT_CLAIM = 'env';
const SCOPE_VERSION_CLAIM = 'scope_version';
const GROUP = {
  test: (name: string) => /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,256}$/u.test(name),
  words: 'a group: 1 to 256 printable characters',
};

function keysOf(declared: Fields, findKeys: FindKeys, problems: Problems): Pick<Issuer, 'keys' | 'keySource' | 'introspection'> {
  const network = declared.get('network', oneOf('network', NETWORKS)) ?? 'public';
  const ageMsMax = declared.get('jwks_age_max', duration('`jwks_age_max`', LIMITS.jwksAgeMsMax)) ?? JWKS_AGE_MS;
  if (KEY_FIELDS.filter((key) => declared.has(key)).length !== 1) {
    problems.add(declared.place, 'an Issuer has exactly one of `keys`, `keys_file`, `discovery`, `jwks_uri` and `introspection`');
    return { keys: [] };
  }
  if (declared.has('discovery')) {
    const isOn = declared.get('discovery', bool);
    const node = declared.node('discovery');
    if (isOn === false && node !== undefined)
      problems.add(node.place, '`discovery` is `true` or absent', { remedy: 'give `keys`, or leave `discovery: true`' });
    return { keys: [], keySource: { network, ageMsMax } };
  }
  const asked = declared.get('introspection', introspection);
  if (asked !== undefined) return { keys: [], introspection: { ...asked, network } };
  if (declared.has('introspection')) return { keys: [] };
  const jwksUri = declared.get('jwks_uri', text('the URL of a key set'));
  if (jwksUri !== undefined) return { keys: [], keySource: { jwksUri, network, ageMsMax } };
  return { keys: pinnedOf(declared, findKeys, problems) ?? [] };
}

function pinnedOf(declared: Fields, findKeys: FindKeys, problems: Problems): readonly PinnedJwk[] | undefined {
  const reader = list('`keys`', publicKey, { min: 1, max: 32, key: (key) => key.kid });
  if (declared.has('keys')) return declared.get('keys', reader);
  const node = declared.node('keys_file');
  const file = declared.get('keys_file', text('a file name'));
  if (node === undefined || file === undefined) return undefined;
  const before = problems.count;
  const keys = findKeys(file, node);
  if (keys !== undefined) return reader(keys, problems);
  return problems.count > before ? undefined : problems.add(node.place, 'the key set cannot be read');
}

function encodeTrust({ keys, keySource, introspection: asked }: Issuer): JsonObject {
  if (asked !== undefined) return encodeIntrospection(asked);
  return keySource === undefined ? { keys: keys.map(encodeKey) } : encodeSource(keySource);
}

export function encodeIssuer(value: Issuer): Json {
  const { algorithms, environment, scopeVersion, groups, requiredClaims, strictClaims, directory } = value;
  return {
    issuer: value.issuer,
    audience: value.audience,
    ...encodeTrust(value),
    ...(algorithms === undefined ? {} : { algorithms: algorithms.toSorted() }),
    max_lifetime: formatSpan(value.tokenLifetimeMsMax),
    ...(environment === undefined ? {} : { environment: environment.is }),
    ...(scopeVersion === undefined ? {} : { min_scope_version: scopeVersion.min }),
    ...(groups === undefined ? {} : { groups: { ...groups } }),
    ...(requiredClaims === undefined ? {} : { required_claims: requiredClaims.toSorted() }),
    ...(strictClaims === undefined ? {} : { strict_claims: strictClaims }),
    claims: encodeClaims(value.claims),
    ...(directory === undefined ? {} : { directory: encodeDirectoryAttributes(directory) }),
  };
}

function encodeSource({ jwksUri, network, ageMsMax }: KeySource): JsonObject {
  const where = jwksUri === undefined ? { discovery: true } : { jwks_uri: jwksUri };
  return { ...where, network, jwks_age_max: formatSpan(ageMsMax) };
}
