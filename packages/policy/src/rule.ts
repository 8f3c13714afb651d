/**
 * What an author writes, as values: rules, selectors, tests, environment values. Shapes only; their meaning is in
 * decide.ts, their grammar in documents.ts, their wire form in parts.ts. Spec: policy-v1, sections 3 and 4.
 */

import type {
  AgentName,
  ChainRoot,
  Decimal,
  DenialCode,
  Effect,
  HttpMethod,
  Instant,
  Isolation,
  JsonObject,
  RuleId,
  ServerName,
  ToolName,
} from '@sallyport/model';
import type { OriginFact } from './session.ts';

export type Verb = 'allow' | 'deny' | 'require';

/** Where a rule, a tool or a test case stands in the author's files; shown by explain, never to a caller. */
export interface Source {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** In which layer, where several are joined. */
  readonly layer?: string;
}

/**
 * Which tools a rule is about. `tool` is a full name, or a prefix that ends in `*` after the slash (`orders/*`,
 * `orders/get_*`); the members of the other form must all hold.
 */
export type Selector =
  | { readonly tool: string }
  | { readonly server?: ServerName; readonly effect?: Effect; readonly class?: string; readonly method?: HttpMethod };

/** Whom a rule is about: every list that is present must hold the principal's value (any of its values). */
export interface RuleFor {
  readonly roles?: readonly string[];
  readonly tenants?: readonly string[];
  readonly principals?: readonly string[];
}

/** What a limit counts by: each value of `per` has its own count, in the session, or, with a window, in any session of the agent. */
export interface LimitSpan {
  /** CEL over the call; a string, int, decimal or bool. */
  readonly per?: string;
  readonly withinMs?: number;
}

/** At most one call for each value of `per`. */
export type Once = LimitSpan;

/** At most `count` calls for each value of `per`. */
export interface Max extends LimitSpan {
  readonly count: number;
}

/** At most `consecutive` calls in a row by the tools of the rule, with no other allowed call of the session in between. */
export interface Sequence {
  readonly consecutive: number;
}

/** The values of `sum` of all calls come to at most `max`, exactly. */
export interface Budget extends LimitSpan {
  /** CEL over the call; an int or a decimal. */
  readonly sum: string;
  /** A decimal, or `${env.x}`. */
  readonly max: string;
}

/** A tool that must have completed in the session; with `with`, in a call whose arguments had the values that these have now. */
export interface Precondition {
  readonly tool: ToolName;
  /** By the name of its argument, CEL over the present call. */
  readonly with?: Readonly<Record<string, string>>;
}

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** Demands on the circumstances of a call: who proved what, when, for what, and what the session has come to. */
export interface DemandValues {
  /** The session's declared task is one of these. */
  readonly task: readonly string[];
  /** The operator's credential says why the access happens. */
  readonly requirePurpose: true;
  readonly delegation: { readonly depth?: number; readonly firstParty?: boolean; readonly roots?: readonly ChainRoot[] };
  readonly session: { readonly maxAgeMs?: number; readonly denialsMax?: number };
  readonly valid: { readonly from?: Instant; readonly until?: Instant };
  /** Minutes of the day from midnight at an offset from UTC; `to` is not inside, and may be before `from`, which passes midnight. */
  readonly hours: { readonly days: readonly Day[]; readonly from: number; readonly to: number; readonly offset: number };
  readonly justification: { readonly charsMin: number };
  readonly risk: { readonly max: number };
  readonly stepUp: {
    readonly maxAgeMs?: number;
    readonly acr?: readonly string[];
    readonly amr?: readonly string[];
    readonly when?: string;
  };
  /** CEL that yields the text which a person must have reviewed. */
  readonly reviewed: string;
  readonly approval: { readonly when?: string; readonly by: ApprovedBy; readonly count: number };
  /** `advisory` asks for none; an allow rule without it asks what its agent and tool ask. */
  readonly isolation: Isolation;
}

/** Who may approve: anyone with the role, anyone of the group, or one person. */
export type ApprovedBy = { readonly role: string } | { readonly group: string } | { readonly person: string };

/** Whose calls a rule is about: those of one agent, or, across agents, of all or of those that are listed. */
export type Concerned =
  | { readonly agent: AgentName; readonly agents?: never }
  /** `deny` and `require` rules alone; about the tools of each that it uses. */
  | { readonly agent?: never; readonly agents: '*' | readonly AgentName[] };

export type Rule = RuleBody & Concerned;

/** A rule without whose it is. */
export interface RuleBody extends Partial<DemandValues> {
  readonly id: RuleId;
  readonly verb: Verb;
  /** Evaluated, and never effective: what it would have done is recorded. */
  readonly shadow?: true;
  readonly tools: readonly Selector[];
  readonly for?: RuleFor;
  readonly scopes?: readonly string[];
  /** CEL conditions that tie an argument to the session or the principal. */
  readonly bind?: readonly string[];
  /** Narrower schemas over named arguments; a named argument must be present. */
  readonly arguments?: Readonly<Record<string, JsonObject>>;
  readonly after?: readonly Precondition[];
  readonly when?: string;
  readonly once?: Once;
  readonly max?: Max;
  readonly sequence?: Sequence;
  readonly budget?: Budget;
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
  readonly session: GivenSession;
  /** When the calls are made. */
  readonly at: Instant;
  /** How long ago the person proved who they are. */
  readonly authAgeMs: number;
  readonly acr?: string;
  readonly amr: readonly string[];
  readonly justification?: string;
  /** The agents between the person and this one, first to last. */
  readonly chain: readonly Hop[];
  readonly approvals: readonly Approver[];
  readonly isolation: Isolation;
}

/** What a session has come to before the first call of a test. */
export interface GivenSession {
  readonly case?: string;
  readonly task?: string;
  readonly step?: string;
  /** What the credential says of how it began. */
  readonly origin?: Readonly<Partial<Record<OriginFact, string>>>;
  readonly root: ChainRoot;
  readonly ageMs: number;
  readonly risk?: number;
  readonly completed: readonly ToolName[];
  readonly denied: readonly ToolName[];
  /** Data classes that the session has seen. */
  readonly classes: readonly string[];
  readonly touched: Readonly<Record<string, readonly string[]>>;
  readonly remembered: Readonly<Record<string, readonly string[]>>;
  /** Texts that a person has reviewed in this session. */
  readonly reviewed: readonly string[];
}

/** One agent of a delegation chain; one of another trust domain is named `<domain>/<agent>`, and never our own. */
export interface Hop {
  readonly agent: string;
  readonly first_party: boolean;
}

/** Who has approved this very call, each proven. */
export interface Approver {
  readonly person: string;
  readonly roles: readonly string[];
  readonly groups: readonly string[];
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
