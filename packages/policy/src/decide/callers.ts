/**
 * Whom an agent may act for. Reads the principal and the Agent's own document; no rule of a tool is asked, and nothing that
 * a caller says of itself. Spec: policy-v1 section 16.
 */

import type { Agent, CallerGrant, Principal, RuleId } from '@sallyport/model';

export type CallerVerdict =
  /** `ruleId` is `caller:` and the place of the grant in the document, from 1. */
  | { readonly verdict: 'granted'; readonly ruleId: RuleId }
  /** `detail` is for the record. */
  | { readonly verdict: 'refused'; readonly detail: string }
  /** The agent's document does not say whom it may act for. */
  | { readonly verdict: 'undeclared' };

/** The first grant that names this principal. `anonymous` is named by its id alone, whatever roles somebody gave it. */
export function judgeCaller({ name, callers }: Agent, principal: Principal): CallerVerdict {
  if (callers === undefined) return { verdict: 'undeclared' };
  const place = callers.findIndex((grant) => names(grant, principal));
  if (place < 0) return { verdict: 'refused', detail: `no caller of agent ${name} is principal ${principal.id}` };
  return { verdict: 'granted', ruleId: `caller:${place + 1}` as RuleId };
}

function names({ roles, tenants, principals, scopes }: CallerGrant, principal: Principal): boolean {
  const isAnonymous = principal.kind === 'anonymous';
  if (isAnonymous && principals?.includes('anonymous') !== true) return false;
  if (roles !== undefined && !roles.some((role) => principal.roles.includes(role))) return false;
  if (tenants !== undefined && !tenants.includes(principal.tenant)) return false;
  if (principals !== undefined && !principals.includes(isAnonymous ? 'anonymous' : principal.id)) return false;
  return scopes === undefined || scopes.every((scope) => principal.scopes.includes(scope));
}
