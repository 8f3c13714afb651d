/**
 * Attestation in a cluster: the projected service-account token of a pod, for the audience of enrolment alone, verified
 * offline against the cluster's pinned keys. It proves one pod of one service account, and is taken once.
 * docs/spec/control-plane.md section 7; the rules of such a token are docs/spec/callers.md section 10.
 */

import { callerMethod, replayMemory } from '@sallyport/credentials';
import { fromUtf8, sha256, utf8 } from '@sallyport/crypto';
import { fail, formatProblem, ok } from '@sallyport/model';
import type {
  AgentName,
  Area,
  CallerMapping,
  Clock,
  ClusterJwk,
  Digest,
  Instant,
  PrincipalId,
  Problem,
  Result,
  Ring,
  TenantId,
} from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { ControlPlaneConfig } from '../config.ts';

/** What a token proves. */
export interface Attested {
  readonly agent: AgentName;
  readonly area: Area;
  readonly ring: Ring;
  /** `pod-` and the uid of the pod: whoever enrols does not choose it. */
  readonly instance: string;
  /** The service account, for the record. */
  readonly subject: string;
  /** By which it is remembered as spent: of what is signed, since a signature can be altered without its key. */
  readonly hash: Uint8Array;
  /** When it would be refused anyway. */
  readonly expiresAt: Instant;
}

/** Who a token proves, or for the log why nobody. */
export type Attest = (token: string) => Promise<Result<Attested, string>>;

type Section = NonNullable<ControlPlaneConfig['attestation']>;

const KEYS_BYTES_MAX = 262_144;
const NAME = 'attestation';
const NO_BUNDLE = `sha256:${'0'.repeat(64)}` as Digest;

/** Reads the keys at each enrolment, so that a rotation of the cluster needs no restart. */
export function clusterAttestation(section: Section, { disk, clock }: { readonly disk: FileSystem; readonly clock: Clock }): Attest {
  const byAccount = new Map(section.workloads.map((one) => [one.service_account, one]));
  return async (token) => {
    const keys = keysOf(section.keys_file, disk);
    if (keys === undefined) return fail(`\`${section.keys_file}\` holds no key set`);
    const { issuer, audience, token_lifetime_ms_max: tokenLifetimeMsMax } = section;
    const principals = section.workloads.map(({ service_account: subject }) => rowOf(subject));
    const method = callerMethod(
      { kind: 'kubernetes', name: NAME, issuer, audience, tokenLifetimeMsMax, keys, principals },
      { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant, entriesMax: 1 }) },
    );
    if (!method.ok) return fail(method.error.map((problem) => formatProblem(problem)).join('; '));
    const request = {
      method: 'POST',
      target: '/',
      authority: '',
      rawHeaders: ['authorization', `Bearer ${token}`],
      body: undefined,
      peerCertificate: undefined,
    };
    const proof = await method.value.verify(request, { now: clock.wall(), bundle: NO_BUNDLE });
    if (!proof.ok) return fail(proof.error.detail);
    const { subject, credentialId, expiresAt } = proof.value;
    const workload = byAccount.get(subject);
    if (workload === undefined || expiresAt === null) return fail(`\`${subject}\` is no workload here`);
    return ok({
      agent: workload.agent as AgentName,
      area: workload.area as Area,
      ring: workload.ring as Ring,
      instance: `pod-${credentialId.slice(NAME.length + 1)}`,
      subject,
      hash: sha256(utf8(token.slice(0, token.lastIndexOf('.')))),
      expiresAt,
    });
  };
}

/** Two rows for one service account would make it two agents. */
export function judgeAttestation({ attestation }: ControlPlaneConfig): readonly Problem[] {
  const accounts = (attestation?.workloads ?? []).map(({ service_account: account }) => account);
  const twice = accounts.filter((account, index) => accounts.indexOf(account) !== index);
  return twice.map((account) => ({ path: 'attestation.workloads', message: `\`${account}\` stands there twice` }));
}

/** That the row was found is the proof; nothing else of it is read. */
function rowOf(subject: string): CallerMapping {
  const identity = { kind: 'service', tenant: '-' as TenantId, roles: [], scopes: [], attributes: {} } as const;
  return { subject, identity: { id: subject as PrincipalId, ...identity } };
}

function keysOf(path: string, disk: FileSystem): readonly ClusterJwk[] | undefined {
  try {
    const bytes = disk.readFile(path, KEYS_BYTES_MAX);
    const read: unknown = JSON.parse((bytes === undefined ? undefined : fromUtf8(bytes)) ?? '');
    const keys = typeof read === 'object' && read !== null && 'keys' in read ? read.keys : undefined;
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'object' && key !== null)) return undefined;
    return keys as readonly ClusterJwk[];
  } catch {
    // Unreadable and damaged are the same: nobody is attested by it.
    return undefined;
  }
}
