/** The policy decision point: documents to source, source to parts, parts to a compiled policy, and decisions from it. */

export type {
  Verb,
  Source,
  Selector,
  RuleFor,
  Once,
  Rule,
  RuleBody,
  EnvironmentValue,
  EnvironmentValues,
  TestGiven,
  TestCase,
  TestSuite,
} from './rule.ts';
export type { SessionFacts } from './session.ts';
export { FEATURES } from './features.ts';
export type { PolicyFile, PolicySource } from './documents.ts';
export { parseDocuments } from './documents.ts';
export type { BuiltParts } from './build.ts';
export { buildParts } from './build.ts';
export type { Parts } from './parts.ts';
export { readParts } from './parts.ts';
export type { Beneath, JoinRefusal, LayerParts } from './layers.ts';
export { joinLayers } from './layers.ts';
export type { CompiledPolicy } from './compile.ts';
export { compile } from './compile.ts';
export type { Observed, PolicyInput, PolicyDecision } from './decide.ts';
export type { ShadowFinding } from './shadow.ts';
export { describeReached } from './limit.ts';
export type { ReservationSpec } from './limit.ts';
export type { GivenInput } from './given-input.ts';
export { readGiven } from './given-input.ts';
export type { ShapedArguments } from './shape.ts';
export { shapeArguments } from './shape.ts';
export type { CallNotes } from './notes.ts';
export { NOTES_MAX, notesOf, remembersResult } from './notes.ts';
export { decide, DEFAULT_DENY } from './decide.ts';
export type { Observe } from './grammar-observe.ts';
export { OBSERVED, observe } from './observe.ts';
export type { Requirement, Unmet } from './requirements.ts';
export { REQUIREMENTS } from './requirements.ts';
export type { Viewer } from './visible.ts';
export { visible, visibleTools } from './visible.ts';
export type { DenialExplanation, Explanation, RuleExplanation, UnmetExplanation } from './explanation.ts';
export { explain, explainDenial, formatExplanation } from './explain.ts';
export type { TestReport, TestOutcome } from './run-tests.ts';
export { runTests } from './run-tests.ts';
