/** The parts of the language that a policy uses, as names in its bundle: a sidecar that lacks one refuses, not guesses. */

import type { Agent, Issuer, Tool, ToolServer, TrustDomain } from '@sallyport/model';
import { expressionsOf } from '../check/conditions.ts';
import { DEMANDS, DEMAND_NAMES, demandsOf } from '../demand/demands.ts';
import { CALLER_METHOD_KINDS } from '../grammar/caller-method.ts';
import type { CallerMethodDocument } from '../grammar/caller-method.ts';
import type { Credential } from '../grammar/credential.ts';
import type { Observe } from '../grammar/observe.ts';
import type { EnvironmentValues, Rule } from '../rule.ts';

/** Of a bundle that was built as a layer: by itself it is not compiled, nor enforced but among the others of its release. */
export const LAYER_FEATURE = 'policy.layer';

/** Everything that this build understands, sorted. Spec: policy-v1 section 10. */
export const FEATURES: readonly string[] = [
  'agent.callers',
  'agent.concurrent_max',
  'agent.delegation',
  'agent.isolation',
  'agent.jobs',
  'agent.signing_keys',
  'agent.tie',
  'attribute.type',
  'cel.v1',
  'credential.file',
  'credential.leaked_at',
  'credential.oauth_client_credentials',
  'credential.vault',
  'delegation.roots',
  'delegation.trust',
  'environment.v1',
  'for.principals',
  'for.roles',
  'for.tenants',
  'issuer.algorithms',
  'issuer.directory',
  'issuer.environment',
  'issuer.groups',
  'issuer.introspection',
  'issuer.key_source',
  'issuer.min_scope_version',
  'issuer.origin',
  'issuer.required_claims',
  'issuer.strict_claims',
  'policy.agents',
  LAYER_FEATURE,
  'policy.observe',
  'route.query',
  'rule.after',
  'rule.after.with',
  'rule.allow',
  'rule.arguments',
  'rule.bind',
  'rule.budget',
  'rule.deny',
  'rule.max',
  'rule.once',
  'rule.once.per',
  'rule.once.within',
  'rule.require',
  'rule.scopes',
  'rule.sequence',
  'rule.shadow',
  'rule.when',
  'selector.attribute',
  'selector.method',
  'selector.prefix',
  'selector.tool',
  'server.agent',
  'server.audience',
  'server.tls',
  'tool.assertion',
  'tool.envelope',
  'tool.notes',
  'tool.ranges',
  'tool.sign',
  'tool.unknown_arguments',
  'trust_domain',
  ...CALLER_METHOD_KINDS.map((kind) => `caller_method.${kind}`),
  ...DEMAND_NAMES.map((name) => `rule.${DEMANDS[name].field}`),
].toSorted();

interface Used {
  readonly agents: readonly Agent[];
  readonly rules: readonly Rule[];
  readonly environment: EnvironmentValues;
  readonly issuers: readonly Issuer[];
  readonly servers: readonly ToolServer[];
  readonly tools: readonly Tool[];
  readonly observes?: readonly Observe[];
  readonly credentials?: readonly Credential[];
  readonly trustDomains?: readonly TrustDomain[];
  readonly callerMethods?: readonly CallerMethodDocument[];
}

/** What a policy uses, sorted; a subset of FEATURES by construction. */
export function featuresOf({
  agents,
  rules,
  environment,
  issuers,
  servers,
  tools,
  observes = [],
  credentials = [],
  trustDomains = [],
  callerMethods = [],
}: Used): readonly string[] {
  const used = new Set<string>(agents.flatMap(featuresOfAgent));
  if (agents.some(({ delegation }) => delegation?.from.some(({ trust }) => trust !== undefined) === true)) used.add('delegation.trust');
  if (trustDomains.length > 0) used.add('trust_domain');
  if (servers.some(({ agent }) => agent !== undefined)) used.add('server.agent');
  if (issuers.some(({ claims }) => Object.values(claims.attributes).some(({ type }) => type !== undefined))) used.add('attribute.type');
  for (const issuer of issuers) for (const feature of featuresOfIssuer(issuer)) used.add(feature);
  for (const tool of tools) for (const feature of featuresOfTool(tool)) used.add(feature);
  if (servers.some(({ audience }) => audience !== undefined)) used.add('server.audience');
  if (servers.some(({ tls }) => tls !== undefined)) used.add('server.tls');
  for (const { config } of callerMethods) used.add(`caller_method.${config.kind}`);
  for (const one of credentials) for (const feature of featuresOfCredential(one)) used.add(feature);
  if (observes.length > 0) used.add('policy.observe');
  if (Object.keys(environment).length > 0) used.add('environment.v1');
  for (const rule of rules) for (const feature of featuresOfRule(rule)) used.add(feature);
  return [...used].toSorted();
}

function featuresOfCredential({ source, leakedAt }: Credential): readonly string[] {
  return [`credential.${source.kind}`, ...(leakedAt === undefined ? [] : ['credential.leaked_at'])];
}

function featuresOfAgent({ callers, delegation, isolation, signingKeys, sessions }: Agent): readonly string[] {
  return [
    ...(callers === undefined ? [] : ['agent.callers']),
    ...(delegation === undefined ? [] : ['agent.delegation']),
    ...(isolation === undefined ? [] : ['agent.isolation']),
    ...(signingKeys === undefined ? [] : ['agent.signing_keys']),
    ...(sessions.jobs === undefined ? [] : ['agent.jobs']),
    ...(sessions.concurrentMax === undefined ? [] : ['agent.concurrent_max']),
    ...(sessions.tie === undefined ? [] : ['agent.tie']),
  ];
}

function featuresOfTool({
  route,
  assertsArguments,
  signs,
  envelope,
  touches,
  remember,
  ranges,
  unknownArguments,
}: Tool): readonly string[] {
  return [
    ...(route?.query === undefined ? [] : ['route.query']),
    ...(assertsArguments === undefined ? [] : ['tool.assertion']),
    ...(signs === undefined ? [] : ['tool.sign']),
    ...(envelope === undefined ? [] : ['tool.envelope']),
    ...(touches === undefined && remember === undefined ? [] : ['tool.notes']),
    ...(ranges === undefined ? [] : ['tool.ranges']),
    ...(unknownArguments === undefined ? [] : ['tool.unknown_arguments']),
  ];
}

function featuresOfIssuer({
  keySource,
  introspection,
  algorithms,
  environment,
  scopeVersion,
  groups,
  requiredClaims,
  strictClaims,
  claims,
  directory,
}: Issuer): readonly string[] {
  return [
    ...(keySource === undefined ? [] : ['issuer.key_source']),
    ...(introspection === undefined ? [] : ['issuer.introspection']),
    ...(algorithms === undefined ? [] : ['issuer.algorithms']),
    ...(environment === undefined ? [] : ['issuer.environment']),
    ...(scopeVersion === undefined ? [] : ['issuer.min_scope_version']),
    ...(groups === undefined ? [] : ['issuer.groups']),
    ...(requiredClaims === undefined ? [] : ['issuer.required_claims']),
    ...(strictClaims === undefined ? [] : ['issuer.strict_claims']),
    ...(claims.origin === undefined ? [] : ['issuer.origin']),
    ...(directory === undefined ? [] : ['issuer.directory']),
  ];
}

function featuresOfRule(rule: Rule): ReadonlySet<string> {
  const used = new Set<string>();
  used.add(`rule.${rule.verb}`);
  if (rule.agent === undefined) used.add('policy.agents');
  for (const key of ['scopes', 'bind', 'arguments', 'after', 'when', 'once', 'max', 'sequence', 'budget', 'shadow'] as const)
    if (rule[key] !== undefined) used.add(`rule.${key}`);
  for (const key of ['roles', 'tenants', 'principals'] as const) if (rule.for?.[key] !== undefined) used.add(`for.${key}`);
  if (rule.once?.per !== undefined) used.add('rule.once.per');
  if (rule.once?.withinMs !== undefined) used.add('rule.once.within');
  if (rule.after?.some((one) => one.with !== undefined) === true) used.add('rule.after.with');
  if (rule.delegation?.roots?.some((root) => root === 'system' || root === 'external') === true) used.add('delegation.roots');
  for (const { field } of demandsOf(rule)) used.add(`rule.${field}`);
  if (expressionsOf(rule).length > 0) used.add('cel.v1');
  for (const selector of rule.tools) if ('method' in selector) used.add('selector.method');
  for (const selector of rule.tools)
    used.add('tool' in selector ? (selector.tool.endsWith('*') ? 'selector.prefix' : 'selector.tool') : 'selector.attribute');
  return used;
}
