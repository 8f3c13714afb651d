/**
 * Credentials by reference: which secret goes along with which calls, read from documents and parts alike. There is no
 * field that holds a secret, and nothing that was written in place of one is repeated. Spec: policy-v1, 3.4a.
 */

import type { AgentName, CredentialName, Json, ServerName } from '@sallyport/model';
import { agentName, credentialName, serverName } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { MapNode, Node, Problems } from '../reader/node.ts';
import { quote } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { duration, fields, formatSpan, list, oneOf } from '../reader/read.ts';
import type { Selector } from '../rule.ts';
import { encodeSelector, selector } from './rule.ts';
import { looksLikeSecret } from './secret-look.ts';

/** Where the value lies; never the value. */
export type CredentialSource = FileSource;

/** A file below the folder of secrets that the sidecar's configuration names. */
export interface FileSource {
  readonly kind: 'file';
  /** Names joined by `/`, none of them beginning with a dot. */
  readonly path: string;
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
}

const FIELDS = ['name!', 'source!', 'header!', 'scheme', 'destinations!', 'agents!', 'tools!', 'max_age'];

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
  };
}

const SOURCES = ['file'] as const;

const credentialSource: Reader<CredentialSource> = (node, problems) => {
  // A bare text is where a value is pasted first; it is not repeated.
  if (node.kind !== 'map') return problems.add(node.place, 'a source must be a map', { remedy: BY_REFERENCE });
  const declared = fields(withoutLiterals(node, problems), problems, 'a source', [...SOURCES]);
  if (declared === undefined) return undefined;
  if (SOURCES.filter((kind) => declared.has(kind)).length !== 1)
    return problems.add(declared.place, `a source has exactly one of ${SOURCES.map(quote).join(', ')}`, { remedy: BY_REFERENCE });
  const path = declared.get('file', reference('a file of the secrets folder', PATH, PATH_WORDS));
  return path === undefined ? undefined : { kind: 'file', path };
};

function encodeSource(source: CredentialSource): Json {
  return { file: source.path };
}

/** What is compared to tell whether two sources are the same secret. */
export function secretOf(source: CredentialSource): string {
  return `file ${source.path}`;
}

export const CREDENTIAL_PATH = '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}){0,7}$';
const PATH = new RegExp(CREDENTIAL_PATH);
const PATH_WORDS = '1 to 8 names joined by `/`, each 1 to 63 of A-Za-z0-9, `_`, `.` and `-`, not beginning with `.` or `-`';
const BY_REFERENCE = 'put the value into a file of the sidecar’s secrets folder and write source: { file: orders/api-key }';
/** Whoever reads the repository has it: taking it away is not enough. */
const LEAKED = `${BY_REFERENCE}; what stood here is no secret any more: replace it`;

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

/** A text that names something and is no secret; one that does not fit is not repeated. */
function reference(what: string, form: RegExp, words: string): Reader<string> {
  return (node, problems) => {
    if (node.kind !== 'scalar' || typeof node.value !== 'string') return problems.add(node.place, `${what} must be text`);
    if (looksLikeSecret(node.value)) return problems.add(node.place, `${what} looks like a secret itself`, { remedy: LEAKED });
    return form.test(node.value) ? node.value : problems.add(node.place, `this is not ${what}: ${words}`);
  };
}

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
