/**
 * Hashing, verification and X.509 reading: synchronous, deterministic, free of input and output. Pure packages call
 * these directly. Anything that makes or holds a private key is behind the other entry, `./keys`.
 */

export {
  encodeHex,
  decodeHex,
  encodeBase64,
  decodeBase64,
  encodeBase64Url,
  decodeBase64Url,
  utf8,
  fromUtf8,
  concatBytes,
  uint64be,
} from './bytes.ts';
export { sha256, sha512, digestOf, hmacSha256, equalBytes } from './hash.ts';
export { crc32c } from './crc32c.ts';
export type { TlsRecord } from './tls-record.ts';
export { protectTlsRecord } from './tls-record.ts';
export type { KeyAlg, VerifyKey } from './verify-key.ts';
export { keyIdOf } from './verify-key.ts';
export { readVerifyKey, readP256Jwk, verify } from './verify.ts';
export { pae } from './dsse.ts';
export type { Inclusion, Consistency } from './merkle.ts';
export { leafHash, merkleRoot, inclusionProof, verifyInclusion, consistencyProof, verifyConsistency } from './merkle.ts';
export type { KeyUsage, CertificateUsage } from './key-usage.ts';
export type { Certificate } from './certificate.ts';
export { readCertificate } from './certificate.ts';
export type { ChainProblem, ChainResult } from './chain.ts';
export { verifyChain } from './chain.ts';
export type { RevocationList } from './revocation-list.ts';
export { readRevocationList } from './revocation-list.ts';
export type { SpiffeId } from './spiffe.ts';
export { parseSpiffeId } from './spiffe.ts';
