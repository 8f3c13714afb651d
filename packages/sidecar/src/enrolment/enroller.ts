/**
 * Gets this sidecar its identity and keeps it: first by a one-time join token or the token of its pod, over a channel that
 * the digest of a CA authenticates; later by renewal at half-life, over mTLS. Losing the control plane loses no policy: what is
 * fresh goes on being enforced under an expired certificate, and readiness says so.
 */

import { create, Enrolment, EnrolRequestSchema, RenewRequestSchema, type Certificates } from '@sallyport/contract';
import { decodeHex, equalBytes, sha256 } from '@sallyport/crypto';
import { createCsr } from '@sallyport/crypto/keys';
import { Fault, invariant, type Clock, type Digest } from '@sallyport/model';
import { createClient, openChannel, type Client } from '@sallyport/net';
import { delay, type Backoff, type DialAddress } from '@sallyport/runtime';
import type { Identity, IdentityFiles, OwnKeys } from './identity-files.ts';

const DEADLINE_MS = 10_000;
const NO_SECRET = new Uint8Array();

/** How a sidecar proves itself for its first identity, and by what it knows the control plane. A join token is one. */
export interface EnrolmentProof {
  readonly trustDomain: string;
  /** Of the authority that must have certified whom it speaks to. */
  readonly caDigest: Digest;
  /** Of a join token. */
  readonly secret?: Uint8Array;
  /** The projected token of this pod, in the place of a join token. */
  readonly serviceAccountToken?: string;
}

/** A refusal is no outage: the same token is refused for as long as it is tried. */
function enrolmentFault({ code, message }: { readonly code: string; readonly message: string }): Fault {
  const isRefusal = code === 'unauthenticated' || code === 'permission_denied' || code === 'invalid_argument';
  return new Fault(isRefusal ? 'enrolment_refused' : 'control_plane_unreachable', 'control_plane', `enrolment: ${message} (${code})`);
}

/** Spends the proof. Rejects with a Fault: unreachable, refused, or certificates that are not ours. */
export async function enrol(
  { trustDomain, caDigest, secret = NO_SECRET, serviceAccountToken = '' }: EnrolmentProof,
  { files, instance, address, clock }: { files: IdentityFiles; instance: string; address: DialAddress; clock: Clock },
): Promise<Identity> {
  const keys = await files.keys();
  const trust = {
    kind: 'ca_digest',
    digest: digestBytes(caDigest),
    trustDomain,
    purpose: 'control_plane',
  } as const;
  const channel = openChannel({ host: address.host, port: address.port, trust, clock });
  try {
    const request = { tokenSecret: secret, serviceAccountToken, instance, ...requestsOf(keys) };
    const answer = await createClient(Enrolment, channel).enrol(create(EnrolRequestSchema, request), { deadlineMs: DEADLINE_MS });
    if (!answer.ok) throw enrolmentFault(answer.error);
    const certificates = certificatesOf(answer.value);
    // What is kept is trusted from now on without the proof: it must end in the authority that it names.
    if (!isOf(certificates.tlsChain, trust.digest))
      throw new Fault(
        'control_plane_unreachable',
        'control_plane',
        'enrolment: the chain does not end in the CA that vouched for the control plane',
      );
    return await files.keep(certificates);
  } finally {
    channel.close();
  }
}

/** Renews at half-life, with jitter, for as long as the signal lets it. `onRenewed` gets each new identity. */
export async function keepRenewed(
  first: Identity,
  options: {
    files: IdentityFiles;
    clock: Clock;
    backoff: Backoff;
    /** Between 0 and 1, for the jitter. */
    fraction: () => number;
    client: () => Client<typeof Enrolment>;
    onRenewed: (identity: Identity) => void;
    onFailure: (detail: string) => void;
    signal: AbortSignal;
  },
): Promise<void> {
  const { clock, signal, backoff } = options;
  let held = first;
  // One that was kept by a sidecar older than assertions gets the certificate it lacks at once: no call goes out without.
  let due = held.assertionChain.length === 0 ? clock.wall() : dueAt(held, options.fraction());
  while (!signal.aborted) {
    const wait = due - clock.wall();
    // Looked at again and again: a clock that was wrong at start, or a machine that slept, would make one long wait too long.
    if (wait > 0) {
      await delay(clock, Math.min(wait, LOOK_MS), { signal });
      continue;
    }
    try {
      held = await renew(held, options);
      due = dueAt(held, options.fraction());
      backoff.reset();
      options.onRenewed(held);
    } catch (thrown) {
      // Renewal is tried again until it works: nothing else can mend it, and policy goes on being enforced meanwhile.
      options.onFailure(thrown instanceof Error ? thrown.message : String(thrown));
    }
    await delay(clock, backoff.next(), { signal });
  }
}

const LOOK_MS = 30_000;

/** A fleet that was enrolled at once must not renew at once. */
function dueAt({ notBefore, notAfter }: Identity, fraction: number): number {
  return notBefore + (notAfter - notBefore) * (0.45 + 0.1 * fraction);
}

/** Whether a chain ends in the certificate with this digest. */
function isOf(chain: readonly Uint8Array[], digest: Uint8Array): boolean {
  const last = chain.at(-1);
  return last !== undefined && equalBytes(sha256(last), digest);
}

async function renew(
  held: Identity,
  { files, client }: { files: IdentityFiles; client: () => Client<typeof Enrolment> },
): Promise<Identity> {
  // Each renewal certifies another key for assertions; what the one before has signed is good until its own end.
  const request = { counter: BigInt(held.counter), ...requestsOf(await files.nextKeys()) };
  const answer = await client().renew(create(RenewRequestSchema, request), { deadlineMs: DEADLINE_MS });
  if (!answer.ok) throw new Fault('control_plane_unreachable', 'control_plane', `renewal: ${answer.error.code}: ${answer.error.message}`);
  return files.keep(certificatesOf(answer.value));
}

function requestsOf({ tlsPem, auditPem, assertionPem }: OwnKeys): { tlsCsr: Uint8Array; auditCsr: Uint8Array; assertionCsr: Uint8Array } {
  return { tlsCsr: createCsr(tlsPem), auditCsr: createCsr(auditPem), assertionCsr: createCsr(assertionPem) };
}

function digestBytes(digest: Digest): Uint8Array {
  const bytes = decodeHex(digest.slice('sha256:'.length));
  invariant(bytes !== undefined, 'a digest is hex');
  return bytes;
}

function certificatesOf({ tlsChain, auditChain, assertionChain, counter }: Certificates): Parameters<IdentityFiles['keep']>[0] {
  return { tlsChain, auditChain, assertionChain, counter: Number(counter) };
}
