/**
 * The register of machine identities as one document in an open form: what a policy registers, what the fleet holds, what
 * the record has seen, joined by name. docs/reference/identity-register.schema.json is its schema.
 */

import type { Sidecar, StatusResponse } from '@sallyport/contract';
import { formatInstant, type Instant, type Json, type JsonObject } from '@sallyport/model';
import type { CallerMethodDocument, Credential, Parts } from '@sallyport/policy';
import type { Traffic } from './traffic.ts';

export const REGISTER_SCHEMA = 'https://sallyport.dev/schemas/identity-register-v1.json';

/** What the register is made from. */
export interface RegisterOf {
  readonly madeAt: Instant;
  readonly trustDomain: string;
  readonly area: string;
  readonly ring: string;
  /** Of the bundle in force, as the records name it. */
  readonly policyDigest: string;
  readonly parts: Parts;
  readonly fleet: StatusResponse;
  readonly traffic: Traffic;
}

export function identityRegister(of: RegisterOf): JsonObject {
  const { parts, fleet, traffic } = of;
  const registered = new Set<string>(parts.agents.map(({ name }) => name));
  const seen = traffic.agents();
  return {
    $schema: REGISTER_SCHEMA,
    made_at: formatInstant(of.madeAt),
    trust_domain: of.trustDomain,
    area: of.area,
    ring: of.ring,
    release_seq: Number(fleet.releaseSeq),
    policy_digest: of.policyDigest,
    agents: parts.agents.map(({ name, owner, uses, sessions }) => ({
      name,
      owner,
      uses: [...uses],
      session_roots: [...sessions.roots],
      sidecars: sidecarsOf(fleet, (agent) => agent === name),
      last_seen: seen.find(({ agent }) => agent === name)?.last_seen ?? null,
    })),
    issuers: parts.issuers.map(({ issuer, audience, keys, keySource, tokenLifetimeMsMax }) => ({
      issuer,
      audience,
      keys: keySource === undefined ? 'pinned' : 'fetched',
      key_ids: keys.map(({ kid }) => kid),
      token_lifetime_ms_max: tokenLifetimeMsMax,
    })),
    caller_methods: (parts.callerMethods ?? []).map(methodJson),
    credentials: (parts.credentials ?? []).map((one) => credentialJson(one, traffic)),
    unregistered: {
      agents: seen.filter(({ agent }) => !registered.has(agent)).map((one) => ({ ...one, seen_as: [...one.seen_as] })),
      sidecars: sidecarsOf(fleet, (agent) => !registered.has(agent)),
      names_left_out: traffic.leftOut,
    },
  };
}

function sidecarsOf({ sidecars }: StatusResponse, isMeant: (agent: string) => boolean): Json[] {
  return sidecars.filter(({ agent }) => isMeant(agent)).map(sidecarJson);
}

function sidecarJson(one: Sidecar): JsonObject {
  const at = (ms: bigint): string | null => (ms === 0n ? null : formatInstant(Number(ms) as Instant));
  return {
    spiffe_id: one.spiffeId,
    instance: one.instance,
    area: one.area,
    ring: one.ring,
    connected: one.connected,
    isolation: one.isolation,
    certified_until: at(one.certifiedUntilMs),
    last_contact: at(one.lastContactMs),
  };
}

/** Ids and ends alone: a hash of a key is no secret, and nobody needs it here. */
function methodJson({ config }: CallerMethodDocument): JsonObject {
  const keys =
    config.kind === 'api_key'
      ? config.keys.map(({ id, issuedAt, expiresAt }) => ({
          id,
          issued_at: formatInstant(issuedAt),
          expires_at: expiresAt === null ? null : formatInstant(expiresAt),
        }))
      : [];
  return { name: config.name, kind: config.kind, subjects: config.principals.map(({ subject }) => subject), keys };
}

function credentialJson({ name, source, destinations, agents, maxAgeMs, leakedAt }: Credential, traffic: Traffic): JsonObject {
  return {
    name,
    source: source.kind,
    destinations: [...destinations],
    agents: [...agents],
    max_age_ms: maxAgeMs ?? null,
    leaked_at: leakedAt === undefined ? null : formatInstant(leakedAt),
    stale_reported_at: traffic.staleSince(name),
  };
}
