/**
 * What is given, as a decision takes it in: everything of its input but which call it is. Tests of a policy and whoever
 * tries a call by hand say it in the same words, so that what the one shows the other shows too.
 */

import { addMs, fail, ok } from '@sallyport/model';
import type { Json, Principal, PrincipalId, Problem, Result, TenantId } from '@sallyport/model';
import { testGiven } from '../grammar/given.ts';
import type { PolicyInput } from '../input.ts';
import { Problems, nodeOfJson } from '../reader/node.ts';
import type { TestGiven } from '../rule.ts';
import type { SessionFacts } from '../session.ts';
import { testSession } from './test-session.ts';

/** Who calls, when, with what proof, in what session. */
export type GivenInput = Omit<PolicyInput, 'agent' | 'tool' | 'args'>;

/** A document in the form of a test's `given` (policy-v1 section 11.1), or everything that is wrong with it, by path. */
export function readGiven(given: Json): Result<GivenInput, readonly Problem[]> {
  const problems = new Problems();
  const read = testGiven(nodeOfJson(given, ''), problems);
  if (read === undefined || problems.hasErrors) return fail(problems.sorted());
  return ok(inputGiven(read, testSession(read).facts()));
}

/** The same of a test, in a session that may have gone on since. */
export function inputGiven(given: TestGiven, session: SessionFacts): GivenInput {
  const { at: now, chain, justification, approvals, isolation } = given;
  return {
    principal: principalOf(given),
    session,
    now,
    chain,
    approvals,
    isolation,
    ...(justification === undefined ? {} : { justification }),
  };
}

function principalOf({ principal, tenant, roles, scopes, attributes, at, authAgeMs, acr, amr }: TestGiven): Principal {
  const kind = principal === 'anonymous' ? 'anonymous' : 'person';
  return {
    id: principal as PrincipalId,
    kind,
    tenant: tenant as TenantId,
    issuer: kind === 'anonymous' ? '' : 'test',
    roles,
    scopes,
    attributes,
    authenticatedAt: addMs(at, -authAgeMs),
    ...(acr === undefined ? {} : { acr }),
    amr,
  };
}
