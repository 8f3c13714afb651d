/** What was last heard of each sidecar, so that a restart of the control plane does not forget the fleet. */

import type { SpiffeId } from '@sallyport/identity';
import type { Area, Digest, Instant, Ring } from '@sallyport/model';
import type { Migration, ServiceDatabase, Transaction } from '@sallyport/store';

export const FLEET_MIGRATIONS: readonly Migration[] = [
  {
    name: 'sidecars',
    sql: `CREATE TABLE fleet_sidecar (
      spiffe_id TEXT PRIMARY KEY,
      agent TEXT NOT NULL,
      instance TEXT NOT NULL,
      area TEXT NOT NULL,
      ring TEXT NOT NULL,
      last_contact_ms INTEGER NOT NULL,
      active_release_seq INTEGER NOT NULL,
      active_release TEXT NOT NULL,
      freshness_seq INTEGER NOT NULL,
      revocation_seq INTEGER NOT NULL,
      policy_age_ms INTEGER NOT NULL,
      state TEXT NOT NULL,
      staged TEXT NOT NULL,
      last_rejection TEXT NOT NULL,
      build TEXT NOT NULL,
      isolation TEXT NOT NULL,
      audit_stream TEXT NOT NULL,
      audit_head_seq INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
  },
];

/** A sidecar as it speaks of itself; what is not known is empty or 0. */
export interface SidecarStatus {
  readonly spiffeId: SpiffeId;
  readonly agent: string;
  readonly instance: string;
  readonly area: Area;
  readonly ring: Ring;
  readonly lastContact: Instant;
  readonly activeReleaseSeq: number;
  readonly activeRelease: string;
  readonly freshnessSeq: number;
  readonly revocationSeq: number;
  readonly policyAgeMs: number;
  readonly state: string;
  /** Bundles that it has staged, newest last, a bounded number. */
  readonly staged: readonly Digest[];
  readonly lastRejection: string;
  readonly build: string;
  readonly isolation: string;
  readonly auditStream: string;
  readonly auditHeadSeq: number;
}

export interface FleetTable {
  all(tx: Transaction): Promise<readonly SidecarStatus[]>;
  put(tx: Transaction, status: SidecarStatus): Promise<void>;
  drop(tx: Transaction, spiffeId: SpiffeId): Promise<void>;
}

const COLUMNS = [
  'spiffe_id',
  'agent',
  'instance',
  'area',
  'ring',
  'last_contact_ms',
  'active_release_seq',
  'active_release',
  'freshness_seq',
  'revocation_seq',
  'policy_age_ms',
  'state',
  'staged',
  'last_rejection',
  'build',
  'isolation',
  'audit_stream',
  'audit_head_seq',
] as const;

export function fleetTable(database: ServiceDatabase): FleetTable {
  const select = database.prepare(`SELECT ${COLUMNS.join(', ')} FROM fleet_sidecar`);
  const replace = database.prepare(
    `INSERT INTO fleet_sidecar (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map(() => '?').join(', ')})
     ON CONFLICT (spiffe_id) DO UPDATE SET ${COLUMNS.slice(1)
       .map((column) => `${column} = excluded.${column}`)
       .join(', ')}`,
  );
  const remove = database.prepare('DELETE FROM fleet_sidecar WHERE spiffe_id = ?');
  return {
    drop: async (tx, spiffeId) => void (await remove.run(tx, spiffeId)),
    all: async (tx) => {
      const rows = await select.all(tx);
      return rows.map((row) => {
        const text = (column: (typeof COLUMNS)[number]): string => row[column] as string;
        const number = (column: (typeof COLUMNS)[number]): number => row[column] as number;
        return {
          spiffeId: text('spiffe_id') as SpiffeId,
          agent: text('agent'),
          instance: text('instance'),
          area: text('area') as Area,
          ring: text('ring') as Ring,
          lastContact: number('last_contact_ms') as Instant,
          activeReleaseSeq: number('active_release_seq'),
          activeRelease: text('active_release'),
          freshnessSeq: number('freshness_seq'),
          revocationSeq: number('revocation_seq'),
          policyAgeMs: number('policy_age_ms'),
          state: text('state'),
          staged: JSON.parse(text('staged')) as Digest[],
          lastRejection: text('last_rejection'),
          build: text('build'),
          isolation: text('isolation'),
          auditStream: text('audit_stream'),
          auditHeadSeq: number('audit_head_seq'),
        };
      });
    },
    put: async (tx, status) =>
      void (await replace.run(
        tx,
        status.spiffeId,
        status.agent,
        status.instance,
        status.area,
        status.ring,
        status.lastContact,
        status.activeReleaseSeq,
        status.activeRelease,
        status.freshnessSeq,
        status.revocationSeq,
        status.policyAgeMs,
        status.state,
        JSON.stringify(status.staged),
        status.lastRejection,
        status.build,
        status.isolation,
        status.auditStream,
        status.auditHeadSeq,
      )),
  };
}
