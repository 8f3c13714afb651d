/**
 * What an author writes, as values: rules, selectors, tests, environment values. Shapes only; their meaning is in
 * decide.ts, their grammar in documents.ts, their wire form in parts.ts. Spec: policy-v1, sections 3 and 4.
 */

import type { AgentName, Decimal, DenialCode, Effect, JsonObject, RuleId, ServerName, ToolName } from '@sallyport/model';

export type Verb = 'allow' | 'deny' | 'require';

/** Where a rule, a tool or a test case stands in the author's files; shown by explain, never to a caller. */
export interface Source {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/**
 * Which tools a rule is about. `tool` is a full name, or a prefix that ends in `*` after the slash (`orders/*`,
 * `orders/get_*`); the members of the other form must all hold.
 */
export type Selector = { readonly tool: string } | { readonly server?: ServerName; readonly effect?: Effect; readonly class?: string };

/** Whom a rule is about: every list that is present must hold the principal's value (any of its values). */
export interface RuleFor {
  readonly roles?: readonly string[];
  readonly tenants?: readonly string[];
  readonly principals?: readonly string[];
}

/** At most one call for each value of `per`: in the session, or, with a window, by the agent in any session. */
export interface Once {
  /** CEL over the call; a string, int, decimal or bool. */
  readonly per?: string;
  readonly withinMs?: number;
}

export interface Rule {
  readonly id: RuleId;
  readonly agent: AgentName;
  readonly verb: Verb;
  readonly tools: readonly Selector[];
  readonly for?: RuleFor;
  readonly scopes?: readonly string[];
  /** CEL conditions that tie an argument to the session or the principal. */
  readonly bind?: readonly string[];
  /** Narrower schemas over named arguments; a named argument must be present. */
  readonly arguments?: Readonly<Record<string, JsonObject>>;
  /** Tools that must have completed in this session. */
  readonly after?: readonly ToolName[];
  readonly when?: string;
  readonly once?: Once;
}

/** A value that differs between environments; its type is part of its declaration. */
export type EnvironmentValue =
  | { readonly type: 'url' | 'string'; readonly value: string }
  | { readonly type: 'integer'; readonly value: bigint }
  | { readonly type: 'decimal'; readonly value: Decimal }
  | { readonly type: 'boolean'; readonly value: boolean }
  | { readonly type: 'strings'; readonly value: readonly string[] };

export type EnvironmentValues = Readonly<Record<string, EnvironmentValue>>;

/** Who calls and what has happened so far, as a test gives it. What is left out is empty, or `test` for names. */
export interface TestGiven {
  readonly principal: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  readonly session: { readonly case?: string; readonly completed: readonly ToolName[] };
}

export interface TestCase {
  readonly call: ToolName;
  /** The arguments as JSON text, so that every number keeps the author's digits. */
  readonly argsJson: string;
  readonly expect: 'allow' | DenialCode;
  readonly source: Source;
}

/** `cases` are judged each by itself; `steps` one after another in one session, where an allowed call completes. */
export interface TestSuite {
  readonly name?: string;
  readonly agent: AgentName;
  readonly given: TestGiven;
  readonly cases: readonly TestCase[];
  readonly steps: readonly TestCase[];
}
