/** What makes or holds private keys. For shells and apps only; pure packages import the other entry. */

export type { Signer, LocalSigner, GeneratedKey } from './signer.ts';
export { generateKey, signerFromPem, randomBytes } from './signer.ts';
export type { KeyFileProblem, KeyFileResult } from './key-file.ts';
export { loadPrivateKey, loadSigner, savePrivateKey } from './key-file.ts';
export type { CertificateAuthority, CaOptions, IssueOptions } from './issue.ts';
export { createCsr, readCsr } from './csr.ts';
export { createCa, issueCertificate, certificatePem } from './issue.ts';
