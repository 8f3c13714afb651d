/**
 * Accepting a bundle: verified by the same steps as at a sidecar, under this process's own Root, then read, compiled and
 * tested. Nothing is half-applied: parts and envelope are in the object store before one transaction makes the bundle
 * exist, with its act. docs/spec/control-plane.md section 4.
 */

import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { AgentName, Area, Clock, Digest, PartName, Problem, Result, Ring } from '@sallyport/model';
import { FEATURES } from '@sallyport/policy';
import type { Database, Transaction } from '@sallyport/store';
import { EMPTY_HIGH_WATER, acceptManifest, acceptParts, areasCovering, reject } from '@sallyport/trust';
import type { AcceptanceContext, Rejection, SignedManifest, VerifiedBundle } from '@sallyport/trust';
import type { SpiffeId } from '@sallyport/identity';
import type { AuditService } from '../audit/api.ts';
import type { Authority } from '../authority.ts';
import type { Changes } from '../changes.ts';
import type { Objects } from '../objects/api.ts';
import { isLayer, judgeBundle } from './judge-policy.ts';
import type { PublishTables } from './store.ts';

export interface BundleOptions {
  readonly database: Database;
  readonly tables: PublishTables;
  readonly objects: Objects;
  readonly authority: Authority;
  /** This process, as the receiver that verifies. */
  readonly identity: SpiffeId;
  readonly clock: Clock;
  readonly audit: Pick<AuditService, 'act' | 'recordActs' | 'alert'>;
  readonly changes: Changes;
}

export interface AcceptedBundle {
  readonly digest: Digest;
  readonly isAlreadyHeld: boolean;
}

/** Envelope and delegation travel in one message of the policy stream, which has at most 16 KB. */
const OFFER_BYTES_MAX = 16_000;
const KNOWN_FEATURES: ReadonlySet<string> = new Set(FEATURES);

export class Bundles {
  readonly #options: BundleOptions;

  constructor(options: BundleOptions) {
    this.#options = options;
  }

  /** A stored bundle, verified again from what is on disk. */
  async verify(tx: Transaction, digest: Digest): Promise<Result<VerifiedBundle, Rejection>> {
    const { tables, objects } = this.#options;
    const stored = await tables.bundle(tx, digest);
    const envelope = stored === undefined ? undefined : await objects.readIn(tx, stored.envelope);
    const verified = envelope?.ok === true ? await this.#verifyEnvelope(tx, envelope.value) : undefined;
    // A row that points at another signed bundle is as edited as a bent blob.
    if (verified !== undefined && (!verified.ok || verified.value.digest === digest)) return verified;
    return fail(reject('DIGEST', `bundle \`${digest}\` is not held, or was edited on disk`));
  }

  /** Takes a signed bundle whose parts are here. Every problem at once; the same bundle again changes nothing. */
  async accept(envelope: Uint8Array, actor: string): Promise<Result<AcceptedBundle, readonly Problem[]>> {
    const { database, objects, changes, audit } = this.#options;
    const verified = await database.read(async (tx) => this.#verifyEnvelope(tx, envelope));
    if (!verified.ok) return fail(problemsOfRejection(verified.error));
    const bundle = verified.value;
    const { digest } = bundle;
    const early = await database.read(async (tx) => this.#judgeHeads(tx, bundle));
    if (early === 'held') return ok({ digest, isAlreadyHeld: true });
    const unfit = this.#judgeOffer(envelope, bundle) ?? early;
    if (unfit !== undefined) return fail([unfit]);
    const above = await database.read(async (tx) => this.#above(tx, bundle));
    if (!above.ok) return fail(problemsOfRejection(above.error));
    const agents = judgeBundle(bundle, above.value);
    if (!agents.ok) return agents;
    const stored = await objects.put(envelope);
    if (!stored.ok) return fail([{ path: '', message: 'the object store is full', remedy: 'raise `limits.objects_bytes_max`' }]);
    const overtaken = await this.#keep(bundle, { envelope: stored.value, agents: agents.value, actor });
    if (overtaken === 'held') return ok({ digest, isAlreadyHeld: true });
    if (overtaken !== undefined) return fail([overtaken]);
    changes.tell({ kind: 'bundle', area: bundle.area });
    await audit.recordActs();
    return ok({ digest, isAlreadyHeld: false });
  }

  /** Of a layer: the newest bundle of each area that covers its own, the broadest first. */
  async #above(tx: Transaction, bundle: VerifiedBundle): Promise<Result<readonly VerifiedBundle[], Rejection>> {
    const above: VerifiedBundle[] = [];
    for (const area of isLayer(bundle) ? areasCovering(bundle.area).slice(0, -1) : []) {
      const newest = await this.#options.tables.newestBundle(tx, area);
      if (newest === undefined) continue;
      const verified = await this.verify(tx, newest.digest);
      if (!verified.ok) return verified;
      above.push(verified.value);
    }
    return ok(above);
  }

  async #verifyEnvelope(tx: Transaction, envelope: Uint8Array): Promise<Result<VerifiedBundle, Rejection>> {
    const manifest = this.#manifestOf(envelope);
    return manifest.ok ? acceptParts(manifest.value, await this.#partsOf(tx, manifest.value)) : manifest;
  }

  /**
   * Steps 1 to 4 under the delegation whose publishers signed it. Nothing is read of a payload before its signatures are
   * counted, so the area is found by trying, not by asking the bundle.
   */
  #manifestOf(envelope: Uint8Array): Result<SignedManifest, Rejection> {
    let best: Result<SignedManifest, Rejection> | undefined;
    for (const [area, delegation] of this.#options.authority.delegations) {
      const manifest = acceptManifest({ bundle: envelope, delegation: delegation.envelope }, this.#contextFor(area));
      if (manifest.ok && manifest.value.payload.area === area) return manifest;
      if (best === undefined || manifest.ok || (!best.ok && best.error.code === 'SIGNATURE')) best = manifest;
    }
    return best ?? fail(reject('DELEGATION', 'nobody is named as publisher'));
  }

  /** The control plane receives for every area: what it is asked to keep is judged for the area that it names. */
  #contextFor(area: Area): AcceptanceContext {
    const { authority, clock, identity } = this.#options;
    const receiver = { area, ring: 'default' as Ring, identity };
    return { root: authority.root, highWater: EMPTY_HIGH_WATER, at: clock.wall(), receiver, features: KNOWN_FEATURES };
  }

  async #partsOf(tx: Transaction, manifest: SignedManifest): Promise<Partial<Record<PartName, Uint8Array>>> {
    const parts: Partial<Record<PartName, Uint8Array>> = {};
    for (const name of PART_NAMES) {
      const part = await this.#options.objects.readIn(tx, manifest.payload.parts[name].digest);
      if (part.ok) parts[name] = part.value;
    }
    return parts;
  }

  #judgeOffer(envelope: Uint8Array, bundle: VerifiedBundle): Problem | undefined {
    const delegationBytes = this.#options.authority.delegations.get(bundle.area)?.envelope.byteLength ?? 0;
    if (envelope.byteLength + delegationBytes <= OFFER_BYTES_MAX) return undefined;
    return {
      path: 'bundle',
      message: `with its delegation it is larger than an offer of ${OFFER_BYTES_MAX} bytes`,
      remedy: 'sign it with fewer keys',
    };
  }

  async #judgeHeads(tx: Transaction, { digest, area, revision, payload }: VerifiedBundle): Promise<Problem | 'held' | undefined> {
    const { tables } = this.#options;
    if ((await tables.bundle(tx, digest)) !== undefined) return 'held';
    const newest = await tables.newestBundle(tx, area);
    if (newest === undefined) return undefined;
    const isLater = revision > newest.revision;
    // Two who began with the same bundle: the second would undo what the first has changed, and not say so.
    if (isLater && (payload.previous === null || payload.previous === newest.digest)) return undefined;
    const message = isLater
      ? `revision ${revision} of \`${area}\` was made from another bundle than revision ${newest.revision}, which \`${newest.author}\` has published`
      : `revision ${revision} of \`${area}\` does not come after ${newest.revision}, which \`${newest.author}\` has published`;
    const remedy = 'compare with what was published meanwhile, and build again on it; to go back, sign a release with `rollback: true`';
    return { path: 'revision_conflict', message, remedy };
  }

  /** Why it was not kept, if it was not: while its envelope was being written another publisher may have come first. */
  async #keep(
    bundle: VerifiedBundle,
    of: { envelope: Digest; agents: readonly AgentName[]; actor: string },
  ): Promise<Problem | 'held' | undefined> {
    const { database, tables, audit, clock } = this.#options;
    const { digest, area, revision } = bundle;
    const { previous, source, parts } = bundle.payload;
    const { envelope, agents, actor: author } = of;
    return database.transaction(async (tx) => {
      const overtaken = await this.#judgeHeads(tx, bundle);
      if (overtaken !== undefined) return overtaken;
      const replaced = (await tables.newestBundle(tx, area))?.digest ?? null;
      const stored = { digest, area, revision, envelope, previous, sourceCommit: source.commit, author, acceptedAt: clock.wall() };
      await tables.addBundle(tx, stored, { parts, agents });
      await audit.act(tx, {
        actor: author,
        act: 'publish',
        object: `bundle ${area} ${revision}`,
        old_digest: replaced,
        new_digest: digest,
        area,
        ring: '-',
        release_seq: null,
        detail: source.commit === null ? '' : `commit ${source.commit}`,
      });
      tx.announce();
      return undefined;
    });
  }
}

/** A rejection as the problems that `publish` prints. */
function problemsOfRejection({ code, detail, problems }: Rejection): readonly Problem[] {
  return [{ path: 'bundle', message: `REJECTED(${code}): ${detail}` }, ...problems];
}
