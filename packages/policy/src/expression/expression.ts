/** A condition as a tree of our own, so that what judges it does not depend on the library that parses and runs it. */

interface At {
  /** Code units of the condition's text: first and one past the last. */
  readonly start: number;
  readonly end: number;
}

export type BinaryOperator = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | '+' | '-' | '*' | '/' | '%';
export type MacroName = 'all' | 'exists' | 'exists_one' | 'filter' | 'map';

export type Expression = At &
  (
    | { readonly kind: 'literal'; readonly value: null | boolean | bigint | number | string }
    | { readonly kind: 'name'; readonly name: string }
    | { readonly kind: 'select'; readonly of: Expression; readonly field: string }
    | { readonly kind: 'index'; readonly of: Expression; readonly key: Expression }
    | { readonly kind: 'list'; readonly items: readonly Expression[] }
    | { readonly kind: 'call'; readonly name: string; readonly receiver?: Expression; readonly args: readonly Expression[] }
    | { readonly kind: 'macro'; readonly name: MacroName; readonly range: Expression; readonly variable: string; readonly body: Expression }
    | { readonly kind: 'has'; readonly of: Expression }
    | { readonly kind: 'not' | 'negate'; readonly of: Expression }
    | { readonly kind: 'binary'; readonly operator: BinaryOperator; readonly left: Expression; readonly right: Expression }
    | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
    | { readonly kind: 'if'; readonly condition: Expression; readonly yes: Expression; readonly no: Expression }
  );

/** What is wrong with a condition, and where in its text. */
export interface ExpressionProblem {
  readonly message: string;
  readonly remedy?: string;
  readonly start: number;
}

/** The direct parts of an expression. */
export function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'name':
      return [];
    case 'select':
    case 'has':
    case 'not':
    case 'negate':
      return [expression.of];
    case 'index':
      return [expression.of, expression.key];
    case 'list':
      return expression.items;
    case 'call':
      return expression.receiver === undefined ? expression.args : [expression.receiver, ...expression.args];
    case 'macro':
      return [expression.range, expression.body];
    case 'binary':
    case 'and':
    case 'or':
      return [expression.left, expression.right];
    case 'if':
      return [expression.condition, expression.yes, expression.no];
  }
}

/** `args.customer.id` for a chain of names and constant keys; `undefined` for anything else. */
export function pathOf(expression: Expression): readonly string[] | undefined {
  if (expression.kind === 'name') return [expression.name];
  if (expression.kind === 'select') {
    const above = pathOf(expression.of);
    return above === undefined ? undefined : [...above, expression.field];
  }
  if (expression.kind === 'index' && expression.key.kind === 'literal' && typeof expression.key.value === 'string') {
    const above = pathOf(expression.of);
    return above === undefined ? undefined : [...above, expression.key.value];
  }
  return undefined;
}

/** The longest chains that an expression reads, with macro variables left out: what explain shows the values of. */
export function readsOf(expression: Expression, bound: ReadonlySet<string> = new Set()): readonly Expression[] {
  const path = expression.kind === 'has' ? undefined : pathOf(expression);
  if (path !== undefined) return bound.has(path[0] ?? '') ? [] : [expression];
  if (expression.kind === 'has') return [];
  if (expression.kind !== 'macro') return partsOf(expression).flatMap((part) => readsOf(part, bound));
  return [...readsOf(expression.range, bound), ...readsOf(expression.body, new Set([...bound, expression.variable]))];
}

/** The arguments that an expression names, in `has` too, sorted. */
export function argumentNamesOf(expression: Expression): readonly string[] {
  const names = new Set<string>();
  const stack = [expression];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const [root, name] = pathOf(next) ?? [];
    if (root === 'args' && name !== undefined) names.add(name);
    stack.push(...partsOf(next));
  }
  return [...names].toSorted();
}

/** How many nodes an expression has. */
export function nodeCountOf(expression: Expression): number {
  let count = 0;
  const stack = [expression];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    count++;
    stack.push(...partsOf(next));
  }
  return count;
}

/** Whether any fact of the call plays a part; an expression of constants alone decides nothing. */
export function readsFacts(expression: Expression, bound: ReadonlySet<string> = new Set()): boolean {
  if (expression.kind === 'name') return !bound.has(expression.name);
  if (expression.kind !== 'macro') return partsOf(expression).some((part) => readsFacts(part, bound));
  return readsFacts(expression.range, bound) || readsFacts(expression.body, new Set([...bound, expression.variable]));
}
