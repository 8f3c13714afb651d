/** A condition as authors write it: CEL as text. What it says is judged later, against the types of the tools it is about. */

import { LIMITS } from './limits.ts';
import type { Node, Problems } from './node.ts';
import { text } from './read.ts';

export function expression(node: Node, problems: Problems): string | undefined {
  if (node.kind === 'scalar' && typeof node.value === 'boolean') {
    return problems.add(node.place, 'a condition must read the call', { remedy: 'leave it out: a constant decides nothing' });
  }
  return text('a condition', undefined, LIMITS.expressionCharsMax)(node, problems);
}
