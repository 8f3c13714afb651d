/** Strict readings of what comes from outside: JSON, arguments, headers, targets. Each has one meaning or is refused. */

export type { Step } from './place.ts';
export { formatPlace } from './place.ts';
export type { JudgeLimits, JudgeOptions, JsonProblemCode, JsonProblem, Judged } from './judged.ts';
export { JUDGE_LIMITS, judge, withoutMembers, denyJson } from './judged.ts';
export type { TypedValue, TypedRecord, TypedArguments } from './typed-value.ts';
export type { SchemaType, ObjectType, PropertyType, Violation, ArgumentSchema } from './schema.ts';
export { compileSchema } from './schema.ts';
export { serializeArguments, serializeValue, canonicalArguments, canonicalValue, argumentDigest } from './arguments.ts';
export type { PatternProblem } from './pattern-syntax.ts';
export type { Pattern, Work } from './pattern.ts';
export { compilePattern } from './pattern.ts';
export type { HeaderLimits, HeaderLookup } from './headers.ts';
export { HEADER_LIMITS, readHeaders } from './headers.ts';
export type { TargetOptions, CanonicalTarget } from './target.ts';
export { canonicalTarget } from './target.ts';
export type { QueryPair } from './query.ts';
export { readQuery } from './query.ts';
export type { TemplateSegment, RouteTemplate, RouteOverlap, RouteMatch, RouteTable } from './route-table.ts';
export { routeTemplate, overlapOf, routeTable } from './route-table.ts';
export type { FilledTemplate, TextKind } from './typed-text.ts';
export { fillTemplate, scalarText, textKindOf } from './typed-text.ts';
