/** The lab: what is asked of policies on a desk, and never on the way of a call. Spec: policy-lab. */

export type { Coverage, CoverageGap, RowCoverage, RuleCoverage } from './coverage.ts';
export { coverageOf, gapsOf } from './coverage.ts';
export type { FieldChange, ItemChange, ItemKind, PartBytes } from './structure.ts';
export type { CallChange, DiffSide, PolicyDiff } from './diff.ts';
export { allowsMore, diffPolicies } from './diff.ts';
export type { RecordedCall, RecordedSession } from './recorded.ts';
export type { KnownPolicy, Replayed, ReplayOptions, Verdict } from './replay.ts';
export { replayer } from './replay.ts';
