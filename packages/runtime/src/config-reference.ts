/** The reference of a configuration, made from the schema that reads it; an app's golden test compares the page in docs/. */

import type { Field } from './config-fields.ts';
import { type ConfigKey, configKeys, type SchemaNode, schemaTree } from './config-keys.ts';

export interface ConfigReference {
  /** JSON Schema (2020-12) of the file, for editors. */
  readonly jsonSchema: Readonly<Record<string, unknown>>;
  /** The reference page in Markdown: one table per section, every key with unit, default, range, meaning and environment name. */
  readonly markdown: string;
}

/** Describes every key of a schema. The same schema gives the same text. */
export function describeConfig(schema: Field<unknown>, options: { readonly title: string }): ConfigReference {
  const tree = schemaTree(schema);
  const sections = new Map<string, ConfigKey[]>();
  for (const key of configKeys(tree)) {
    const section = key.path.slice(0, Math.max(0, key.path.lastIndexOf('.')));
    sections.set(section, [...(sections.get(section) ?? []), key]);
  }
  const tables = [...sections].map(([section, keys]) => table(section, keys, tree));
  const markdown = [`# ${options.title}`, INTRODUCTION, ...tables].join('\n\n');
  return { jsonSchema: { ...tree, title: options.title }, markdown: `${markdown}\n` };
}

const INTRODUCTION = `One YAML file; unknown keys, aliases and tags are refused, and all problems are reported at once. A flag comes before
the environment, the environment before the file, the file before the default. A relative path counts from the folder of
the file. Lists and numbers in a variable are written as in the file: \`[a, b]\`, \`5000\`. A secret is never a value here, only
the path of the file that holds it.`;

function table(section: string, keys: readonly ConfigKey[], tree: SchemaNode): string {
  const head = ['| Key | Value | Default | Meaning | Environment |', '| --- | --- | --- | --- | --- |'];
  const description = section === '' ? undefined : sectionNode(section, tree)?.description;
  const title =
    section === '' ? [] : [`## \`${section}\``, ...(description === undefined || description === '' ? [] : [sentence(description)])];
  return [...title, [...head, ...keys.map((key) => row(key, section))].join('\n')].join('\n\n');
}

function sectionNode(section: string, tree: SchemaNode): SchemaNode | undefined {
  return section.split('.').reduce<SchemaNode | undefined>((node, step) => {
    const isList = step.endsWith('[]');
    const next = node?.properties?.[isList ? step.slice(0, -2) : step];
    return isList ? next?.items : next;
  }, tree);
}

function row(key: ConfigKey, section: string): string {
  const name = section === '' ? key.path : key.path.slice(section.length + 1);
  const { node } = key;
  const trusted = node['x-trusted'] === undefined ? '' : ` Trusted: whoever can write it can ${node['x-trusted']}.`;
  const meaning = sentence(node.description ?? '') + trusted;
  const environment = key.environment === undefined ? '' : `\`${key.environment}\``;
  return `| \`${name}\` | ${valueText(node)} | ${defaultText(key)} | ${meaning} | ${environment} |`.replaceAll('\n', ' ');
}

function sentence(text: string): string {
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function defaultText(key: ConfigKey): string {
  if (key.node.default !== undefined) return `\`${JSON.stringify(key.node.default)}\``;
  return key.isRequired ? '**required**' : 'none';
}

function valueText(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((word) => `\`${String(word)}\``).join(', ');
  const unit = node['x-unit'] === undefined ? '' : ` ${node['x-unit']}`;
  switch (node.type) {
    case 'integer':
      return `${node.minimum ?? ''} to ${node.maximum ?? ''}${unit}`;
    case 'boolean':
      return '`true`, `false`';
    case 'array':
      return `list${node.items === undefined || node.items.properties !== undefined ? '' : ` of ${valueText(node.items)}`}, at most ${node.maxItems ?? ''}`;
    case undefined:
    default:
      return TEXT_KINDS[node['x-kind'] ?? ''] ?? `text, at most ${node.maxLength ?? ''} characters`;
  }
}

const TEXT_KINDS: Readonly<Record<string, string>> = {
  path: 'path',
  listen: '`address:port` or `unix:path`',
  dial: '`host:port`',
  origin: 'origin',
};
