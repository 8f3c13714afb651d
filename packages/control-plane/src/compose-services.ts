/**
 * The part of the composition root that makes the services of one another: who is given what. Adapters come from
 * `compose.ts`; nothing here is started.
 */

import type { SpiffeId } from '@sallyport/identity';
import type { Clock, Random } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { Database } from '@sallyport/store';
import type { Log, Metrics } from '@sallyport/telemetry';
import type { AuditService } from './audit/api.ts';
import type { Authority } from './authority.ts';
import { createChanges } from './changes.ts';
import type { Changes } from './changes.ts';
import type { ControlPlaneConfig } from './config.ts';
import { openDirectory } from './directory/api.ts';
import type { DirectoryService } from './directory/api.ts';
import { EnrolmentService } from './enrolment/api.ts';
import { clusterAttestation } from './enrolment/attestation.ts';
import type { Issue } from './enrolment/certificates.ts';
import { openFleet } from './fleet/api.ts';
import type { Fleet } from './fleet/api.ts';
import { fleetHandlers } from './fleet/handlers.ts';
import { FreshnessService } from './freshness/api.ts';
import type { Served } from './listen.ts';
import { openObjects } from './objects/api.ts';
import { fileBlobs, rowBlobs } from './objects/blobs.ts';
import type { Objects } from './objects/api.ts';
import { PolicyPlaneService } from './policy-plane/api.ts';
import { openPublish } from './publish/api.ts';
import type { PublishService } from './publish/api.ts';
import { openRevocation } from './revocation/api.ts';
import type { RevocationService } from './revocation/api.ts';

/** Any object: a bundle part is the largest. */
const OBJECT_BYTES_MAX = 4 * 1024 * 1024;

export interface ServiceOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly disk: FileSystem;
  readonly authority: Authority;
  readonly database: Database;
  readonly audit: AuditService;
  readonly identity: SpiffeId;
  readonly issue: Issue;
  readonly draining: AbortSignal;
}

export interface Services {
  readonly freshness: FreshnessService;
  readonly served: Served;
  readonly policyPlane: PolicyPlaneService;
  readonly fleet: Fleet;
  readonly changes: Changes;
  readonly directory: DirectoryService;
}

interface PolicyServices {
  readonly changes: Changes;
  readonly objects: Objects;
  readonly revocation: RevocationService;
  readonly fleet: Fleet;
  readonly publish: PublishService;
}

/** What accepts and keeps policy. */
async function openPolicy(config: ControlPlaneConfig, options: ServiceOptions): Promise<PolicyServices> {
  const { authority, database, audit, clock, log, disk, identity } = options;
  const changes = createChanges((error) => log.error('change.failed', {}, error));
  database.listen(() => changes.tell({ kind: 'elsewhere' }));
  const objects = await openObjects({
    database,
    blobs: (table) => (database.isShared ? rowBlobs(table) : fileBlobs(disk, `${config.state_dir}/objects`)),
    objectBytesMax: OBJECT_BYTES_MAX,
    totalBytesMax: config.limits.objects_bytes_max,
    onEdited: (digest) =>
      void audit.alert({ code: 'OBJECT_EDITED', subject: null, detail: `\`${digest}\` does not match its digest`, source: 'objects' }),
  });
  const revocation = await openRevocation({ database, clock, root: authority.root, signer: authority.revocation, audit, changes });
  const fleet = await openFleet({ database, clock, memoryMs: config.fleet_memory_ms });
  const publish = await openPublish({
    database,
    objects,
    authority,
    identity,
    clock,
    audit,
    changes,
    fleet,
    revocation,
    stagingWaitMsMax: config.limits.staging_wait_ms_max,
  });
  return { changes, objects, revocation, fleet, publish };
}

/** All services of one process. */
export async function openServices(config: ControlPlaneConfig, options: ServiceOptions): Promise<Services> {
  const { authority, database, audit, clock, random, log, metrics, issue, draining } = options;
  const { root } = authority;
  const { changes, objects, revocation, fleet, publish } = await openPolicy(config, options);
  const freshness = await FreshnessService.open({
    database,
    clock,
    log,
    metrics,
    get root() {
      return authority.root;
    },
    get signer() {
      return authority.freshness;
    },
    get key() {
      return authority.freshnessKey;
    },
    ttlMs: config.freshness_ttl_ms,
    leaves: async (tx) => publish.leaves(tx),
    revocationHead: async (tx) => revocation.head(tx),
    audit,
  });
  const enrolment = await EnrolmentService.open({
    database,
    clock,
    trustDomain: root.trustDomain,
    issue,
    publish,
    revocation,
    audit,
    memoryMs: config.fleet_memory_ms,
    joinTokenMsMax: config.limits.join_token_ms_max,
    joinTokensMax: config.limits.join_tokens_max,
    onUnattested: (detail) => log.warn('enrolment.not_attested', { detail }),
    ...(config.attestation === undefined ? {} : { attest: clusterAttestation(config.attestation, options) }),
  });
  const directory = await openDirectory({ database, clock, authority, objects, audit, changes, log });
  const policyPlane = new PolicyPlaneService({
    database,
    clock,
    random,
    log,
    metrics,
    authority,
    objects,
    publish,
    revocation,
    freshness,
    fleet,
    enrolment,
    directory,
    audit,
    changes,
    draining,
    freshnessTtlMs: config.freshness_ttl_ms,
    limits: {
      subscribersMax: config.limits.subscribers_max,
      helloWaitMsMax: config.limits.hello_wait_ms_max,
      verdictWaitMsMax: config.limits.verdict_wait_ms_max,
      partStreamsMax: config.limits.part_streams_max,
    },
  });
  return {
    changes,
    fleet,
    directory,
    freshness,
    policyPlane,
    served: {
      proven: {
        PolicyPlane: policyPlane.handlers,
        Publish: publish.handlers,
        Audit: audit.handlers,
        Fleet: fleetHandlers({ database, fleet, publish, freshness, revocation, enrolment, audit, clock, draining }),
        Enrolment: enrolment.renewal,
        Directory: directory.handlers,
      },
      strangers: enrolment.handlers,
    },
  };
}
