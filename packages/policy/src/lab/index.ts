/** The lab: what is asked of policies on a desk, and never on the way of a call. Spec: policy-lab. */

export type { Coverage, CoverageGap, RowCoverage, RuleCoverage } from './coverage.ts';
export { coverageOf, gapsOf } from './coverage.ts';
