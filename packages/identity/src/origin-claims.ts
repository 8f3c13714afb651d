/**
 * What a verified token says of how a session began beside who it is for: for which customer, in which run and step of
 * which workflow, and why. An issuer may ask for any of it, and then a token without it is nobody's. docs/spec/sessions.md,
 * section 2, step 8.
 */

import { fail, ok, ORIGIN_CLAIMS, STRICT_CLAIMS } from '@sallyport/model';
import type { ClaimPlace, Issuer, Json, JsonObject, OriginClaim, Problem, RequirableClaim, Result, SessionOrigin } from '@sallyport/model';
import { own, readName, readWords } from './claim-readers.ts';

/** What a token says of its session's beginning; absent where it says nothing, or nothing is mapped. */
export type ClaimedOrigin = Omit<SessionOrigin, 'rootKind' | 'method' | 'hops'>;

const MEMBERS = {
  customer_id: 'customerId',
  workflow_id: 'workflowId',
  workflow_step: 'workflowStep',
  conversation_id: 'conversationId',
  run_id: 'runId',
  trace_id: 'traceId',
  purpose: 'purpose',
} as const satisfies Readonly<Record<OriginClaim, keyof ClaimedOrigin>>;

/**
 * The mapped claims, each a printable text of 1 to 256 characters, the version a whole number. Reports every claim that is
 * there and does not fit, and every one that the issuer asks for and that is not there.
 */
export function originFromClaims(issuer: Issuer, claims: JsonObject): Result<ClaimedOrigin, readonly Problem[]> {
  const problems: Problem[] = [];
  const read: { -readonly [K in keyof ClaimedOrigin]: ClaimedOrigin[K] } = {};
  const { origin = {}, environment, scopeVersion } = issuer.claims;
  for (const name of ORIGIN_CLAIMS) {
    const place = origin[name];
    const value = place === undefined ? undefined : readAt(claims, place, problems);
    if (value !== undefined) read[MEMBERS[name]] = value;
  }
  if (environment !== undefined) {
    const value = readAt(claims, { claim: environment }, problems);
    if (value !== undefined) read.environment = value;
  }
  if (scopeVersion !== undefined) {
    const value = own(claims, scopeVersion);
    if (typeof value === 'number' && Number.isSafeInteger(value)) read.scopeVersion = String(value);
    else if (value !== undefined) problems.push({ path: scopeVersion, message: 'is no version' });
  }
  // An issuer that names no claim for the purpose says it by the task.
  const { task } = issuer.claims;
  if (origin.purpose === undefined && task !== undefined) {
    const value = readAt(claims, { claim: task }, problems);
    if (value !== undefined) read.purpose = value;
  }
  problems.push(...missingClaims(issuer, claims, read));
  return problems.length > 0 ? fail(problems) : ok(read);
}

/** A claim that is not there is nothing; one that is there, also as another kind of value, has to fit. */
function readAt(claims: JsonObject, { claim, member }: ClaimPlace, problems: Problem[]): string | undefined {
  const value = own(claims, claim);
  if (value === undefined) return undefined;
  if (member === undefined) return readName(claims, claim, problems);
  if (!isObject(value)) {
    problems.push({ path: claim, message: 'is not an object' });
    return undefined;
  }
  if (own(value, member) === undefined) return undefined;
  const inside: Problem[] = [];
  const text = readName(value, member, inside);
  problems.push(...inside.map((problem) => ({ ...problem, path: `${claim}.${member}` })));
  return text;
}

function missingClaims(issuer: Issuer, claims: JsonObject, read: ClaimedOrigin): readonly Problem[] {
  const { requiredClaims = [], strictClaims } = issuer;
  const required = new Set<RequirableClaim>([...requiredClaims, ...(strictClaims === true ? STRICT_CLAIMS : [])]);
  return [...required]
    .filter((name) => !isSaid(name, issuer, { claims, read }))
    .map((name) => ({ path: name, message: 'is missing, and the issuer asks for it' }));
}

/** An empty list says nothing: a token that names no scope does not say what it is for. */
function isSaid(name: RequirableClaim, { claims: names }: Issuer, { claims, read }: { claims: JsonObject; read: ClaimedOrigin }): boolean {
  if (name === 'roles' || name === 'scopes') return readWords(claims, names[name], []).length > 0;
  if (name === 'authentication') return own(claims, 'acr') !== undefined || readWords(claims, 'amr', []).length > 0;
  if (name === 'environment') return read.environment !== undefined;
  if (name === 'scope_version') return read.scopeVersion !== undefined;
  if (name !== 'case' && name !== 'task' && name !== 'step') return read[MEMBERS[name]] !== undefined;
  const claim = names[name];
  return claim !== undefined && own(claims, claim) !== undefined;
}

function isObject(json: Json): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
