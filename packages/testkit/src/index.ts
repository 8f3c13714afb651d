/** Fakes for ports, builders, simulators and attack tools; for tests only. */

export { tokenEndpoint, vaultServer, type TokenEndpoint, type VaultServer } from './secret-servers.ts';
export { projectedVolume, type ProjectedVolume } from './projected-volume.ts';
export { fakeClock } from './fake-clock.ts';
export type { FakeClock } from './fake-clock.ts';
export { everyPowerLoss, PowerLost, simulatedDisk, SURVIVALS } from './simulated-disk.ts';
export type { DiskFailure, DiskOperation, Moment, SimulatedDisk, Survival } from './simulated-disk.ts';
export { startEverything, startFilesystem, startStdioServer } from '@sallyport/cli/mcp-servers';
export { recordingMcpUpstream, recordingUpstream } from './recording-upstream.ts';
export type {
  McpScript,
  RecordedRequest,
  RecordedToolCall,
  RecordingMcpUpstream,
  RecordingTls,
  RecordingUpstream,
  Script,
  ScriptedAnswer,
} from './recording-upstream.ts';
export type { RunningMcpServer, StdioServer } from '@sallyport/cli/mcp-servers';
export { JWKS_PATH, OAUTH_PATH, OPENID_PATH, dpopProof, hmacToken, issuerKeyPair, issuerServer, thumbprintOf } from './issuer-server.ts';
export type { IssuerAnswer, IssuerKeyPair, IssuerServer, ProofOf } from './issuer-server.ts';
export { BENT_TOKENS, signJws, tokenIssuer } from './token-issuer.ts';
export type { TokenIssuer, TokenOverrides } from './token-issuer.ts';
export { SIMULATED_START, bendEnvelope, bendPayload, flipBit, payloadText, trustSimulator } from './trust-simulator.ts';
export type {
  Bend,
  BendableEnvelope,
  Published,
  PublishedBundle,
  PublishedDirectory,
  PublishedStatement,
  TrustSimulator,
  TrustSimulatorOptions,
} from './trust-simulator.ts';
export { trustReceiver } from './trust-receiver.ts';
export type { ReceiverFiles, TrustReceiver, TrustReceiverOptions } from './trust-receiver.ts';
export { CLIENT_AUTH, foreignAuthority } from './foreign-authority.ts';
export type { ForeignAuthority, ForeignLeaf, ForeignList } from './foreign-authority.ts';
export { testAuthority } from './tls-identities.ts';
export type { IssueTestIdentity, TestAuthority } from './tls-identities.ts';
export { controlPlaneHarness, harnessPolicy } from './control-plane-harness.ts';
export type { ControlPlaneHarness, ControlPlaneHarnessOptions, EnrolledSidecar, EnrolOptions } from './control-plane-harness.ts';
export { auditWriter } from './audit-writer.ts';
export type { AuditWriter, AuditWriterOptions } from './audit-writer.ts';
export type { Cluster } from './cluster.ts';
export { cluster } from './cluster.ts';
export { policyStream } from './policy-stream.ts';
export type { PolicyStream } from './policy-stream.ts';
export { heldWriter } from './held-writer.ts';
export type { HeldWriter } from './held-writer.ts';
