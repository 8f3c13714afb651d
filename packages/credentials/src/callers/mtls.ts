/**
 * The client certificate of the connection as identity: chain, usage, time and revocation judged for every request, because
 * a connection outlives all of them. The handshake has proven the key. docs/spec/callers.md, section 9.
 */

import {
  type Certificate,
  type RevocationList,
  decodeBase64,
  equalBytes,
  readCertificate,
  readRevocationList,
  verifyChain,
} from '@sallyport/crypto';
import { type Denial, type Instant, type MtlsMethod, type Problem, type Result, ok } from '@sallyport/model';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from './caller-method.ts';
import type { MethodParts } from './method-parts.ts';
import { refusalsOf } from './refusal.ts';

/** RFC 5280, section 4.2.1.12. */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/** The method of all certificates under these authorities. Appends to `problems` what its configuration must not say. */
export function mtlsMethod(config: MtlsMethod, { principalOf }: MethodParts, problems: Problem[]): CallerMethod {
  const { name, kind, requiresRevocationList } = config;
  const authorities = readAuthorities(config.authorities, problems);
  const lists = readLists(config.revocationLists, authorities, problems);
  const refuse = refusalsOf(name);

  const verify = ({ peerCertificate: chain }: CallerRequest, { now }: CallerContext): Result<CallerProof, Denial> => {
    if (chain === undefined || chain.length === 0) return refuse('unauthenticated', 'no client certificate');
    const verified = verifyChain(chain, authorities, now);
    if (!verified.ok)
      return refuse(verified.reason === 'expired' ? 'token_expired' : 'unauthenticated', `the certificate chain is ${verified.reason}`);
    const { leaf } = verified;
    if (!leaf.extendedKeyUsages.includes(CLIENT_AUTH) || !leaf.keyUsages.includes('digitalSignature'))
      return refuse('unauthenticated', 'the certificate is not for clients of TLS');
    const revoked = judgeRevocation(chain, now);
    if (revoked !== undefined) return revoked;
    const [subject, second] = namesOf(leaf).filter((candidate) => principalOf(candidate, leaf.notBefore as Instant) !== undefined);
    const authenticatedAt = leaf.notBefore as Instant;
    const principal = subject === undefined ? undefined : principalOf(subject, authenticatedAt);
    if (subject === undefined || principal === undefined)
      return refuse('no_matching_policy', 'nobody is mapped to a name of the certificate');
    if (second !== undefined) return refuse('no_matching_policy', 'two names of the certificate are mapped');
    return ok({
      method: name,
      kind,
      subject,
      principal,
      authenticatedAt,
      credentialId: `${name}:${leaf.serial}`,
      expiresAt: leaf.notAfter as Instant,
    });
  };

  /** Every certificate that was shown, against the lists of its issuer. A list that ended still revokes; it clears nobody. */
  const judgeRevocation = (chain: readonly Uint8Array[], now: Instant): ReturnType<typeof refuse> | undefined => {
    for (const [depth, der] of chain.entries()) {
      const certificate = readCertificate(der);
      // Not minimal, negative or zero serials have two spellings; of such a one no list can be asked.
      if (certificate === undefined || !SERIAL.test(certificate.serial))
        return refuse('unauthenticated', 'a certificate has no proper serial');
      const own = lists.filter((list) => equalBytes(list.issuer, certificate.issuer));
      if (own.some((list) => list.has(certificate.serial)))
        return refuse('token_revoked', `certificate ${certificate.serial} is on its issuer's list`);
      const isFresh = own.some((list) => now >= list.thisUpdate && now < list.nextUpdate);
      if (!isFresh && (own.length > 0 || (depth === 0 && requiresRevocationList)))
        return refuse('identity_unavailable', 'there is no fresh revocation list of the issuer');
    }
    return undefined;
  };

  return {
    name,
    kind,
    needsBody: false,
    isPresented: ({ peerCertificate }) => peerCertificate !== undefined && peerCertificate.length > 0,
    judgeHead: () => undefined,
    verify,
  };
}

const SERIAL = /^[0-9a-f]{1,40}$/;

/** Names in the order of worth; a common name only where there is no other (RFC 9525, section 2). */
function namesOf({ uris, dnsNames, commonName }: Certificate): readonly string[] {
  const names = [...uris.map((uri) => `uri:${uri}`), ...dnsNames.map((dns) => `dns:${dns}`)];
  if (names.length > 0) return [...new Set(names)];
  return commonName === undefined ? [] : [`cn:${commonName}`];
}

function readAuthorities(texts: readonly string[], problems: Problem[]): readonly Uint8Array[] {
  const ders = texts.map((text) => decodeBase64(text));
  for (const [index, der] of ders.entries()) {
    const certificate = der === undefined ? undefined : readCertificate(der);
    if (certificate?.isCa !== true || certificate.publicKey === undefined)
      problems.push({
        path: `authorities[${index}]`,
        message: 'is not the certificate of a CA with a P-256 or Ed25519 key, DER in base64',
      });
  }
  if (ders.length === 0) problems.push({ path: 'authorities', message: 'is empty' });
  return ders.filter((der) => der !== undefined);
}

function readLists(texts: readonly string[], authorities: readonly Uint8Array[], problems: Problem[]): readonly RevocationList[] {
  const lists: RevocationList[] = [];
  for (const [index, text] of texts.entries()) {
    const list = readRevocationList(decodeBase64(text) ?? new Uint8Array(), authorities);
    if (list === undefined)
      problems.push({ path: `revocationLists[${index}]`, message: 'is not a complete list that one of `authorities` has signed' });
    else lists.push(list);
  }
  return lists;
}
