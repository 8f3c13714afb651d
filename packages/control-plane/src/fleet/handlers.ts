/** The Fleet service on the wire: status once, status at every change, and join tokens. */

import { CreateJoinTokenResponseSchema, SidecarSchema, StatusResponseSchema, create } from '@sallyport/contract';
import type { Fleet as FleetContract, Sidecar, StatusResponse } from '@sallyport/contract';
import { fail, isAgentName, isArea, isRing, ok } from '@sallyport/model';
import type { Clock, Instant, StreamId } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { Database } from '@sallyport/store';
import type { AuditService } from '../audit/api.ts';
import type { EnrolmentService } from '../enrolment/api.ts';
import type { FreshnessService } from '../freshness/api.ts';
import type { PublishService } from '../publish/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { streamLife } from '../until.ts';
import { instantOf } from '../wire.ts';
import type { Fleet, SidecarStatus } from './api.ts';

export interface FleetHandlersOptions {
  readonly database: Database;
  readonly fleet: Fleet;
  readonly publish: Pick<PublishService, 'currentRelease' | 'leaves'>;
  readonly freshness: Pick<FreshnessService, 'lastSeq'>;
  readonly revocation: Pick<RevocationService, 'head'>;
  readonly enrolment: Pick<EnrolmentService, 'createToken' | 'certifiedUntil'>;
  readonly audit: Pick<AuditService, 'heldSeq'>;
  readonly clock: Clock;
  readonly draining: AbortSignal;
}

export function fleetHandlers(options: FleetHandlersOptions): ProvenHandlers<typeof FleetContract> {
  const { fleet, clock, draining } = options;
  const status = async (agent: string): Promise<StatusResponse> => statusOf(agent, options);
  return {
    status: async ({ agent }) => ok(await status(agent)),
    async watch({ agent }, out, call) {
      const life = streamLife({ clock, notAfter: call.caller.notAfter, call: call.signal, draining });
      try {
        while (!life.signal.aborted && !out.isOver) {
          // Asked before the status is made: a change in between is not missed. A slow reader gets the newest, not each.
          const changed = fleet.changed.heard(life.signal);
          out.write(await status(agent));
          await out.drained();
          await changed;
        }
      } finally {
        life.clear();
      }
      return life.reason === 'caller' ? ok(undefined) : fail(grpcStatus('unavailable', 'connect again'));
    },
    async createJoinToken({ secretHash, agent, area, ring, expiresAtMs }, call) {
      const expiresAt = instantOf(expiresAtMs);
      if (!isAgentName(agent) || !isArea(area) || !isRing(ring) || expiresAt === undefined)
        return fail(grpcStatus('invalid_argument', 'a join token has an agent, an area, a ring and an expiry'));
      const created = await options.enrolment.createToken({ hash: secretHash, agent, area, ring, expiresAt }, call.caller.spiffeId);
      return created.ok ? ok(create(CreateJoinTokenResponseSchema, {})) : created;
    },
  };
}

async function statusOf(agent: string, options: FleetHandlersOptions): Promise<StatusResponse> {
  const { fleet, database, publish, freshness, revocation, enrolment } = options;
  const chosen = fleet.all().filter((one) => agent === '' || one.agent === agent);
  return database.read(async (tx) => {
    const currents = new Map<string, string>();
    for (const one of chosen)
      if (!currents.has(placeName(one))) currents.set(placeName(one), (await publish.currentRelease(tx, one))?.digest ?? '');
    const certified = await enrolment.certifiedUntil(tx);
    const sidecars = chosen
      .toSorted((a, b) => (a.spiffeId < b.spiffeId ? -1 : 1))
      .map((one) =>
        sidecarToWire(one, { ...options, current: currents.get(placeName(one)) ?? '', certifiedUntil: certified.get(one.spiffeId) }),
      );
    const newest = Math.max(0, ...(await publish.leaves(tx)).map((leaf) => leaf.releaseSeq));
    return create(StatusResponseSchema, {
      sidecars,
      releaseSeq: BigInt(newest),
      freshnessSeq: BigInt(await freshness.lastSeq(tx)),
      revocationSeq: BigInt((await revocation.head(tx)).seq),
      nowMs: BigInt(options.clock.wall()),
    });
  });
}

const placeName = ({ area, ring }: SidecarStatus): string => `${area} ${ring}`;

function sidecarToWire(
  one: SidecarStatus,
  of: Pick<FleetHandlersOptions, 'fleet' | 'audit'> & { readonly current: string; readonly certifiedUntil: Instant | undefined },
): Sidecar {
  const { fleet, audit, current, certifiedUntil } = of;
  return create(SidecarSchema, {
    spiffeId: one.spiffeId,
    agent: one.agent,
    instance: one.instance,
    connected: fleet.isConnected(one.spiffeId),
    lastContactMs: BigInt(one.lastContact),
    area: one.area,
    ring: one.ring,
    activeReleaseSeq: BigInt(one.activeReleaseSeq),
    activeRelease: one.activeRelease,
    drifted: one.activeRelease !== current,
    freshnessSeq: BigInt(one.freshnessSeq),
    revocationSeq: BigInt(one.revocationSeq),
    policyAgeMs: BigInt(one.policyAgeMs),
    state: one.state,
    staged: [...one.staged],
    lastRejection: one.lastRejection,
    build: one.build,
    isolation: one.isolation,
    auditAckedSeq: BigInt(one.auditStream === '' ? 0 : audit.heldSeq(one.auditStream as StreamId)),
    auditHeadSeq: BigInt(one.auditHeadSeq),
    certifiedUntilMs: BigInt(certifiedUntil ?? 0),
  });
}
