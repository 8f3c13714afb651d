/** What exists beside agents: tool servers, tools, issuers, values of an environment. */

import { EFFECTS, type DenialCode } from '@sallyport/model';
import { METHODS, SIGNED_FIELD, SIGNED_FIELDS_MAX } from '../grammar/catalog.ts';
import { CLIENT_ID, CREDENTIAL_HEADER, CREDENTIAL_SCHEMES, ENDPOINT_PATH, RESERVED_HEADER } from '../grammar/credential.ts';
import { CREDENTIAL_PATH } from '../grammar/secret-place.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import { AGENT, TRUST_DOMAIN } from './kinds-agents.ts';
import { ISSUER } from './kinds-identity.ts';
import { TOOL_SERVER } from './kinds-server.ts';
import type { Field, Kind, MapShape } from './shape.ts';
import { list, map } from './shape.ts';
import { CLASS, INSTANT, NAME, SELECTOR, TOKEN, TOOL, WORD, span, text, word } from './shapes-common.ts';

const EFFECT: Field = {
  says: 'What a call does: `read` changes nothing, `write` can be undone, `side_effect` leaves the house, `destructive` is final.',
  shape: word(EFFECTS),
};
const CLASSES: Field = {
  says: 'What the tool is about, for rules that cut across: `money`, `pii`, `export`, or words of your own.',
  shape: list(CLASS, { max: 32, isSet: true }),
};
const DENY_AS: Field = {
  says: 'How a denial looks over MCP: a result that the model reads, or a protocol error.',
  shape: word(['tool_result', 'error']),
};

const NOTES = (root: 'args' | 'result', says: string): Field => ({
  says,
  shape: {
    is: 'names',
    of: text(`a place such as ${root}.items[].id`, `^${root}(?:\\.[A-Za-z_][A-Za-z0-9_-]{0,127}|\\[\\]){1,16}$`),
    key: WORD,
    min: 1,
    max: 16,
  },
});

const signing = (name: string, says: string, code: DenialCode): MapShape =>
  map(name, {
    headers: {
      says,
      shape: list(text('a header in lower case that reaches the tool', SIGNED_FIELD), { min: 1, max: SIGNED_FIELDS_MAX, isSet: true }),
      otherwise: 'none besides',
      code,
    },
  });

const TOOL_KIND: Kind = {
  name: 'Tool',
  says: 'One tool: what it does, what it takes, and what a session notes of it. A tool that is not declared cannot be called or seen.',
  shape: map('Tool', {
    name: { says: 'Server and tool, as everyone calls it.', shape: TOOL, isRequired: true },
    description: { says: 'What agents read of it.', shape: text('text') },
    effect: { ...EFFECT, default: 'destructive' },
    classes: { ...CLASSES, default: [] },
    arguments: {
      says: 'The schema of its arguments: the JSON Schema keywords of arguments-v1. What it does not name is refused.',
      shape: { is: 'schema', of: 'whole' },
      otherwise: 'it takes none',
      code: 'schema_violation',
    },
    route: {
      says: 'Which HTTP request it is; required for tools of `http` servers, refused for others.',
      shape: map('Route', {
        method: { says: 'The HTTP method.', shape: word(METHODS), isRequired: true },
        path: {
          says: 'Below the URL of the server: 1 to 32 plain segments, and whole `{argument}` segments of required scalar arguments.',
          shape: text(
            'a path of plain segments and whole {argument} segments',
            '^(?:/(?!\\.{1,2}(?:/|$))(?:[A-Za-z0-9._~-]+|\\{[A-Za-z_][A-Za-z0-9_]{0,63}\\})){1,32}$',
          ),
          isRequired: true,
        },
        query: {
          says: 'Arguments that stand in the query of a POST, PUT or PATCH.',
          shape: list(text('the name of an argument'), { min: 1, max: LIMITS.listMax, isSet: true }),
        },
      }),
    },
    unknown_arguments: {
      says: 'What becomes of arguments that the schema does not know: the call is refused, or they are taken out and recorded.',
      shape: word(['reject', 'strip']),
      default: 'reject',
      code: 'field_not_allowed',
    },
    ranges: {
      says: 'Pairs of dates that lie close enough together.',
      shape: list(
        map('Range', {
          from: { says: 'The argument with the earlier date.', shape: text('the name of an argument'), isRequired: true },
          to: { says: 'The argument with the later date.', shape: text('the name of an argument'), isRequired: true },
          max: { says: 'How far they may lie apart.', shape: span(LIMITS.rangeMsMax), isRequired: true },
          over: {
            says: 'Beyond that the call is refused, or `from` is moved nearer, recorded and told to the caller.',
            shape: word(['reject', 'narrow']),
            default: 'reject',
          },
        }),
        { min: 1, max: 8 },
      ),
      code: 'schema_violation',
    },
    touches: NOTES('args', 'Arguments that the session notes when a call has completed; conditions read `session.touched.<word>`.'),
    remember: NOTES('result', 'Values of the result that the session notes; conditions read `session.remembered.<word>`.'),
    assertion: {
      says: 'What the assertion of a call says beyond who calls what: the digest of its arguments.',
      shape: map('Assertion', {
        arguments: {
          says: 'Each call has an assertion of its own, for exactly these arguments.',
          shape: { is: 'flag', only: true },
          isRequired: true,
        },
      }),
      otherwise: 'one assertion serves several calls of a session, whatever their arguments',
    },
    sign: {
      says: 'Each call is signed, for its server to verify that nothing was changed on the way: method, place, body and assertion.',
      shape: signing('Sign', 'Header fields that are covered as well; a call without one of them is not sent.', 'obligation_unsupported'),
      otherwise: 'calls are not signed',
    },
    envelope: {
      says: 'Each call comes sealed by a key of the agent (`signing_keys`): method, place, body and the heads that matter.',
      shape: signing('Envelope', 'Header fields that are covered as well; a call without one of them is refused.', 'signature_invalid'),
      otherwise: 'no envelope is asked for',
      code: 'signature_invalid',
    },
    deny_as: { ...DENY_AS, default: 'tool_result' },
  }),
};

const TOOL_OVERLAY: Kind = {
  name: 'ToolOverlay',
  says: 'Your own words on a tool that a generated file declares. Each field replaces the tool’s; classes are added.',
  shape: map('ToolOverlay', {
    name: { says: 'The tool; it must exist.', shape: TOOL, isRequired: true },
    description: { says: 'What agents read of it.', shape: text('text') },
    effect: EFFECT,
    classes: CLASSES,
    deny_as: DENY_AS,
  }),
};

const CREDENTIAL: Kind = {
  name: 'Credential',
  says: 'A secret that the sidecar puts into calls when it sends them, by reference: no field holds a value, and the agent never sees one.',
  shape: map('Credential', {
    name: { says: 'What records, metrics and people call it.', shape: NAME, isRequired: true },
    source: {
      says: 'Where the sidecar finds the value.',
      shape: map(
        'CredentialSource',
        {
          file: {
            says: 'A file below the folder that the sidecar’s configuration names as `secrets.folder`.',
            shape: text('names joined by `/`', CREDENTIAL_PATH),
          },
          vault: {
            says: 'A secret of Vault’s KV engine, version 2; which Vault, and as whom, the sidecar’s configuration says.',
            shape: map('VaultSecret', {
              mount: { says: 'Where the engine is mounted.', shape: text('names joined by `/`', CREDENTIAL_PATH), default: 'secret' },
              path: { says: 'The secret.', shape: text('names joined by `/`', CREDENTIAL_PATH), isRequired: true },
              field: { says: 'Which of its fields.', shape: text('a name', CREDENTIAL_PATH), isRequired: true },
            }),
          },
          oauth_client_credentials: {
            says: 'An access token that the sidecar fetches for itself (RFC 6749, section 4.4), before the last one ends.',
            shape: map('ClientCredentials', {
              server: { says: 'The server of the token endpoint, as declared.', shape: NAME, isRequired: true },
              path: {
                says: 'The token endpoint, below the server’s URL.',
                shape: text('a path of plain segments', ENDPOINT_PATH),
                isRequired: true,
              },
              client_id: { says: 'Who asks; it is public.', shape: text('a client id', CLIENT_ID), isRequired: true },
              client_secret_file: {
                says: 'A file of the secrets folder with the client’s secret.',
                shape: text('names joined by `/`', CREDENTIAL_PATH),
                isRequired: true,
              },
              scopes: {
                says: 'What is asked for.',
                shape: list(TOKEN, { min: 1, max: LIMITS.listMax, isSet: true }),
                otherwise: 'what the server gives',
              },
            }),
          },
        },
        { exactlyOne: ['file', 'vault', 'oauth_client_credentials'] },
      ),
      isRequired: true,
    },
    header: {
      says: 'Which header carries it. Those that the gateway writes itself are refused.',
      shape: text('the name of a header', `^(?!(?:${RESERVED_HEADER})$)${CREDENTIAL_HEADER.slice(1)}`),
      isRequired: true,
    },
    scheme: { says: 'The word before the value.', shape: word(CREDENTIAL_SCHEMES), otherwise: 'the value alone' },
    destinations: {
      says: 'The tool servers that it may be sent to. It is sent nowhere else.',
      shape: list(NAME, { min: 1, max: LIMITS.listMax, isSet: true }),
      isRequired: true,
    },
    agents: {
      says: 'The agents whose calls carry it.',
      shape: list(NAME, { min: 1, max: LIMITS.listMax, isSet: true }),
      isRequired: true,
    },
    tools: {
      says: 'The calls that carry it, among the tools of its `destinations`; for one header of one call there is one credential.',
      shape: list(SELECTOR, { min: 1, max: LIMITS.listMax, isSet: true }),
      isRequired: true,
      code: 'credential_unavailable',
    },
    max_age: {
      says: 'Older than this it is stale, and without its source it is used no longer.',
      shape: span(LIMITS.credentialAgeMsMax),
      otherwise: 'it never counts as stale',
    },
    leaked_at: {
      says: 'Since when it is known to have leaked. A value that was made before is flagged until it is replaced, from the fifth day on as critical.',
      shape: INSTANT,
      otherwise: 'no leak is known',
    },
  }),
};

const ENVIRONMENT: Kind = {
  name: 'Environment',
  says: 'Values that differ between environments; a build has one. Documents read `${env.x}`, conditions `env.x`.',
  shape: map('Environment', {
    name: { says: 'What people call it.', shape: text('a name') },
    values: {
      says: 'Each of one type.',
      shape: {
        is: 'names',
        of: map(
          'Value',
          {
            url: { says: 'A base URL.', shape: text('a base URL') },
            string: { says: 'Text.', shape: text('text') },
            integer: { says: 'A whole number of at most 38 digits.', shape: { is: 'number', of: 'integer', isNegative: true } },
            decimal: { says: 'A decimal of at most 38 digits.', shape: { is: 'number', of: 'decimal', isNegative: true } },
            boolean: { says: 'True or false.', shape: { is: 'flag' } },
            strings: { says: 'A list of text.', shape: list(text('text'), { max: LIST_CAPS.environment, isSet: true }) },
          },
          { exactlyOne: ['url', 'string', 'integer', 'decimal', 'boolean', 'strings'] },
        ),
        key: WORD,
        min: 0,
        max: LIMITS.environmentValuesMax,
      },
      isRequired: true,
    },
  }),
};

export const CATALOG_KINDS: readonly Kind[] = [AGENT, TOOL_SERVER, TOOL_KIND, TOOL_OVERLAY, ISSUER, TRUST_DOMAIN];
export const VALUE_KINDS: readonly Kind[] = [CREDENTIAL, ENVIRONMENT];
