/**
 * Accepting a release: signed by the release role, next in its sequence, of bundles that are held here and staged at
 * every connected sidecar of its ring. Of two publishers with the same number the first commit wins, and the other is
 * told. docs/spec/control-plane.md section 5.
 */

import type { SpiffeId } from '@sallyport/identity';
import { Fault, fail, ok } from '@sallyport/model';
import type { Clock, Digest, Result } from '@sallyport/model';
import { deadline } from '@sallyport/runtime';
import type { Database } from '@sallyport/store';
import { EMPTY_HIGH_WATER, isRevoked, readSignedRelease, verifyRelease } from '@sallyport/trust';
import type { HighWater, Rejection, Release, SignedRelease, VerifiedBundle } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Authority } from '../authority.ts';
import type { Changes } from '../changes.ts';
import type { Fleet } from '../fleet/api.ts';
import type { Objects } from '../objects/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { Bundles } from './bundles.ts';
import type { PublishTables } from './store.ts';

/** Why a release is refused; part of the wire, for scripts to branch on. */
export type ReleaseRefusalCode =
  /** It goes back: a lower sequence, or a lower revision without `rollback: true` under enough keys. */
  | 'bundle_rollback_refused'
  /** Its sequence is taken, or is not the next one. */
  | 'release_conflict'
  | 'bundle_revoked'
  | 'not_staged'
  /** It does not verify; the detail has the code of docs/spec/trust-v1.md. */
  | 'release_rejected';

export interface ReleaseRefusal {
  readonly code: ReleaseRefusalCode;
  readonly detail: string;
  readonly notStaged: readonly SpiffeId[];
}

export interface AcceptedRelease {
  readonly digest: Digest;
  readonly releaseSeq: number;
  /** Sidecars that were left behind. */
  readonly notStaged: readonly SpiffeId[];
}

export interface ReleasesOptions {
  readonly database: Database;
  readonly tables: PublishTables;
  readonly objects: Objects;
  readonly bundles: Bundles;
  readonly authority: Authority;
  readonly identity: SpiffeId;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly revocation: Pick<RevocationService, 'state'>;
  readonly audit: Pick<AuditService, 'act' | 'recordActs'>;
  readonly changes: Changes;
  readonly stagingWaitMsMax: number;
}

export interface SubmitOptions {
  readonly actor: string;
  /** Sidecars that have not staged it may go dark. */
  readonly leaveBehind: boolean;
  readonly signal: AbortSignal;
}

export interface Releases {
  /** Takes a signed release. The same release again changes nothing. */
  accept(envelope: Uint8Array, options: SubmitOptions): Promise<Result<AcceptedRelease, ReleaseRefusal>>;
}

export function createReleases(options: ReleasesOptions): Releases {
  const { database, tables, objects, bundles, authority, clock, fleet, audit, changes } = options;

  /** What was accepted for this area and ring, as the high water that the release must not fall below. */
  const highWaterOf = (release: Release): HighWater => {
    const current = tables.currentRelease(release);
    const releases = current === undefined ? [] : [{ area: current.area, ring: current.ring, number: current.releaseSeq, digest: current.digest }];
    return { ...EMPTY_HIGH_WATER, releases, revisions: tables.highestRevisions(release) };
  };

  /** Judged as a sidecar of this area and ring would, and against the head. True where it is the head already. */
  const judge = (envelope: Uint8Array, signed: SignedRelease): Result<{ readonly isAlready: boolean }, ReleaseRefusal> => {
    const release = signed.payload;
    const revoked = release.bundles.find(({ digest }) => isRevoked(options.revocation.state, { bundles: [digest] }, clock.wall()) !== undefined);
    if (revoked !== undefined) return refuse('bundle_revoked', `bundle \`${revoked.digest}\` is revoked`);
    const verified = new Map<Digest, VerifiedBundle>();
    for (const { digest } of release.bundles) {
      const bundle = bundles.verify(digest);
      if (!bundle.ok) return rejected(bundle.error);
      verified.set(digest, bundle.value);
    }
    const verdict = verifyRelease(envelope, {
      root: authority.root,
      highWater: highWaterOf(release),
      at: clock.wall(),
      receiver: { area: release.area, ring: release.ring, identity: options.identity },
      revocations: options.revocation.state,
      bundles: verified,
    });
    // Its role has signed it, as was seen before: what lacks is the keys that going back needs.
    if (!verdict.ok && verdict.error.code === 'SIGNATURE') return refuse('bundle_rollback_refused', verdict.error.detail);
    if (!verdict.ok) return rejected(verdict.error);
    if (verdict.value.isAlready) return ok({ isAlready: true });
    const next = (tables.currentRelease(release)?.releaseSeq ?? 0) + 1;
    // A number far ahead would be the head for good: nobody could release again without a new Root.
    if (release.releaseSeq !== next) return refuse('release_conflict', `release ${release.releaseSeq} was offered, and ${next} is next`);
    return ok({ isAlready: false });
  };

  /** Waits until every connected sidecar of the ring has staged the bundles, has refused one, or time is over. */
  const awaitStaging = async (release: Release, signal: AbortSignal): Promise<Result<undefined, ReleaseRefusal>> => {
    const digests = release.bundles.map(({ digest }) => digest);
    if (fleet.notStaged(release, digests).length === 0) return ok(undefined);
    fleet.wish(release, digests);
    changes.tell({ kind: 'staging', area: release.area, ring: release.ring });
    const over = deadline(clock, options.stagingWaitMsMax, { signal, fault: () => new Fault('aborted', 'internal', 'staging took too long') });
    try {
      for (;;) {
        const missing = fleet.notStaged(release, digests);
        if (missing.length === 0) return ok(undefined);
        if (over.signal.aborted || missing.some(({ isPending }) => !isPending)) {
          const names = missing.map(({ spiffeId }) => spiffeId);
          const refusal: ReleaseRefusal = { code: 'not_staged', detail: `${names.length} connected sidecars have not staged it; leave them behind, or wait and try again`, notStaged: names };
          return fail(refusal);
        }
        await fleet.changed.heard(over.signal);
        // A fleet answers at once: looked at again once for all who answered in this turn.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } finally {
      over.clear();
    }
  };

  const keep = (signed: SignedRelease, of: { envelope: Digest; actor: string; left: readonly SpiffeId[] }): void => {
    const { payload: release, digest } = signed;
    const { area, ring, releaseSeq, rollback, reason, fallbacks } = release;
    const current = tables.currentRelease(release);
    database.transaction(() => {
      tables.addRelease({
        digest,
        area,
        ring,
        releaseSeq,
        envelope: of.envelope,
        rollback,
        reason,
        author: of.actor,
        acceptedAt: clock.wall(),
        bundles: release.bundles,
        fallbacks,
      });
      audit.act({
        actor: of.actor,
        act: rollback ? 'rollback' : 'release',
        object: `release ${area} ${ring} ${releaseSeq}`,
        old_digest: current?.digest ?? null,
        new_digest: digest,
        area,
        ring,
        release_seq: releaseSeq,
        detail: detailOf(release, of.left),
      });
    });
  };

  return {
    async accept(envelope, { actor, leaveBehind, signal }) {
      const signed = readSignedRelease(envelope, { root: authority.root, at: clock.wall() });
      if (!signed.ok) return rejected(signed.error);
      const { payload: release, digest } = signed.value;
      const accepted: AcceptedRelease = { digest, releaseSeq: release.releaseSeq, notStaged: [] };
      const judged = judge(envelope, signed.value);
      if (!judged.ok) return judged;
      if (judged.value.isAlready) return ok(accepted);
      const staged = leaveBehind ? ok(undefined) : await awaitStaging(release, signal);
      if (!staged.ok) return staged;
      const stored = await objects.put(envelope);
      if (!stored.ok) return refuse('release_rejected', 'the object store is full');
      // While it waited another release may have come first: judged again, in one turn with the commit.
      const again = judge(envelope, signed.value);
      if (!again.ok) return again;
      if (again.value.isAlready) return ok(accepted);
      const left = fleet.notStaged(release, release.bundles.map((bundle) => bundle.digest)).map(({ spiffeId }) => spiffeId);
      keep(signed.value, { envelope: stored.value, actor, left });
      fleet.wish(release, []);
      changes.tell({ kind: 'release', area: release.area, ring: release.ring });
      await audit.recordActs();
      return ok({ ...accepted, notStaged: left });
    },
  };
}

function detailOf(release: Release, left: readonly SpiffeId[]): string {
  const named = release.bundles.map(({ digest, area, revision }) => `${area} ${revision} ${digest}`).join(', ');
  const behind = left.length === 0 ? '' : `; left behind: ${left.length}`;
  return `bundles ${named}${release.reason === null ? '' : `; ${release.reason}`}${behind}`;
}

function refuse(code: ReleaseRefusalCode, detail: string): { readonly ok: false; readonly error: ReleaseRefusal } {
  return fail({ code, detail, notStaged: [] });
}

/** What trust refuses, in the words of the wire. */
function rejected({ code, detail }: Rejection): { readonly ok: false; readonly error: ReleaseRefusal } {
  if (code === 'ROLLBACK') return refuse('bundle_rollback_refused', detail);
  if (code === 'EQUIVOCATION') return refuse('release_conflict', detail);
  return refuse('release_rejected', `REJECTED(${code}): ${detail}`);
}
