/**
 * When the bytes that a generic HMAC is computed over tell each request from every other: after each value taken from the
 * request stands a character that the value cannot hold. Spec: callers, section 6.
 */

import type { HmacPart } from './caller-method.ts';
import type { Problem } from './problem.ts';

export const HMAC_TEMPLATE_PARTS_MAX = 32;

/** The characters that a value may hold; what follows it begins with another, or is nothing. */
const ALPHABETS: Readonly<Record<'timestamp' | 'method' | 'target' | 'authority' | 'key_id' | 'header', RegExp>> = {
  timestamp: /[0-9]/,
  method: /[!#$%&'*+.^_`|~0-9A-Za-z-]/,
  target: /[\x21-\x7e]/,
  authority: /[A-Za-z0-9.:[\]_-]/,
  key_id: /[A-Za-z0-9._-]/,
  header: /[\x20-\x7e\t]/,
};

/** Problems of a template: no body or timestamp under the signature, or a value that can flow into its neighbour. */
export function judgeHmacTemplate(template: readonly HmacPart[]): readonly Problem[] {
  const problems: Problem[] = [];
  const path = 'template';
  if (template.length > HMAC_TEMPLATE_PARTS_MAX) problems.push({ path, message: `has more than ${HMAC_TEMPLATE_PARTS_MAX} parts` });
  for (const needed of ['timestamp', 'body']) {
    const count = template.filter((part) => 'take' in part && part.take === needed).length;
    if (count !== 1) problems.push({ path, message: `takes \`${needed}\` ${count} times, not once` });
  }
  for (const [index, part] of template.entries()) {
    const place = `${path}[${index}]`;
    const next = template[index + 1];
    if ('text' in part && part.text === '') problems.push({ path: place, message: 'is an empty text' });
    if ('text' in part || next === undefined) continue;
    const kind = 'header' in part ? 'header' : part.take;
    if (kind === 'body') problems.push({ path: place, message: 'the body holds any byte, so nothing may follow it' });
    else if (!('text' in next)) problems.push({ path: place, message: `a text must part \`${kind}\` from what follows` });
    else if (ALPHABETS[kind].test(next.text.slice(0, 1)))
      problems.push({
        path: place,
        message: `what follows \`${kind}\` begins with a character that it can hold itself`,
        remedy: 'a line feed',
      });
  }
  return problems;
}
