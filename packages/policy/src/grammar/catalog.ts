/** Tool servers and tools: read from documents and parts alike, and written back in the same form. */

import { EFFECTS } from '@sallyport/model';
import type { DateRange, HttpRoute, Json, JsonObject, NotedPath, ServerName, Tool, ToolServer } from '@sallyport/model';
import { routeTemplate } from '@sallyport/strict';
import { WORD, agentName, className, serverName, toolNameReader } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import type { Node, Problems } from '../reader/node.ts';
import { jsonOfNode, quote } from '../reader/node.ts';
import type { Reader } from '../reader/read.ts';
import { bool, duration, fields, formatSpan, list, oneOf, record, text } from '../reader/read.ts';
import { authorityTexts, trustDomainName } from './delegation.ts';
import { encodeServerTls, serverTls } from './server-tls.ts';

export const NETWORKS = ['public', 'private', 'loopback'] as const;
export type Network = (typeof NETWORKS)[number];

/** A server as declared: its URL may still hold `${env.x}`. */
export interface DeclaredServer extends ToolServer {
  readonly network: Network;
}

/** `{ name, mcp: { url } | http: { url } | agent: { url, name, trust_domain?, authorities? }, network?, audience?, tls? }`; the network is public unless said otherwise. */
export const server: Reader<DeclaredServer> = (node, problems) => {
  const declared = fields(node, problems, 'a ToolServer', [
    'name!',
    'mcp',
    'http',
    'agent',
    'network',
    'audience',
    'assertion_format',
    'tls',
  ]);
  const kinds = (['mcp', 'http', 'agent'] as const).filter((kind) => declared?.has(kind));
  const [kind] = kinds;
  if (declared === undefined) return undefined;
  if (kind === undefined || kinds.length > 1)
    return problems.add(node.place, 'a ToolServer has exactly one of `mcp`, `http` and `agent`', { remedy: 'mcp: { url: … }' });
  const name = declared.get('name', serverName);
  const place = declared.get(kind, kind === 'agent' ? calledAgent : (inner) => endpoint(kind, inner, problems));
  const network = declared.get('network', oneOf('network', NETWORKS)) ?? 'public';
  const audience = declared.get('audience', audienceText);
  declared.get('assertion_format', assertionFormat);
  const tls = declared.get('tls', serverTls);
  if (kind === 'agent' && tls !== undefined)
    problems.add(declared.node('tls')?.place ?? node.place, 'sidecars prove themselves to each other by their own certificates', {
      remedy: 'leave `tls` out',
    });
  if (name === undefined || place === undefined) return undefined;
  return { name, kind, ...place, network, ...(audience === undefined ? {} : { audience }), ...(tls === undefined ? {} : { tls }) };
};

type Endpoint = Pick<ToolServer, 'url' | 'agent'>;

function endpoint(kind: 'mcp' | 'http', node: Node, problems: Problems): Endpoint | undefined {
  const url = fields(node, problems, quote(kind), ['url!'])?.get('url', text('a URL'));
  return url === undefined ? undefined : { url };
}

/** Another agent: where its sidecar takes its callers, and what it is called there. */
const calledAgent: Reader<Endpoint> = (node, problems) => {
  const declared = fields(node, problems, '`agent`', ['url!', 'name!', 'trust_domain', 'authorities']);
  const [url, name] = [declared?.get('url', text('a URL')), declared?.get('name', agentName)];
  const domain = declared?.get('trust_domain', trustDomainName);
  const authorities = declared?.get('authorities', authorityTexts);
  if (url === undefined || name === undefined) return undefined;
  return {
    url,
    agent: {
      name,
      ...(domain === undefined ? {} : { trustDomain: domain }),
      ...(authorities === undefined ? {} : { authorities }),
    },
  };
};

/** There is one format. A service that asks for another one has to hear so from whoever declares it, and not in production. */
const assertionFormat: Reader<'jwt'> = (node, problems) => {
  if (node.kind === 'scalar' && node.value === 'saml')
    return problems.add(node.place, 'assertions are not issued as SAML', {
      remedy: 'leave it out: a tool verifies the JWT of docs/spec/assertions-v1.md, or a service in front of it exchanges that',
    });
  return oneOf('assertion format', ['jwt'])(node, problems);
};

/** Compared byte for byte by whoever verifies, so nothing is substituted in it. */
const audienceText = text('an audience', {
  test: (value) => /^(?!.*\$\{)[!-~]{1,256}$/.test(value),
  words: 'an audience: 1 to 256 visible ASCII characters, without ${',
});

export function encodeServer({ name, kind, url, agent, audience, tls }: ToolServer): Json {
  const { trustDomain, authorities } = agent ?? {};
  const called = {
    ...(agent === undefined ? {} : { name: agent.name }),
    ...(trustDomain === undefined ? {} : { trust_domain: trustDomain }),
    ...(authorities === undefined ? {} : { authorities: authorities.toSorted() }),
  };
  return {
    name,
    [kind]: { url, ...called },
    ...(audience === undefined ? {} : { audience }),
    ...(tls === undefined ? {} : { tls: encodeServerTls(tls) }),
  };
}

/** Where a server may be dialled, as the egress part says it; the URL may still hold `${env.x}`. */
export interface DeclaredDestination {
  readonly server: ServerName;
  readonly url: string;
  readonly network: Network;
}

export const destination: Reader<DeclaredDestination> = (node, problems) => {
  const declared = fields(node, problems, 'a destination', ['server!', 'url!', 'network!']);
  const server = declared?.get('server', serverName);
  const url = declared?.get('url', text('a URL'));
  const network = declared?.get('network', oneOf('network', NETWORKS));
  return server === undefined || url === undefined || network === undefined ? undefined : { server, url, network };
};

const TOOL_FIELDS = [
  'name!',
  'description',
  'effect',
  'classes',
  'arguments',
  'route',
  'unknown_arguments',
  'ranges',
  'touches',
  'remember',
  'assertion',
  'sign',
  'envelope',
  'deny_as',
];

/** A tool; without an effect it counts as destructive, without arguments it takes none. */
export const tool: Reader<Tool> = (node, problems) => {
  const declared = fields(node, problems, 'a Tool', TOOL_FIELDS);
  const name = declared?.get('name', toolNameReader);
  if (declared === undefined || name === undefined) return undefined;
  const route = declared.get('route', httpRoute);
  const unknownArguments = declared.get('unknown_arguments', oneOf('way to treat unknown arguments', ['reject', 'strip']));
  const ranges = declared.get('ranges', list('`ranges`', dateRange, { min: 1, max: 8 }));
  const touches = declared.get('touches', notedPaths('touches', 'args'));
  const remember = declared.get('remember', notedPaths('remember', 'result'));
  const assertsArguments = declared.get('assertion', assertion);
  const signs = declared.get('sign', signedFields('sign'));
  const envelope = declared.get('envelope', signedFields('envelope'));
  return {
    name,
    effect: declared.get('effect', oneOf('effect', EFFECTS)) ?? 'destructive',
    classes: declared.get('classes', list('`classes`', className, { max: 32, key: (entry) => entry })) ?? [],
    description: declared.get('description', text('a description')) ?? '',
    arguments: declared.get('arguments', argumentsSchema) ?? { type: 'object', properties: {} },
    ...(route === undefined ? {} : { route }),
    ...(unknownArguments === 'strip' ? { unknownArguments } : {}),
    ...(ranges === undefined ? {} : { ranges }),
    ...(touches === undefined ? {} : { touches }),
    ...(remember === undefined ? {} : { remember }),
    ...(assertsArguments === undefined ? {} : { assertsArguments }),
    ...(signs === undefined ? {} : { signs }),
    ...(envelope === undefined ? {} : { envelope }),
    denyAs: declared.get('deny_as', oneOf('deny_as', ['tool_result', 'error'])) ?? 'tool_result',
  };
};

export function encodeTool(value: Tool): Json {
  return {
    name: value.name,
    effect: value.effect,
    classes: value.classes,
    ...(value.description === '' ? {} : { description: value.description }),
    arguments: value.arguments,
    ...(value.route === undefined ? {} : { route: encodeRoute(value.route) }),
    ...(value.unknownArguments === undefined ? {} : { unknown_arguments: value.unknownArguments }),
    ...(value.ranges === undefined ? {} : { ranges: value.ranges.map(encodeRange) }),
    ...(value.touches === undefined ? {} : { touches: encodePaths('args', value.touches) }),
    ...(value.remember === undefined ? {} : { remember: encodePaths('result', value.remember) }),
    ...(value.assertsArguments === undefined ? {} : { assertion: { arguments: true } }),
    ...(value.signs === undefined ? {} : { sign: encodeSignedFields(value.signs) }),
    ...(value.envelope === undefined ? {} : { envelope: encodeSignedFields(value.envelope) }),
    deny_as: value.denyAs,
  };
}

export const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

const httpRoute: Reader<HttpRoute> = (node, problems) => {
  const declared = fields(node, problems, 'a route', ['method!', 'path!', 'query']);
  const method = declared?.get('method', oneOf('method', METHODS));
  const path = declared?.get(
    'path',
    text('a path', { test: isRoutePath, words: 'a path of plain segments and whole {argument} segments' }),
  );
  const query = declared?.get('query', list('`query`', text('an argument'), { min: 1, key: (entry) => entry }));
  if (method === undefined || path === undefined) return undefined;
  return { method, path, ...(query === undefined ? {} : { query }) };
};

function encodeRoute({ method, path, query }: HttpRoute): Json {
  return { method, path, ...(query === undefined ? {} : { query: query.toSorted() }) };
}

function isRoutePath(path: string): boolean {
  return routeTemplate(path) !== undefined;
}

/** `{ arguments: true }`: the one thing that a tool can ask of its assertions. */
const assertion: Reader<true> = (node, problems) => {
  const isOn = fields(node, problems, '`assertion`', ['arguments!'])?.get('arguments', bool);
  if (isOn !== false) return isOn;
  return problems.add(node.place, '`arguments` of an assertion is `true`', { remedy: 'leave `assertion` out' });
};

export const SIGNED_FIELDS_MAX = 16;
/** What belongs to one hop, or is the signature's own, cannot be signed for the other end. */
export const SIGNED_FIELD =
  '^(?!(?:host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|content-length|accept-encoding|signature|signature-input)$)[a-z][a-z0-9-]{0,62}$';

/** `{ headers? }`: what a signature covers beside method, place, body and assertion. */
const signedFields =
  (field: 'sign' | 'envelope'): Reader<readonly string[]> =>
  (node, problems) => {
    const form = { test: (value: string) => new RegExp(SIGNED_FIELD).test(value), words: 'a header in lower case that reaches the tool' };
    const headers = list('`headers`', text('a header', form), { min: 1, max: SIGNED_FIELDS_MAX, key: (entry) => entry });
    const declared = fields(node, problems, `\`${field}\``, ['headers']);
    if (declared === undefined) return undefined;
    return declared.has('headers') ? declared.get('headers', headers) : [];
  };

function encodeSignedFields(names: readonly string[]): Json {
  return names.length === 0 ? {} : { headers: names.toSorted() };
}

const dateRange: Reader<DateRange> = (node, problems) => {
  const declared = fields(node, problems, 'a range', ['from!', 'to!', 'max!', 'over']);
  const [from, to] = [declared?.get('from', text('an argument')), declared?.get('to', text('an argument'))];
  const maxMs = declared?.get('max', duration('`max`', LIMITS.rangeMsMax));
  if (declared === undefined || from === undefined || to === undefined || maxMs === undefined) return undefined;
  return { from, to, maxMs, over: declared.get('over', oneOf('way to treat a range', ['reject', 'narrow'])) ?? 'reject' };
};

function encodeRange({ from, to, maxMs, over }: DateRange): Json {
  return { from, to, max: formatSpan(maxMs), over };
}

/** Of arguments under `touches`, of results under `remember`: names of notes, each with where its values stand: `args.order_id`, `result.items[].id`. */
function notedPaths(field: string, root: 'args' | 'result'): Reader<Readonly<Record<string, NotedPath>>> {
  const form = new RegExp(`^${root}(\\.[A-Za-z_][A-Za-z0-9_-]{0,127}|\\[\\]){1,16}$`);
  const [other, otherField, what] = root === 'args' ? ['result', 'remember', 'the arguments'] : ['args', 'touches', 'the result'];
  const path: Reader<NotedPath> = (node, problems) => {
    if (node.kind === 'scalar' && new RegExp(`^${other}[.[]`).test(node.text))
      return problems.add(node.place, `${quote(node.text)} does not stand in ${what}`, {
        remedy: `\`${field}\` notes ${what}; write it under \`${otherField}\``,
      });
    const written = text('a place', { test: (value) => form.test(value), words: `a place such as ${root}.items[].id` })(node, problems);
    return written?.slice(root.length).replaceAll('[]', '.[]').split('.').slice(1);
  };
  return (node, problems) => {
    const paths = record(`\`${field}\``, path, WORD, 16)(node, problems);
    if (node.kind === 'map' && node.entries.size === 0)
      return problems.add(node.place, `\`${field}\` names nothing`, { remedy: 'leave it out' });
    return paths;
  };
}

function encodePaths(root: string, paths: Readonly<Record<string, NotedPath>>): Json {
  const written = (path: NotedPath): string => path.map((step) => (step === '[]' ? '[]' : `.${step}`)).join('');
  return Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, `${root}${written(path)}`]));
}

/** The arguments that a route's path names. */
export function routeArguments(path: string): readonly string[] {
  return (routeTemplate(path) ?? []).flatMap((segment) => ('argument' in segment ? [segment.argument] : []));
}

/** A schema as raw JSON; `properties` or `required` without `type` means an object. */
const argumentsSchema: Reader<JsonObject> = (node, problems) => {
  const schema = schemaNode(node, problems);
  if (schema === undefined) return undefined;
  const isShorthand = !Object.hasOwn(schema, 'type') && ['properties', 'required'].some((key) => Object.hasOwn(schema, key));
  return isShorthand ? { ...schema, type: 'object' } : schema;
};

/** Any schema as raw JSON; numbers that a double bends are refused here, because a bound must be what the author wrote. */
export const schemaNode: Reader<JsonObject> = (node, problems) => {
  if (node.kind !== 'map') return problems.add(node.place, 'a schema must be a map');
  return isExact(node, problems) ? (jsonOfNode(node) as JsonObject) : undefined;
};

function isExact(node: Node, problems: Problems): boolean {
  if (node.kind === 'list') return node.items.every((item) => isExact(item, problems));
  if (node.kind === 'map') return [...node.entries.values()].every(({ value }) => isExact(value, problems));
  if (typeof node.value !== 'number' || sameNumber(node.text, String(node.value))) return true;
  problems.add(node.place, `${quote(node.text)} cannot be held exactly`, { remedy: 'at most 15 digits, without exponent' });
  return false;
}

function sameNumber(text: string, other: string): boolean {
  const trimmed = text.includes('.') && !/e/i.test(text) ? text.replace(/\.?0+$/, '') : text;
  return trimmed === other || (trimmed === '-0' && other === '0');
}
