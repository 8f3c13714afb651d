/**
 * The one file that knows the CEL library: text to tree, tree to something that runs. Types, costs and the choice of
 * functions are judged elsewhere (types.ts); here is only what the library must be kept from doing.
 *
 * Every variable is `dyn` to the library, so that one compiled form serves all tools; types.ts has proven before that
 * the operations fit. Spec: policy-v1 section 7.
 */

import { Environment } from '@marcbachmann/cel-js';
import type { ASTNode, ParseResult } from '@marcbachmann/cel-js';
import { Decimal, fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { compilePattern } from '@sallyport/strict';
import { LIMITS } from '../reader/limits.ts';
import { syntaxProblem } from './cel-syntax.ts';
import type { BinaryOperator, Expression, ExpressionProblem, MacroName } from './expression.ts';

/** The variables of a condition. */
export const VARIABLES = ['args', 'principal', 'session', 'env', 'tool', 'agent', 'chain'] as const;
export type Facts = Readonly<Record<(typeof VARIABLES)[number], unknown>>;

/** A condition that could not be evaluated. Never true, never false. */
export class CelFailure {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A condition in the library's compiled form. */
export interface Program {
  readonly expression: Expression;
  /** The value, or a CelFailure; never throws. */
  run(facts: Facts): unknown;
}

const COMPARISONS = {
  '<': (n: number) => n < 0,
  '<=': (n: number) => n <= 0,
  '>': (n: number) => n > 0,
  '>=': (n: number) => n >= 0,
} as const;

function makeEnvironment(): Environment {
  const env = new Environment({
    limits: {
      maxAstNodes: LIMITS.expressionNodesMax,
      maxDepth: LIMITS.expressionDepthMax,
      maxListElements: LIMITS.listMax,
      maxMapEntries: LIMITS.listMax,
      maxCallArguments: 4,
    },
  });
  env.registerType('decimal', { ctor: Decimal, fields: {} });
  const exact = (value: Decimal | bigint): Decimal => (typeof value === 'bigint' ? Decimal.fromBigInt(value) : value);
  for (const [left, right] of [
    ['decimal', 'decimal'],
    ['decimal', 'int'],
    ['int', 'decimal'],
  ] as const) {
    for (const [operator, holds] of Object.entries(COMPARISONS)) {
      env.registerOperator(`${left} ${operator} ${right}`, (a: Decimal | bigint, b: Decimal | bigint) => holds(exact(a).compare(exact(b))));
    }
    env.registerOperator(`${left} + ${right}: decimal`, (a: Decimal | bigint, b: Decimal | bigint) => exact(a).add(exact(b)));
    env.registerOperator(`${left} - ${right}: decimal`, (a: Decimal | bigint, b: Decimal | bigint) => exact(a).subtract(exact(b)));
  }
  // The library adds `!=` and the other order by itself.
  env.registerOperator('decimal == decimal', (a: Decimal, b: Decimal) => a.equals(b));
  env.registerOperator('decimal == int', (a: Decimal, b: bigint) => a.equals(Decimal.fromBigInt(b)));
  refuseUnlike(env);
  env.registerFunction('decimal(string): decimal', (text: string) => {
    const value = Decimal.parse(text);
    if (value === undefined) throw new RangeError('not a decimal');
    return value;
  });
  // The library's own `matches` backtracks: one request could stop the process. A macro on any receiver of this name
  // takes every call of it at parse time; `string.matches` itself cannot be replaced.
  env.registerFunction('decimal.matches(ast): bool', linearMatches);
  for (const name of VARIABLES) env.registerVariable(name, 'dyn');
  return env;
}

/** Kinds that never equal each other, both ways round. */
const UNLIKE = [
  ['string', 'int'],
  ['string', 'decimal'],
  ['string', 'double'],
  ['string', 'bool'],
  ['bool', 'int'],
  ['bool', 'decimal'],
  ['bool', 'double'],
  ['decimal', 'double'],
] as const;

/**
 * Left alone, the library calls unlike values unequal: a claim that came as text would be `!= 3` for ever, and a denial
 * that compares it with 3 would never deny. Such a comparison fails, and a failure denies.
 */
function refuseUnlike(env: Environment): void {
  for (const [left, right] of UNLIKE) {
    const refuse = (): never => {
      throw new TypeError(`cannot compare ${left} and ${right}`);
    };
    // The library adds `!=` and the other order by itself.
    env.registerOperator(`dyn<${left}> == ${right}`, refuse);
  }
}

interface MacroCall {
  readonly args: readonly ASTNode[];
  readonly receiver: ASTNode;
}

interface Runner {
  run(node: ASTNode, context: unknown): unknown;
}

interface Checker {
  check(node: ASTNode, context: unknown): unknown;
  getType(name: string): unknown;
}

/** Of one match: one for each 16 characters and each instruction visited. More than a body of 1 MB can need. */
const MATCH_STEPS_MAX = 100_000;

function linearMatches({ args, receiver }: MacroCall): object {
  const [argument] = args;
  const source = argument?.op === 'value' && typeof argument.args === 'string' ? argument.args : undefined;
  const pattern = source === undefined ? undefined : compilePattern(source);
  return {
    async: false,
    typeCheck(checker: Checker, _macro: unknown, context: unknown): unknown {
      checker.check(receiver, context);
      return checker.getType('bool');
    },
    evaluate(runner: Runner, _macro: unknown, context: unknown): boolean {
      const text = runner.run(receiver, context);
      if (pattern?.ok !== true || typeof text !== 'string') throw new TypeError('`matches` wants text and a constant pattern');
      const work = { left: MATCH_STEPS_MAX };
      const isMatch = pattern.value.test(text, work);
      // Out of work is no answer: taken for `false`, a long text would slip past a deny rule.
      if (work.left < 0) throw new RangeError('the text takes too much work to match');
      return isMatch;
    },
  };
}

/** One for the process: every variable is `dyn`, so that nothing in it depends on a policy. */
const environment = makeEnvironment();

/** Parses a condition; every construct outside the language is a problem. Its types are not looked at. */
export function parseExpression(text: string): Result<Expression, readonly ExpressionProblem[]> {
  const parsed = parse(text);
  if (!parsed.ok) return parsed;
  const problems: ExpressionProblem[] = [];
  const expression = toExpression(parsed.value.ast, problems);
  return problems.length > 0 ? fail(problems) : ok(expression);
}

/**
 * Prepares a condition that `parseExpression` and the checker have judged. Time and memory are bounded by the limits on
 * text, nodes and depth.
 */
export function loadProgram(text: string): Result<Program, readonly ExpressionProblem[]> {
  const parsed = parse(text);
  if (!parsed.ok) return parsed;
  const checked = parsed.value.check();
  return checked.valid ? ok(new LoadedProgram(parsed.value)) : fail([problemOf(checked.error)]);
}

class LoadedProgram implements Program {
  readonly #library: ParseResult;
  /** Written by `expression` alone: only denials and explanations ask for it, and it is as large as the program. */
  #expression: Expression | undefined;

  constructor(library: ParseResult) {
    this.#library = library;
  }

  get expression(): Expression {
    return (this.#expression ??= toExpression(this.#library.ast, []));
  }

  run(facts: Facts): unknown {
    try {
      return this.#library(facts) as unknown;
    } catch (error) {
      return new CelFailure(summaryOf(error));
    }
  }
}

function parse(text: string): Result<ParseResult, readonly ExpressionProblem[]> {
  if (text.length > LIMITS.expressionCharsMax) {
    return fail([{ message: `the condition is longer than ${LIMITS.expressionCharsMax} characters`, start: 0 }]);
  }
  try {
    return ok(environment.parse(text));
  } catch (error) {
    const { message, start } = problemOf(error);
    return fail([syntaxProblem(text, message, start)]);
  }
}

function problemOf(error: unknown): ExpressionProblem {
  const range = (error as { range?: { start?: unknown } } | null | undefined)?.range;
  return { message: summaryOf(error), start: typeof range?.start === 'number' ? range.start : 0 };
}

/** The library's errors carry a drawing of the source after their first line. */
function summaryOf(error: unknown): string {
  if (!(error instanceof Error)) return 'evaluation failed';
  const line = error.message.split('\n', 1)[0] ?? '';
  return line.charAt(0).toLowerCase() + line.slice(1);
}

const BINARY: ReadonlySet<string> = new Set<BinaryOperator>(['==', '!=', '<', '<=', '>', '>=', 'in', '+', '-', '*', '/', '%']);

function isBinary(node: ASTNode): node is Extract<ASTNode, { op: BinaryOperator }> {
  return BINARY.has(node.op);
}

const MACROS: ReadonlySet<string> = new Set<MacroName>(['all', 'exists', 'exists_one', 'filter', 'map']);

function toExpression(node: ASTNode, problems: ExpressionProblem[]): Expression {
  const at = { start: node.start, end: node.end };
  const child = (part: ASTNode): Expression => toExpression(part, problems);
  const refuse = (message: string, remedy?: string): Expression => {
    problems.push({ message, start: node.pos, ...(remedy === undefined ? {} : { remedy }) });
    return { ...at, kind: 'literal', value: null };
  };
  if (isBinary(node)) return { ...at, kind: 'binary', operator: node.op, left: child(node.args[0]), right: child(node.args[1]) };
  switch (node.op) {
    case 'value': {
      const { args: value } = node;
      if (typeof value === 'object' && value !== null) return refuse('bytes and unsigned numbers are not part of this language');
      return { ...at, kind: 'literal', value };
    }
    case 'id':
      return { ...at, kind: 'name', name: node.args };
    case '.':
      return { ...at, kind: 'select', of: child(node.args[0]), field: node.args[1] };
    case '[]':
      return { ...at, kind: 'index', of: child(node.args[0]), key: child(node.args[1]) };
    case 'list':
      return { ...at, kind: 'list', items: node.args.map(child) };
    case 'call':
      if (node.args[0] === 'has') {
        const [of] = node.args[1];
        return of === undefined ? refuse('`has` takes one field') : { ...at, kind: 'has', of: child(of) };
      }
      return { ...at, kind: 'call', name: node.args[0], args: node.args[1].map(child) };
    case 'rcall':
      return toMethod(node.args, at, { child, refuse });
    case '?:':
      return { ...at, kind: 'if', condition: child(node.args[0]), yes: child(node.args[1]), no: child(node.args[2]) };
    case '&&':
    case '||':
      return { ...at, kind: node.op === '&&' ? 'and' : 'or', left: child(node.args[0]), right: child(node.args[1]) };
    case '!_':
    case '-_':
      return { ...at, kind: node.op === '!_' ? 'not' : 'negate', of: child(node.args) };
    case 'map':
      return refuse('map literals are not part of this language');
    case '.?':
    case '[?]':
      return refuse('optional access is not part of this language', 'guard with has(…)');
  }
}

function toMethod(
  [name, receiver, args]: [string, ASTNode, ASTNode[]],
  at: { start: number; end: number },
  to: { child: (part: ASTNode) => Expression; refuse: (message: string, remedy?: string) => Expression },
): Expression {
  if (!MACROS.has(name)) return { ...at, kind: 'call', name, receiver: to.child(receiver), args: args.map(to.child) };
  const [variable, body] = args;
  if (args.length !== 2 || variable?.op !== 'id' || body === undefined)
    return to.refuse(`\`${name}\` takes a name and a condition`, `items.${name}(item, …)`);
  return { ...at, kind: 'macro', name: name as MacroName, range: to.child(receiver), variable: variable.args, body: to.child(body) };
}
