/** Who says who operators are: issuers, what their tokens must say, and which claims become facts. */

import { CLIENT_ID } from '../grammar/credential.ts';
import { SECRET } from './shape-secret.ts';
import { ATTRIBUTE_TYPES, ORIGIN_CLAIMS, REQUIRABLE_CLAIMS, TOKEN_ALGORITHMS } from '@sallyport/model';
import type { OriginClaim } from '@sallyport/model';
import { NETWORKS } from '../grammar/catalog.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Field, Kind, MapShape, Shape } from './shape.ts';
import { list, map } from './shape.ts';
import { CLAIM, TOKEN, WORD, count, span, text, word } from './shapes-common.ts';

const COORDINATE = text('a P-256 coordinate: 32 bytes as base64url', '^[A-Za-z0-9_-]{43}$');

export const KEY: MapShape = map('Key', {
  kid: { says: 'Which key a token names.', shape: text('a key id', undefined, 128), isRequired: true },
  kty: { says: 'The kind of key.', shape: word(['EC']), isRequired: true },
  crv: { says: 'The curve.', shape: word(['P-256']), isRequired: true },
  x: { says: 'The point.', shape: COORDINATE, isRequired: true },
  y: { says: 'The point.', shape: COORDINATE, isRequired: true },
  use: { says: 'What the key is for.', shape: word(['sig']) },
  alg: { says: 'How it signs.', shape: word(['ES256']) },
});

const GROUP = text('a group: 1 to 256 printable characters', '^[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]{1,256}$');

const claim = (says: string, name: string): Field => ({ says, shape: CLAIM, default: name });

const CLAIM_PLACE: Shape = {
  is: 'either',
  of: [
    CLAIM,
    map('ClaimPlace', {
      claim: { says: 'A claim that is an object.', shape: CLAIM, isRequired: true },
      member: { says: 'The member of it.', shape: CLAIM, isRequired: true },
    }),
  ],
};

const ORIGIN_SAYS: Readonly<Record<OriginClaim, string>> = {
  customer_id: 'The customer on whose account the session acts, `session.customer_id`.',
  workflow_id: 'The workflow that the session is a run of, `session.workflow_id`.',
  workflow_step: 'The step of the workflow, `session.workflow_step`.',
  conversation_id: 'The conversation that led to the session, `session.conversation_id`.',
  run_id: 'The run of the agent, `session.run_id`.',
  trace_id: 'The trace that records of the session are found by; for the record alone.',
  purpose: 'Why the access happens, `session.purpose`.',
};

export const ISSUER: Kind = {
  name: 'Issuer',
  says: 'Who says who the operators are: tokens of this issuer, verified with its keys and no others.',
  shape: map(
    'Issuer',
    {
      issuer: { says: 'The `iss` of its tokens; `${env.x}` is substituted.', shape: text('an issuer'), isRequired: true },
      audience: { says: 'The `aud` that its tokens must hold; `${env.x}` is substituted.', shape: text('an audience'), isRequired: true },
      keys: {
        says: 'Its public keys; a private one is refused.',
        shape: list(KEY, { min: 1, max: 32, isSet: true }),
      },
      keys_file: { says: 'A key set `{"keys": […]}` beside this document.', shape: text('a file name') },
      discovery: {
        says: 'Keys are fetched from where the discovery document of the issuer says, on the issuer’s own origin.',
        shape: { is: 'flag', only: true },
      },
      jwks_uri: { says: 'Keys are fetched from this URL; `${env.x}` is substituted.', shape: text('the URL of a key set') },
      introspection: {
        says: 'Its tokens say nothing by themselves: it is asked about each (RFC 7662). One issuer of a policy at most.',
        shape: map('Introspection', {
          url: {
            says: 'The introspection endpoint; `${env.x}` is substituted.',
            shape: text('the URL of an introspection endpoint'),
            isRequired: true,
          },
          client_id: { says: 'Who asks; it is public.', shape: text('a client id', CLIENT_ID), isRequired: true },
          client_secret: { says: 'What the client proves itself with.', shape: SECRET, isRequired: true, code: 'identity_unavailable' },
          cache: {
            says: 'How long an answer is believed, so that a token that was withdrawn stops by then.',
            shape: span(LIMITS.introspectionCacheMsMax),
            default: '30s',
          },
        }),
        code: 'identity_unavailable',
      },
      network: {
        says: 'Which addresses the host of the keys, or of the introspection endpoint, may have.',
        shape: word(NETWORKS),
        otherwise: '`public`',
      },
      jwks_age_max: {
        says: 'Keys that were fetched longer ago verify nothing, so that a key that was withdrawn stops by then.',
        shape: span(LIMITS.jwksAgeMsMax),
        otherwise: '`1h` for keys that are fetched',
        code: 'identity_unavailable',
      },
      algorithms: {
        says: 'What its tokens may be signed with; for keys in the document `ES256` alone.',
        shape: list(word(TOKEN_ALGORITHMS), { min: 1, max: LIMITS.listMax, isSet: true }),
        otherwise: '`[ES256]`, and for keys that are fetched `[ES256, RS256]`',
      },
      max_lifetime: {
        says: 'Tokens that live longer are refused.',
        shape: span(LIMITS.tokenLifetimeMsMax),
        default: '1h',
        code: 'token_lifetime_exceeded',
      },
      environment: {
        says: 'The environment that a token must name; `${env.x}` is substituted.',
        shape: text('an environment', undefined, 128),
        otherwise: 'not asked',
        code: 'unauthenticated',
      },
      min_scope_version: {
        says: 'Tokens of an earlier set of scopes are refused.',
        shape: count(1, LIMITS.countMax),
        otherwise: 'not asked',
        code: 'token_outdated',
      },
      groups: {
        says: 'The role of each group of the issuer; a group that is not here is no role.',
        shape: { is: 'names', of: TOKEN, key: GROUP, min: 0, max: LIMITS.listMax },
        otherwise: 'the values of the claim are the roles',
      },
      required_claims: {
        says: 'What every token must say, by the names of the mapping; `authentication` is `acr` or `amr`. A token that does not is refused.',
        shape: list(word(REQUIRABLE_CLAIMS), { min: 1, max: LIMITS.listMax, isSet: true }),
        otherwise: 'subject and tenant alone',
        code: 'unauthenticated',
      },
      strict_claims: {
        says: 'Every token must say its run, tool, scopes and their version, environment, and how its subject proved who they are.',
        shape: { is: 'flag', only: true },
        otherwise: 'subject and tenant alone',
        code: 'unauthenticated',
      },
      claims: {
        says: 'Which claims become facts.',
        shape: map('Claims', {
          subject: claim('The principal’s id.', 'sub'),
          tenant: claim('The principal’s tenant.', 'tenant'),
          roles: claim('The principal’s roles.', 'roles'),
          scopes: claim('The scopes of the credential.', 'scope'),
          case: claim('The case that the session is about, `session.case`.', 'case'),
          task: claim('The task that the session is for, `session.task`.', 'task'),
          step: claim('The only tool that the credential is good for, `session.step`.', 'tool_step'),
          environment: { says: 'The environment that the token is for.', shape: CLAIM, otherwise: '`env`, where a token has to say it' },
          scope_version: {
            says: 'The version of the set of scopes that the token was issued under.',
            shape: CLAIM,
            otherwise: '`scope_version`, where a token has to say it',
          },
          ...Object.fromEntries(
            ORIGIN_CLAIMS.map((name) => [name, { says: ORIGIN_SAYS[name], shape: CLAIM_PLACE, otherwise: 'not known' }]),
          ),
          attributes: {
            says: 'Attributes of the principal, `principal.attributes.<word>`, by the claims that carry them.',
            shape: {
              is: 'names',
              of: {
                is: 'either',
                of: [
                  CLAIM,
                  map('Attribute', {
                    claim: { says: 'The claim.', shape: CLAIM, isRequired: true },
                    type: {
                      says: 'What it holds; a token that holds something else is refused.',
                      shape: word(ATTRIBUTE_TYPES),
                      otherwise: 'known only when a token comes',
                    },
                  }),
                ],
              },
              key: WORD,
              min: 0,
              max: LIMITS.listMax,
            },
            default: {},
          },
        }),
        otherwise: 'the defaults below',
      },
      directory: {
        says: 'Attributes of its principals, `principal.attributes.<word>`, that the directory says and no claim can.',
        shape: {
          is: 'names',
          of: map('DirectoryAttribute', {
            type: {
              says: 'What it holds; every call of a principal of whom it says something else is refused.',
              shape: word(ATTRIBUTE_TYPES),
              isRequired: true,
            },
            values: {
              says: 'All that it may say; of a list, all that a member may be. For text alone.',
              shape: list(TOKEN, { min: 1, max: LIMITS.listMax, isSet: true }),
              otherwise: 'anything of the type',
            },
            max_age: {
              says: 'What the directory said longer ago is not known any more, and what may read it is refused.',
              shape: span(LIMITS.directoryAgeMsMax),
              default: '1h',
            },
          }),
          key: WORD,
          min: 1,
          max: LIMITS.listMax,
        },
        otherwise: 'nothing is the directory’s to say',
      },
    },
    { exactlyOne: ['keys', 'keys_file', 'discovery', 'jwks_uri', 'introspection'] },
  ),
};
