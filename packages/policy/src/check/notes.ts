/**
 * Places in a tool's arguments that hold nothing to note. A session would know no value under such a word, for ever: a
 * rule that asks for one would deny what it allows, and a denial that looks for one would never deny.
 */

import type { NotedPath, Problem, Tool } from '@sallyport/model';
import type { ArgumentSchema, SchemaType } from '@sallyport/strict';
import { orListed } from '../reader/node.ts';

/** One problem for each word of `touches` that nothing can ever be noted under. Results have no schema. */
export function unfitNotes({ touches = {} }: Tool, { type }: ArgumentSchema): readonly Problem[] {
  return Object.entries(touches).flatMap(([word, place]) => {
    const why = unfit(type, place);
    return why === undefined ? [] : [{ path: `touches.${word}`, ...why }];
  });
}

type Why = Pick<Problem, 'message' | 'remedy'>;

function unfit(type: SchemaType, [step, ...rest]: NotedPath): Why | undefined {
  if (type.kind === 'any' || type.kind === 'union') return undefined;
  if (step === undefined)
    return isNoted(type)
      ? undefined
      : { message: `${type.kind === 'object' ? 'an' : 'a'} ${type.kind} is never noted`, remedy: remedyFor(type) };
  if (step === '[]')
    return type.kind === 'list' ? unfit(type.element, rest) : { message: `\`[]\` stands behind a ${type.kind}, not a list` };
  if (type.kind !== 'object')
    return { message: `\`${step}\` is no member of a ${type.kind}`, ...(type.kind === 'list' ? { remedy: 'write [] before it' } : {}) };
  const next = type.properties.get(step)?.type ?? type.additional;
  if (next !== undefined) return unfit(next, rest);
  return {
    message: `the tool has no argument \`${step}\` there`,
    remedy: orListed(step, type.properties.keys()) ?? 'name one that its schema has',
  };
}

/** Texts, and numbers, as text. */
function isNoted({ kind }: SchemaType): boolean {
  return kind === 'string' || kind === 'integer' || kind === 'decimal' || kind === 'double';
}

function remedyFor({ kind }: SchemaType): string {
  return kind === 'list' ? 'write [] behind it' : 'name a text or a number';
}
