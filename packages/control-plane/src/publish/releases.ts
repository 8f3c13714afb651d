/**
 * Accepting a release: signed by the release role, next in its sequence, of bundles that are held here and staged at
 * every connected sidecar of its ring. Of two publishers with the same number the first commit wins, and the other is
 * told. docs/spec/control-plane.md section 5.
 */

import type { SpiffeId } from '@sallyport/identity';
import { Fault, fail, ok } from '@sallyport/model';
import type { Area, Clock, Digest, Result } from '@sallyport/model';
import { deadline } from '@sallyport/runtime';
import type { Database, Transaction } from '@sallyport/store';
import { EMPTY_HIGH_WATER, isBundleRevoked, readSignedRelease, verifyRelease } from '@sallyport/trust';
import type { HighWater, Rejection, Release, SignedRelease, VerifiedBundle } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Authority } from '../authority.ts';
import type { Changes } from '../changes.ts';
import type { Fleet } from '../fleet/api.ts';
import type { Objects } from '../objects/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { Bundles } from './bundles.ts';
import { judgeJoined } from './judge-policy.ts';
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

export class Releases {
  readonly #options: ReleasesOptions;

  constructor(options: ReleasesOptions) {
    this.#options = options;
  }

  /** Takes a signed release. The same release again changes nothing. */
  async accept(envelope: Uint8Array, { actor, leaveBehind, signal }: SubmitOptions): Promise<Result<AcceptedRelease, ReleaseRefusal>> {
    const { authority, clock, database, objects, fleet, changes, audit } = this.#options;
    const signed = readSignedRelease(envelope, { root: authority.root, at: clock.wall() });
    if (!signed.ok) return rejected(signed.error);
    const { payload: release, digest } = signed.value;
    const accepted: AcceptedRelease = { digest, releaseSeq: release.releaseSeq, notStaged: [] };
    const judged = await database.read(async (tx) => this.#judge(tx, envelope, release));
    if (!judged.ok) return judged;
    if (judged.value.isAlready) return ok(accepted);
    const unfit = judgeJoined(judged.value.bundles);
    if (unfit !== undefined) return rejected(unfit);
    const staged = leaveBehind ? ok(undefined) : await this.#awaitStaging(release, signal);
    if (!staged.ok) return staged;
    const stored = await objects.put(envelope);
    if (!stored.ok) return refuse('release_rejected', 'the object store is full');
    const left = fleet.notStaged(release, digestsOf(release)).map(({ spiffeId }) => spiffeId);
    const kept = await database.transaction(async (tx) => {
      // While it waited another release may have come first: judged again, in one turn with the commit.
      const again = await this.#judge(tx, envelope, release);
      if (again.ok && !again.value.isAlready) await this.#keep(tx, signed.value, { envelope: stored.value, actor, left });
      return again;
    });
    if (!kept.ok) return kept;
    if (kept.value.isAlready) return ok(accepted);
    fleet.wish(release, []);
    changes.tell({ kind: 'release', area: release.area, ring: release.ring });
    await audit.recordActs();
    return ok({ ...accepted, notStaged: left });
  }

  /** Judged as a sidecar of this area and ring would, and against the head; with the bundles that it joins. */
  async #judge(
    tx: Transaction,
    envelope: Uint8Array,
    release: Release,
  ): Promise<Result<{ readonly isAlready: boolean; readonly bundles: readonly VerifiedBundle[] }, ReleaseRefusal>> {
    const { tables, bundles, authority, identity, clock, revocation } = this.#options;
    const at = clock.wall();
    const revocations = await revocation.state(tx);
    const revoked = digestsOf(release).find((digest) => isBundleRevoked(revocations, digest, at));
    if (revoked !== undefined) return refuse('bundle_revoked', `bundle \`${revoked}\` is revoked`);
    const verified = new Map<Digest, VerifiedBundle>();
    for (const digest of digestsOf(release)) {
      const bundle = await bundles.verify(tx, digest);
      if (!bundle.ok) return rejected(bundle.error);
      verified.set(digest, bundle.value);
    }
    const receiver = { area: release.area, ring: release.ring, identity };
    const context = {
      root: authority.root,
      highWater: await this.#highWaterOf(tx, release),
      at,
      receiver,
      revocations,
      bundles: verified,
    };
    const verdict = verifyRelease(envelope, context);
    // Its role has signed it, as was seen before: what lacks is the keys that going back needs.
    if (!verdict.ok && verdict.error.code === 'SIGNATURE') return refuse('bundle_rollback_refused', verdict.error.detail);
    if (!verdict.ok) return rejected(verdict.error);
    const { bundles: joined } = verdict.value.release;
    if (verdict.value.isAlready) return ok({ isAlready: true, bundles: joined });
    const next = ((await tables.currentRelease(tx, release))?.releaseSeq ?? 0) + 1;
    // A number far ahead would be the head for good: nobody could release again without a new Root.
    if (release.releaseSeq !== next) return refuse('release_conflict', `release ${release.releaseSeq} was offered, and ${next} is next`);
    return ok({ isAlready: false, bundles: joined });
  }

  /** What was accepted for this area and ring, as the high water that the release must not fall below. */
  async #highWaterOf(tx: Transaction, release: Release): Promise<HighWater> {
    const { tables } = this.#options;
    const current = await tables.currentRelease(tx, release);
    const releases =
      current === undefined ? [] : [{ area: current.area, ring: current.ring, number: current.releaseSeq, digest: current.digest }];
    // A layer that the head has left out was left out under two keys: that need not be said again.
    const isNamed = (area: Area): boolean => current?.bundles.some((bundle) => bundle.area === area) === true;
    const revisions = (await tables.highestRevisions(tx, release)).filter(({ area }) => isNamed(area));
    return { ...EMPTY_HIGH_WATER, releases, revisions };
  }

  /** Waits until every connected sidecar of the ring has staged the bundles, has refused one, or time is over. */
  async #awaitStaging(release: Release, signal: AbortSignal): Promise<Result<undefined, ReleaseRefusal>> {
    const { fleet, changes, clock, stagingWaitMsMax } = this.#options;
    const digests = digestsOf(release);
    if (fleet.notStaged(release, digests).length === 0) return ok(undefined);
    fleet.wish(release, digests);
    changes.tell({ kind: 'staging', area: release.area, ring: release.ring });
    const over = deadline(clock, stagingWaitMsMax, { signal, fault: () => new Fault('aborted', 'internal', 'staging took too long') });
    try {
      for (;;) {
        const missing = fleet.notStaged(release, digests);
        if (missing.length === 0) return ok(undefined);
        if (over.signal.aborted || missing.some(({ isPending }) => !isPending)) return notStaged(missing.map(({ spiffeId }) => spiffeId));
        await fleet.changed.heard(over.signal);
        // A fleet answers at once: looked at again once for all who answered in this turn.
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } finally {
      over.clear();
    }
  }

  async #keep(
    tx: Transaction,
    { payload, digest }: SignedRelease,
    of: { envelope: Digest; actor: string; left: readonly SpiffeId[] },
  ): Promise<void> {
    const { tables, audit, clock } = this.#options;
    const { area, ring, releaseSeq, rollback, reason, bundles, fallbacks } = payload;
    const { envelope, actor: author, left } = of;
    const replaced = (await tables.currentRelease(tx, payload))?.digest ?? null;
    const acceptedAt = clock.wall();
    await tables.addRelease(tx, { digest, area, ring, releaseSeq, envelope, rollback, reason, author, acceptedAt, bundles, fallbacks });
    await audit.act(tx, {
      actor: author,
      act: rollback ? 'rollback' : 'release',
      object: `release ${area} ${ring} ${releaseSeq}`,
      old_digest: replaced,
      new_digest: digest,
      area,
      ring,
      release_seq: releaseSeq,
      detail: detailOf(payload, left),
    });
    tx.announce();
  }
}

function digestsOf(release: Release): readonly Digest[] {
  return release.bundles.map(({ digest }) => digest);
}

function notStaged(names: readonly SpiffeId[]): Result<never, ReleaseRefusal> {
  const detail = `${names.length} connected sidecars have not staged it; leave them behind, or wait and try again`;
  return fail({ code: 'not_staged', detail, notStaged: names });
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
