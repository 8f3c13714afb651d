import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import type { Json, JsonObject } from '@sallyport/model';
import { compileSchema } from '@sallyport/strict';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { PolicyFile } from '../compile/documents.ts';
import { Problems, jsonOfNode } from '../reader/node.ts';
import { readYaml } from '../reader/yaml.ts';
import { runTests } from '../suites/run-tests.ts';
import { EXAMPLE, EXAMPLE_KEYS } from './example.ts';
import { examplesOf, flowOf } from './examples.ts';
import { policyReference, policySchema } from './index.ts';
import { KIND_SHAPES, mapsOf } from './kinds.ts';

const ROOT = join(import.meta.dirname, '../../../..');
const SCHEMA = policySchema();
const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allowUnionTypes: true, allErrors: true });
for (const word of ['markdownDescription', 'markdownEnumDescriptions', 'patternErrorMessage', 'defaultSnippets']) ajv.addKeyword(word);
const validate = ajv.compile(SCHEMA);

/** What the schema says of each document of a text, one line for each fault. */
function faultsOf(text: string): readonly string[] {
  return readYaml('p.yaml', text, new Problems()).flatMap(({ root }) => {
    // Plain objects: ours have no prototype, which ajv counts on.
    const isValid = validate(JSON.parse(JSON.stringify(jsonOfNode(root))));
    return isValid ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message ?? ''}`);
  });
}

const built = (files: readonly PolicyFile[]): ReturnType<typeof buildParts> => {
  const parsed = parseDocuments(files);
  return parsed.ok ? buildParts(parsed.value) : parsed;
};

describe('documents that build are valid', () => {
  const folders = globSync('examples/*/', { cwd: ROOT }).map((folder) => [folder] as const);
  test.each(folders)('%s', (folder) => {
    const files = globSync(join(folder, '**/*.yaml'), { cwd: ROOT });
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expect(faultsOf(readFileSync(join(ROOT, file), 'utf8'))).toEqual([]);
  });

  test.each(globSync('test/vectors/policy/*.json', { cwd: ROOT }).filter((file) => basename(file) !== 'schema.json'))('%s', (file) => {
    const { documents } = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as { documents: readonly PolicyFile[] };
    for (const { text } of documents) expect(faultsOf(text)).toEqual([]);
  });
});

const RULE = (rest: string): string => `kind: Policy\nagent: a\nrules:\n  - { id: r, allow: [a/b], ${rest} }\n`;

/** Documents that no build takes; `build` marks those of which a schema cannot know. */
describe('documents that do not build are invalid, but for what a schema cannot know', () => {
  test.each<[knower: 'schema' | 'build', document: string]>([
    ['schema', 'kind: Polcy\nagent: a\nrules: []\n'],
    ['schema', 'agent: a\nrules: []\n'],
    ['schema', 'kind: Policy\nrules: [{ id: r, allow: [a/b] }]\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: []\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: [{ id: r }]\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: [{ id: r, allow: [a/b], deny: [a/b] }]\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: [{ id: r, deny: [a/b], scopes: [x] }]\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: [{ id: default-deny, allow: [a/b] }]\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: [{ id: r, allow: a/b }]\n'],
    ['schema', 'kind: Policy\nagent: a\nrules: [{ id: r, allow: [{}] }]\n'],
    ['schema', RULE('whn: args.x == 1')],
    ['schema', RULE('when: true')],
    ['schema', RULE('scopes: []')],
    ['schema', RULE('scopes: [a, a]')],
    ['schema', RULE('scopes: ["a b"]')],
    ['schema', RULE('for: {}')],
    ['schema', RULE('session: {}')],
    ['schema', RULE('session: { max_age: 10 }')],
    ['schema', RULE('session: { max_age: ten minutes }')],
    ['schema', RULE('hours: { from: "9:00", to: "17:00" }')],
    ['schema', RULE('hours: { days: [monday], from: "09:00", to: "17:00" }')],
    ['schema', RULE('valid: { from: 2026-01-01 }')],
    ['schema', RULE('risk: { max: 101 }')],
    ['schema', RULE('step_up: { when: args.x > 1 }')],
    ['schema', RULE('approval: { by: { role: a, group: b } }')],
    ['schema', RULE('approval: { by: { role: a }, count: 0 }')],
    ['schema', RULE('delegation: { first_party: false }')],
    ['schema', RULE('isolation: partial')],
    ['schema', 'kind: Agent\nname: a\nowner: o\nuses: []\nisolation: enforced\n'],
    ['build', 'kind: Policy\nagent: a\nrules: [{ id: r, require: [a/b], isolation: advisory }]\n'],
    ['schema', RULE('max: { count: 0 }')],
    ['schema', RULE('budget: { sum: args.x, max: "-1" }')],
    ['schema', RULE('budget: { sum: args.x, max: "1e3" }')],
    ['schema', RULE('after: [{ tool: a/b, with: {} }]')],
    ['schema', RULE('arguments: { x: { default: 1 } }')],
    ['schema', 'kind: ToolServer\nname: a\n'],
    ['schema', 'kind: ToolServer\nname: a\nmcp: { url: "https://a" }\nhttp: { url: "https://a" }\n'],
    ['schema', 'kind: Tool\nname: a\n'],
    ['schema', 'kind: Tool\nname: a/b\neffect: reads\n'],
    ['schema', 'kind: Tool\nname: a/b\narguments: { properties: { x: { typ: string } } }\n'],
    ['schema', 'kind: Tool\nname: a/b\nroute: { method: get, path: /a }\n'],
    ['schema', 'kind: Tool\nname: a/b\nroute: { method: GET, path: "/a/{b}c" }\n'],
    ['schema', 'kind: Tool\nname: a/b\nremember: { x: args.x }\n'],
    ['schema', 'kind: Environment\nvalues: { x: { integer: 1, decimal: 1 } }\n'],
    ['schema', 'kind: Environment\nvalues: { for: { integer: 1 } }\n'],
    ['schema', 'kind: Test\nagent: a\n'],
    ['schema', 'kind: Test\nagent: a\ncases: [{ call: a/b, expect: denied }]\n'],
    ['schema', 'kind: Issuer\nissuer: a\naudience: b\n'],
    ['schema', 'kind: Issuer\nissuer: a\naudience: b\nkeys: [{ kid: a, kty: EC, crv: P-256, x: a, y: b, d: c }]\n'],
    ['build', RULE('when: args.x == 1')],
    ['build', RULE('session: { max_age: 8d }')],
    ['build', RULE('valid: { from: 2026-02-30T00:00:00Z }')],
    ['build', RULE('valid: { from: 2026-03-01T00:00:00Z, until: 2026-02-01T00:00:00Z }')],
    ['build', RULE('hours: { from: "09:00", to: "09:00" }')],
    ['build', RULE('budget: { sum: args.x, max: 1e3 }')],
    ['build', 'kind: ToolServer\nname: a\nmcp: { url: not a url }\n'],
    ['build', 'kind: Tool\nname: a/b\narguments: { properties: { x: { type: string, minimum: 1 } } }\n'],
    ['build', 'kind: Agent\nname: a\nowner: o\nuses: []\nsessions: { idle: 2h, max: 1h }\n'],
    ['build', 'kind: Agent\nname: a\nowner: o\nuses: [none]\n'],
  ])('%s knows: %s', (knower, document) => {
    const text = `apiVersion: sallyport.dev/v1\n${document}`;
    expect(built([{ path: 'p.yaml', text }]).ok).toBe(false);
    expect(faultsOf(text).length > 0).toBe(knower === 'schema');
  });
});

test('the schema knows the keywords of argument schemas, and no others', () => {
  const known = compileSchema({ 'no-such-keyword-at-all': 1 }, 'arguments');
  const remedy = known.ok ? '' : (known.error[0]?.remedy ?? '');
  const definitions = SCHEMA['$defs'] as Readonly<Record<string, { properties: JsonObject }>>;
  const keywords = Object.keys(definitions['ArgumentSchema']?.properties ?? {});
  expect([...remedy.matchAll(/`([^`]+)`/g)].map(([, word]) => word).toSorted()).toEqual(keywords.toSorted());
  const { enum: formats } = (definitions['ArgumentSchema']?.properties ?? {})['format'] as unknown as { enum: readonly string[] };
  for (const format of [...formats, 'time']) {
    const schema = { type: 'object', properties: { x: { type: format === 'decimal' ? 'number' : 'string', format } } };
    expect([format, compileSchema(schema, 'arguments').ok]).toEqual([format, format !== 'time']);
  }
});

describe('examples', () => {
  test('every field has one, and the policy that they are taken from builds, without a warning of a mistake, and passes its tests', () => {
    const { values } = examplesOf();
    const lacking = KIND_SHAPES.flatMap(({ shape }) => mapsOf(shape)).flatMap(({ name, fields }) =>
      Object.entries(fields).flatMap(([field, one]) => (values.has(one) ? [] : [`${name}.${field}`])),
    );
    expect(lacking).toEqual([]);
    const parsed = parseDocuments([
      { path: 'p.yaml', text: EXAMPLE },
      { path: 'idp-keys.json', text: EXAMPLE_KEYS },
    ]);
    if (!parsed.ok) throw new Error(parsed.error.map(formatProblem).join('\n'));
    // An Observe is pointed out wherever it stands.
    expect(parsed.value.warnings.map(({ message }) => message)).toEqual(['until 2026-06-30T00:00:00.000Z calls pass that rules refuse']);
    const parts = buildParts(parsed.value);
    if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
    expect(runTests(parts.value.policy).problems.map(formatProblem)).toEqual([]);
    expect(faultsOf(EXAMPLE)).toEqual([]);
  });

  test('every one that is shown reads back as the same value', () => {
    for (const value of examplesOf().values.values()) {
      const [document] = readYaml('e.yaml', `x: ${flowOf(value)}\n`, new Problems());
      expect(document === undefined ? undefined : jsonOfNode(document.root)).toEqual({ x: value });
    }
  });
});

test('what a snippet writes is valid as it stands, and is what it says', () => {
  const bare = (value: Json): Json =>
    JSON.parse(
      JSON.stringify(value).replaceAll(/\$\{[0-9]+:((?:[^}\\]|\\\\.)*)\}/g, (_, inner: string) => inner.replaceAll('\\\\', '')),
    ) as Json;
  const snippets = (from: Json | undefined): readonly { label: string; body: JsonObject }[] =>
    from as unknown as readonly { label: string; body: JsonObject }[];
  const ofKinds = snippets(SCHEMA['defaultSnippets']);
  expect(ofKinds.map(({ label }) => label)).toEqual(KIND_SHAPES.map(({ name }) => name));
  for (const { label, body } of ofKinds) {
    expect([label, validate(bare(body)), validate.errors]).toEqual([label, true, null]);
    expect(body['kind']).toBe(label);
  }
  const { Rule } = SCHEMA['$defs'] as Readonly<Record<string, JsonObject>>;
  for (const { label, body } of snippets(Rule?.['defaultSnippets'])) {
    expect([label, validate({ kind: 'Policy', agent: 'a', rules: [bare(body)] })]).toEqual([label, true]);
    expect(body).toHaveProperty(label);
  }
});

test('docs/reference holds what the shapes make (npm run generate)', async () => {
  await expect(policyReference()).toMatchFileSnapshot('../../../../docs/reference/policy.md');
  await expect(`${JSON.stringify(SCHEMA, undefined, 2)}\n`).toMatchFileSnapshot('../../../../docs/reference/policy.schema.json');
});

test('what the guide shows builds beside the example’s tools, and its test passes', () => {
  const blocks = [...readFileSync(join(ROOT, 'docs/guides/write-policy.md'), 'utf8').matchAll(/```yaml\n(.*?)```/gs)].map(
    ([, block = '']) => block,
  );
  const rules = blocks.filter((block) => block.startsWith('- id:')).map((block) => block.replaceAll(/^/gm, '  '));
  const tests = blocks.filter((block) => block.startsWith('kind: Test'));
  expect([rules.length, tests.length]).toEqual([4, 1]);
  const declarations = EXAMPLE.split('---\n').filter((document) => !/^kind: (?:Policy|Test)$/m.test(document));
  const text = [...declarations, `kind: Policy\nagent: support-triage\nrules:\n${rules.join('\n')}\n`, ...tests].join('---\n');
  expect(faultsOf(text)).toEqual([]);
  const parts = built([
    { path: 'p.yaml', text },
    { path: 'idp-keys.json', text: EXAMPLE_KEYS },
  ]);
  if (!parts.ok) throw new Error(parts.error.map(formatProblem).join('\n'));
  expect(runTests(parts.value.policy).problems.map(formatProblem)).toEqual([]);
});
