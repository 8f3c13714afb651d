/**
 * The certificates of this process, under its own workload CA: one for its ports, one for its audit key. The TLS key is
 * made at start and lives in memory alone. Both are renewed at half their life.
 */

import { generateKey } from '@sallyport/crypto/keys';
import { isIP } from 'node:net';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { SpiffeId } from '@sallyport/identity';
import { Fault, formatProblem } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import { tlsHolder } from '@sallyport/net';
import type { TlsHolder, TlsMaterial } from '@sallyport/net';
import { delay } from '@sallyport/runtime';
import type { Log } from '@sallyport/telemetry';
import type { Issue, Issued } from './enrolment/certificates.ts';

export interface OwnCertificates {
  readonly tls: TlsHolder;
  /** Chain of the audit key, DER, leaf first. */
  audit(): readonly Uint8Array[];
  /** Renews both at half-life until the signal aborts; `onAudit` gets each new audit chain. */
  keepRenewed(options: { readonly signal: AbortSignal; readonly onAudit: (chain: readonly Uint8Array[]) => Promise<void> }): Promise<void>;
}

export interface OwnCertificatesOptions {
  readonly issue: Issue;
  readonly clock: Clock;
  readonly log: Log;
  readonly identity: SpiffeId;
  readonly auditSigner: LocalSigner;
  readonly serverNames: readonly string[];
  /** DER of the CAs that may certify callers. */
  readonly authorities: readonly Uint8Array[];
}

/** What is left to renew in is never asked about more often than this. */
const RENEW_MS_MIN = 1_000;

export async function ownCertificates(options: OwnCertificatesOptions): Promise<OwnCertificates> {
  const { issue, clock, identity, auditSigner, log } = options;
  const key = generateKey('es256');
  const dnsNames = options.serverNames.filter((name) => isIP(name) === 0);
  const ipAddresses = options.serverNames.filter((name) => isIP(name) !== 0);

  const issueTls = async (): Promise<Issued> =>
    issue({ spiffeId: identity, publicKey: { alg: 'es256', raw: key.publicRaw }, usage: 'tls-server', dnsNames, ipAddresses });
  const issueAudit = async (): Promise<Issued> =>
    issue({ spiffeId: identity, publicKey: { alg: auditSigner.alg, raw: auditSigner.publicRaw }, usage: 'audit' });
  const materialOf = ({ chain }: Issued): TlsMaterial => ({ chain, privatePem: key.privatePem, authorities: options.authorities });

  // Owner: this closure; replaced by `renew` alone.
  let tls = await issueTls();
  let audit = await issueAudit();
  const holder = tlsHolder(materialOf(tls));
  if (!holder.ok) throw new Fault('config_invalid', 'internal', holder.error.map(formatProblem).join('; '));

  const renew = async (): Promise<void> => {
    tls = await issueTls();
    const replaced = holder.value.replace(materialOf(tls));
    if (!replaced.ok) throw new Fault('config_invalid', 'internal', replaced.error.map(formatProblem).join('; '));
    audit = await issueAudit();
  };

  return {
    tls: holder.value,
    audit: () => audit.chain,
    async keepRenewed({ signal, onAudit }) {
      for (;;) {
        const halfLifeMs = Math.max(RENEW_MS_MIN, Math.floor((Math.min(tls.notAfter, audit.notAfter) - clock.wall()) / 2));
        if (!(await delay(clock, halfLifeMs, { signal }))) return;
        try {
          await renew();
          await onAudit(audit.chain);
        } catch (error) {
          // Tried again at half of what is left; callers notice when nothing is.
          log.error('certificate.renewal_failed', {}, error);
        }
      }
    },
  };
}
