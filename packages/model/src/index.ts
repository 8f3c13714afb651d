/** Names shared by every package: ids, instants, results, problems, decimals, principals, tools, denials. */

export type {
  Branded,
  PrincipalId,
  TenantId,
  AgentName,
  ServerName,
  ToolName,
  CredentialName,
  RuleId,
  SessionId,
  DecisionId,
  RequestId,
  StreamId,
  Digest,
  KeyId,
  Area,
  Ring,
  Revision,
  ReleaseSeq,
} from './ids.ts';
export {
  isAgentName,
  isCredentialName,
  isServerName,
  isToolName,
  isArea,
  isRing,
  isDigest,
  toolName,
  serverOf,
  localNameOf,
} from './ids.ts';
export type { Instant, BootMs, Clock, Random } from './instant.ts';
export { parseInstant, formatInstant, addMs } from './instant.ts';
export type { Result } from './result.ts';
export { ok, fail } from './result.ts';
export type { Problem } from './problem.ts';
export { formatProblem, nearest } from './problem.ts';
export type { FaultCode, FaultSource } from './fault.ts';
export { Fault, Bug, invariant, unreachable } from './fault.ts';
export { Decimal } from './decimal.ts';
export type { Json, JsonObject } from './json.ts';
export type { AttributeClaim, AttributeForm, AttributeType, AttributeValue, DirectoryAttribute } from './attribute.ts';
export { ATTRIBUTE_TYPES, hasAttributeType, isAttributeOf } from './attribute.ts';
export type { DirectoryEntry, DirectoryReading } from './directory.ts';
export type {
  AgentDelegation,
  CalledAgent,
  ChainRoot,
  DelegatedBy,
  DelegatesTo,
  DelegationRoot,
  TrustDemand,
  TrustDomain,
} from './delegation.ts';
export { DELEGATION_ROOTS, HOP_AUTHORITIES, TRUST_TIER_MAX, qualifiedAgent } from './delegation.ts';
export type { Principal } from './principal.ts';
export type { OriginHop, RootKind, SessionOrigin } from './origin.ts';
export type {
  PartName,
  Agent,
  AgentJob,
  CallerGrant,
  JobPrincipal,
  SessionRoot,
  PinnedJwk,
  Introspection,
  KeySource,
  SecretPlace,
  TokenAlgorithm,
  OriginClaim,
  ClaimPlace,
  RequirableClaim,
  Issuer,
  Destination,
} from './bundle.ts';
export { PART_NAMES, TOKEN_ALGORITHMS, ORIGIN_CLAIMS, REQUIRABLE_CLAIMS, STRICT_CLAIMS, algorithmsOf, attributesOf } from './bundle.ts';
export type {
  ApiKeyEntry,
  ApiKeyMethod,
  CallerIdentity,
  CallerMapping,
  CallerMethodConfig,
  ClusterJwk,
  HmacMethod,
  HmacPart,
  HttpSignatureKey,
  HttpSignatureMethod,
  KubernetesMethod,
  MtlsMethod,
  SlackMethod,
} from './caller-method.ts';
export { HMAC_TEMPLATE_PARTS_MAX, judgeHmacTemplate } from './hmac-template.ts';
export type { Isolation } from './isolation.ts';
export { ISOLATIONS } from './isolation.ts';
export type { DateRange, Effect, HttpMethod, HttpRoute, NotedPath, Tool, ToolServer } from './tool.ts';
export { EFFECTS } from './tool.ts';
export type { ClientFiles, ServerTls } from './server-tls.ts';
export { SERVICE_IDENTITY, isSameServerTls } from './server-tls.ts';
export type { DenialCode, NextAction, DenialEffect, PublicAnswer, Denial, FieldLimit, PublicDenial } from './denial.ts';
export { ANSWERS, DENIAL_CODES, deny, isRetryable, publicDenial } from './denial.ts';
