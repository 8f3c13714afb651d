/**
 * Bundle parts: JSON in the grammar of the documents, everything written out. Reading is strict (an unknown field or
 * word is a refusal) and total: it does not trust that `policy build` wrote the bytes. Spec: policy-v1 section 9.
 */

import { utf8 } from '@sallyport/crypto';
import { PART_NAMES, fail, ok } from '@sallyport/model';
import type {
  Agent,
  CalledAgent,
  Destination,
  Issuer,
  Json,
  PartName,
  Problem,
  Result,
  ServerTls,
  Tool,
  ToolServer,
  TrustDomain,
} from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { canonicalJson } from '../check/canonical.ts';
import { encodeEnvironmentValue, environmentValues, parseBaseUrl, substitute } from '../check/environment.ts';
import type { Layering } from '../check/layering.ts';
import { checkNames } from '../check/names.ts';
import { destination, encodeServer, encodeTool, server, tool } from '../grammar/catalog.ts';
import type { DeclaredDestination, DeclaredServer } from '../grammar/catalog.ts';
import { callerMethod, encodeCallerMethod } from '../grammar/caller-method.ts';
import type { CallerMethodDocument } from '../grammar/caller-method.ts';
import { credential, encodeCredential } from '../grammar/credential.ts';
import type { Credential } from '../grammar/credential.ts';
import type { Declared, Located } from '../grammar/declared.ts';
import { encodeTrustDomain, trustDomain } from '../grammar/delegation.ts';
import { agent, encodeAgent, encodeIssuer, issuer } from '../grammar/identity.ts';
import { encodeObserve, observe } from '../grammar/observe.ts';
import type { Observe } from '../grammar/observe.ts';
import { encodeRule, rule } from '../grammar/rule.ts';
import { encodeSuite, formatSource, sourceText, suite } from '../grammar/test-suite.ts';
import { LIMITS } from '../reader/limits.ts';
import { placeAt } from '../reader/locate.ts';
import { Problems, didYouMean, nodeOfJson, quote } from '../reader/node.ts';
import type { Place } from '../reader/node.ts';
import { fields, list, oneOf, record } from '../reader/read.ts';
import type { Fields, Reader } from '../reader/read.ts';
import type { EnvironmentValues, Rule, Source, TestSuite } from '../rule.ts';
import type { PolicySource } from './documents.ts';

/** What a bundle says, with `${env.x}` substituted from its own environment part. */
export interface Parts {
  readonly rules: readonly Rule[];
  readonly servers: readonly ToolServer[];
  readonly tools: readonly Tool[];
  readonly environment: EnvironmentValues;
  readonly agents: readonly Agent[];
  readonly issuers: readonly Issuer[];
  readonly destinations: readonly Destination[];
  readonly tests: readonly TestSuite[];
  /** None where it is absent. */
  readonly observes?: readonly Observe[];
  /** None where it is absent. */
  readonly trustDomains?: readonly TrustDomain[];
  /** None where it is absent. */
  readonly credentials?: readonly Credential[];
  /** None where it is absent. */
  readonly callerMethods?: readonly CallerMethodDocument[];
  /** Where several layers are joined (`joinLayers`). */
  readonly layering?: Layering;
  /** Where each rule stood in the author's files, by rule id. */
  readonly sources: Readonly<Record<string, Source>>;
}

const KINDS: Readonly<Record<PartName, string>> = {
  policy: 'PolicyPart',
  catalog: 'CatalogPart',
  environment: 'EnvironmentPart',
  identity: 'IdentityPart',
  egress: 'EgressPart',
  detectors: 'DetectorsPart',
  tests: 'TestsPart',
};

/**
 * Writes a source as parts. Sources of rules stand in the `tests` part, so that a comment or a moved document changes
 * the digest of that part alone.
 */
export function writeParts(source: PolicySource): Record<PartName, Uint8Array> {
  const {
    agents,
    servers,
    tools,
    issuers,
    environment,
    rules,
    tests,
    sources,
    observes = [],
    credentials = [],
    trustDomains = [],
    callerMethods = [],
  } = source;
  const bodies: Readonly<Record<PartName, Readonly<Record<string, Json>>>> = {
    policy: { rules: rules.map(encodeRule), ...(observes.length === 0 ? {} : { observe: observes.map(encodeObserve) }) },
    catalog: { servers: servers.map(encodeServer), tools: tools.map(encodeTool) },
    environment: { values: mapValues(environment, encodeEnvironmentValue) },
    identity: {
      agents: agents.map(encodeAgent),
      issuers: issuers.map(encodeIssuer),
      ...(trustDomains.length === 0 ? {} : { trust_domains: trustDomains.map(encodeTrustDomain) }),
      ...(callerMethods.length === 0 ? {} : { caller_methods: callerMethods.map(encodeCallerMethod) }),
    },
    egress: {
      destinations: servers.map(({ name, url, network }) => ({ server: name, url, network })),
      ...(credentials.length === 0 ? {} : { credentials: credentials.map(encodeCredential) }),
    },
    detectors: { detectors: [] },
    tests: { tests: tests.map(encodeSuite), sources: mapValues(sources, formatSource) },
  };
  const parts: Partial<Record<PartName, Uint8Array>> = {};
  for (const name of PART_NAMES) {
    parts[name] = utf8(canonicalJson({ api_version: 'sallyport.dev/v1', kind: KINDS[name], ...bodies[name] }));
  }
  return parts as Record<PartName, Uint8Array>;
}

function mapValues<T>(values: Readonly<Record<string, T>>, encode: (value: T) => Json): Json {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, encode(value)]));
}

/** Reads all seven parts; every problem at once, its path starting with the part's name. */
export function readParts(bytes: Readonly<Record<PartName, Uint8Array>>): Result<Parts, readonly Problem[]> {
  const problems = new Problems();
  const { declared, sources } = readLayer(bytes, '', problems);
  checkNames(declared, problems);
  if (problems.hasErrors) return fail(problems.sorted());
  const parts = partsOf(substituted(declared, declared.environment, problems), problems);
  return problems.hasErrors ? fail(problems.sorted()) : ok({ ...parts, sources });
}

/** What the parts of one layer declare, each by itself and nothing about how they fit together. */
export interface ReadLayer {
  readonly declared: Declared;
  readonly sources: Readonly<Record<string, Source>>;
}

/** `prefix` stands before the names of parts in paths. */
export function readLayer(bytes: Readonly<Record<PartName, Uint8Array>>, prefix: string, problems: Problems): ReadLayer {
  for (const name of Object.keys(bytes)) {
    if (!(PART_NAMES as readonly string[]).includes(name))
      problems.add({ path: `${prefix}${name}` }, `${quote(name)} is not a part`, { remedy: didYouMean(name, PART_NAMES) });
  }
  const part = (name: PartName, keys: readonly string[]): Fields | undefined =>
    readPart({ name, at: `${prefix}${name}` }, bytes[name], keys, problems);
  const all = <T>(from: Fields | undefined, key: string, reader: Reader<readonly T[]>): readonly T[] => from?.get(key, reader) ?? [];
  const policy = part('policy', ['rules!', 'observe']);
  const catalog = part('catalog', ['servers!', 'tools!']);
  const environment = part('environment', ['values!'])?.get('values', environmentValues) ?? {};
  const identity = part('identity', ['agents!', 'issuers!', 'trust_domains', 'caller_methods']);
  const egress = part('egress', ['destinations!', 'credentials']);
  const destinations = all(egress, 'destinations', located(destination, LIMITS.serversMax));
  part('detectors', ['detectors!'])?.get(
    'detectors',
    list('`detectors`', (node, inner) => inner.add(node.place, 'no detector is understood here')),
  );
  const testing = part('tests', ['tests!', 'sources!']);
  const declared: Declared = {
    agents: all(identity, 'agents', located(agent, LIMITS.agentsMax)),
    servers: joinNetworks(all(catalog, 'servers', located(server, LIMITS.serversMax)), destinations, problems),
    tools: all(catalog, 'tools', located(tool, LIMITS.toolsMax)),
    issuers: all(identity, 'issuers', located(issuer(noFiles(problems)), LIMITS.issuersMax)),
    trustDomains: all(identity, 'trust_domains', located(trustDomain, LIMITS.trustDomainsMax)),
    callerMethods: all(identity, 'caller_methods', located(callerMethod, LIMITS.callerMethodsMax)),
    credentials: all(egress, 'credentials', located(credential, LIMITS.credentialsMax)),
    environment,
    rules: all(policy, 'rules', located(rule, LIMITS.rulesMax)),
    observes: all(policy, 'observe', located(observe, LIMITS.observesMax)),
    tests: all(testing, 'tests', located(suite, LIMITS.testSuitesMax)),
  };
  return { declared, sources: testing?.get('sources', record('`sources`', sourceText, ANY_NAME, LIMITS.rulesMax)) ?? {} };
}

const ANY_NAME = { test: () => true, words: '' };

function readPart(
  { name, at }: { readonly name: PartName; readonly at: string },
  bytes: Uint8Array | undefined,
  keys: readonly string[],
  problems: Problems,
): Fields | undefined {
  if (bytes === undefined) return problems.add({ path: at }, `part ${quote(name)} is missing`);
  const limits = { bytesMax: LIMITS.partBytesMax, depthMax: LIMITS.nestingMax + 4, membersMax: 4_000_000 };
  const judged = judge(bytes, { limits });
  if (!judged.ok) {
    for (const { path, message } of judged.error) problems.add({ path: path === '' ? at : `${at}.${path}` }, message);
    return undefined;
  }
  const declared = fields(nodeOfJson(judged.value.tree, at), problems, `part ${name}`, ['api_version!', 'kind!', ...keys]);
  declared?.get('api_version', oneOf('api_version', ['sallyport.dev/v1']));
  declared?.get('kind', oneOf('kind', [KINDS[name]]));
  return declared;
}

function located<T>(reader: Reader<T>, max: number): Reader<readonly Located<T>[]> {
  return list(
    'a part’s list',
    (node, problems) => {
      const value = reader(node, problems);
      return value === undefined ? undefined : { value, node };
    },
    { max },
  );
}

function noFiles(problems: Problems): (file: string, node: { place: Place }) => undefined {
  return (_file, node) => problems.add(node.place, 'a part holds its keys itself');
}

/** Servers learn their network from egress; the two must lead to the same places, or one of them lies. */
function joinNetworks(
  servers: readonly Located<DeclaredServer>[],
  destinations: readonly Located<DeclaredDestination>[],
  problems: Problems,
): readonly Located<DeclaredServer>[] {
  const byServer = new Map(destinations.map((found) => [found.value.server, found]));
  if (byServer.size < destinations.length) problems.add({ path: 'egress.destinations' }, 'a server has two destinations');
  const joined = servers.map(({ value, node }) => {
    const found = byServer.get(value.name);
    byServer.delete(value.name);
    if (found?.value.url === value.url) return { value: { ...value, network: found.value.network }, node };
    problems.add(placeAt(node), `tool server ${quote(value.name)} and its destination differ`, { remedy: 'build the parts anew' });
    return { value, node };
  });
  for (const { node } of byServer.values()) problems.add(node.place, 'a destination without a tool server');
  return joined;
}

/** The same with every `${env.x}` of a text replaced by a value of the environment. */
export function substituted(declared: Declared, environment: EnvironmentValues, problems: Problems): Declared {
  const text = (template: string, place: Place): string => substitute(template, place, environment, problems) ?? '';
  return {
    ...declared,
    rules: declared.rules.map(({ value, node }) => ({ node, value: resolveRule(value, (name) => text(name, node.place)) })),
    servers: declared.servers.map(({ value, node }) => ({ node, value: { ...value, url: text(value.url, node.place) } })),
    issuers: declared.issuers.map(({ value, node }) => ({
      node,
      value: substitutedIssuer(value, (template) => text(template, node.place)),
    })),
  };
}

function substitutedIssuer(issuer: Issuer, text: (template: string) => string): Issuer {
  const { keySource, introspection, environment } = issuer;
  return {
    ...issuer,
    issuer: text(issuer.issuer),
    audience: text(issuer.audience),
    ...(keySource?.jwksUri === undefined ? {} : { keySource: { ...keySource, jwksUri: text(keySource.jwksUri) } }),
    ...(introspection === undefined ? {} : { introspection: { ...introspection, url: text(introspection.url) } }),
    ...(environment === undefined ? {} : { environment: { ...environment, is: text(environment.is) } }),
  };
}

/** What is declared, once names were checked and texts substituted: what fails here is our own mistake or a lie. */
export function partsOf(declared: Declared, problems: Problems): Omit<Parts, 'sources'> {
  return {
    environment: declared.environment,
    rules: declared.rules.map(({ value }) => value),
    servers: declared.servers.map(({ value: { name, kind, url, agent: called, audience, tls } }) => ({
      name,
      kind,
      url,
      ...(called === undefined ? {} : { agent: called }),
      ...(audience === undefined ? {} : { audience }),
      ...(tls === undefined ? {} : { tls }),
    })),
    tools: declared.tools.map(({ value }) => value),
    agents: declared.agents.map(({ value }) => value),
    issuers: declared.issuers.map(({ value }) => value),
    destinations: declared.servers.flatMap(({ value: { name, url, network, tls: said, agent: called }, node }) => {
      const tls = called === undefined ? said : tlsOfAgent(called, declared.trustDomains);
      const base = parseBaseUrl(url, node.place, problems);
      const { scheme, host, port } = base ?? {};
      if (scheme === undefined || host === undefined || port === undefined) return [];
      return [{ server: name, scheme, host, port, network, ...(tls === undefined ? {} : { tls }) }];
    }),
    tests: declared.tests.map(({ value }) => value),
    observes: declared.observes.map(({ value }) => value),
    trustDomains: declared.trustDomains.map(({ value }) => value),
    callerMethods: declared.callerMethods.map(({ value }) => value),
    credentials: declared.credentials.map(({ value }) => value),
  };
}

/** A called sidecar names itself under the CA of its trust domain's workloads, or under one that is declared for its port. */
function tlsOfAgent(called: CalledAgent, trustDomains: Declared['trustDomains']): ServerTls {
  const domain = trustDomains.find(({ value }) => value.name === called.trustDomain);
  const workloads = called.trustDomain === undefined ? 'workload' : (domain?.value.authorities ?? []);
  return { authorities: called.authorities ?? workloads, sidecarOf: called, client: 'workload' };
}

function resolveRule(value: Rule, text: (template: string) => string): Rule {
  if (value.for?.tenants === undefined && value.for?.principals === undefined) return value;
  const { tenants, principals } = value.for;
  return {
    ...value,
    for: {
      ...value.for,
      ...(tenants === undefined ? {} : { tenants: tenants.map(text) }),
      ...(principals === undefined ? {} : { principals: principals.map(text) }),
    },
  };
}
