/** Where tools are: servers, their URLs, and what their TLS is held to. */

import { SERVICE_IDENTITY } from '@sallyport/model';
import { NETWORKS } from '../grammar/catalog.ts';
import { CREDENTIAL_PATH } from '../grammar/secret-place.ts';
import { TLS_AUTHORITIES_MAX, TLS_IDENTITY_WORDS } from '../grammar/server-tls.ts';
import { CA_TEXTS, TRUST_DOMAIN_NAME } from './kinds-agents.ts';
import type { Kind, MapShape } from './shape.ts';
import { list, map } from './shape.ts';
import { NAME, text, word } from './shapes-common.ts';

const URL_FIELDS: MapShape = map('Endpoint', {
  url: {
    says: 'Absolute, `http` or `https`, a lower-case host and a plain path; `${env.x}` is substituted.',
    shape: text('a base URL'),
    isRequired: true,
  },
});

const SECRET_FILE = text('a file of the secrets folder', CREDENTIAL_PATH);

const SERVER_TLS: MapShape = map(
  'ServerTls',
  {
    authorities: {
      says: 'Its certificate leads to one of these and to no other: certificates of authorities in PEM, or the CA of this gateway’s own workloads.',
      shape: {
        is: 'either',
        of: [word(['workload']), list(text('the certificate of an authority in PEM'), { min: 1, max: TLS_AUTHORITIES_MAX, isSet: true })],
      },
      otherwise: 'the platform’s',
    },
    identity: {
      says: 'The SPIFFE id that its certificate names, in place of the host’s name; with `authorities: workload` it is needed.',
      shape: text(TLS_IDENTITY_WORDS, SERVICE_IDENTITY),
      otherwise: 'the host’s name is what counts',
    },
    client: {
      says: 'What it is shown: this sidecar’s own certificate, or one whose files lie in the secrets folder.',
      shape: {
        is: 'either',
        of: [
          word(['workload']),
          map('ClientCertificate', {
            certificate: {
              says: 'Certificates in PEM, the leaf first; read again while the sidecar runs.',
              shape: SECRET_FILE,
              isRequired: true,
            },
            key: { says: 'The private key of the leaf, in PEM.', shape: SECRET_FILE, isRequired: true },
          }),
        ],
      },
      otherwise: 'none',
    },
  },
  { atLeastOne: ['authorities', 'identity', 'client'] },
);

export const TOOL_SERVER: Kind = {
  name: 'ToolServer',
  says: 'A server with tools, and where it is reached.',
  shape: map(
    'ToolServer',
    {
      name: { says: 'The first half of the names of its tools.', shape: NAME, isRequired: true },
      mcp: { says: 'It speaks MCP, at this URL.', shape: URL_FIELDS },
      http: { says: 'It speaks plain HTTP; each of its tools has a `route` below this URL.', shape: URL_FIELDS },
      agent: {
        says: 'It is another agent, behind its own sidecar: what is called there is handed on by a hop.',
        shape: map('CalledAgent', {
          url: { says: 'Where that sidecar takes callers; `${env.x}` is substituted.', shape: text('a base URL'), isRequired: true },
          name: { says: 'Its name there.', shape: NAME, isRequired: true },
          trust_domain: { says: 'Where it is another than ours.', shape: TRUST_DOMAIN_NAME, otherwise: 'ours' },
          authorities: {
            says: 'The CAs of its port’s certificate, each as PEM or base64 of its DER; what it names is the SPIFFE id of that sidecar all the same.',
            shape: CA_TEXTS,
            otherwise: 'the CA of the workloads of its trust domain',
          },
        }),
      },
      network: {
        says: 'Where its address must lie: an address elsewhere is not dialled.',
        shape: word(NETWORKS),
        default: 'public',
      },
      audience: {
        says: 'What assertions to it are for; its own verifier must know the same text.',
        shape: text('an audience: 1 to 256 visible ASCII characters, without ${', '^(?!.*\\$\\{)[!-~]{1,256}$'),
        otherwise: '`sallyport:<trust domain>:server:<name>`',
      },
      assertion_format: {
        says: 'How assertions to it are written. SAML is not supported (assertions-v1, section 7).',
        shape: word(['jwt']),
        default: 'jwt',
      },
      tls: {
        says: 'What its certificate must hold to, and which certificate it is shown; of `https` alone.',
        shape: SERVER_TLS,
        otherwise: 'as for any server of the web: the platform’s authorities, the host’s name, and no certificate of ours',
        code: 'upstream_untrusted',
      },
    },
    { exactlyOne: ['mcp', 'http', 'agent'], excludes: [{ field: 'agent', fields: ['tls'] }] },
  ),
};
