/**
 * The one writer of what is enforced. Takes candidates one at a time, walks each through acceptance (trust-v1 section 7),
 * vets and stages bundles, and activates: next release on disk, high-water mark, rename, pointer. Whatever fails leaves
 * the present bundle in force, and ageing. Sources only hand over bytes; nothing else swaps the pointer.
 */

import { fail, Fault, ok, type BootMs, type Clock, type Digest, type Instant, type Random, type Result } from '@sallyport/model';
import { FEATURES } from '@sallyport/policy';
import {
  acceptManifest,
  acceptParts,
  adoptRoot,
  admitStatement,
  applyRevocation,
  applySnapshot,
  beginRevocations,
  chargeAges,
  encodeHighWater,
  estimateSignerTime,
  EMPTY_HIGH_WATER,
  followRoot,
  judgeRootMark,
  NO_MEMORY,
  openChallenge,
  raiseDelegations,
  raiseDirectory,
  raiseFreshness,
  raiseOnlineKeys,
  raiseRelease,
  raiseRevocation,
  recallFreshness,
  recallHighWater,
  reject,
  renewReleases,
  trustOnlineKeys,
  trustRoot,
  verifyRelease,
  type BundleFile,
  type Challenge,
  type FreshnessMemory,
  type HighWater,
  type KeptStatement,
  type Now,
  type Receiver,
  type Rejection,
  type RevocationState,
  type SignedManifest,
  type TrustedOnlineKeys,
  type TrustedRoot,
  type VerifiedRelease,
} from '@sallyport/trust';
import type { BundleCandidate, Candidate, Verdict, WholeCandidate } from './candidate.ts';
import { DirectoryIntake } from './directory-intake.ts';
import type { BundleEvents } from './events.ts';
import type { Holder } from './holder.ts';
import { isLayer, VettedSets } from './policy-bytes.ts';
import { placeOf, type Position } from './position.ts';
import { heldPart, keptBundles, knownParts, missingParts } from './staged.ts';
import { stillNeeded, verifyStatement, type HeldFile } from './statement.ts';
import {
  partBytes,
  stageBundle,
  trustBundle,
  unvettedSet,
  type StagedBundle,
  type TrustedBundle,
  type UnvettedSet,
} from './trusted-bundle.ts';
import type { Vault } from './vault.ts';
import type { Vet } from './vetting.ts';

export interface ActivatorOptions {
  readonly pin: Digest;
  readonly allowDevelopmentRoot: boolean;
  readonly receiver: Receiver;
  readonly clock: Clock;
  readonly random: Random;
  readonly vault: Vault;
  readonly holder: Holder;
  readonly vet: Vet;
  readonly events: BundleEvents;
}

/** How long ages may go uncharged before nothing is enforced any more: what cannot be remembered cannot be bounded. */
const UNWRITTEN_MS_MAX = 5_000;
/** Before the first charge of a start nothing of it is remembered. */
const NEVER_WRITTEN = Number.NEGATIVE_INFINITY as BootMs;

export class Activator {
  readonly #options: ActivatorOptions;
  readonly #directory: DirectoryIntake;
  // Owner of everything below: this activator, one candidate at a time. Values are replaced, never edited.
  #root: TrustedRoot | undefined;
  #online: TrustedOnlineKeys | undefined;
  #highWater: HighWater = EMPTY_HIGH_WATER;
  #memory: FreshnessMemory = NO_MEMORY;
  #revocations: RevocationState = beginRevocations(EMPTY_HIGH_WATER.revocation);
  #staged = new Map<Digest, StagedBundle>();
  readonly #vetted = new VettedSets();
  #statements: readonly HeldFile[] = [];
  #active: { readonly bundle: TrustedBundle; readonly sinceMs: number } | undefined;
  /** Candidates under way or waiting; each begins when the one before has ended. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Since when ages cannot be charged on disk; a restart would then find them younger than they are. */
  #unwrittenSince: BootMs | undefined;
  /** While the cache is read nothing is written back. */
  #isLoading = false;

  constructor(options: ActivatorOptions) {
    this.#options = options;
    this.#directory = new DirectoryIntake({
      context: () => this.#root && { root: this.#root, highWater: this.#highWater, at: this.#signerTime() },
      inTurn: (task) => this.#inTurn(task),
      // First the file: a mark without its directory would refuse whatever reads one until the next is signed.
      keep: async (kept, signed) => {
        if (!this.#isLoading) await options.vault.keepDirectory(kept);
        await this.#write(this.#memory, raiseDirectory(this.#highWater, signed));
      },
      publish: () => this.#publish(),
    });
  }

  /** The start: whatever the vault holds walks the same path as if it had just arrived. Rejections are reported, not thrown. */
  async load(): Promise<void> {
    await this.#inTurn(async () => {
      this.#isLoading = true;
      try {
        await this.#loadAll();
      } finally {
        this.#isLoading = false;
      }
      // Crash after crash each start would be as young as the one before: what it may have hidden is on disk before it serves.
      this.#unwrittenSince = NEVER_WRITTEN;
      try {
        await this.#chargeAll();
      } catch (thrown) {
        // Nothing is enforced until a later charge succeeds; each of them says why it failed.
        if (!(thrown instanceof Fault)) throw thrown;
      }
      this.#publish();
    });
  }

  /** Takes one candidate. A Fault rejects (the disk failed) and leaves everything as it was. */
  async offer(candidate: Candidate): Promise<Result<Verdict, Rejection>> {
    const taken = await this.#offer(candidate);
    if (!taken.ok) this.#options.events.rejected(candidate.kind, taken.error);
    return taken;
  }

  async #offer(candidate: Candidate): Promise<Result<Verdict, Rejection>> {
    if (candidate.kind === 'bundle') return this.#offerBundle(candidate);
    if (candidate.kind === 'directory') return this.#directory.offer(candidate);
    const vetted = candidate.kind === 'release' ? await this.#vetJoined(candidate.envelope) : ok(undefined);
    return vetted.ok ? this.#inTurn(() => this.#takePublished(candidate)) : vetted;
  }

  /** Opens a question that one live proof may answer; its age runs from now. One that was put the same way is void. */
  ask(way: Challenge['way'] = 'sent'): Challenge {
    const { identity } = this.#options.receiver;
    const challenge = { way, nonce: this.#options.random(32), identity, sentAt: this.#options.clock.boot() };
    this.#memory = openChallenge(this.#memory, challenge);
    return challenge;
  }

  /** Whether a question still waits for its proof. */
  isOpen(challenge: Challenge): boolean {
    return this.#memory.challenges.includes(challenge);
  }

  /** Nothing is remembered: until a live proof comes everything is denied. */
  get mustProve(): boolean {
    return this.#memory.signerTime === undefined;
  }

  /** The longest that any statement can count under the root held. */
  get ttlMsMax(): number | undefined {
    return this.#root?.freshnessTtlMsMax;
  }

  /** Charges every held statement with its age, on disk: what a restart goes on from. Called every second. */
  charge(): Promise<void> {
    return this.#inTurn(async () => {
      try {
        await this.#chargeAll();
      } finally {
        this.#publish();
      }
    });
  }

  get position(): Position {
    const active = this.#active;
    return {
      rootNumber: this.#root?.number ?? 0,
      freshnessSeq: this.#memory.mark?.number ?? 0,
      revocationSeq: this.#revocations.seq,
      directorySeq: this.#directory.verified?.signed.number ?? 0,
      active: active === undefined ? undefined : { ...placeOf(active.bundle), activeSinceMs: active.sinceMs },
    };
  }

  async #chargeAll(): Promise<void> {
    try {
      if (this.#root !== undefined) await this.#write(chargeAges(this.#memory, this.#now()), this.#highWater);
      this.#unwrittenSince = undefined;
    } catch (thrown) {
      this.#unwrittenSince ??= this.#options.clock.boot();
      throw thrown;
    }
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(task);
    this.#turn = run.catch(() => undefined);
    return run;
  }

  #now(): Now {
    return { wall: this.#options.clock.wall(), boot: this.#options.clock.boot() };
  }

  #signerTime(): Instant {
    return estimateSignerTime(this.#memory.signerTime, this.#now());
  }

  async #loadAll(): Promise<void> {
    const { vault, pin, allowDevelopmentRoot, events } = this.#options;
    const recalled = recallHighWater(vault.highWater());
    this.#highWater = recalled.highWater;
    this.#memory = recalled.mustProve ? NO_MEMORY : recallFreshness(recalled.highWater, this.#now());
    this.#revocations = beginRevocations(recalled.highWater.revocation);
    const chain = vault.roots();
    if (chain.length === 0) return;
    const root = trustRoot({ pin, chain, allowDevelopmentRoot });
    if (!root.ok) return events.rejected('root', root.error);
    const lost = judgeRootMark(this.#highWater, root.value);
    if (lost !== undefined) return events.rejected('root', lost);
    this.#root = root.value;
    ({ highWater: this.#highWater } = adoptRoot(
      { highWater: this.#highWater, memory: this.#memory, revocations: this.#revocations },
      undefined,
      root.value,
    ));
    await this.#loadHeld(vault);
  }

  async #loadHeld(vault: Vault): Promise<void> {
    const report = async (candidate: WholeCandidate): Promise<boolean> => {
      // What a release joins was vetted before it was kept.
      const isRelease = candidate.kind === 'release';
      const taken = await (isRelease ? this.#takeRelease(candidate.envelope, { isKept: true }) : this.#take(candidate));
      if (!taken.ok) this.#options.events.rejected(candidate.kind, taken.error);
      return taken.ok;
    };
    const onlineKeys = vault.onlineKeys();
    if (onlineKeys !== undefined) await report({ kind: 'online_keys', envelope: onlineKeys });
    const { snapshot, entries } = vault.revocations();
    if (snapshot !== undefined) await report({ kind: 'revocation_snapshot', envelope: snapshot });
    for (const envelope of entries) await report({ kind: 'revocation', envelope });
    const directory = vault.directory();
    const said = directory === undefined ? undefined : await this.#directory.take(directory);
    if (said?.ok === false) this.#options.events.rejected('directory', said.error);
    for (const kept of vault.bundles()) {
      const taken = await this.#stage(kept, { isKept: true });
      if (!taken.ok) this.#options.events.rejected('bundle', taken.error);
    }
    // The vault knows no order; the newest are what a release may name next.
    this.#staged = new Map([...this.#staged].toSorted(([, a], [, b]) => a.verified.revision - b.verified.revision));
    // The first that still verifies is the one that the high-water mark names, or the one before it.
    for (const envelope of vault.releases()) if (await report({ kind: 'release', envelope })) break;
    for (const { kind, offer } of vault.statements()) await report({ kind, offer });
  }

  /** Takes it, and shows what is true afterwards, also where the disk failed half-way. */
  async #takePublished(candidate: WholeCandidate): Promise<Result<Verdict, Rejection>> {
    try {
      return await this.#take(candidate);
    } finally {
      this.#publish();
    }
  }

  #take(candidate: WholeCandidate): Promise<Result<Verdict, Rejection>> {
    switch (candidate.kind) {
      case 'root':
        return this.#takeRoot(candidate.envelope);
      case 'online_keys':
        return this.#takeOnlineKeys(candidate.envelope);
      case 'release':
        return this.#takeRelease(candidate.envelope, { isKept: false });
      case 'freshness':
      case 'live_proof':
      case 'extension':
        return this.#takeStatement(candidate);
      case 'revocation':
      case 'revocation_snapshot':
        return this.#takeRevocation(candidate.kind, candidate.envelope);
    }
  }

  async #takeRoot(envelope: Uint8Array): Promise<Result<Verdict, Rejection>> {
    const { pin, allowDevelopmentRoot, vault } = this.#options;
    const previous = this.#root;
    const next = previous === undefined ? trustRoot({ pin, chain: [envelope], allowDevelopmentRoot }) : followRoot(previous, envelope);
    if (!next.ok) return next;
    if (next.value === previous) return ok('already');
    const state = { highWater: this.#highWater, memory: this.#memory, revocations: this.#revocations };
    const lost =
      previous === undefined && next.value.number === (this.#highWater.root?.number ?? 0)
        ? judgeRootMark(this.#highWater, next.value)
        : undefined;
    if (lost !== undefined) return fail(lost);
    const adopted = adoptRoot(state, previous, next.value);
    await vault.keepRoot(next.value.number, envelope);
    this.#root = next.value;
    this.#revocations = adopted.revocations;
    await this.#write(adopted.memory, adopted.highWater);
    await this.#verifyAnew();
    return ok('taken');
  }

  /** What was verified under the root before is verified under this one, or is dropped. */
  async #verifyAnew(): Promise<void> {
    this.#online = undefined;
    this.#staged = new Map();
    this.#active = undefined;
    this.#directory.forget();
    await this.#loadHeld(this.#options.vault);
  }

  async #takeOnlineKeys(envelope: Uint8Array): Promise<Result<Verdict, Rejection>> {
    const root = this.#root;
    if (root === undefined) return fail(reject('ROOT', 'online keys came before a root'));
    const trusted = trustOnlineKeys(envelope, { root, highWater: this.#highWater });
    if (!trusted.ok) return trusted;
    if (trusted.value.digest === this.#online?.digest) return ok('already');
    this.#online = trusted.value;
    if (!this.#isLoading) await this.#options.vault.keepOnlineKeys(envelope);
    await this.#write(this.#memory, raiseOnlineKeys(this.#highWater, trusted.value));
    return ok('taken');
  }

  /**
   * A bundle from outside. Fetching its parts and vetting them take as long as others like, so neither holds the turn:
   * meanwhile ages are charged and revocations taken. It is judged once more before it is kept, under what is true then.
   */
  async #offerBundle(offered: BundleCandidate): Promise<Result<Verdict, Rejection>> {
    const manifest = await this.#inTurn(async () => this.#judgeManifest(offered));
    if (!manifest.ok) return manifest;
    if (this.#staged.has(manifest.value.digest)) return ok('already');
    const known = knownParts(this.#staged, manifest.value);
    const brought = await offered.fetch(missingParts(manifest.value, known), (digest) => heldPart(this.#staged, digest));
    const accepted = acceptParts(manifest.value, { ...brought, ...known });
    if (!accepted.ok) return accepted;
    const parts = partBytes(accepted.value);
    // By itself a layer says nothing that could be tried: it is, together with the others, before its release counts.
    const vetted = isLayer(manifest.value.payload) ? ok(undefined) : await this.#options.vet({ kind: 'alone', parts });
    if (!vetted.ok) return vetted;
    return this.#inTurn(async () => {
      const staged = await this.#stage({ ...offered, parts }, { isKept: false });
      if (staged.ok) await this.#forgetBundles();
      return staged;
    });
  }

  /** Of what comes from the vault the self-tests ran when it was first staged, and its bytes are the same by digest. */
  async #stage({ envelope, delegation, parts }: BundleFile, { isKept }: { readonly isKept: boolean }): Promise<Result<Verdict, Rejection>> {
    const manifest = this.#judgeManifest({ envelope, delegation });
    if (!manifest.ok) return manifest;
    const { digest } = manifest.value;
    if (this.#staged.has(digest)) return ok('already');
    const accepted = acceptParts(manifest.value, parts);
    if (!accepted.ok) return accepted;
    const compiled = stageBundle(accepted.value);
    if (!compiled.ok) return compiled;
    if (!isKept) await this.#options.vault.keepBundle({ digest, envelope, delegation, parts: partBytes(accepted.value) });
    await this.#write(this.#memory, raiseDelegations(this.#highWater, [accepted.value.delegation]));
    this.#staged.set(digest, compiled.value);
    return ok('staged');
  }

  #judgeManifest({ envelope, delegation }: Pick<BundleCandidate, 'envelope' | 'delegation'>): Result<SignedManifest, Rejection> {
    const root = this.#root;
    if (root === undefined) return fail(reject('ROOT', 'a bundle came before a root'));
    const at = this.#signerTime();
    const context = { root, highWater: this.#highWater, at, receiver: this.#options.receiver, features: new Set(FEATURES) };
    return acceptManifest({ bundle: envelope, delegation }, context);
  }

  /**
   * What a release joins is compiled and tested together, beside the turn as a bundle is. Nothing is settled here: a
   * release that does not verify goes on to be refused for that.
   */
  async #vetJoined(envelope: Uint8Array): Promise<Result<void, Rejection>> {
    const unvetted = await this.#unvetted(envelope);
    if (unvetted === undefined) return ok(undefined);
    const vetted = await this.#options.vet(unvetted.bytes);
    if (vetted.ok) this.#vetted.add(unvetted.digest);
    return vetted;
  }

  /** Whether a release would have to be tried first, which takes as long as compiling does; one that does not verify would not. */
  async needsVetting(envelope: Uint8Array): Promise<boolean> {
    return (await this.#unvetted(envelope)) !== undefined;
  }

  #unvetted(envelope: Uint8Array): Promise<UnvettedSet | undefined> {
    return this.#inTurn(async () => {
      const release = this.#judgeRelease(envelope);
      if (!release.ok || this.#active?.bundle.release.digest === release.value.digest) return undefined;
      return unvettedSet(release.value, this.#staged, this.#vetted);
    });
  }

  #judgeRelease(envelope: Uint8Array): Result<VerifiedRelease, Rejection> {
    const root = this.#root;
    if (root === undefined) return fail(reject('ROOT', 'a release came before a root'));
    const at = this.#signerTime();
    const bundles = new Map([...this.#staged].map(([digest, { verified }]) => [digest, verified]));
    const { receiver } = this.#options;
    const verdict = verifyRelease(envelope, { root, highWater: this.#highWater, at, receiver, revocations: this.#revocations, bundles });
    return verdict.ok ? ok(verdict.value.release) : verdict;
  }

  async #takeRelease(envelope: Uint8Array, { isKept }: { readonly isKept: boolean }): Promise<Result<Verdict, Rejection>> {
    const { vault, clock } = this.#options;
    const judged = this.#judgeRelease(envelope);
    if (!judged.ok) return judged;
    const release = judged.value;
    if (this.#active?.bundle.release.digest === release.digest) return ok('already');
    if (!isKept && unvettedSet(release, this.#staged, this.#vetted) !== undefined)
      return fail(reject('RESOURCE', 'what the release joins was not vetted here'));
    const bundle = trustBundle(release, this.#staged);
    if (!bundle.ok) return bundle;
    // The order is what makes it safe to lose power anywhere: a mark without its release would deny, never go back.
    if (!this.#isLoading) await vault.keepNextRelease(envelope);
    await this.#write(this.#memory, raiseRelease(this.#highWater, { ...release.payload, digest: release.digest }));
    if (!this.#isLoading) await vault.promoteNextRelease();
    const previous = this.#active?.bundle;
    this.#active = { bundle: bundle.value, sinceMs: clock.wall() };
    this.#renew();
    await this.#forgetBundles();
    this.#options.events.activated(bundle.value, previous, {
      freshnessSeq: this.#memory.mark?.number ?? null,
      revocationSeq: this.#revocations.seq,
    });
    return ok('active');
  }

  async #takeStatement({ kind, offer }: KeptStatement): Promise<Result<Verdict, Rejection>> {
    const root = this.#root;
    if (root === undefined) return fail(reject('ROOT', 'a statement came before a root'));
    const verified = verifyStatement({ kind, offer }, { root, online: this.#online });
    if (!verified.ok) return verified;
    const context = { root, highWater: this.#highWater, revocations: this.#revocations, now: this.#now() };
    const admitted = admitStatement(this.#memory, verified.value, context);
    if (!admitted.ok) return admitted;
    if (admitted.value === this.#memory) return ok('already');
    const { digest } = verified.value;
    const statements = stillNeeded([...this.#statements, { kind, offer, digest }], this.#renewed(admitted.value));
    if (!this.#isLoading) await this.#options.vault.keepStatements(statements);
    this.#statements = statements;
    // The mark is on disk before the statement counts: a restart must not be able to hear it for the first time again.
    await this.#write(admitted.value, this.#highWater);
    this.#renew();
    return ok('taken');
  }

  async #takeRevocation(kind: 'revocation' | 'revocation_snapshot', envelope: Uint8Array): Promise<Result<Verdict, Rejection>> {
    const root = this.#root;
    if (root === undefined) return fail(reject('ROOT', 'a revocation came before a root'));
    const at = this.#signerTime();
    const step = (kind === 'revocation' ? applyRevocation : applySnapshot)(this.#revocations, envelope, { root, at });
    if (!step.ok) return step;
    // Denying comes first: the state counts before it is written, and a crash in between is sent the entry again.
    this.#revocations = step.value.state;
    this.#publish();
    if (step.value.kind === 'already') return ok('already');
    if (step.value.kind === 'gap') return ok('held_back');
    const { vault } = this.#options;
    if (!this.#isLoading && kind === 'revocation') await vault.keepRevocation(step.value.state.seq, envelope);
    // On disk it takes the place of what was kept before. One that leaves something of it out counts, and is not kept: after a
    // restart the mark shows a gap, and nothing is fresh until the log has come again.
    if (!this.#isLoading && kind === 'revocation_snapshot' && step.value.isWhole) await vault.keepRevocationSnapshot(envelope);
    await this.#write(this.#memory, this.#highWater);
    this.#renew();
    return ok('taken');
  }

  #renew(): void {
    this.#memory = this.#renewed(this.#memory);
  }

  #renewed(memory: FreshnessMemory): FreshnessMemory {
    const active = this.#active === undefined ? [] : [{ ...placeOf(this.#active.bundle), digest: this.#active.bundle.release.digest }];
    return renewReleases(memory, { active, revocations: this.#revocations });
  }

  /** Memory and mark together: on disk first, then in force. */
  async #write(memory: FreshnessMemory, highWater: HighWater): Promise<void> {
    const raised = raiseRevocation(raiseFreshness(highWater, memory, this.#now()), this.#revocations);
    const asked = this.#memory.challenges;
    if (!this.#isLoading) await this.#options.vault.keepHighWater(encodeHighWater(raised, this.#options.clock.wall()));
    // A question that was opened during the write is newer than this memory, and must not be lost with it.
    const open = this.#memory.challenges.filter((one) => memory.challenges.includes(one) || !asked.includes(one));
    this.#memory = { ...memory, challenges: open };
    this.#highWater = raised;
  }

  /** What nothing needs any more. Not while loading: nothing is written then. */
  async #forgetBundles(): Promise<void> {
    if (this.#isLoading) return;
    const active = this.#active?.bundle.release.bundles.map(({ digest }) => digest) ?? [];
    const kept = keptBundles(this.#staged, active);
    for (const digest of this.#staged.keys()) if (!kept.has(digest)) this.#staged.delete(digest);
    await this.#options.vault.keepOnly(kept);
  }

  #publish(): void {
    const { holder, clock } = this.#options;
    const [root, active] = [this.#root, this.#active];
    const isUnwritten = this.#unwrittenSince !== undefined && clock.boot() - this.#unwrittenSince > UNWRITTEN_MS_MAX;
    if (isUnwritten) holder.explainAbsence('the age of the bundle cannot be written to disk');
    if (isUnwritten || root === undefined || active === undefined) return holder.hold(undefined);
    holder.hold({
      bundle: active.bundle,
      trusted: { root, release: active.bundle.release, memory: this.#memory, revocations: this.#revocations },
      sidecar: this.#options.receiver.identity,
      directory: this.#directory.verified,
    });
  }
}
