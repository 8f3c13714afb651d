/** The reference page of policy documents (docs/reference/policy.md), made from the same shapes as the schema. */

import { Bug } from '@sallyport/model';
import type { JsonObject } from '@sallyport/model';
import { formatSpan } from '../reader/read.ts';
import { examplesOf, flowOf, isList } from './examples.ts';
import type { Examples } from './examples.ts';
import { LOOSER, STRICTER } from './gaps.ts';
import { KIND_SHAPES, mapsOf } from './kinds.ts';
import type { Field, Kind, MapShape, Shape, TextShape } from './shape.ts';
import { CLASS, NAME, TOOL, WORD } from './shapes-common.ts';

/** Markdown: each kind with its fields, their types, bounds, defaults, meanings, codes, and an example each. */
export function policyReference(): string {
  const examples = examplesOf();
  // A shape that several kinds share is described where it stands first.
  const shown = new Set<MapShape>();
  return [...HEAD, ...KIND_SHAPES.flatMap((kind) => kindSection(kind, examples, shown)), ...TAIL].join('\n');
}

const HEAD: readonly string[] = [
  '# Policy documents',
  '',
  'Made from the table that the schema for editors is made from (`npm run generate`); tests hold both to what a build reads.',
  'What it all means is in [policy-v1](../spec/policy-v1.md), how to write it in [Writing a policy](../guides/write-policy.md).',
  'A policy is a folder of YAML files; each holds documents, parted by `---`, each with a `kind`. A file begins with',
  '`apiVersion: sallyport.dev/v1`. A field that is not listed here is refused. A text has at most 4096 characters unless said',
  'otherwise; a *span* is a whole number and `s`, `m`, `h` or `d`; a *condition* is an expression of',
  '[CEL](../spec/policy-v1.md#7-conditions). What names look like:',
  '',
  ...[NAME, CLASS, TOOL, WORD].map(({ words, pattern = '' }) => `- ${words} (\`${pattern}\`)`),
  '',
  '| Kind | What it declares |',
  '| --- | --- |',
  ...KIND_SHAPES.map(({ name, says }) => `| [${name}](#${anchor(name)}) | ${cell(says)} |`),
  '',
];

const TAIL: readonly string[] = [
  '## In an editor',
  '',
  '`sallyport policy schema > policy.schema.json` writes the JSON Schema (2020-12) of these documents, the same as',
  '[policy.schema.json](policy.schema.json). Completion, descriptions and checks come with it, in VS Code with the YAML',
  'extension: either name it in `.vscode/settings.json`, once for all files,',
  '',
  '```json',
  '{ "yaml.schemas": { "./policy.schema.json": "policy/**/*.yaml" } }',
  '```',
  '',
  'or in each document, for the extension looks for this line in each document by itself:',
  '',
  '```yaml',
  '# yaml-language-server: $schema=policy.schema.json',
  '```',
  '',
  'What an editor says is advice; `sallyport policy check` is what counts. The schema lets through:',
  '',
  ...LOOSER.map((one) => `- ${one}`),
  '',
  'and refuses although a build would not:',
  '',
  ...STRICTER.map((one) => `- ${one}`),
  '',
];

function kindSection({ name, says, shape }: Kind, examples: Examples, shown: Set<MapShape>): readonly string[] {
  const document = examples.documents.get(name);
  if (document === undefined) throw new Bug(`the example has no ${name}`);
  const inner = mapsOf(shape)
    .slice(1)
    .filter((one) => !shown.has(one));
  for (const one of inner) shown.add(one);
  return [
    `## ${name}`,
    '',
    says,
    '',
    '```yaml',
    ...blockOf(document),
    '```',
    '',
    ...tableOf(shape, examples),
    ...inner.flatMap((one) => [`### ${one.name}`, '', ...tableOf(one, examples)]),
  ];
}

function tableOf(shape: MapShape, examples: Examples): readonly string[] {
  const { exactlyOne, atLeastOne, excludes = [] } = shape;
  const listed = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
  const notes = [
    ...(exactlyOne === undefined ? [] : [`Exactly one of ${listed(exactlyOne)}.`]),
    ...(atLeastOne === undefined ? [] : [`At least one of ${listed(atLeastOne)}.`]),
    ...excludes.map(({ field, fields }) => `With \`${field}\` none of ${listed(fields)}.`),
  ];
  return [
    ...(notes.length === 0 ? [] : [notes.join(' '), '']),
    '| Field | Value | Default | Meaning | Answers | Example |',
    '| --- | --- | --- | --- | --- | --- |',
    ...Object.entries(shape.fields).map(([name, field]) => rowOf(name, field, examples)),
    '',
  ];
}

function rowOf(name: string, field: Field, examples: Examples): string {
  const { says, shape, isRequired, otherwise, code } = field;
  const example = examples.values.get(field);
  const ifAbsent =
    isRequired === true ? '**required**' : (otherwise ?? (field.default === undefined ? '' : `\`${flowOf(field.default)}\``));
  const shown = example === undefined ? '' : `\`${flowOf(example)}\``;
  return `| ${[`\`${name}\``, typeOf(shape), ifAbsent, says, code === undefined ? '' : `\`${code}\``, shown].map(cell).join(' | ')} |`;
}

/** More words than these are not spelled out. */
const WORDS_MAX = 16;

function typeOf(shape: Shape): string {
  switch (shape.is) {
    case 'text':
      return shape.yields === undefined ? brief(shape) : `a condition that yields ${shape.yields}`;
    case 'word':
      return shape.of.length > WORDS_MAX
        ? `\`${shape.of[0] ?? ''}\`, or a [code](../spec/denials.md)`
        : shape.of.map((one) => `\`${one}\``).join(', ');
    case 'flag':
      return shape.only === undefined ? '`true`, `false`' : '`true`';
    case 'count':
      return `${shape.min} to ${shape.max}`;
    case 'span':
      return `a span, at most ${formatSpan(shape.msMax)}`;
    case 'number':
      return shape.of === 'integer' ? 'a whole number of at most 38 digits' : 'a decimal of at most 38 digits';
    case 'list':
      return `a list of ${shape.min === 0 ? 'at most' : `${shape.min} to`} ${shape.max}: ${typeOf(shape.of)}`;
    case 'map':
      return `[${shape.name}](#${anchor(shape.name)})`;
    case 'names':
      return `a map of ${shape.min === 0 ? 'at most' : `${shape.min} to`} ${shape.max}, by ${brief(shape.key)}: ${typeOf(shape.of)}`;
    case 'either':
      return shape.of.map(typeOf).join('; or ');
    case 'schema':
      return shape.of === 'whole'
        ? '[a schema](../spec/arguments-v1.md#3-schemas)'
        : 'a schema of the keywords in [policy-v1, 4.4](../spec/policy-v1.md#4-rules)';
    case 'json':
      return 'a map';
  }
}

/** A document as block YAML, one line for each field. */
function blockOf(document: JsonObject): readonly string[] {
  return Object.entries(document).flatMap(([name, value]) =>
    name === 'rules' && isList(value)
      ? ['rules:', ...value.map((rule) => `  - ${flowOf(rule)}`)]
      : name === 'apiVersion'
        ? []
        : [`${name}: ${flowOf(value)}`],
  );
}

/** What the head of the page spells out is only named in its tables. */
function brief({ words }: TextShape): string {
  return words.split(': ')[0] ?? words;
}

function anchor(name: string): string {
  return name.toLowerCase();
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
