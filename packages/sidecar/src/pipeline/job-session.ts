/**
 * Sessions that no person's request opens: a schedule's, an event's. The agent names a job of its own in the bundle, and has
 * proven that it is the agent; what the job may be is the bundle's to say, and nothing of the request adds to it. With an
 * operator's token, such as an event's message may carry, the session is that operator's. docs/spec/sessions.md, section 1a.
 */

import type { VerifiedOperator } from '@sallyport/credentials';
import { deny, fail, ok, type Agent, type AgentJob, type Denial, type Instant, type Principal, type Result } from '@sallyport/model';
import { DEFAULT_DENY } from '@sallyport/policy';
import type { Framed, Fresh } from './facts.ts';
import type { OpenSession, Ports } from './ports.ts';
import type { presentedAgain } from './presented.ts';

/** Who opens a session: a person by a token, or a job as the service that the bundle makes of it. */
export type Opener = Pick<VerifiedOperator, 'principal' | 'case' | 'purpose' | 'tokenId' | 'times' | 'origin'> &
  Partial<Pick<VerifiedOperator, 'tokenDigest'>>;

export interface JobCaller {
  readonly kind: 'job';
  readonly job: AgentJob;
  readonly operator: Opener;
  /** The session is an operator's: whom the agent may act for is asked. */
  readonly isOperator: boolean;
}

export const JOB_HEADER = 'sallyport-job';

/**
 * The job that a request names, with whose authority. Refused where the agent proves itself by nothing: whoever reaches the
 * port could be the job.
 */
export async function jobCaller(
  { head, held }: Framed & Fresh,
  { name, presented }: { readonly name: string; readonly presented: () => ReturnType<typeof presentedAgain> },
  ports: Ports,
): Promise<Result<JobCaller, Denial>> {
  if (!ports.agentCredential.isAsked) return fail(deny('unauthenticated', 'a job, and the agent has no credential of its own'));
  const { agents, issuers, policyDigest } = held.snapshot;
  const agent = agents.get(ports.agent);
  const job = agent?.sessions.jobs?.find((one) => one.name === name);
  if (agent === undefined || job === undefined || !agent.sessions.roots.includes(job.root))
    return fail(deny('no_matching_policy', `no job \`${name.slice(0, 64)}\` of agent ${ports.agent}`, { ruleId: DEFAULT_DENY }));
  const now = ports.clock.wall();
  if (head.headers.get('authorization') === undefined) {
    if (job.as === undefined) return fail(deny('unauthenticated', `job ${job.name} needs an operator's token`));
    return ok({ kind: 'job', job, operator: serviceOf(agent, { ...job, as: job.as }, now), isOperator: false });
  }
  const shown = presented();
  if (!shown.ok) return shown;
  const { token, ...how } = shown.value;
  const verified = await ports.operatorTokens.verify(token, { issuers, bundle: policyDigest, now, ...how });
  return verified.ok ? ok({ kind: 'job', job, operator: begunBy(job, verified.value), isOperator: true }) : verified;
}

/**
 * Why a session that a job has as itself is over: the bundle no longer has such a job, or gives it other rights than the session
 * was opened with. `undefined` for every other session.
 */
export function unlessJobStill({ principal, origin }: Pick<OpenSession, 'principal' | 'origin'>, { sessions }: Agent): Denial | undefined {
  if (origin.method !== JOB_METHOD) return undefined;
  const isStill = sessions.jobs?.some(
    ({ root, as }) =>
      as !== undefined &&
      root === origin.rootKind &&
      as.principal === principal.id &&
      as.tenant === principal.tenant &&
      isSame(as.roles, principal.roles) &&
      isSame(as.scopes, principal.scopes),
  );
  return isStill === true ? undefined : deny('session_expired', 'the bundle has no such job any more, or with other rights');
}

const JOB_METHOD = 'agent_credential';

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one) => b.includes(one));
}

function serviceOf(agent: Agent, job: AgentJob & Required<Pick<AgentJob, 'as'>>, now: Instant): Opener {
  const { principal, tenant, roles, scopes } = job.as;
  const service = {
    id: principal,
    kind: 'service',
    tenant,
    issuer: `sallyport:agent:${agent.name}`,
    roles,
    scopes,
    attributes: {},
    authenticatedAt: now,
  } as Principal;
  return begunBy(job, {
    principal: service,
    case: null,
    purpose: {},
    tokenId: null,
    // There is no credential that could end; the session ends by itself.
    times: { issuedAt: now, notBefore: now, expiresAt: (now + agent.sessions.maxMs) as Instant },
    origin: { rootKind: job.root, method: JOB_METHOD, hops: [] },
  });
}

/** What the bundle says of the job stands before what a token says: the token was made for the person, not for the job. */
function begunBy(job: AgentJob, opener: Opener): Opener {
  const { task = opener.purpose.task, purpose = opener.origin.purpose } = job;
  return {
    ...opener,
    purpose: { ...opener.purpose, ...(task === undefined ? {} : { task }) },
    origin: {
      ...opener.origin,
      rootKind: job.root,
      workflowId: opener.origin.workflowId ?? job.name,
      ...(purpose === undefined ? {} : { purpose }),
    },
  };
}
