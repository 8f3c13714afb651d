/**
 * For whom the agent acts under `dev`. A key that lives as long as this process is added to each issuer of the policy, in
 * memory: the documents stay as they are, the rules are the ones that production has, and who calls is whoever one wants
 * to be. Nothing signed here is worth anything to any other sidecar.
 */

import { ORIGIN_CLAIMS, fail, nearest, ok } from '@sallyport/model';
import type { AgentName, AttributeType, Instant, Issuer, Json, JsonObject, PinnedJwk, Problem, Random, Result } from '@sallyport/model';
import type { BuiltParts, Rule } from '@sallyport/policy';
import { operatorToken, passingIssuer } from '../onboard/dev-issuer.ts';
import type { DevIssuer } from '../onboard/dev-issuer.ts';
import { many, text, textOr } from '../option.ts';
import type { Option } from '../option.ts';
import { scalarOf } from '../policy/caller.ts';
import type { Amend } from '../policy/read-policy.ts';

export const OPERATOR_OPTIONS: {
  readonly as: Option<string>;
  readonly role: Option<readonly string[]>;
  readonly scope: Option<readonly string[]>;
  readonly tenant: Option<string>;
  readonly case: Option<string | undefined>;
  readonly task: Option<string | undefined>;
  readonly acr: Option<string | undefined>;
  readonly amr: Option<readonly string[]>;
  readonly attribute: Option<readonly string[]>;
  readonly origin: Option<readonly string[]>;
} = {
  as: textOr('--as SUBJECT', 'for whom the agent acts', 'developer'),
  role: many('--role ROLE', 'a role of theirs (repeatable; default: every role that an allow rule is for)'),
  scope: many('--scope SCOPE', 'a scope of theirs (repeatable; default: every scope that an allow rule asks for)'),
  tenant: textOr('--tenant TENANT', 'their tenant', 'dev'),
  case: text('--case CASE', 'the case that the session is about'),
  task: text('--task TASK', 'the task that the session is for'),
  acr: text('--acr CLASS', 'how strongly they have signed in, as the identity provider says it'),
  amr: many('--amr METHOD', 'a method by which they have signed in, such as mfa (repeatable)'),
  attribute: many('--attribute NAME=VALUE', 'an attribute of theirs, of those that the policy maps; a list with commas (repeatable)'),
  origin: many(
    '--origin NAME=VALUE',
    'what their token says of how the session began, such as customer_id=C-17, of what the policy maps (repeatable)',
  ),
};

export interface OperatorWish {
  readonly as: string;
  readonly role: readonly string[];
  readonly scope: readonly string[];
  readonly tenant: string;
  readonly case: string | undefined;
  readonly task: string | undefined;
  readonly acr: string | undefined;
  readonly amr: readonly string[];
  readonly attribute: readonly string[];
  readonly origin: readonly string[];
}

/** Somebody with a place in one policy. */
export interface DevOperator {
  readonly subject: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** A fresh token of theirs. */
  token(now: Instant): string;
}

export interface DevKey {
  readonly issuer: DevIssuer;
  /** Lets tokens of this key be accepted beside those of the policy's own issuers. */
  readonly amend: Amend;
}

/** Shorter than any issuer's longest, and only spent once. */
const TOKEN_MS_MAX = 300_000;

export function makeDevKey(): DevKey {
  const issuer = passingIssuer({ issuer: 'https://dev.localhost', audience: 'dev' });
  const { keys } = JSON.parse(issuer.keySet) as { readonly keys: readonly PinnedJwk[] };
  const own = keys.map(({ kid, kty, crv, x, y }) => ({ kid, kty, crv, x, y }));
  return {
    issuer,
    amend: (source) => ({ ...source, issuers: source.issuers.map((one) => ({ ...lenient(one), keys: [...one.keys, ...own] })) }),
  };
}

/** What every token must say is the identity provider's to meet; here somebody types what they need. */
function lenient(issuer: Issuer): Issuer {
  const kept = Object.entries(issuer).filter(([name]) => name !== 'requiredClaims' && name !== 'strictClaims');
  return Object.fromEntries(kept) as unknown as Issuer;
}

/** Who the words mean in this policy; every problem at once. */
export function operatorOf(
  { policy }: BuiltParts,
  wish: OperatorWish & { readonly agent: AgentName },
  { key, random }: { readonly key: DevKey; readonly random: Random },
): Result<DevOperator, readonly Problem[]> {
  const [issuer] = policy.parts.issuers;
  if (issuer === undefined)
    return fail([
      {
        path: 'Issuer',
        message: 'the policy knows no issuer, so that nobody can open a session',
        remedy: 'add a document of kind Issuer; `sallyport init` writes one',
      },
    ]);
  const attributes = readAttributes(wish.attribute, issuer);
  if (!attributes.ok) return attributes;
  const origin = readOrigin(wish.origin, issuer);
  if (!origin.ok) return origin;
  const rules = policy.parts.rules.filter(({ agent, verb }) => agent === wish.agent && verb === 'allow');
  const roles = wish.role.length > 0 ? wish.role : named(rules, (rule) => rule.for?.roles ?? []);
  const scopes = wish.scope.length > 0 ? wish.scope : named(rules, (rule) => rule.scopes ?? []);
  const { claims, environment, scopeVersion } = issuer;
  const facts: Readonly<Record<string, Json>> = {
    ...attributes.value,
    ...origin.value,
    ...(environment === undefined ? {} : { [environment.claim]: environment.is }),
    ...(scopeVersion === undefined ? {} : { [scopeVersion.claim]: scopeVersion.min }),
    ...(wish.acr === undefined ? {} : { acr: wish.acr }),
    ...(wish.amr.length === 0 ? {} : { amr: wish.amr }),
    [claims.subject]: wish.as,
    [claims.tenant]: wish.tenant,
    [claims.roles]: roles,
    [claims.scopes]: scopes,
    ...(wish.case === undefined ? {} : { [claims.case]: wish.case }),
    ...(wish.task === undefined ? {} : { [claims.task ?? 'task']: wish.task }),
  };
  const signed = { ...key.issuer, issuer: issuer.issuer, audience: issuer.audience };
  const ttlMs = Math.min(TOKEN_MS_MAX, issuer.tokenLifetimeMsMax);
  return ok({
    subject: wish.as,
    roles,
    scopes,
    token: (now) => operatorToken(signed, { subject: wish.as, roles, scopes, attributes: facts, ttlMs }, { now, random }),
  });
}

/** A warning for each role that nothing in the policy asks for, as one that was mistyped. */
export function unknownRoles(
  { policy }: BuiltParts,
  { agent, role }: Pick<OperatorWish, 'role'> & { readonly agent: AgentName },
): readonly Problem[] {
  const rules = policy.parts.rules.filter((rule) => rule.agent === agent);
  const known = named(rules, (rule) => rule.for?.roles ?? []);
  // A condition may ask for a role by its name.
  const conditions = rules.flatMap((rule) => [...(rule.bind ?? []), ...(rule.when === undefined ? [] : [rule.when])]);
  return role
    .filter((name) => !known.includes(name) && !conditions.some((condition) => condition.includes(name)))
    .map((name) => {
      const near = nearest(name, known);
      const all = known.length === 0 ? 'its rules are for no role' : `its rules are for ${known.join(', ')}`;
      return {
        path: '--role',
        message: `no rule of ${agent} is for role \`${name}\``,
        remedy: near === undefined ? all : `did you mean ${near}?`,
        severity: 'warning',
      };
    });
}

function named(rules: readonly Rule[], namesOf: (rule: Rule) => readonly string[]): readonly string[] {
  return [...new Set(rules.flatMap(namesOf))].toSorted();
}

function readAttributes(texts: readonly string[], { claims }: Issuer): Result<Readonly<Record<string, Json>>, readonly Problem[]> {
  const facts: Record<string, Json> = {};
  const problems: Problem[] = [];
  for (const one of texts) {
    const [, name = '', value = ''] = /^([^=]+)=(.*)$/su.exec(one) ?? [];
    const mapped = Object.hasOwn(claims.attributes, name) ? claims.attributes[name] : undefined;
    if (mapped !== undefined) facts[mapped.claim] = valueOf(value, mapped.type);
    else problems.push({ path: '--attribute', ...unknownAttribute(one, name, Object.keys(claims.attributes)) });
  }
  return problems.length === 0 ? ok(facts) : fail(problems);
}

/** Each where the mapping has it; members of one claim stand in it together. */
function readOrigin(
  texts: readonly string[],
  { claims: { origin = {} } }: Issuer,
): Result<Readonly<Record<string, Json>>, readonly Problem[]> {
  const facts: Record<string, Json> = {};
  const problems: Problem[] = [];
  for (const one of texts) {
    const [, name = '', value = ''] = /^([^=]+)=(.+)$/su.exec(one) ?? [];
    const place = ORIGIN_CLAIMS.find((known) => known === name);
    const mapped = place === undefined ? undefined : origin[place];
    if (mapped === undefined) {
      const known = Object.keys(origin).toSorted();
      const all = known.length === 0 ? 'the issuer maps none' : `it maps ${known.join(', ')}`;
      problems.push({ path: '--origin', message: `\`${one}\` is nothing that the policy’s issuer maps`, remedy: all });
    } else if (mapped.member === undefined) facts[mapped.claim] = value;
    else facts[mapped.claim] = { ...(facts[mapped.claim] as JsonObject | undefined), [mapped.member]: value };
  }
  return problems.length === 0 ? ok(facts) : fail(problems);
}

function unknownAttribute(typed: string, name: string, known: readonly string[]): Pick<Problem, 'message' | 'remedy'> {
  if (name === '') return { message: `\`${typed}\` is not NAME=VALUE`, remedy: 'such as --attribute cost_center=4711' };
  const near = nearest(name, known);
  const all = known.length === 0 ? 'the issuer maps none' : `it maps ${known.join(', ')}`;
  return { message: `the policy’s issuer maps no attribute \`${name}\``, remedy: near === undefined ? all : `did you mean ${near}?` };
}

/** As the attribute is declared; what looks like a number is one only where nothing is declared, or a number is. */
function valueOf(value: string, type: AttributeType | undefined): Json {
  if (type === 'string') return value;
  if (type === 'strings') return value.split(',');
  return scalarOf(value);
}
