/** Delegations: the registrar's word on who publishes for an area. docs/spec/trust-v1.md section 6.2. */

import { fail, formatInstant, ok } from '@sallyport/model';
import type { Area, Digest, Instant, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import type { HighWater } from './high-water.ts';
import { judgeNumber } from './high-water.ts';
import { readAreaDelegation } from './objects/area-delegation.ts';
import type { AreaDelegation } from './objects/area-delegation.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold, resolveRole } from './threshold.ts';
import type { RoleKeys } from './threshold.ts';

let make: (payload: AreaDelegation, digest: Digest, publishers: RoleKeys) => TrustedDelegation;

/** A delegation that the registrar signed under a trusted root. Only this module makes one. */
export class TrustedDelegation {
  readonly #payload: AreaDelegation;
  readonly digest: Digest;
  readonly publishers: RoleKeys;

  private constructor(payload: AreaDelegation, digest: Digest, publishers: RoleKeys) {
    this.#payload = payload;
    this.digest = digest;
    this.publishers = publishers;
  }

  static {
    make = (payload, digest, publishers) => new TrustedDelegation(payload, digest, publishers);
  }

  get payload(): AreaDelegation {
    return this.#payload;
  }

  get area(): Area {
    return this.#payload.area;
  }

  get number(): number {
    return this.#payload.number;
  }
}

export interface DelegationContext {
  readonly root: TrustedRoot;
  readonly highWater: HighWater;
  /** Estimated signer time. */
  readonly at: Instant;
}

/** Verifies a delegation under the root. Who has left cannot come back with an older one. */
export function trustDelegation(bytes: Uint8Array, { root, highWater, at }: DelegationContext): Result<TrustedDelegation, Rejection> {
  const parsed = parseEnvelope('AreaDelegation', bytes);
  if (!parsed.ok) return parsed;
  const counted = countThreshold('AreaDelegation', parsed.value, root.role('registrar'));
  if (!counted.ok) return counted;
  const read = readAreaDelegation(parsed.value.payload);
  if (!read.ok) return read;
  const delegation = read.value;
  const { role, problems } = resolveRole('publishers', delegation.publishers, delegation.keys);
  // A key serves one role: a stolen publisher key must not also count for a release.
  for (const key of delegation.keys) if (root.usesKey(key)) problems.push(`key \`${key.keyId}\` already serves a role of the root`);
  if (problems.length > 0) return fail(reject('DELEGATION', problems.join('; ')));
  if (!(at <= delegation.expiresAt))
    return fail(reject('DELEGATION', `the delegation of \`${delegation.area}\` expired at ${formatInstant(delegation.expiresAt)}`));
  const digest = digestOfPayload(parsed.value.payload);
  const held = highWater.delegations.find((row) => row.area === delegation.area);
  const judged = judgeNumber(`delegation of \`${delegation.area}\``, { number: delegation.number, digest }, held);
  return judged.ok ? ok(make(delegation, digest, role)) : judged;
}
