/** Signed objects, acceptance up to `VerifiedBundle`, age and revocation: docs/spec/trust-v1.md as code. */

export type { RejectCode, Rejection } from './rejection.ts';
export { REJECT_CODES, reject, explainRejection } from './rejection.ts';
export type { SignedKind } from './kinds.ts';
export { API_VERSION, SIGNED_KINDS, payloadTypeOf } from './kinds.ts';
export {
  ENVELOPE_BYTES_MAX,
  PART_BYTES_MAX,
  BUNDLE_BYTES_MAX,
  DIRECTORY_BYTES_MAX,
  DIRECTORY_ENTRIES_MAX,
  DIRECTORY_ATTRIBUTES_MAX,
  DIRECTORY_TEXT_CHARS_MAX,
  FRESHNESS_TTL_MS_MIN,
  FRESHNESS_TTL_MS_MAX,
  REVOCATIONS_MAX,
  SIGNER_SKEW_MS,
  CHARGE_INTERVAL_MS,
} from './limits.ts';

export type { Signer, Envelope, EnvelopeSignature } from './envelope.ts';
export { parseEnvelope, encodeEnvelope, signEnvelope, cosignEnvelope, digestOfPayload } from './envelope.ts';

export type { KeyRecord, RoleRecord } from './objects/keys.ts';
export { keyRecordOf } from './objects/keys.ts';
export type { KeyRole, Root, RootRole, Profile, CaPrefix, CertificateAuthorityRecord } from './objects/root.ts';
export { KEY_ROLES, ROOT_ROLES, CA_PREFIXES, readRoot, encodeRoot } from './objects/root.ts';
export type { AreaDelegation } from './objects/area-delegation.ts';
export { readAreaDelegation, encodeAreaDelegation } from './objects/area-delegation.ts';
export type { Bundle, PartRecord } from './objects/bundle.ts';
export { readBundle, encodeBundle, describeParts } from './objects/bundle.ts';
export type { Release, ReleasedBundle } from './objects/release.ts';
export { readRelease, encodeRelease } from './objects/release.ts';
export type { OnlineKeys, OnlineKey } from './objects/online-keys.ts';
export { readOnlineKeys, encodeOnlineKeys } from './objects/online-keys.ts';
export type { Freshness, LiveProof, FreshnessLeaf, FreshnessEntry, FreshnessTree, RevocationHead } from './objects/freshness.ts';
export { readFreshness, readLiveProof, encodeFreshness, encodeLiveProof, freshnessLeaf, freshnessTree } from './objects/freshness.ts';
export type { Extension } from './objects/extension.ts';
export { encodeExtension, readExtension } from './objects/extension.ts';
export type { Revocation, RevocationEntry, RevocationSnapshot, Selector, SelectorType } from './objects/revocation.ts';
export {
  SELECTOR_TYPES,
  accountOf,
  parseSelector,
  readRevocation,
  readRevocationSnapshot,
  encodeRevocation,
  encodeRevocationSnapshot,
} from './objects/revocation.ts';

export { isAttributeName } from './shapes.ts';
export type { Directory } from './objects/directory.ts';
export {
  readDirectory,
  readDirectoryContent,
  readDirectoryEntry,
  directoryKeyOf,
  encodeDirectory,
  encodeDirectoryContent,
} from './objects/directory.ts';

export type { RootOptions, SoundRoot } from './roots.ts';
export { TrustedRoot, trustRoot, followRoot, judgeRootExpiry, readSoundRoot, replacesKeys } from './roots.ts';
export type { Tally } from './ceremony.ts';
export { tallySignatures, joinEnvelopes } from './ceremony.ts';
export type { RootDependent } from './root-change.ts';
export { adoptRoot } from './root-change.ts';
export { authoritiesFor, mayCertify } from './certificate-authorities.ts';
export type { RoleKeys } from './threshold.ts';
export type { DelegationContext } from './delegations.ts';
export { TrustedDelegation, trustDelegation } from './delegations.ts';
export { TrustedOnlineKeys, trustOnlineKeys } from './online-keys.ts';

export type { DirectoryContext } from './directory.ts';
export { SignedDirectory, VerifiedDirectory, verifyDirectory, acceptDirectory, directoryAgeMs } from './directory.ts';

export type { Receiver, AcceptanceContext, BundleOffer, Parts } from './acceptance.ts';
export { SignedManifest, VerifiedBundle, acceptManifest, acceptParts } from './acceptance.ts';
export { areasCovering, covers, digestOfJoined } from './areas.ts';
export type { ReleaseContext, ReleaseVerdict, SignedRelease } from './releases.ts';
export { VerifiedRelease, readSignedRelease, verifyRelease } from './releases.ts';
export type { StatementOffer } from './statements.ts';
export { VerifiedStatement, verifyExtension, verifyFreshness, verifyLiveProof } from './statements.ts';

export type { Now, SignerTime } from './signer-time.ts';
export { estimateSignerTime } from './signer-time.ts';
export type { Challenge, HeldStatement, Renewal, FreshnessMemory } from './freshness-memory.ts';
export { NO_MEMORY, recallFreshness, openChallenge } from './freshness-memory.ts';
export type { FreshnessContext, ActiveRelease } from './freshness.ts';
export { admitStatement, renewReleases, awaitsRevocations } from './freshness.ts';
export type { Trusted, PolicyState, StaleReason } from './age.ts';
export { ageOf, policyState, chargeAges, raiseFreshness, staleAt } from './age.ts';

export type { HighWater, Mark, FreshnessMark, ChargedAge, ActivatedRelease } from './high-water.ts';
export {
  EMPTY_HIGH_WATER,
  judgeRootMark,
  raiseDelegations,
  raiseDirectory,
  raiseOnlineKeys,
  raiseRelease,
  raiseRevocation,
  highestRevision,
} from './high-water.ts';
export type { Recalled } from './high-water-file.ts';
export { encodeHighWater, decodeHighWater, recallHighWater } from './high-water-file.ts';

export type { RevocationState, RevocationStep, RevocationSubject, Credential } from './revocations.ts';
export {
  beginRevocations,
  applyRevocation,
  applySnapshot,
  isContiguous,
  compareRevocations,
  isRevoked,
  isBundleRevoked,
} from './revocations.ts';
export type { RevocationIndex } from './revocation-index.ts';
export { allEntries } from './revocation-index.ts';

export type { BundleFile } from './bundle-file.ts';
export type { DirectoryFile } from './directory-file.ts';
export { DIRECTORY_FILE_BYTES_MAX, readDirectoryFile, writeDirectoryFile } from './directory-file.ts';
export { BUNDLE_FILE_BYTES_MAX, readBundleFile, writeBundleFile } from './bundle-file.ts';
export type { CarriedKind, CarriedName } from './carried-files.ts';
export {
  DIRECTORY_FILE,
  EXTENSION_FILE,
  FRESHNESS_FILE,
  ONLINE_KEYS_FILE,
  RELEASE_FILE,
  REVOCATION_SNAPSHOT_FILE,
  bundleFileName,
  orderCarried,
  proofFileName,
  readCarriedName,
  rootFileName,
  rootNumberOf,
} from './carried-files.ts';
export type { WrittenChallenge } from './challenge-file.ts';
export { CHALLENGE_BYTES_MAX, encodeChallenge, readChallenge } from './challenge-file.ts';
export type { KeptStatement } from './statement-file.ts';
export { readStatements, writeStatements } from './statement-file.ts';

export type { JoinToken } from './join-token.ts';
export { JOIN_SECRET_BYTES, encodeJoinToken, parseJoinToken } from './join-token.ts';
