/** What the schema's checks found, in the words of the house: the key, what was expected, what stands there, what to do. */

import type * as z from 'zod/mini';
import { nearest } from '@sallyport/model';
import type { Problem } from '@sallyport/model';
import { shortened } from './config-fields.ts';
import { nodeAt, type SchemaNode } from './config-keys.ts';

type Issue = z.core.$ZodIssue;

/** A finding at a path of the value, before it is given its file and line. */
export type Finding = Pick<Problem, 'message' | 'remedy'> & { readonly path: readonly PropertyKey[] };

/** One finding per thing that is wrong; an issue about several unknown keys becomes several. */
export function findings(issues: readonly Issue[], tree: SchemaNode): readonly Finding[] {
  const said = new Set<string>();
  return issues.flatMap((issue) => findingsOf(issue, tree)).map((finding) => toldOnce(finding, said));
}

/** A list of everything that is known is a remedy once, and noise each further time. */
function toldOnce({ remedy: words, ...finding }: Finding, said: Set<string>): Finding {
  const isRepeated = words?.startsWith(KNOWN_HERE) === true && said.has(words);
  if (words !== undefined) said.add(words);
  return words === undefined || isRepeated ? finding : { ...finding, remedy: words };
}

const KNOWN_HERE = 'known here: ';

function findingsOf(issue: Issue, tree: SchemaNode): readonly Finding[] {
  const { path } = issue;
  const node = nodeAt(tree, path) ?? {};
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], Object.keys(node.properties ?? {})));
  const seen = issue.input === undefined ? '' : `, not ${shown(issue.input)}`;
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return [{ path, message: 'missing', ...remedy(node.description) }];
      return [{ path, message: `expected ${expectation(node, issue.expected)}${seen}` }];
    case 'too_big':
      return [{ path, message: `expected at most ${amount(issue.maximum, issue.origin, node)}${seen}` }];
    case 'too_small':
      // A list that is left out comes here as one without items.
      if (isEmptyList(issue.input)) return [{ path, message: 'missing, or a list without items', ...remedy(node.description) }];
      return [{ path, message: `expected at least ${amount(issue.minimum, issue.origin, node)}${seen}` }];
    case 'invalid_value':
      return [{ path, ...wrongWord(issue.input, issue.values.map(String)) }];
    case 'custom': {
      const own: unknown = issue.params?.['remedy'];
      return [{ path, message: issue.message, ...remedy(typeof own === 'string' ? own : undefined) }];
    }
    case 'invalid_element':
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_union':
    case 'not_multiple_of':
      return [{ path, message: `not acceptable here${seen}`, ...remedy(node.description) }];
  }
}

function isEmptyList(input: unknown): boolean {
  return Array.isArray(input) && input.length === 0;
}

/** A key that the schema does not know, with the nearest that it does. */
export function unknownKey(path: readonly PropertyKey[], known: readonly string[]): Finding {
  const key = String(path.at(-1));
  const near = nearest(key, known);
  const message = `unknown key \`${shortened(key)}\``;
  if (near !== undefined) return { path, message, remedy: `did you mean \`${near}\`?` };
  return { path, message, remedy: known.length === 0 ? 'remove it' : `${KNOWN_HERE}${known.join(', ')}` };
}

function remedy(words: string | undefined): { remedy?: string } {
  return words === undefined || words === '' ? {} : { remedy: words };
}

function wrongWord(input: unknown, words: readonly string[]): Pick<Finding, 'message' | 'remedy'> {
  const list = words.map((word) => `\`${word}\``).join(', ');
  if (input === undefined) return { message: 'missing', remedy: `one of ${list}` };
  const near = typeof input === 'string' ? nearest(input, words) : undefined;
  return {
    message: `expected one of ${list}, not ${shown(input)}`,
    ...remedy(near === undefined ? undefined : `did you mean \`${near}\`?`),
  };
}

function expectation(node: SchemaNode, expected: string): string {
  const unit = node['x-unit'] === undefined ? '' : ` (${node['x-unit']})`;
  if (node['x-kind'] === 'section') return 'a group of keys';
  switch (node.type ?? expected) {
    case 'integer':
      return `a whole number${unit}`;
    case 'boolean':
      return '`true` or `false`';
    case 'array':
      return 'a list';
    case 'object':
      return 'a group of keys';
    default:
      return 'text';
  }
}

function amount(bound: number | bigint, origin: string, node: SchemaNode): string {
  if (origin === 'string') return bound === 1 ? 'one character' : `${bound} characters`;
  if (origin === 'array') return bound === 1 ? 'one item' : `${bound} items`;
  return node['x-unit'] === undefined ? String(bound) : `${bound} ${node['x-unit']}`;
}

/** A value as the author wrote it, cut short; a group or a list only by its kind. */
function shown(input: unknown): string {
  if (input === null) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'string') return `\`${shortened(input)}\``;
  if (typeof input === 'number' || typeof input === 'boolean') return `\`${input}\``;
  return 'a group of keys';
}
