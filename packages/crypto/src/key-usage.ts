/** What a certificate says its key may be used for. */

/** RFC 5280 section 4.2.1.3, spelled as there, in the order of its bits. */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

/** What one of our leaf certificates is for; exactly one of these, never an absent usage that would fit everything. */
export type CertificateUsage = 'tls-client' | 'tls-server' | 'tls-both' | 'audit' | 'assertion';

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
/** Signing audit checkpoints: an identifier of our own, under the UUID arc that needs no registry (ITU-T X.667). */
const AUDIT_SIGNING = '2.25.204098653223772674032137088734461319276';
/** Signing assertions about calls, which tools believe offline: likewise of our own. */
const ASSERTION_SIGNING = '2.25.226464327547502098161553757719600736089';

/** The extended key usages of each kind of certificate. */
export const EXTENDED_KEY_USAGES: Readonly<Record<CertificateUsage, readonly string[]>> = {
  'tls-client': [CLIENT_AUTH],
  'tls-server': [SERVER_AUTH],
  'tls-both': [SERVER_AUTH, CLIENT_AUTH],
  audit: [AUDIT_SIGNING],
  assertion: [ASSERTION_SIGNING],
};
