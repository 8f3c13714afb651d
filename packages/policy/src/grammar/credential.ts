/**
 * Credentials by reference: which secret goes along with which calls, read from documents and parts alike. There is no
 * field that holds a secret, and nothing that was written in place of one is repeated. Spec: policy-v1, 3.4a.
 */

import { formatInstant } from '@sallyport/model';
import type { AgentName, CredentialName, Instant, Json, ServerName } from '@sallyport/model';
import { agentName, credentialName, serverName, token } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { MapNode, Node, Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import { instant } from '../reader/read-more.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf } from '../reader/read.ts';
import type { Selector } from '../rule.ts';
import { encodeSelector, selector } from './rule.ts';
import { beginsLikeSecret } from './secret-look.ts';
import { BY_REFERENCE, LEAKED, PATH, PATH_WORDS, reference, secretFile } from './secret-place.ts';

/** Where the value lies; never the value. */
export type CredentialSource = FileSource | VaultSource | OAuthSource;

/** A file below the folder of secrets that the sidecar's configuration names. */
export interface FileSource {
  readonly kind: 'file';
  /** Names joined by `/`, none of them beginning with a dot. */
  readonly path: string;
}

/** A field of a secret in Vault's KV engine, version 2; which Vault, and as whom, the sidecar's configuration says. */
export interface VaultSource {
  readonly kind: 'vault';
  readonly mount: string;
  readonly path: string;
  readonly field: string;
}

/** An access token that the sidecar fetches for itself (RFC 6749, section 4.4). */
export interface OAuthSource {
  readonly kind: 'oauth_client_credentials';
  /** A declared server: the token endpoint is dialled by its rules. */
  readonly server: ServerName;
  /** Below the server's URL. */
  readonly path: string;
  readonly clientId: string;
  /** As in `FileSource`. */
  readonly clientSecretFile: string;
  readonly scopes: readonly string[];
}

/** Words that stand before the value in its header. */
export const CREDENTIAL_SCHEMES = ['Bearer', 'Basic', 'Token', 'ApiKey'] as const;
export type CredentialScheme = (typeof CREDENTIAL_SCHEMES)[number];

/** A secret that the sidecar puts into calls when it sends them. */
export interface Credential {
  readonly name: CredentialName;
  readonly source: CredentialSource;
  /** As written; compared without case. */
  readonly header: string;
  readonly scheme?: CredentialScheme;
  /** The servers that may see it; it is sent nowhere else. */
  readonly destinations: readonly ServerName[];
  readonly agents: readonly AgentName[];
  /** Among the tools of its destinations. */
  readonly tools: readonly Selector[];
  /** Beyond this age it is stale. */
  readonly maxAgeMs?: number;
  /** When it is known to have leaked: every value that was made before is somebody else's as well. */
  readonly leakedAt?: Instant;
}

const FIELDS = ['name!', 'source!', 'header!', 'scheme', 'destinations!', 'agents!', 'tools!', 'max_age', 'leaked_at'];

/** A credential; every list must name something. */
export const credential: Reader<Credential> = (node, problems) => {
  if (node.kind === 'map' && node.entries.has('query'))
    return problems.add(node.entries.get('query')?.key ?? node.place, 'a credential does not travel in a query', {
      remedy: 'servers and proxies write URLs into their logs; name a `header`',
    });
  const declared = fields(withoutLiterals(node, problems), problems, 'a Credential', FIELDS);
  const name = declared?.get('name', credentialName);
  const source = declared?.get('source', credentialSource);
  const header = declared?.get('header', headerName);
  const scheme = declared?.get('scheme', oneOf('scheme', CREDENTIAL_SCHEMES));
  const destinations = declared?.get('destinations', list('`destinations`', serverName, { min: 1, key: (entry) => entry }));
  const agents = declared?.get('agents', list('`agents`', agentName, { min: 1, key: (entry) => entry }));
  const tools = declared?.get('tools', list('`tools`', selector, { min: 1, key: (entry) => JSON.stringify(encodeSelector(entry)) }));
  const maxAgeMs = declared?.get('max_age', duration('`max_age`', LIMITS.credentialAgeMsMax));
  const leakedAt = declared?.get('leaked_at', instant);
  if (name === undefined || source === undefined || header === undefined) return undefined;
  if (destinations === undefined || agents === undefined || tools === undefined) return undefined;
  return {
    name,
    source,
    header,
    ...(scheme === undefined ? {} : { scheme }),
    destinations,
    agents,
    tools,
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
    ...(leakedAt === undefined ? {} : { leakedAt }),
  };
};

export function encodeCredential(value: Credential): Json {
  return {
    name: value.name,
    source: encodeSource(value.source),
    header: value.header,
    ...(value.scheme === undefined ? {} : { scheme: value.scheme }),
    destinations: value.destinations.toSorted(),
    agents: value.agents.toSorted(),
    tools: value.tools.map(encodeSelector).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    ...(value.maxAgeMs === undefined ? {} : { max_age: formatSpan(value.maxAgeMs) }),
    ...(value.leakedAt === undefined ? {} : { leaked_at: formatInstant(value.leakedAt) }),
  };
}

const SOURCES = ['file', 'vault', 'oauth_client_credentials'] as const;
const HELD_SOURCES = ['file', 'vault'] as const;

/** A place where a value is kept; not one that makes values. */
export const heldSource: Reader<FileSource | VaultSource> = (node, problems) => {
  if (node.kind !== 'map') return problems.add(node.place, 'a secret is named by a map', { remedy: BY_REFERENCE });
  const declared = fields(withoutLiterals(node, problems), problems, 'a secret', [...HELD_SOURCES]);
  if (declared === undefined) return undefined;
  if (HELD_SOURCES.filter((kind) => declared.has(kind)).length !== 1)
    return problems.add(declared.place, `a secret has exactly one of ${HELD_SOURCES.map(quote).join(', ')}`, { remedy: BY_REFERENCE });
  if (declared.has('vault')) return declared.get('vault', vaultSource);
  const path = declared.get('file', secretFile);
  return path === undefined ? undefined : { kind: 'file', path };
};

const credentialSource: Reader<CredentialSource> = (node, problems) => {
  // A bare text is where a value is pasted first; it is not repeated.
  if (node.kind !== 'map') return problems.add(node.place, 'a source must be a map', { remedy: BY_REFERENCE });
  const declared = fields(withoutLiterals(node, problems), problems, 'a source', [...SOURCES]);
  if (declared === undefined) return undefined;
  if (SOURCES.filter((kind) => declared.has(kind)).length !== 1)
    return problems.add(declared.place, `a source has exactly one of ${SOURCES.map(quote).join(', ')}`, { remedy: BY_REFERENCE });
  if (declared.has('vault')) return declared.get('vault', vaultSource);
  if (declared.has('oauth_client_credentials')) return declared.get('oauth_client_credentials', oauthSource);
  const path = declared.get('file', secretFile);
  return path === undefined ? undefined : { kind: 'file', path };
};

const vaultSource: Reader<VaultSource> = (node, problems) => {
  const declared = fields(withoutLiterals(node, problems), problems, '`vault`', ['mount', 'path!', 'field!']);
  const mount = declared?.has('mount') === true ? declared.get('mount', reference('a mount of Vault', PATH, PATH_WORDS)) : 'secret';
  const path = declared?.get('path', reference('a path of Vault', PATH, PATH_WORDS));
  const field = declared?.get('field', reference('a field of a secret', PATH, PATH_WORDS));
  return mount === undefined || path === undefined || field === undefined ? undefined : { kind: 'vault', mount, path, field };
};

const oauthSource: Reader<OAuthSource> = (node, problems) => {
  const names = ['server!', 'path!', 'client_id!', 'client_secret_file!', 'scopes'];
  const declared = fields(withoutLiterals(node, problems), problems, '`oauth_client_credentials`', names);
  const server = declared?.get('server', serverName);
  const path = declared?.get('path', reference('the path of a token endpoint', ENDPOINT, '1 to 16 plain segments, each after a `/`'));
  const clientId = declared?.get('client_id', clientName);
  const clientSecretFile = declared?.get('client_secret_file', secretFile);
  const scopes = declared?.get('scopes', list('`scopes`', token, { min: 1, key: (entry) => entry })) ?? [];
  if (server === undefined || path === undefined || clientId === undefined || clientSecretFile === undefined) return undefined;
  return { kind: 'oauth_client_credentials', server, path, clientId, clientSecretFile, scopes };
};

export function encodeSource(source: CredentialSource): Json {
  if (source.kind === 'file') return { file: source.path };
  if (source.kind === 'vault') return { vault: { mount: source.mount, path: source.path, field: source.field } };
  const { server, path, clientId, clientSecretFile, scopes } = source;
  const fetched = { server, path, client_id: clientId, client_secret_file: clientSecretFile };
  return { oauth_client_credentials: scopes.length === 0 ? fetched : { ...fetched, scopes: scopes.toSorted() } };
}

/** What is compared to tell whether two sources are the same secret. */
export function secretOf(source: CredentialSource): string {
  if (source.kind === 'file') return `file ${source.path}`;
  if (source.kind === 'vault') return `vault ${source.mount}/${source.path} ${source.field}`;
  return `file ${source.clientSecretFile}`;
}

export const ENDPOINT_PATH = '^(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._~-]{1,128}){1,16}$';
const ENDPOINT = new RegExp(ENDPOINT_PATH);
export const CLIENT_ID = '^[\\x21-\\x7e]{1,256}$';
/** Names under which values are pasted. */
const LITERALS: ReadonlySet<string> = new Set(
  'value literal secret password passphrase token key api_key apikey private_key client_secret bearer basic'.split(' '),
);

/** The node without fields that could only hold a secret, each of them reported without what it holds. */
function withoutLiterals(node: Node, problems: Problems): Node {
  if (node.kind !== 'map') return node;
  const entries = new Map([...node.entries].filter(([name]) => !LITERALS.has(name)));
  for (const [name, { key }] of node.entries)
    if (LITERALS.has(name))
      problems.add(key, `${quote(name)}: a credential is named in a policy, never written into it`, { remedy: LEAKED });
  const kept: MapNode = { ...node, entries };
  return entries.size === node.entries.size ? node : kept;
}

/** Public by RFC 6749, section 2.2, and often made by chance: only what is a key beyond doubt is refused. */
export const clientName: Reader<string> = (node, problems) => {
  if (node.kind !== 'scalar' || typeof node.value !== 'string') return problems.add(node.place, 'a client id must be text');
  if (beginsLikeSecret(node.value))
    return problems.add(node.place, 'this looks like a secret and not like a client id', { remedy: LEAKED });
  return new RegExp(CLIENT_ID).test(node.value)
    ? node.value
    : problems.add(node.place, 'this is no client id: 1 to 256 visible ASCII characters');
};

/** What the gateway writes itself, or what means something between neighbours, to MCP or to the gateway; as a pattern in any case. */
export const RESERVED_HEADER: string = anyCase(
  'host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|cookie2?|forwarded|via|range|traceparent|tracestate|last-event-id|accept|date|content-.*|accept-.*|mcp-.*|sallyport-.*|x-forwarded-.*|if-.*',
);
const RESERVED = new RegExp(`^(?:${RESERVED_HEADER})$`);

/** JSON Schema has no flag for it. */
function anyCase(pattern: string): string {
  return pattern.replaceAll(/[a-z]/g, (letter) => `[${letter.toUpperCase()}${letter}]`);
}
export const CREDENTIAL_HEADER = '^[A-Za-z][A-Za-z0-9-]{0,62}$';

const headerName: Reader<string> = (node, problems) => {
  const name = reference(
    'the name of a header',
    new RegExp(CREDENTIAL_HEADER),
    '1 to 63 of A-Za-z0-9 and `-`, a letter first',
  )(node, problems);
  if (name === undefined) return undefined;
  if (!RESERVED.test(name)) return name;
  return problems.add(node.place, `${quote(name)} is not a credential’s header`, { remedy: 'such as Authorization or X-Api-Key' });
};
