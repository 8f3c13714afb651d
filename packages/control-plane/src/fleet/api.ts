/**
 * The fleet: who is connected, what each sidecar says it enforces and has staged, and when it was last heard of. It
 * believes nothing of it for policy; it is for people, and for a release that must not leave anyone behind.
 */

import type { SpiffeId } from '@sallyport/identity';
import type { Area, Clock, Digest, Ring } from '@sallyport/model';
import type { Database } from '@sallyport/store';
import { doorbell } from '../doorbell.ts';
import type { Doorbell } from '../doorbell.ts';
import { FLEET_MIGRATIONS, fleetTable } from './store.ts';
import type { SidecarStatus } from './store.ts';

export type { SidecarStatus } from './store.ts';

/** What a sidecar has said; what is left out stays as it was. */
export type Told = Partial<
  Pick<
    SidecarStatus,
    | 'activeReleaseSeq'
    | 'activeRelease'
    | 'freshnessSeq'
    | 'revocationSeq'
    | 'policyAgeMs'
    | 'state'
    | 'lastRejection'
    | 'build'
    | 'isolation'
    | 'auditStream'
    | 'auditHeadSeq'
  >
>;

export interface Member {
  readonly spiffeId: SpiffeId;
  readonly agent: string;
  readonly instance: string;
  readonly area: Area;
  readonly ring: Ring;
}

export interface Fleet {
  /** A policy stream has begun. */
  connect(member: Member): void;
  /** It has ended. */
  disconnect(spiffeId: SpiffeId): void;
  tell(spiffeId: SpiffeId, told: Told): void;
  /** How a connected sidecar answered the offer of a bundle. */
  answered(spiffeId: SpiffeId, bundle: Digest, isStaged: boolean): void;
  all(): readonly SidecarStatus[];
  isConnected(spiffeId: SpiffeId): boolean;
  /** Connected sidecars of the ring that have not staged all of these bundles; `pending` while an answer is still out. */
  notStaged(place: { readonly area: Area; readonly ring: Ring }, bundles: readonly Digest[]): readonly NotStaged[];
  /** Wishes bundles at the sidecars of a ring before a release names them; replaces the wish before. */
  wish(place: { readonly area: Area; readonly ring: Ring }, bundles: readonly Digest[]): void;
  wished(place: { readonly area: Area; readonly ring: Ring }): readonly Digest[];
  /** Rings whenever anything here has changed. */
  readonly changed: Doorbell;
  /** Writes what has changed since the last time, in one transaction, and forgets who was not heard of for long. */
  flush(): Promise<void>;
}

export interface NotStaged {
  readonly spiffeId: SpiffeId;
  /** It was not yet asked, or has not answered; false when it refused. */
  readonly isPending: boolean;
}

/** Staged bundles that are remembered of one sidecar. */
const STAGED_MAX = 32;
/** A refusal or a build's name, as text for people. */
const TEXT_MAX = 256;
const place = ({ area, ring }: { readonly area: Area; readonly ring: Ring }): string => `${area} ${ring}`;

export interface FleetOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** How long a sidecar is remembered that is not heard of. */
  readonly memoryMs: number;
}

export async function openFleet({ database, clock, memoryMs }: FleetOptions): Promise<Fleet> {
  const table = fleetTable(await database.service('fleet', FLEET_MIGRATIONS));
  const remembered = await database.read(async (tx) => table.all(tx));
  // Owner: this fleet. One entry per sidecar that was ever enrolled and connected.
  const sidecars = new Map<SpiffeId, SidecarStatus>(remembered.map((status) => [status.spiffeId, status]));
  const connected = new Map<SpiffeId, { readonly refused: Set<Digest> }>();
  const wishes = new Map<string, readonly Digest[]>();
  const unwritten = new Set<SpiffeId>();
  const changed = doorbell();

  const update = (spiffeId: SpiffeId, change: Partial<SidecarStatus>): void => {
    const known = sidecars.get(spiffeId);
    if (known === undefined) return;
    sidecars.set(spiffeId, { ...known, ...change, lastContact: clock.wall() });
    unwritten.add(spiffeId);
    changed.ring();
  };

  return {
    changed,
    connect(member) {
      connected.set(member.spiffeId, { refused: new Set() });
      // What it had staged before may be gone with its disk: it is asked again, and answers at once where it is not.
      const known = sidecars.get(member.spiffeId) ?? UNKNOWN;
      sidecars.set(member.spiffeId, { ...known, ...member, staged: [], lastContact: clock.wall() });
      unwritten.add(member.spiffeId);
      changed.ring();
    },
    disconnect(spiffeId) {
      connected.delete(spiffeId);
      update(spiffeId, {});
    },
    tell: (spiffeId, told) => update(spiffeId, shortened(told)),
    answered(spiffeId, bundle, isStaged) {
      const others = sidecars.get(spiffeId)?.staged.filter((digest) => digest !== bundle) ?? [];
      const refused = connected.get(spiffeId)?.refused;
      if (isStaged) refused?.delete(bundle);
      else refused?.add(bundle);
      update(spiffeId, { staged: isStaged ? [...others, bundle].slice(-STAGED_MAX) : others });
    },
    all: () => [...sidecars.values()],
    isConnected: (spiffeId) => connected.has(spiffeId),
    notStaged(of, bundles) {
      return [...connected].flatMap(([spiffeId, { refused }]) => {
        const status = sidecars.get(spiffeId);
        if (status === undefined || place(status) !== place(of)) return [];
        const lacking = bundles.filter((bundle) => !status.staged.includes(bundle));
        return lacking.length === 0 ? [] : [{ spiffeId, isPending: !lacking.some((bundle) => refused.has(bundle)) }];
      });
    },
    wish: (of, bundles) => void wishes.set(place(of), bundles),
    wished: (of) => wishes.get(place(of)) ?? [],
    async flush() {
      const since = clock.wall() - memoryMs;
      const forgotten = [...sidecars.values()].filter((one) => one.lastContact < since && !connected.has(one.spiffeId));
      if (unwritten.size === 0 && forgotten.length === 0) return;
      const written = [...unwritten];
      // Whoever is heard of from here on is written the next time.
      unwritten.clear();
      try {
        await database.transaction(async (tx) => {
          for (const spiffeId of written) {
            const status = sidecars.get(spiffeId);
            if (status !== undefined) await table.put(tx, status);
          }
          for (const { spiffeId } of forgotten) await table.drop(tx, spiffeId);
        });
      } catch (error) {
        for (const spiffeId of written) unwritten.add(spiffeId);
        throw error;
      }
      for (const { spiffeId } of forgotten) if (!connected.has(spiffeId)) sidecars.delete(spiffeId);
    },
  };
}

const UNKNOWN = {
  activeReleaseSeq: 0,
  activeRelease: '',
  freshnessSeq: 0,
  revocationSeq: 0,
  policyAgeMs: 0,
  state: 'absent',
  staged: [],
  lastRejection: '',
  build: '',
  isolation: '',
  auditStream: '',
  auditHeadSeq: 0,
} as const;

function shortened(told: Told): Told {
  const cut = Object.entries(told).map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, TEXT_MAX) : value]);
  return Object.fromEntries(cut) as Told;
}
