/**
 * Reads an author's files into a PolicySource, or says everything that is wrong with them at once: syntax, names,
 * references, types of conditions, rules that can never match. Reads no disk: the CLI hands in every YAML document and
 * every JSON key set of the directory. Spec: policy-v1 sections 2 to 4.
 */

import { utf8 } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import type { Agent, AgentName, Issuer, Problem, Result, Tool, TrustDomain } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { analyse } from '../check/analyse.ts';
import type { Places } from '../check/analyse.ts';
import { canonicalJson } from '../check/canonical.ts';
import { environmentValues } from '../check/environment.ts';
import { checkNames } from '../check/names.ts';
import { warn } from '../check/warnings.ts';
import { server, tool } from '../grammar/catalog.ts';
import type { DeclaredServer } from '../grammar/catalog.ts';
import { callerMethod } from '../grammar/caller-method.ts';
import type { CallerMethodDocument } from '../grammar/caller-method.ts';
import { credential } from '../grammar/credential.ts';
import type { Credential } from '../grammar/credential.ts';
import type { Declared, Doubts, Located } from '../grammar/declared.ts';
import { trustDomain } from '../grammar/delegation.ts';
import { agent, issuer } from '../grammar/identity.ts';
import type { FindKeys } from '../grammar/identity.ts';
import { encodeObserve, observe } from '../grammar/observe.ts';
import type { Observe } from '../grammar/observe.ts';
import { overlaid, toolOverlay } from '../grammar/overlay.ts';
import { concerned, ruleOf } from '../grammar/rule.ts';
import { ToolIndex } from '../grammar/selectors.ts';
import { testOf } from '../grammar/test-suite.ts';
import { LIMITS } from '../reader/limits.ts';
import { nodeAt, placeAt, placeOfPath } from '../reader/locate.ts';
import { Problems, compareText, nodeOfJson } from '../reader/node.ts';
import type { MapNode, Node } from '../reader/node.ts';
import { fields, list, oneOf, text } from '../reader/read.ts';
import type { Reader } from '../reader/read.ts';
import { readYamlFile } from '../reader/yaml.ts';
import type { EnvironmentValues, Rule, Source, TestSuite } from '../rule.ts';
import { joinBeneath } from './layers.ts';
import type { Beneath } from './layers.ts';

/** One file of an author's directory; `path` is as the author knows it and appears in problems and explanations. */
export interface PolicyFile {
  /** Ends in `.json` for a key set that `keys_file` names, relative to the naming document; anything else is YAML. */
  readonly path: string;
  readonly text: string;
}

/** Everything the documents say, checked, in an order that does not depend on files; `${env.x}` stands as written. */
export interface PolicySource {
  readonly agents: readonly Agent[];
  readonly servers: readonly DeclaredServer[];
  readonly tools: readonly Tool[];
  readonly issuers: readonly Issuer[];
  readonly environment: EnvironmentValues;
  readonly rules: readonly Rule[];
  readonly tests: readonly TestSuite[];
  /** None where it is absent. */
  readonly observes?: readonly Observe[];
  /** None where it is absent. */
  readonly trustDomains?: readonly TrustDomain[];
  /** None where it is absent. */
  readonly credentials?: readonly Credential[];
  /** None where it is absent. */
  readonly callerMethods?: readonly CallerMethodDocument[];
  /** Where each rule stands, by rule id. */
  readonly sources: Readonly<Record<string, Source>>;
  /** Warnings only: untested tools and the like. */
  readonly warnings: readonly Problem[];
}

/**
 * All problems at once, each with file, line, column, path and, where one is known, a remedy. Beneath other layers the
 * documents may name what those declare, and must not say anew what is theirs.
 */
export function parseDocuments(files: readonly PolicyFile[], beneath?: Beneath): Result<PolicySource, readonly Problem[]> {
  const problems = new Problems();
  const { declared: own, unread } = declare(files, problems);
  // What nobody could read may declare what everything else names: no more is said than what each document says of itself.
  if (unread.isAny) return fail(problems.sorted());
  const whole = beneath === undefined ? { declared: own } : joinBeneath(own, beneath, problems);
  if (whole === undefined) return fail(problems.sorted());
  const { declared, layering } = whole;
  const doubts = doubtsOf(declared, unread);
  checkNames(declared, problems, doubts);
  const world = {
    agents: declared.agents.map(({ value }) => value),
    tools: declared.tools.map(({ value }) => value),
    index: new ToolIndex(declared.tools.map(({ value }) => value)),
    issuers: declared.issuers.map(({ value }) => value),
    environment: declared.environment,
    rules: declared.rules.map(({ value }) => value),
    doubted: doubts.agents,
    ...(layering === undefined ? {} : { layering }),
  };
  const plan = analyse(world, placesOf(declared), problems);
  // Of a policy that does not stand, what is seldom meant follows as a rule from what is wrong.
  if (!problems.hasErrors) warn(own, plan, problems);
  return problems.hasErrors ? fail(problems.sorted()) : ok(sourceOf(own, problems.warnings()));
}

const KINDS = [
  'Agent',
  'ToolServer',
  'Tool',
  'ToolOverlay',
  'Issuer',
  'TrustDomain',
  'CallerMethod',
  'Credential',
  'Environment',
  'Policy',
  'Observe',
  'Test',
] as const;
type Kind = (typeof KINDS)[number];

interface Found {
  readonly kind: Kind;
  /** Without `apiVersion` and `kind`. */
  readonly body: MapNode;
}

/** What documents say that could not be read. */
interface Unread {
  /** Whether one could not be read at all. */
  readonly isAny: boolean;
  /** Names of those whose kind or fields could not be read. */
  readonly names: ReadonlySet<string>;
  /** Agents of rules that could not be read. */
  readonly agents: ReadonlySet<string>;
}

function doubtsOf({ agents, servers }: Declared, unread: Unread): Doubts {
  const known = new Set<string>(servers.map(({ value }) => value.name));
  const using = agents.filter(({ value }) => value.uses.some((name) => !known.has(name)));
  return { names: unread.names, agents: new Set([...unread.agents, ...using.map(({ value }) => value.name)]) };
}

function declare(files: readonly PolicyFile[], problems: Problems): { readonly declared: Declared; readonly unread: Unread } {
  if (files.length > LIMITS.filesMax) problems.add({ path: '' }, `there are ${files.length} files, more than ${LIMITS.filesMax}`);
  const sorted = files.toSorted((a, b) => compareText(a.path, b.path)).slice(0, LIMITS.filesMax);
  const read = sorted.filter((file) => !file.path.endsWith('.json')).map((file) => documentsOf(file, problems));
  const found = read.flatMap(({ documents }) => documents);
  const names = new Set(read.flatMap(({ unread }) => unread));
  const all = <T>(kind: Kind, reader: Reader<T>): readonly Located<T>[] =>
    found
      .filter((document) => document.kind === kind)
      .flatMap(({ body }) => {
        const located = locate(body, reader(body, problems));
        if (located.length === 0) for (const name of namesOf(body)) names.add(name);
        return located;
      });
  const isAny = read.some(({ isWhole }) => !isWhole);
  const agents = all('Agent', agent);
  const [only] = agents;
  const policies = found.filter(({ kind }) => kind === 'Policy').map(({ body }) => rulesOf(body, problems));
  const areAllRead = !isAny && names.size === 0;
  const declared: Declared = {
    agents,
    servers: all('ToolServer', server),
    // Of a tool that nobody could read it is not known whether it exists.
    tools: overlaid(all('Tool', tool), all('ToolOverlay', toolOverlay), isAny ? new Problems() : problems),
    issuers: all('Issuer', issuer(keySets(sorted, problems))),
    trustDomains: all('TrustDomain', trustDomain),
    callerMethods: all('CallerMethod', callerMethod),
    credentials: all('Credential', credential),
    environment: environmentOf(found, problems),
    rules: policies.flatMap(({ rules }) => rules),
    observes: all('Observe', observe),
    tests: all('Test', testOf(agents.length === 1 ? only?.value.name : undefined, areAllRead)),
  };
  return { declared, unread: { isAny, names, agents: new Set(policies.flatMap(({ unread }) => unread)) } };
}

/** The name that a document gives to what it declares, as it stands there. */
function namesOf(root: Node): readonly string[] {
  const name = root.kind === 'map' ? root.entries.get('name')?.value : undefined;
  return name?.kind === 'scalar' ? [name.text] : [];
}

function locate<T>(node: Node, value: T | undefined, whose?: Node): readonly Located<T>[] {
  return value === undefined ? [] : [{ value, node, ...(whose === undefined ? {} : { whose }) }];
}

interface FoundInFile {
  readonly documents: readonly Found[];
  readonly isWhole: boolean;
  /** Names of those whose kind is not known. */
  readonly unread: readonly string[];
}

function documentsOf(file: PolicyFile, problems: Problems): FoundInFile {
  const { documents: written, isWhole } = readYamlFile(file.path, file.text, problems);
  const documents: Found[] = [];
  const unread: string[] = [];
  for (const { root, index } of written) {
    const found = documentOf(root, index, problems);
    if (found === undefined) unread.push(...namesOf(root));
    else documents.push(found);
  }
  return { documents, isWhole, unread };
}

function documentOf(root: Node, index: number, problems: Problems): Found | undefined {
  if (root.kind !== 'map') return problems.add(root.place, 'a document must be a map', { remedy: 'kind: Policy' });
  const version = root.entries.get('apiVersion');
  if (index === 0 && version === undefined)
    problems.add(root.place, 'the file lacks `apiVersion`', { remedy: 'begin it with apiVersion: sallyport.dev/v1' });
  if (index > 0 && version !== undefined)
    problems.add(version.key, '`apiVersion` stands in the first document alone', { remedy: 'leave it out' });
  if (version !== undefined) oneOf('apiVersion', ['sallyport.dev/v1'])(version.value, problems);
  const named = root.entries.get('kind');
  const kind =
    named === undefined
      ? problems.add(root.place, 'the document lacks `kind`', { remedy: `one of ${KINDS.join(', ')}` })
      : oneOf('kind', KINDS)(named.value, problems);
  const entries = new Map([...root.entries].filter(([key]) => key !== 'apiVersion' && key !== 'kind'));
  return kind === undefined ? undefined : { kind, body: { ...root, entries } };
}

interface FoundRules {
  readonly rules: readonly Located<Rule>[];
  /** The agent, where one of its rules could not be read. */
  readonly unread: readonly AgentName[];
}

function rulesOf(body: MapNode, problems: Problems): FoundRules {
  const declared = fields(body, problems, 'a Policy', ['agent', 'agents', 'rules!']);
  const whose = declared === undefined ? undefined : concerned('a Policy', declared, problems);
  if (declared === undefined || whose === undefined) return { rules: [], unread: [] };
  const reader = ruleOf(whose);
  const about = declared.node('agent') ?? declared.node('agents');
  // `list` cannot keep the nodes: each rule is read where it stands.
  const rules = declared.get(
    'rules',
    list('`rules`', (node, inner) => locate(node, reader(node, inner), about)[0], { min: 1, max: LIMITS.rulesMax }),
  );
  const written = declared.node('rules');
  const isWhole = written?.kind === 'list' && written.items.length === rules?.length;
  return { rules: rules ?? [], unread: isWhole || whose.agent === undefined ? [] : [whose.agent] };
}

function environmentOf(found: readonly Found[], problems: Problems): EnvironmentValues {
  const [first, ...others] = found.filter(({ kind }) => kind === 'Environment');
  for (const { body } of others)
    problems.add(body.place, 'there is another Environment', { remedy: 'build with the file of one environment at a time' });
  if (first === undefined) return {};
  const declared = fields(first.body, problems, 'an Environment', ['name', 'values!']);
  declared?.get('name', text('a name'));
  return declared?.get('values', environmentValues) ?? {};
}

/** Key sets among the files: `{"keys": […]}` as an identity provider publishes it. */
function keySets(files: readonly PolicyFile[], problems: Problems): FindKeys {
  const byPath = new Map(files.map((file) => [file.path, file.text]));
  return (name, node) => {
    const path = resolvePath(node.place.file ?? '', name);
    const source = byPath.get(path);
    if (source === undefined)
      return problems.add(node.place, `no file \`${path}\` among the documents`, { remedy: 'a key set is a .json file beside them' });
    const judged = judge(utf8(source), { limits: { bytesMax: LIMITS.fileCharsMax, depthMax: LIMITS.nestingMax } });
    if (!judged.ok) {
      for (const problem of judged.error) problems.add({ path: problem.path, file: path }, problem.message);
      return undefined;
    }
    const set = withFile(nodeOfJson(judged.value.tree, ''), path);
    return fields(set, problems, 'a key set', ['keys!'])?.node('keys');
  };
}

function withFile(node: Node, file: string): Node {
  const place = { ...node.place, file };
  if (node.kind === 'scalar') return { ...node, place };
  if (node.kind === 'list') return { ...node, place, items: node.items.map((item) => withFile(item, file)) };
  return {
    ...node,
    place,
    entries: new Map([...node.entries].map(([key, entry]) => [key, { key: { ...entry.key, file }, value: withFile(entry.value, file) }])),
  };
}

/** `keys.json` or `../keys.json` beside `policy/idp.yaml`. */
function resolvePath(from: string, name: string): string {
  const root = name.startsWith('/') || from.startsWith('/') ? '/' : '';
  const segments: string[] = [];
  for (const segment of [...(name.startsWith('/') ? [] : from.split('/').slice(0, -1)), ...name.split('/')]) {
    if (segment === '..' && segments.length > 0 && segments.at(-1) !== '..') segments.pop();
    else if (segment !== '.' && segment !== '') segments.push(segment);
  }
  return root + segments.join('/');
}

function placesOf(declared: Declared): Places {
  return {
    rule: (index, ...steps) => ruleNode(declared, index, (node) => placeAt(node, ...steps)),
    expression: (index, steps, offset) =>
      ruleNode(declared, index, (node) => {
        const scalar = nodeAt(node, ...steps);
        const isVerbatim = scalar.kind === 'scalar' && scalar.isVerbatim && scalar.place.column !== undefined;
        return isVerbatim ? { ...scalar.place, column: (scalar.place.column ?? 1) + offset } : scalar.place;
      }),
    tool: (index, path) => {
      const node = declared.tools[index]?.node;
      return node === undefined ? { path } : placeOfPath(node, path);
    },
  };
}

function ruleNode<T>(declared: Declared, index: number, read: (node: Node) => T): T | { path: string } {
  const node = declared.rules[index]?.node;
  return node === undefined ? { path: `rules[${index}]` } : read(node);
}

function sourceOf(declared: Declared, warnings: readonly Problem[]): PolicySource {
  const sorted = <T>(items: readonly Located<T>[], nameOf: (item: T) => string): readonly T[] =>
    items.map(({ value }) => value).toSorted((a, b) => compareText(nameOf(a), nameOf(b)));
  const sources: Record<string, Source> = {};
  for (const { value, node } of declared.rules) sources[value.id] = { file: node.place.file ?? '', line: node.place.line ?? 1 };
  return {
    agents: sorted(declared.agents, (item) => item.name),
    servers: sorted(declared.servers, (item) => item.name),
    tools: sorted(declared.tools, (item) => item.name),
    issuers: sorted(declared.issuers, (item) => item.issuer),
    trustDomains: sorted(declared.trustDomains, (item) => item.name),
    callerMethods: sorted(declared.callerMethods, (item) => item.config.name),
    credentials: sorted(declared.credentials, (item) => item.name),
    environment: declared.environment,
    rules: sorted(declared.rules, (item) => item.id),
    tests: declared.tests.map(({ value }) => value),
    observes: sorted(declared.observes, (item) => canonicalJson(encodeObserve(item))),
    sources,
    warnings,
  };
}
