/** How callers of an agent prove who they are, other than by tokens of an issuer. */

import { HMAC_TEMPLATE_PARTS_MAX } from '@sallyport/model';
import { API_KEYS_MAX, API_KEY_HASH, API_KEY_ID, API_KEY_SALT } from '../grammar/caller-api-key.ts';
import { PEM_CHARS_MAX } from '../grammar/caller-certificates.ts';
import { CALLER_HEADER, KEY_ID, OTHER_HEADER, SIGNED_HEADER } from '../grammar/caller-form.ts';
import { CALLER_METHOD_KINDS } from '../grammar/caller-method.ts';
import {
  CALLER_KEYS_MAX,
  CLOCK_SKEW_MS_MAX,
  ED25519_KEY,
  HMAC_PREFIX,
  HMAC_TAKES,
  HMAC_TEXT_CHARS_MAX,
  P256_KEY,
  SIGNATURE_TAG,
  SIGNED_FIELDS_MAX,
  SIGNING_WINDOW_MS_MAX,
} from '../grammar/caller-signatures.ts';
import { CLUSTER_KEYS_MAX, RSA_EXPONENT, RSA_MODULUS } from '../grammar/caller-workloads.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import { KEY } from './kinds-identity.ts';
import { SECRET } from './shape-secret.ts';
import type { Field, Kind, MapShape, Shape } from './shape.ts';
import { list, map } from './shape.ts';
import { ATTRIBUTES, INSTANT, NAME, PRINCIPAL, TOKEN, span, text, word } from './shapes-common.ts';

const secret = (says: string): Field => ({ says, shape: SECRET, isRequired: true, code: 'identity_unavailable' });
const HEADER = text('the name of a header, in lower case', OTHER_HEADER);
const ID: Shape = text('a key id: 1 to 64 of A-Za-z0-9, `.`, `_` and `-`', KEY_ID);

const SLACK: Field = {
  says: 'Messages that Slack signs, version v0; subjects are `<team id>/<user id>`.',
  shape: map('Slack', { secret: secret('The app’s signing secret.') }),
};

const HMAC: Field = {
  says: 'Requests signed with HMAC-SHA-256 in a sender’s own way; subjects are key ids.',
  shape: map('Hmac', {
    headers: {
      says: 'Where the sender writes what.',
      shape: map('HmacHeaders', {
        signature: { says: 'The signature.', shape: HEADER, isRequired: true },
        timestamp: { says: 'When it was signed.', shape: HEADER, isRequired: true },
        key_id: { says: 'Which key signed.', shape: HEADER, otherwise: 'there is one key' },
      }),
      isRequired: true,
    },
    prefix: {
      says: 'What stands before the signature: `sha256=`.',
      shape: text('1 to 32 visible characters', HMAC_PREFIX),
      otherwise: 'nothing',
    },
    encoding: { says: 'How the signature is written.', shape: word(['hex', 'base64']), default: 'hex' },
    timestamp_unit: { says: 'What the timestamp counts since 1970.', shape: word(['s', 'ms']), default: 's' },
    template: {
      says:
        'What is signed, in order: the timestamp once, the body once and last, and after each other value a text that begins ' +
        'with a character which the value cannot hold.',
      shape: list(
        map(
          'HmacPart',
          {
            take: { says: 'A value of the request.', shape: word(HMAC_TAKES) },
            text: { says: 'As it stands.', shape: text('text', undefined, HMAC_TEXT_CHARS_MAX) },
            header: { says: 'The value of a header.', shape: text('the name of a header, in lower case', SIGNED_HEADER) },
          },
          { exactlyOne: ['take', 'text', 'header'] },
        ),
        { min: 1, max: HMAC_TEMPLATE_PARTS_MAX },
      ),
      isRequired: true,
    },
    window: {
      says: 'How far the timestamp may lie from now, either way.',
      shape: span(SIGNING_WINDOW_MS_MAX),
      default: '5m',
      code: 'token_expired',
    },
    keys: {
      says: 'Whose signatures are known.',
      shape: list(
        map('HmacKey', {
          id: { says: 'What `key_id` and `principals` call it.', shape: ID, isRequired: true },
          secret: secret('The shared secret, of 16 bytes at least.'),
        }),
        { min: 1, max: CALLER_KEYS_MAX, isSet: true },
      ),
      isRequired: true,
    },
  }),
};

const API_KEY: Field = {
  says: 'Keys that this house makes (`sallyport api-key create`), as salted hashes; subjects are the ids of keys.',
  shape: map('ApiKeys', {
    header: {
      says: 'Where the key stands; in `authorization` as a Bearer token.',
      shape: text('the name of a header, in lower case', CALLER_HEADER),
      default: 'authorization',
    },
    keys: {
      says: 'What recognises each key.',
      shape: list(
        map('ApiKey', {
          id: { says: 'The middle part of the key.', shape: text('8 to 32 of a-z and 0-9', API_KEY_ID), isRequired: true },
          salt: { says: 'Random bytes.', shape: text('16 to 64 bytes as base64url', API_KEY_SALT), isRequired: true },
          hash: {
            says: 'HMAC-SHA-256, keyed with the salt, over the whole key.',
            shape: text('32 bytes as base64url', API_KEY_HASH),
            isRequired: true,
          },
          issued_at: { says: 'When it was made; revocations by time compare with it.', shape: INSTANT, isRequired: true },
          expires_at: { says: 'When it ends.', shape: INSTANT, otherwise: 'it has no end of its own', code: 'token_expired' },
        }),
        { min: 1, max: API_KEYS_MAX, isSet: true },
      ),
      isRequired: true,
    },
  }),
};

const HTTP_SIGNATURE: Field = {
  says: 'HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530); subjects are key ids.',
  shape: map('HttpSignatures', {
    tag: {
      says: 'The `tag` that our signatures bear.',
      shape: text('1 to 64 of A-Za-z0-9, `.`, `_`, `:`, `/` and `-`', SIGNATURE_TAG),
      isRequired: true,
    },
    max_lifetime: {
      says: 'The longest from `created` to `expires`.',
      shape: span(SIGNING_WINDOW_MS_MAX),
      default: '5m',
      code: 'token_lifetime_exceeded',
    },
    clock_skew: { says: 'How far the signer’s clock may run ahead.', shape: span(CLOCK_SKEW_MS_MAX), default: '30s' },
    fields: {
      says: 'What is signed besides method, authority, path, query and content digest.',
      shape: list(text('the name of a header, in lower case', SIGNED_HEADER), { max: SIGNED_FIELDS_MAX, isSet: true }),
      default: [],
    },
    keys: {
      says: 'Whose signatures are known.',
      shape: list(
        map(
          'HttpSignatureKey',
          {
            id: { says: 'What `keyid` and `principals` call it.', shape: ID, isRequired: true },
            ed25519: { says: 'The raw public key.', shape: text('32 bytes as base64url', ED25519_KEY) },
            ecdsa_p256: {
              says: 'The raw public key, uncompressed, for `ecdsa-p256-sha256`.',
              shape: text('65 bytes as base64url', P256_KEY),
            },
            hmac_sha256: { says: 'The shared secret.', shape: SECRET, code: 'identity_unavailable' },
          },
          { exactlyOne: ['ed25519', 'ecdsa_p256', 'hmac_sha256'] },
        ),
        { min: 1, max: CALLER_KEYS_MAX, isSet: true },
      ),
      isRequired: true,
    },
  }),
};

const MTLS: Field = {
  says: 'The client certificate of the connection; subjects are `uri:…`, `dns:…` or, without either, `cn:…`.',
  shape: map('ClientCertificates', {
    authorities: {
      says: 'One of them must vouch, P-256 or Ed25519, as PEM one after the other.',
      shape: text('PEM', undefined, PEM_CHARS_MAX),
      isRequired: true,
    },
    revocation_lists: {
      says: 'Complete lists that an authority has signed, as PEM one after the other.',
      shape: text('PEM', undefined, PEM_CHARS_MAX),
      otherwise: 'none',
      code: 'token_revoked',
    },
    revocation_required: {
      says: 'Whether a certificate is refused whose issuer has no list here that is fresh.',
      shape: { is: 'flag' },
      default: false,
      code: 'identity_unavailable',
    },
  }),
};

const RSA_KEY: MapShape = map('ClusterRsaKey', {
  kid: { says: 'The `kid` of its tokens.', shape: text('a key id', undefined, 128), isRequired: true },
  kty: { says: 'What it is.', shape: word(['RSA']), isRequired: true },
  n: { says: 'The modulus.', shape: text('256 to 1,024 bytes as base64url', RSA_MODULUS), isRequired: true },
  e: { says: 'The exponent.', shape: text('an exponent as base64url', RSA_EXPONENT), isRequired: true },
  use: { says: 'What it is for.', shape: word(['sig']) },
  alg: { says: 'With what it signs.', shape: word(['RS256']) },
});

const KUBERNETES: Field = {
  says: 'Projected service-account tokens, bound to a pod; subjects are `system:serviceaccount:<namespace>:<name>`.',
  shape: map('ClusterTokens', {
    issuer: { says: 'The `iss` of the cluster’s tokens.', shape: TOKEN, isRequired: true },
    audience: { says: 'The `aud` of tokens for this gateway, and for nobody else.', shape: TOKEN, isRequired: true },
    max_lifetime: {
      says: 'Tokens that live longer are refused: a pod that was deleted keeps its token until then.',
      shape: span(LIMITS.tokenLifetimeMsMax),
      default: '1h',
      code: 'token_lifetime_exceeded',
    },
    keys: {
      says: 'The cluster’s public keys.',
      shape: list({ is: 'either', of: [KEY, RSA_KEY] }, { min: 1, max: CLUSTER_KEYS_MAX, isSet: true }),
      isRequired: true,
    },
  }),
};

const ROW: MapShape = map('CallerPrincipal', {
  subject: {
    says: 'As the method spells it, byte for byte.',
    shape: text('1 to 512 printable characters', '^[^\\p{Cc}\\p{Cf}\\p{Cs}\\p{Zl}\\p{Zp}]{1,512}$'),
    isRequired: true,
  },
  id: { says: 'The principal’s id.', shape: PRINCIPAL, isRequired: true },
  kind: { says: 'What it is.', shape: word(['person', 'service']), default: 'person' },
  tenant: { says: 'The principal’s tenant.', shape: TOKEN, isRequired: true },
  roles: { says: 'The principal’s roles.', shape: list(TOKEN, { max: LIST_CAPS.roles, isSet: true }), default: [] },
  scopes: { says: 'What the credential may be used for.', shape: list(TOKEN, { max: LIST_CAPS.scopes, isSet: true }), default: [] },
  attributes: { says: 'Attributes, of the type that issuers give them.', shape: ATTRIBUTES, default: {} },
});

export const CALLER_METHOD: Kind = {
  name: 'CallerMethod',
  says: 'One way in which callers of an agent prove who they are, beside tokens of an issuer, and who each of them is here. It grants nothing.',
  shape: map(
    'CallerMethod',
    {
      name: {
        says: 'What records and revocations call it; the issuer of its principals is `caller:<name>`.',
        shape: NAME,
        isRequired: true,
      },
      slack: SLACK,
      hmac: HMAC,
      api_key: API_KEY,
      http_signature: HTTP_SIGNATURE,
      mtls: MTLS,
      kubernetes: KUBERNETES,
      principals: {
        says: 'Who each subject is; all that becomes known of it.',
        shape: list(ROW, { min: 1, max: LIMITS.callerPrincipalsMax, isSet: true }),
        isRequired: true,
        code: 'no_matching_policy',
      },
    },
    { exactlyOne: [...CALLER_METHOD_KINDS] },
  ),
};
