/** What opens the sessions of an agent, and how long they last. */

import { JOBS_MAX, JOB_STARTS_MAX, JOB_WITHIN_MS_MAX, SESSIONS_CONCURRENT_MAX } from '../grammar/sessions.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import type { Field } from './shape.ts';
import { list, map } from './shape.ts';
import { SCOPE, TOKEN, count, span, text, word } from './shapes-common.ts';

const ROOTS = ['operator', 'schedule', 'event'] as const;

const JOB = map('Job', {
  name: { says: 'What the agent calls it; records have it as the workflow where no token names one.', shape: TOKEN, isRequired: true },
  root: { says: 'What begins it, one of `roots`.', shape: word(['schedule', 'event']), isRequired: true },
  as: {
    says: 'Who it is where no operator’s token comes with it. A schedule has to say.',
    shape: map('JobPrincipal', {
      principal: { says: 'The id of a service; not `anonymous`.', shape: TOKEN, isRequired: true },
      tenant: { says: 'Its tenant.', shape: TOKEN, isRequired: true },
      roles: { says: 'Its roles.', shape: list(TOKEN, { max: LIST_CAPS.roles, isSet: true }), default: [] },
      scopes: { says: 'Its scopes.', shape: list(SCOPE, { max: LIST_CAPS.scopes, isSet: true }), default: [] },
    }),
    otherwise: 'it opens a session with an operator’s token alone',
  },
  task: { says: 'The task of its sessions, `session.task`.', shape: TOKEN, otherwise: 'that of the token, or none' },
  purpose: { says: 'Why they are there, `session.purpose`.', shape: text('text', undefined, 256), otherwise: 'that of the token, or none' },
  max: {
    says: 'How many sessions it may open at one sidecar.',
    shape: map('JobStarts', {
      count: { says: 'So many.', shape: count(1, JOB_STARTS_MAX), isRequired: true },
      within: { says: 'Within this span.', shape: span(JOB_WITHIN_MS_MAX), isRequired: true },
    }),
    default: { count: 60, within: '1h' },
    code: 'rate_limited',
  },
});

export const SESSIONS: Field = {
  says: 'Who opens its sessions, and how long they last.',
  shape: map('Sessions', {
    roots: {
      says: 'What opens a session: a person, a schedule, an event.',
      shape: list(word(ROOTS), { min: 1, max: LIMITS.listMax, isSet: true }),
      default: ['operator'],
    },
    idle: {
      says: 'Ends after this long without a call; not longer than `max`.',
      shape: span(LIMITS.sessionMaxMsMax),
      default: '15m',
      otherwise: '`15m`, or `max` where that is less',
    },
    max: { says: 'Ends after this long, whatever happens.', shape: span(LIMITS.sessionMaxMsMax), default: '8h' },
    tie: {
      says: 'How a call may name its session beside `Sallyport-Session`: by what the agent’s tracing library carries along.',
      shape: word(['tracestate']),
      otherwise: 'by `Sallyport-Session` alone',
    },
    concurrent_max: {
      says: 'How many sessions it may be serving at once when it calls a tool that moves money, personal data or exports, or destroys: one that serves several can mix them up.',
      shape: count(1, SESSIONS_CONCURRENT_MAX),
      default: 1,
      code: 'rate_limited',
    },
    jobs: {
      says: 'Kinds of job that open sessions without a person asking, each by its name in the header `Sallyport-Job`.',
      shape: list(JOB, { min: 1, max: JOBS_MAX }),
      otherwise: 'operators alone open sessions',
    },
  }),
  otherwise: '`{ roots: [operator], idle: 15m, max: 8h }`',
};
