/**
 * How callers of an agent prove who they are, other than by tokens of an issuer: read from documents and parts alike, and
 * written back in the same form. Secrets are named, API keys are hashes. Spec: policy-v1 3.4b; callers.
 */

import type { CallerIdentity, CallerMapping, CallerMethodConfig, Json, JsonObject, PrincipalId, TenantId } from '@sallyport/model';
import { WORD, token } from '../reader/forms.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import { compareText } from '../reader/node.ts';
import type { Node, Problems } from '../reader/node.ts';
import type { Fields, Reader } from '../reader/read.ts';
import { fields, list, oneOf, record, text } from '../reader/read.ts';
import { encodeApiKey, readApiKey } from './caller-api-key.ts';
import { encodeMtls, readMtls } from './caller-certificates.ts';
import type { CallerSecret, Own, Secrets } from './caller-form.ts';
import { encodeHttpSignature, encodeHmac, encodeSlack, readHmac, readHttpSignature, readSlack } from './caller-signatures.ts';
import { encodeKubernetes, readKubernetes } from './caller-workloads.ts';
import { attributeValue } from './given.ts';

export const CALLER_METHOD_KINDS = ['slack', 'hmac', 'api_key', 'http_signature', 'mtls', 'kubernetes'] as const;

/** One method as a bundle holds it: what the sidecar makes it from, and where the secrets lie that it names. */
export interface CallerMethodDocument {
  readonly config: CallerMethodConfig;
  /** By the name under which `config` has it. */
  readonly secrets: Readonly<Record<string, CallerSecret>>;
}

const NAME = {
  test: (name: string) => /^[a-z][a-z0-9-]{0,62}$/.test(name),
  words: 'a name: 1 to 63 of a-z, 0-9 and -, starting with a letter',
};
const BY_KIND: Readonly<Record<(typeof CALLER_METHOD_KINDS)[number], Reader<Own>>> = {
  slack: readSlack,
  hmac: readHmac,
  api_key: readApiKey,
  http_signature: readHttpSignature,
  mtls: readMtls,
  kubernetes: readKubernetes,
};

/** A method; exactly one kind, and at least one row that says who somebody is. */
export const callerMethod: Reader<CallerMethodDocument> = (node, problems) => {
  const declared = fields(node, problems, 'a CallerMethod', ['name!', ...CALLER_METHOD_KINDS, 'principals!']);
  const name = declared?.get('name', text('a name', NAME));
  const principals = declared?.get(
    'principals',
    list('`principals`', mapping, { min: 1, max: LIMITS.callerPrincipalsMax, key: ({ subject }) => subject }),
  );
  const own = declared === undefined ? undefined : ownOf(declared, problems);
  if (name === undefined || principals === undefined || own === undefined) return undefined;
  return { config: { name, principals, ...own.config } as CallerMethodConfig, secrets: own.secrets };
};

function ownOf(declared: Fields, problems: Problems): Own | undefined {
  const [kind, second] = CALLER_METHOD_KINDS.filter((known) => declared.has(known));
  if (kind !== undefined && second === undefined) return declared.get(kind, BY_KIND[kind]);
  return problems.add(declared.place, `a CallerMethod has exactly one of ${CALLER_METHOD_KINDS.map((known) => `\`${known}\``).join(', ')}`);
}

const ROW = ['subject!', 'id!', 'kind', 'tenant!', 'roles', 'scopes', 'attributes'];
/** Words of records and rules for nobody in particular: a caller of that name would pass for one. */
const NOBODY: ReadonlySet<string> = new Set(['anonymous', '-']);
const SUBJECT = {
  test: (subject: string) => /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{1,512}$/u.test(subject),
  words: 'a subject: 1 to 512 printable characters',
};

/** All that becomes known of a subject; nothing of a request adds to it. */
const mapping: Reader<CallerMapping> = (node, problems) => {
  const declared = fields(node, problems, 'a principal', ROW);
  const subject = declared?.get('subject', text('a subject', SUBJECT));
  const id = declared?.get('id', principalId);
  const tenant = declared?.get('tenant', token);
  if (declared === undefined || subject === undefined || id === undefined || tenant === undefined) return undefined;
  const identity: CallerIdentity = {
    id: id as PrincipalId,
    kind: declared.get('kind', oneOf('kind of principal', ['person', 'service'])) ?? 'person',
    tenant: tenant as TenantId,
    roles: declared.get('roles', list('`roles`', token, { max: LIST_CAPS.roles, key: (role) => role })) ?? [],
    scopes: declared.get('scopes', list('`scopes`', token, { max: LIST_CAPS.scopes, key: (scope) => scope })) ?? [],
    attributes: declared.get('attributes', record('`attributes`', attributeValue, WORD)) ?? {},
  };
  return { subject, identity };
};

function principalId(node: Node, problems: Problems): string | undefined {
  const id = token(node, problems);
  if (id === undefined || !NOBODY.has(id)) return id;
  return problems.add(node.place, `\`${id}\` is what nobody in particular is called`, { remedy: 'choose another id' });
}

export function encodeCallerMethod({ config, secrets }: CallerMethodDocument): Json {
  const rows = config.principals.toSorted((a, b) => compareText(a.subject, b.subject));
  return { name: config.name, [config.kind]: encodeOwn(config, secrets), principals: rows.map(encodeMapping) };
}

function encodeMapping({ subject, identity }: CallerMapping): JsonObject {
  const { id, kind, tenant, roles, scopes, attributes } = identity;
  return { subject, id, kind, tenant, roles: roles.toSorted(), scopes: scopes.toSorted(), attributes: { ...attributes } };
}

function encodeOwn(config: CallerMethodConfig, secrets: Secrets): Json {
  switch (config.kind) {
    case 'slack':
      return encodeSlack(config, secrets);
    case 'hmac':
      return encodeHmac(config, secrets);
    case 'api_key':
      return encodeApiKey(config);
    case 'http_signature':
      return encodeHttpSignature(config, secrets);
    case 'mtls':
      return encodeMtls(config);
    case 'kubernetes':
      return encodeKubernetes(config);
  }
}
