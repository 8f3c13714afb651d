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
export { FEATURES, LAYER_FEATURE } from './compile/features.ts';
export type { PolicyFile, PolicySource } from './compile/documents.ts';
export { parseDocuments } from './compile/documents.ts';
export type { BuiltParts } from './compile/build.ts';
export { buildParts } from './compile/build.ts';
export type { Parts } from './compile/parts.ts';
export { readParts } from './compile/parts.ts';
export type { Beneath, JoinRefusal, LayerParts } from './compile/layers.ts';
export { joinLayers } from './compile/layers.ts';
export type { CompiledPolicy } from './compile/compile.ts';
export { compile } from './compile/compile.ts';
export type { Observed, PolicyDecision } from './decide/decide.ts';
export type { PolicyInput } from './input.ts';
export type { ShadowFinding } from './decide/shadow.ts';
export { describeReached } from './demand/limit.ts';
export type { ReservationSpec } from './demand/limit.ts';
export type { GivenInput } from './suites/given-input.ts';
export { readGiven } from './suites/given-input.ts';
export type { ShapedArguments } from './check/shape.ts';
export { shapeArguments } from './check/shape.ts';
export type { CallNotes } from './decide/notes.ts';
export { NOTES_MAX, notesOf, remembersResult } from './decide/notes.ts';
export type { CallerVerdict } from './decide/callers.ts';
export { judgeCaller } from './decide/callers.ts';
export type { DelegatedCall, DelegationVerdict } from './decide/delegations.ts';
export { judgeDelegated } from './decide/delegations.ts';
export { decide, DEFAULT_DENY } from './decide/decide.ts';
export type { KnownPrincipal } from './decide/directory.ts';
export { knownPrincipal } from './decide/directory.ts';
export type { CarriedCredential } from './check/credentials.ts';
export type { Credential, CredentialSource } from './grammar/credential.ts';
export type { CallerMethodDocument } from './grammar/caller-method.ts';
export type { CallerSecret } from './grammar/caller-form.ts';
export { encodeEntry as encodeApiKeyEntry } from './grammar/caller-api-key.ts';
export type { Observe } from './grammar/observe.ts';
export { OBSERVED, observe } from './decide/observe.ts';
export type { Requirement, Unmet } from './decide/requirements.ts';
export { REQUIREMENTS } from './decide/requirements.ts';
export type { Viewer } from './decide/visible.ts';
export { visible, visibleTools } from './decide/visible.ts';
export type { DenialExplanation, Explanation, RuleExplanation, UnmetExplanation } from './explain/explanation.ts';
export { explain, explainDenial, formatExplanation } from './explain/explain.ts';
export type { TestReport, TestOutcome } from './suites/run-tests.ts';
export { runTests } from './suites/run-tests.ts';
