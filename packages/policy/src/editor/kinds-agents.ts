/** Agents, whom they act for, what they share with other agents, and other trust domains. */

import { DELEGATION_ROOTS, HOP_AUTHORITIES, TRUST_TIER_MAX } from '@sallyport/model';
import { LIMITS } from '../reader/limits.ts';
import { SESSIONS } from './kinds-sessions.ts';
import { SIGNING_KEYS_MAX } from '../grammar/identity.ts';
import { KEY } from './kinds-identity.ts';
import type { Kind, Shape, TextShape } from './shape.ts';
import { list, map } from './shape.ts';
import { NAME, SCOPE, TOKEN, count, text, word } from './shapes-common.ts';

const WHO = list(TOKEN, { min: 1, max: LIMITS.listMax, isSet: true });

const SCOPES = list(SCOPE, { max: LIMITS.listMax, isSet: true });
export const CALLED_AGENT: TextShape = text(
  'an agent; of another trust domain as domain/agent',
  '^(?:[a-z0-9._-]{1,255}/)?[a-z][a-z0-9-]{0,62}$',
);
export const TRUST_DOMAIN_NAME: TextShape = text('a trust domain: lower-case letters, digits, ., _ and -', '^[a-z0-9._-]{1,255}$');

export const CA_TEXTS: Shape = list(text('a CA certificate', undefined, LIMITS.fileCharsMax), { min: 1, max: 8, isSet: true });

const DELEGATES_TO = map('DelegatesTo', {
  server: { says: 'The ToolServer that is the agent.', shape: NAME, isRequired: true },
  scopes: { says: 'At most these of the scopes that it holds are handed on.', shape: SCOPES, default: [] },
  authority: {
    says: 'What the record of each hop says: the caller’s authority is handed on, or kept and only used.',
    shape: word(HOP_AUTHORITIES),
    default: 'retained',
  },
});

const DELEGATED_BY = map('DelegatedBy', {
  agents: {
    says: 'The agent that calls is one of these; one of another trust domain is written `domain/agent`.',
    shape: list(CALLED_AGENT, { min: 1, max: LIMITS.listMax, isSet: true }),
    isRequired: true,
  },
  roots: {
    says: 'It began with a person, a schedule or event of ours, or anybody else.',
    shape: list(word(DELEGATION_ROOTS), { min: 1, max: LIMITS.listMax, isSet: true }),
    default: ['human'],
  },
  tenants: { says: 'Whom it began with is of one of these tenants.', shape: WHO },
  principals: { says: 'It began with one of these; of another trust domain written `domain/id`.', shape: WHO },
  third_party: { says: 'Agents of other trust domains may stand in between, or call.', shape: { is: 'flag' }, default: false },
  trust: {
    says: 'A trust statement that the agent shows says at least so much of it, by one of these keys.',
    shape: map('TrustDemand', {
      min: { says: 'From 1 to 3; of whom nobody says anything, 0.', shape: count(1, TRUST_TIER_MAX), isRequired: true },
      keys: { says: 'Whose word counts.', shape: list(KEY, { min: 1, max: 8, isSet: true }), isRequired: true },
    }),
    otherwise: 'nothing need be said of it',
  },
  tenant: { says: 'The tenant of those whom another trust domain vouches for.', shape: TOKEN, otherwise: 'none, so that they are refused' },
  roles: { says: 'The roles that whom it began with has here.', shape: list(TOKEN, { max: LIMITS.listMax, isSet: true }), default: [] },
  scopes: { says: 'At most these of the scopes that were handed on.', shape: SCOPES, default: [] },
});

export const AGENT: Kind = {
  name: 'Agent',
  says: 'An agent that calls tools: who answers for it, which tool servers it may know of, whom it may act for. It grants no tool.',
  shape: map('Agent', {
    name: { says: 'What rules, tests and sidecars call it.', shape: NAME, isRequired: true },
    owner: { says: 'Who answers for it; conditions read it as `agent.owner`.', shape: text('text'), isRequired: true },
    uses: {
      says: 'The tool servers whose tools it may be allowed; rules select among these alone.',
      shape: list(NAME, { max: LIMITS.listMax, isSet: true }),
      isRequired: true,
    },
    signing_keys: {
      says: 'Public keys with which it seals calls of tools that want an envelope; several while one takes another’s place.',
      shape: list(KEY, { min: 1, max: SIGNING_KEYS_MAX, isSet: true }),
      otherwise: 'it can call no tool that wants an envelope',
    },
    isolation: {
      says:
        'Its tools that move money, personal data or exports, or destroy, are content with an agent that could go round its sidecar, ' +
        'such as on a laptop.',
      shape: word(['advisory']),
      otherwise: 'they are refused to such an agent, unless the allow rule says `isolation: advisory`',
    },
    callers: {
      says:
        'Whom it may act for: a principal that any of them names. Where it is left out nobody reaches the agent by the inbound port, ' +
        'and the agent may open sessions for any verified operator.',
      shape: list(
        map(
          'Caller',
          {
            roles: { says: 'The principal has one of them.', shape: WHO },
            tenants: { says: 'The principal is of one of them.', shape: WHO },
            principals: { says: 'The principal is one of them.', shape: WHO },
            scopes: { says: 'The credential has all of them.', shape: list(SCOPE, { min: 1, max: LIMITS.listMax, isSet: true }) },
          },
          { atLeastOne: ['roles', 'tenants', 'principals', 'scopes'] },
        ),
        { max: LIMITS.listMax },
      ),
    },
    delegation: {
      says: 'With which agents it shares what it was given. Where it is left out it hands nothing on, and takes nothing that another agent hands on.',
      shape: map(
        'AgentDelegation',
        {
          depth: { says: 'So many hops at most, its own included.', shape: count(1, LIMITS.hopsMax), default: 1 },
          to: {
            says: 'To which it may hand on; a rule must allow the call as well.',
            shape: list(DELEGATES_TO, { min: 1, max: LIMITS.listMax }),
          },
          from: {
            says: 'From which it takes, and as whom: the first that fits a call.',
            shape: list(DELEGATED_BY, { min: 1, max: LIMITS.listMax }),
          },
        },
        { atLeastOne: ['to', 'from'] },
      ),
      code: 'delegation_not_allowed',
    },
    sessions: SESSIONS,
  }),
};

export const TRUST_DOMAIN: Kind = {
  name: 'TrustDomain',
  says: 'Another trust domain whose agents may be named in relations. Its agents are third-party, and its scopes only narrow.',
  shape: map('TrustDomain', {
    name: { says: 'As its SPIFFE ids have it.', shape: TRUST_DOMAIN_NAME, isRequired: true },
    authorities: {
      says: 'The CAs that certify its sidecars, each as PEM or base64 of its DER. One vouches for this domain alone.',
      shape: CA_TEXTS,
      isRequired: true,
    },
    scopes: { says: 'What its hops may be used for at most.', shape: SCOPES, isRequired: true },
  }),
};
