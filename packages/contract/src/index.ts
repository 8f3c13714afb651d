/**
 * The wire contract by name: every message, its schema and every service of proto/, with the few functions that make,
 * write and read them. Nothing else imports the protobuf runtime, and no domain type contains a generated one
 * (each app's `wire.ts` turns messages into domain values).
 */

export { create, fromBinary, toBinary } from '@bufbuild/protobuf';
export type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
export type {
  ClientMessage,
  Hello,
  HeldRelease,
  AuditHead,
  Verdict,
  Beat,
  ServerMessage,
  Freshness,
  FreshnessEntry,
  BundleOffer,
  PartDelta,
  ReleaseOffer,
  Reconnect,
  CarriedFile,
  GetPartRequest,
  PartChunk,
} from './gen/sallyport/policy/v1/policy_plane_pb.ts';
export {
  ClientMessageSchema,
  HelloSchema,
  HeldReleaseSchema,
  AuditHeadSchema,
  VerdictSchema,
  Verdict_Outcome,
  Verdict_OutcomeSchema,
  BeatSchema,
  ServerMessageSchema,
  FreshnessSchema,
  FreshnessEntrySchema,
  BundleOfferSchema,
  PartDeltaSchema,
  ReleaseOfferSchema,
  ReconnectSchema,
  CarriedFileSchema,
  ExportRequestSchema,
  ProveRequestSchema,
  GetPartRequestSchema,
  PartChunkSchema,
  PolicyPlane,
} from './gen/sallyport/policy/v1/policy_plane_pb.ts';
export type {
  ShipMessage,
  Resume,
  Batch,
  ShipAnswer,
  Ack,
  Fork,
  Gap,
  SlowDown,
  TailRequest,
  TailBatch,
} from './gen/sallyport/audit/v1/audit_pb.ts';
export {
  ShipMessageSchema,
  ResumeSchema,
  BatchSchema,
  ShipAnswerSchema,
  AckSchema,
  ForkSchema,
  GapSchema,
  SlowDownSchema,
  TailRequestSchema,
  TailRequest_View,
  TailRequest_ViewSchema,
  TailBatchSchema,
  Audit,
} from './gen/sallyport/audit/v1/audit_pb.ts';
export type { EnrolRequest, RenewRequest, Certificates } from './gen/sallyport/enrolment/v1/enrolment_pb.ts';
export { EnrolRequestSchema, RenewRequestSchema, CertificatesSchema, Enrolment } from './gen/sallyport/enrolment/v1/enrolment_pb.ts';
export type {
  GetHeadsRequest,
  Heads,
  MissingPartsRequest,
  MissingPartsResponse,
  PutPartRequest,
  PutPartResponse,
  SubmitBundleRequest,
  SubmitBundleResponse,
  Problem,
  SubmitReleaseRequest,
  SubmitReleaseResponse,
  RevokeRequest,
  RevokeResponse,
  ListVersionsRequest,
  ListVersionsResponse,
  Version,
  GetObjectRequest,
  ObjectChunk,
} from './gen/sallyport/publish/v1/publish_pb.ts';
export {
  GetHeadsRequestSchema,
  HeadsSchema,
  MissingPartsRequestSchema,
  MissingPartsResponseSchema,
  PutPartRequestSchema,
  PutPartResponseSchema,
  SubmitBundleRequestSchema,
  SubmitBundleResponseSchema,
  ProblemSchema,
  SubmitReleaseRequestSchema,
  SubmitReleaseResponseSchema,
  RevokeRequestSchema,
  RevokeResponseSchema,
  ListVersionsRequestSchema,
  ListVersionsResponseSchema,
  VersionSchema,
  GetObjectRequestSchema,
  ObjectChunkSchema,
  Publish,
} from './gen/sallyport/publish/v1/publish_pb.ts';
export type { SubmitRequest, SubmitResponse, GetHeadRequest, DirectoryHead } from './gen/sallyport/directory/v1/directory_pb.ts';
export {
  SubmitRequestSchema,
  SubmitResponseSchema,
  GetHeadRequestSchema,
  DirectoryHeadSchema,
  Directory,
} from './gen/sallyport/directory/v1/directory_pb.ts';
export type {
  StatusRequest,
  StatusResponse,
  Sidecar,
  CreateJoinTokenRequest,
  CreateJoinTokenResponse,
} from './gen/sallyport/fleet/v1/fleet_pb.ts';
export {
  StatusRequestSchema,
  StatusResponseSchema,
  SidecarSchema,
  CreateJoinTokenRequestSchema,
  CreateJoinTokenResponseSchema,
  Fleet,
} from './gen/sallyport/fleet/v1/fleet_pb.ts';
