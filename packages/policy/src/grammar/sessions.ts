/** What opens the sessions of an agent, and how long they last: read from documents and parts alike, and written back. */

import type { Agent, AgentJob, JobPrincipal, Json } from '@sallyport/model';
import { scope, token } from '../reader/forms.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import { count } from '../reader/read-more.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf, text } from '../reader/read.ts';

type Sessions = Agent['sessions'];

const ROOTS = ['operator', 'schedule', 'event'] as const;
const IDLE_MS = 900_000;
const MAX_MS = 28_800_000;
/** A job that opens more sessions in an hour has to say so. */
const STARTS: AgentJob['max'] = { count: 60, withinMs: 3_600_000 };
export const JOBS_MAX = 64;
export const SESSIONS_CONCURRENT_MAX = 10_000;
export const JOB_STARTS_MAX = 1_000;
export const JOB_WITHIN_MS_MAX = 86_400_000;

/** Opened by operators alone. */
export const USUAL_SESSIONS: Sessions = { roots: ['operator'], idleMs: IDLE_MS, maxMs: MAX_MS };

/** Idle for 15 minutes at most and over after 8 hours, unless said otherwise. */
export const sessionRules: Reader<Sessions> = (node, problems) => {
  const declared = fields(node, problems, '`sessions`', ['roots', 'idle', 'max', 'tie', 'jobs', 'concurrent_max']);
  if (declared === undefined) return undefined;
  const roots = declared.get('roots', list('`roots`', oneOf('root', ROOTS), { min: 1, key: (entry) => entry })) ?? USUAL_SESSIONS.roots;
  const maxMs = declared.get('max', duration('`max`', LIMITS.sessionMaxMsMax)) ?? MAX_MS;
  const idleMs = declared.get('idle', duration('`idle`', LIMITS.sessionMaxMsMax)) ?? Math.min(IDLE_MS, maxMs);
  if (idleMs > maxMs) return problems.add(node.place, '`idle` is longer than `max`', { remedy: 'a session that is over cannot idle' });
  const tie = declared.get('tie', oneOf('tie', ['tracestate']));
  const jobs = declared.get('jobs', list('`jobs`', job, { min: 1, max: JOBS_MAX, key: ({ name }) => name }));
  const concurrentMax = declared.get('concurrent_max', count('`concurrent_max`', 1, SESSIONS_CONCURRENT_MAX));
  const further = {
    ...(jobs === undefined ? {} : { jobs }),
    ...(concurrentMax === undefined || concurrentMax === 1 ? {} : { concurrentMax }),
  };
  return { roots, idleMs, maxMs, ...(tie === undefined ? {} : { tie }), ...further };
};

const job: Reader<AgentJob> = (node, problems) => {
  const declared = fields(node, problems, 'a job', ['name!', 'root!', 'as', 'task', 'purpose', 'max']);
  const name = declared?.get('name', token);
  const root = declared?.get('root', oneOf('root of a job', ['schedule', 'event']));
  if (declared === undefined || name === undefined || root === undefined) return undefined;
  const as = declared.get('as', jobPrincipal);
  const [task, purpose] = [declared.get('task', token), declared.get('purpose', text('a purpose', undefined, PURPOSE_CHARS_MAX))];
  return {
    name,
    root,
    ...(as === undefined ? {} : { as }),
    ...(task === undefined ? {} : { task }),
    ...(purpose === undefined ? {} : { purpose }),
    max: declared.get('max', starts) ?? STARTS,
  };
};

/** As long as a claim may be (sessions, section 2). */
const PURPOSE_CHARS_MAX = 256;

const starts: Reader<AgentJob['max']> = (node, problems) => {
  const declared = fields(node, problems, '`max`', ['count!', 'within!']);
  const most = declared?.get('count', count('`count`', 1, JOB_STARTS_MAX));
  const withinMs = declared?.get('within', duration('`within`', JOB_WITHIN_MS_MAX));
  return most === undefined || withinMs === undefined ? undefined : { count: most, withinMs };
};

const jobPrincipal: Reader<JobPrincipal> = (node, problems) => {
  const declared = fields(node, problems, '`as`', ['principal!', 'tenant!', 'roles', 'scopes']);
  const [principal, tenant] = [declared?.get('principal', token), declared?.get('tenant', token)];
  if (declared === undefined || principal === undefined || tenant === undefined) return undefined;
  return {
    principal,
    tenant,
    roles: declared.get('roles', list('`roles`', token, { max: LIST_CAPS.roles, key: (entry) => entry })) ?? [],
    scopes: declared.get('scopes', list('`scopes`', scope, { max: LIST_CAPS.scopes, key: (entry) => entry })) ?? [],
  };
};

export function encodeSessionRules({ roots, idleMs, maxMs, tie, jobs, concurrentMax }: Sessions): Json {
  const sorted = jobs?.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return {
    roots: roots.toSorted(),
    idle: formatSpan(idleMs),
    max: formatSpan(maxMs),
    ...(tie === undefined ? {} : { tie }),
    ...(sorted === undefined ? {} : { jobs: sorted.map(encodeJob) }),
    ...(concurrentMax === undefined ? {} : { concurrent_max: concurrentMax }),
  };
}

function encodeJob({ name, root, as, task, purpose, max }: AgentJob): Json {
  const who =
    as === undefined
      ? {}
      : { as: { principal: as.principal, tenant: as.tenant, roles: as.roles.toSorted(), scopes: as.scopes.toSorted() } };
  return {
    name,
    root,
    ...who,
    ...(task === undefined ? {} : { task }),
    ...(purpose === undefined ? {} : { purpose }),
    max: { count: max.count, within: formatSpan(max.withinMs) },
  };
}
