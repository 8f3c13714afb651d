/**
 * The receiver's side of trust as the numbered spec tells it, without input or output: what a sidecar's activator does
 * with stream, disk and clock, here with plain values, so that an attack test can play all three.
 */

import { invariant } from '@sallyport/model';
import type { BootMs, Digest, Instant, Result } from '@sallyport/model';
import {
  NO_MEMORY,
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
  followRoot,
  judgeRootMark,
  openChallenge,
  policyState,
  raiseDelegations,
  raiseFreshness,
  raiseOnlineKeys,
  raiseRelease,
  raiseRevocation,
  recallFreshness,
  recallHighWater,
  renewReleases,
  trustOnlineKeys,
  trustRoot,
  verifyExtension,
  verifyFreshness,
  verifyLiveProof,
  verifyRelease,
} from '@sallyport/trust';
import type {
  FreshnessMemory,
  HighWater,
  Now,
  PolicyState,
  Receiver,
  Rejection,
  RevocationState,
  StatementOffer,
  Trusted,
  TrustedOnlineKeys,
  TrustedRoot,
  VerifiedBundle,
  VerifiedRelease,
} from '@sallyport/trust';
import type { PublishedBundle, TrustSimulator } from './trust-simulator.ts';

export interface TrustReceiver {
  readonly identity: string;
  /** Both clocks; a test moves them as it likes. */
  readonly clock: { wall: Instant; boot: BootMs };
  readonly highWater: HighWater;
  readonly memory: FreshnessMemory;
  readonly revocations: RevocationState;
  /** Digest of what is enforced. */
  readonly active: Digest | undefined;
  /** Both clocks forward by the same time. */
  pass(ms: number): void;
  /** As `pass`, second by second, with ages charged and the high-water file written, as a running process does. */
  run(ms: number): void;
  takeRoot(envelope: Uint8Array): Rejection | undefined;
  takeOnlineKeys(envelope: Uint8Array): Rejection | undefined;
  takeBundle(bundle: Pick<PublishedBundle, 'envelope' | 'delegation' | 'parts'>): Rejection | undefined;
  /** Verifies and, unless refused, activates. */
  takeRelease(envelope: Uint8Array): Rejection | undefined;
  takeStatement(offer: StatementOffer): Rejection | undefined;
  takeProof(offer: StatementOffer): Rejection | undefined;
  takeExtension(envelope: Uint8Array): Rejection | undefined;
  takeRevocation(envelope: Uint8Array): Rejection | undefined;
  takeSnapshot(envelope: Uint8Array): Rejection | undefined;
  /** Opens a question for a live proof. */
  ask(): { nonce: Uint8Array; identity: string };
  state(): PolicyState;
  /** The process ends and starts again; what it then reads from disk can be bent by `disk`. */
  restart(disk?: (files: ReceiverFiles) => ReceiverFiles): void;
}

/** What a receiver keeps on disk: exact bytes, verified again on every start. */
export interface ReceiverFiles {
  readonly highWater: Uint8Array | undefined;
  readonly chain: readonly Uint8Array[];
  readonly onlineKeys: Uint8Array | undefined;
  readonly bundles: readonly Pick<PublishedBundle, 'envelope' | 'delegation' | 'parts'>[];
  readonly release: Uint8Array | undefined;
  readonly statements: readonly { readonly kind: 'freshness' | 'proof' | 'extension'; readonly offer: StatementOffer }[];
  readonly revocations: readonly Uint8Array[];
}

export interface TrustReceiverOptions {
  readonly features?: readonly string[];
  readonly receiver?: Partial<Receiver>;
  readonly wall?: Instant;
}

/** A receiver that holds the simulator's present roots and online keys, and has nothing yet. */
export function trustReceiver(simulator: TrustSimulator, { features = [], receiver: own, wall }: TrustReceiverOptions = {}): TrustReceiver {
  const identity = `spiffe://${simulator.trustDomain}/sidecar/support/one`;
  const receiver: Receiver = { area: simulator.area, ring: simulator.ring, identity, ...own };
  const clock = { wall: wall ?? (Date.UTC(2026, 10, 20, 8) as Instant), boot: 1_000_000 as BootMs };
  let files: ReceiverFiles = {
    highWater: undefined,
    chain: simulator.chain,
    onlineKeys: simulator.onlineKeys.envelope,
    bundles: [],
    release: undefined,
    statements: [],
    revocations: [],
  };

  // One writer: the functions below. Everything is replaced, nothing is edited.
  let highWater: HighWater;
  let memory: FreshnessMemory;
  let revocations: RevocationState;
  let root: TrustedRoot;
  let online: TrustedOnlineKeys | undefined;
  let bundles = new Map<Digest, VerifiedBundle>();
  let active: VerifiedRelease | undefined;
  let questions = 0;

  const now = (): Now => ({ wall: clock.wall, boot: clock.boot });
  const at = (): Instant => estimateSignerTime(memory.signerTime, now());
  const refused = (result: Result<unknown, Rejection>): Rejection | undefined => (result.ok ? undefined : result.error);

  function write(): void {
    memory = chargeAges(memory, now());
    highWater = raiseRevocation(raiseFreshness(highWater, memory, now()), revocations);
    files = { ...files, highWater: encodeHighWater(highWater, clock.wall) };
  }

  function renew(): void {
    write();
    const releases = active === undefined ? [] : [{ area: active.area, ring: active.ring, digest: active.digest }];
    memory = renewReleases(memory, { active: releases, revocations });
  }

  function start(): void {
    const recalled = recallHighWater(files.highWater);
    highWater = recalled.highWater;
    memory = recalled.mustProve ? NO_MEMORY : recallFreshness(highWater, now());
    revocations = beginRevocations(highWater.revocation);
    [online, bundles, active] = [undefined, new Map(), undefined];
    const trusted = trustRoot({ pin: simulator.pin, chain: files.chain, allowDevelopmentRoot: true });
    invariant(trusted.ok, `the simulated chain verifies: ${trusted.ok ? '' : trusted.error.detail}`);
    invariant(judgeRootMark(highWater, trusted.value) === undefined, 'the simulated chain reaches the mark');
    root = trusted.value;
    ({ highWater } = adoptRoot({ highWater, memory, revocations }, undefined, root));
    const cached = files;
    for (const revocation of cached.revocations) self.takeRevocation(revocation);
    verifyHeld();
    for (const { kind, offer } of cached.statements) admit(kind, offer);
  }

  function verifyHeld(): void {
    const held = files;
    if (held.onlineKeys !== undefined) self.takeOnlineKeys(held.onlineKeys);
    for (const bundle of held.bundles) self.takeBundle(bundle);
    if (held.release !== undefined) self.takeRelease(held.release);
  }

  function admit(kind: ReceiverFiles['statements'][number]['kind'], offer: StatementOffer): Rejection | undefined {
    invariant(online !== undefined, 'a receiver has online keys before statements');
    const verified =
      kind === 'extension' ? verifyExtension(offer.envelope, root) : (kind === 'proof' ? verifyLiveProof : verifyFreshness)(offer, online);
    if (!verified.ok) return verified.error;
    const admitted = admitStatement(memory, verified.value, { root, highWater, revocations, now: now() });
    if (!admitted.ok) return admitted.error;
    memory = admitted.value;
    files = { ...files, statements: [...files.statements.filter((one) => one.offer.envelope !== offer.envelope), { kind, offer }] };
    renew();
    return undefined;
  }

  const self: TrustReceiver = {
    identity: receiver.identity,
    clock,
    get highWater() {
      return highWater;
    },
    get memory() {
      return memory;
    },
    get revocations() {
      return revocations;
    },
    get active() {
      return active?.digest;
    },
    pass(ms) {
      clock.wall = (clock.wall + ms) as Instant;
      clock.boot = (clock.boot + ms) as BootMs;
    },
    run(ms) {
      for (let left = ms; left > 0; left -= 1_000) {
        self.pass(Math.min(left, 1_000));
        write();
      }
    },
    takeRoot(envelope) {
      const followed = followRoot(root, envelope);
      if (!followed.ok) return followed.error;
      const [previous, next] = [root, followed.value];
      if (previous === next) return undefined;
      ({ highWater, memory, revocations } = adoptRoot({ highWater, memory, revocations }, previous, next));
      root = next;
      files = { ...files, chain: [...files.chain, envelope] };
      // What no longer verifies under the new root is dropped.
      [online, bundles, active] = [undefined, new Map(), undefined];
      verifyHeld();
      renew();
      return undefined;
    },
    takeOnlineKeys(envelope) {
      const trusted = trustOnlineKeys(envelope, { root, highWater });
      if (!trusted.ok) return trusted.error;
      online = trusted.value;
      highWater = raiseOnlineKeys(highWater, online);
      files = { ...files, onlineKeys: envelope };
      return undefined;
    },
    takeBundle(bundle) {
      const context = { root, highWater, at: at(), receiver, features: new Set(features) };
      const manifest = acceptManifest({ bundle: bundle.envelope, delegation: bundle.delegation }, context);
      if (!manifest.ok) return manifest.error;
      const accepted = acceptParts(manifest.value, bundle.parts);
      if (!accepted.ok) return accepted.error;
      bundles.set(accepted.value.digest, accepted.value);
      highWater = raiseDelegations(highWater, [accepted.value.delegation]);
      files = { ...files, bundles: [...files.bundles.filter((one) => one.envelope !== bundle.envelope), bundle] };
      return undefined;
    },
    takeRelease(envelope) {
      const verdict = verifyRelease(envelope, { root, highWater, at: at(), receiver, revocations, bundles });
      if (!verdict.ok) return verdict.error;
      const { release } = verdict.value;
      highWater = raiseRelease(highWater, { ...release.payload, digest: release.digest });
      files = { ...files, release: envelope };
      active = release;
      renew();
      return undefined;
    },
    takeStatement: (offer) => admit('freshness', offer),
    takeProof: (offer) => admit('proof', offer),
    takeExtension: (envelope) => admit('extension', { envelope, entries: [] }),
    takeRevocation(envelope) {
      const applied = applyRevocation(revocations, envelope, { root, at: at() });
      if (!applied.ok) return refused(applied);
      revocations = applied.value.state;
      if (applied.value.kind === 'applied')
        files = { ...files, revocations: [...files.revocations.filter((one) => one !== envelope), envelope] };
      renew();
      return undefined;
    },
    takeSnapshot(envelope) {
      const applied = applySnapshot(revocations, envelope, { root, at: at() });
      if (!applied.ok) return refused(applied);
      revocations = applied.value.state;
      renew();
      return undefined;
    },
    ask() {
      const nonce = new Uint8Array(32).fill(++questions);
      memory = openChallenge(memory, { way: 'sent', nonce, identity: receiver.identity, sentAt: clock.boot });
      return { nonce, identity: receiver.identity };
    },
    state() {
      const trusted: Trusted | undefined = active === undefined ? undefined : { root, release: active, memory, revocations };
      return policyState(trusted, now());
    },
    restart(disk = (same) => same) {
      files = disk(files);
      // Another boot's clock starts somewhere else.
      clock.boot = (clock.boot + 7_000_000) as BootMs;
      start();
    },
  };
  start();
  return self;
}
