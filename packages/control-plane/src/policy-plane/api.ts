/**
 * The policy stream: signed statements down, verdicts up. Identity is the certificate's, area and ring are those of the
 * enrolment; a Hello says only where to begin. Freshness goes to everyone every third of its ttl, and at once after a
 * release or a revocation. docs/spec/control-plane.md section 6.
 */

import type { Beat, ClientMessage, PolicyPlane, ServerMessage, Verdict } from '@sallyport/contract';
import type { SpiffeId } from '@sallyport/identity';
import { fail, ok } from '@sallyport/model';
import type { Clock, Random, Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus, StreamWriter } from '@sallyport/net';
import { delay } from '@sallyport/runtime';
import type { Log, Metrics } from '@sallyport/telemetry';
import type { AuditService } from '../audit/api.ts';
import type { Authority } from '../authority.ts';
import type { Change, Changes } from '../changes.ts';
import type { EnrolmentService } from '../enrolment/api.ts';
import type { Fleet } from '../fleet/api.ts';
import type { FreshnessService, IssuedStatement } from '../freshness/api.ts';
import type { Objects } from '../objects/api.ts';
import type { Place, PublishService } from '../publish/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenCall, ProvenHandlers } from '../rpc.ts';
import { streamLife, untilAborted } from '../until.ts';
import type { StreamLife } from '../until.ts';
import { safeNumber } from '../wire.ts';
import { getPartHandler } from './get-part.ts';
import { readActive, readHead, readHello } from './hello.ts';
import type { ReadHello, ToldRelease } from './hello.ts';
import { offerBook, proofMessage, reconnectMessage, rootMessage, statementMessage } from './messages.ts';
import type { Message } from './messages.ts';
import { createSubscriber } from './subscriber.ts';
import type { Subscriber, SubscriberSources, Wanted } from './subscriber.ts';

export interface PolicyPlaneService {
  readonly handlers: ProvenHandlers<typeof PolicyPlane>;
  /** Sends freshness until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface PolicyPlaneOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly authority: Authority;
  readonly objects: Objects;
  readonly publish: PublishService;
  readonly revocation: RevocationService;
  readonly freshness: FreshnessService;
  readonly fleet: Fleet;
  readonly enrolment: Pick<EnrolmentService, 'placeOf'>;
  readonly audit: Pick<AuditService, 'alert' | 'noteHead' | 'noteContact'>;
  readonly changes: Changes;
  readonly draining: AbortSignal;
  readonly freshnessTtlMs: number;
  readonly limits: {
    readonly subscribersMax: number;
    readonly helloWaitMsMax: number;
    readonly verdictWaitMsMax: number;
    readonly partStreamsMax: number;
  };
}

/** A third of the ttl: two statements may be lost before anybody goes stale. */
const STATEMENTS_PER_TTL = 3;
const BEHIND_AFTER_MS = 1_000;
const BEHIND_JITTER_MS = 4_000;

export function createPolicyPlane(options: PolicyPlaneOptions): PolicyPlaneService {
  const { clock, log, metrics, publish, revocation, freshness, fleet } = options;
  const roots = options.authority.rootEnvelopes.map(rootMessage);
  const book = offerBook(options.random);
  // Owner: this service. One stream per sidecar: a newer one takes the place of the older. `wanted` is what each place
  // should hold, worked out once however many sidecars it has, and forgotten at every change.
  const subscribers = new Map<SpiffeId, Subscriber>();
  const wanted = new Map<string, readonly Wanted[]>();
  let last: IssuedStatement | undefined;
  metrics.gaugeFrom({ name: 'sallyport_subscribers', help: 'Policy streams that have said Hello' }, () => subscribers.size);
  const unsent = metrics.counter({ name: 'sallyport_statements_not_issued_total', help: 'Times that no freshness could be issued', labels: ['code'] });

  const broadcast = (): void => {
    const issued = freshness.state();
    if (!issued.ok) {
      unsent.add({ code: issued.error.code });
      log.error('freshness.not_issued', { code: issued.error.code, detail: issued.error.detail });
      return;
    }
    last = issued.value;
    const messages = new Map<string, Message>();
    for (const subscriber of [...subscribers.values()]) {
      const name = placeName(subscriber.place);
      const message = messages.get(name) ?? statementMessage(issued.value, subscriber.place);
      messages.set(name, message);
      subscriber.send(message);
    }
  };

  const onChange = (change: Change): void => {
    wanted.clear();
    for (const subscriber of [...subscribers.values()]) {
      if (change.kind === 'revocation') subscriber.sendRevocations();
      else if (isConcerned(change, subscriber.place)) subscriber.offerNext();
    }
    // The release is offered first: a statement renews only what is active where it arrives.
    if (change.kind === 'release' || change.kind === 'revocation') broadcast();
  };
  options.changes.listen(onChange);

  const sourcesOf = (spiffeId: SpiffeId, place: Place): SubscriberSources => ({
    wanted() {
      const known = wanted.get(placeName(place)) ?? wantedAt(place, { publish, fleet });
      wanted.set(placeName(place), known);
      return known;
    },
    offer: (one) => (one.kind === 'bundle' ? bundleOffer(one, options, book) : releaseOffer(one, options, book)),
    revocationsAfter: revocation.after,
    snapshot: revocation.snapshot,
    answered: (bundle, isStaged) => fleet.answered(spiffeId, bundle, isStaged),
    rejected(what, detail) {
      fleet.tell(spiffeId, { lastRejection: `${what.kind} ${what.digest}: ${detail}` });
      log.warn('offer.rejected', { identity: spiffeId, digest: what.digest, detail });
    },
  });

  const begin = async (hello: ReadHello, of: { call: ProvenCall; place: Place; out: StreamWriter<ServerMessage>; life: StreamLife }): Promise<Result<Subscriber, GrpcStatus>> => {
    const { call, place, out, life } = of;
    const { spiffeId, purpose } = call.caller;
    const proof = await freshness.prove({ nonce: hello.nonce, identity: spiffeId });
    if (!proof.ok) {
      unsent.add({ code: proof.error.code });
      log.error('proof.not_issued', { code: proof.error.code, detail: proof.error.detail, identity: spiffeId });
      return fail(grpcStatus('unavailable', 'no freshness can be issued now'));
    }
    if (life.signal.aborted) return fail(grpcStatus('unavailable', 'connect again'));
    subscribers.get(spiffeId)?.reconnect('another stream of this identity has begun');
    const subscriber = createSubscriber({
      spiffeId,
      place,
      out,
      clock,
      sources: sourcesOf(spiffeId, place),
      revocationSeq: hello.revocationSeq,
      verdictWaitMsMax: options.limits.verdictWaitMsMax,
      active: activeAt(hello.held, place)?.release,
    });
    // Before anything that hangs on them: roots, then the proof under the newest, then what it attests.
    for (const root of roots.slice(hello.rootNumber)) subscriber.send(root);
    subscriber.send(proofMessage(proof.value, place, options.authority.onlineKeys.envelope));
    subscribers.set(spiffeId, subscriber);
    fleet.connect({ spiffeId, agent: purpose.kind === 'sidecar' ? purpose.agent : '-', instance: purpose.kind === 'sidecar' ? purpose.instance : '-', ...place });
    fleet.tell(spiffeId, { build: hello.build, isolation: hello.isolation, freshnessSeq: hello.freshnessSeq, revocationSeq: hello.revocationSeq, ...toldActive(hello.held, place) });
    subscriber.sendRevocations();
    subscriber.offerNext();
    // A statement that was issued while the proof was being made names what the proof could not.
    if (last !== undefined && last.seq > proof.value.seq) subscriber.send(statementMessage(last, place));
    return ok(subscriber);
  };

  const hear = async (message: ClientMessage['message'], subscriber: Subscriber): Promise<boolean> => {
    const { spiffeId, place } = subscriber;
    options.audit.noteContact(spiffeId);
    switch (message.case) {
      case 'verdict':
        return hearVerdict(message.value, subscriber);
      case 'beat':
        await hearBeat(message.value, { spiffeId, place });
        return true;
      // A second Hello would ask for a proof over a nonce that this stream has no question for.
      case 'hello':
      case undefined:
        return false;
    }
  };

  const hearVerdict = (verdict: Verdict, subscriber: Subscriber): boolean => {
    const isFine = subscriber.verdict(verdict);
    fleet.tell(subscriber.spiffeId, toldActive(readActive(verdict), subscriber.place));
    return isFine;
  };

  const hearBeat = async (beat: Beat, { spiffeId, place }: { spiffeId: SpiffeId; place: Place }): Promise<void> => {
    const head = readHead(beat.auditHead);
    fleet.tell(spiffeId, {
      freshnessSeq: safeNumber(beat.freshnessSeq) ?? 0,
      revocationSeq: safeNumber(beat.revocationSeq) ?? 0,
      policyAgeMs: safeNumber(beat.policyAgeMs) ?? 0,
      state: beat.state,
      ...toldActive(readActive(beat), place),
      ...(head === undefined ? {} : { auditStream: head.stream, auditHeadSeq: head.seq }),
    });
    if (head !== undefined) await options.audit.noteHead(spiffeId, head);
  };

  const subscribe = async (
    incoming: AsyncIterable<ClientMessage>,
    out: StreamWriter<ServerMessage>,
    call: ProvenCall,
  ): Promise<Result<void, GrpcStatus>> => {
    const { spiffeId, notAfter } = call.caller;
    const place = options.enrolment.placeOf(spiffeId);
    if (place === undefined) return fail(grpcStatus('permission_denied', 'this identity was not enrolled here'));
    if (subscribers.size >= options.limits.subscribersMax) return fail(grpcStatus('resource_exhausted', 'too many policy streams'));
    const life = streamLife({ clock, notAfter, call: call.signal, draining: options.draining });
    const waiting = new AbortController();
    clock.timer(options.limits.helloWaitMsMax, () => life.end(), { signal: waiting.signal });
    let subscriber: Subscriber | undefined;
    try {
      for await (const { message } of untilAborted(incoming, life.signal)) {
        if (subscriber !== undefined) {
          if (!(await hear(message, subscriber))) return fail(grpcStatus('invalid_argument', 'the message does not fit the stream'));
          continue;
        }
        waiting.abort();
        const hello = message.case === 'hello' ? readHello(message.value) : fail('a stream begins with Hello');
        if (!hello.ok) return fail(grpcStatus('invalid_argument', hello.error));
        const behind = judgeBehind(hello.value, place, options);
        if (behind !== undefined) return await sendAway(behind, { out, spiffeId });
        if (hello.value.auditHead !== undefined) await options.audit.noteHead(spiffeId, hello.value.auditHead);
        options.audit.noteContact(spiffeId);
        const begun = await begin(hello.value, { call, place, out, life });
        if (!begun.ok) return begun;
        subscriber = begun.value;
        subscriber.ended.addEventListener('abort', () => life.end(), { once: true });
        if (subscriber.ended.aborted) life.end();
      }
      if (subscriber === undefined && life.reason === 'ended') return fail(grpcStatus('deadline_exceeded', 'a stream begins with Hello'));
      if (life.reason === 'draining' || life.reason === 'certificate') subscriber?.reconnect(life.reason);
      return ok(undefined);
    } finally {
      waiting.abort();
      life.clear();
      subscriber?.stop();
      if (subscriber !== undefined && subscribers.get(spiffeId) === subscriber) {
        subscribers.delete(spiffeId);
        fleet.disconnect(spiffeId);
      }
    }
  };

  /** Attack, or a database restored from a backup: what is behind the sidecar must not issue anything to it. */
  const sendAway = async (behind: string, { out, spiffeId }: { out: StreamWriter<ServerMessage>; spiffeId: SpiffeId }): Promise<Result<void, GrpcStatus>> => {
    await options.audit.alert({ code: 'BEHIND', subject: null, detail: `\`${spiffeId}\` holds ${behind}`, source: spiffeId });
    out.write(reconnectMessage({ afterMs: BEHIND_AFTER_MS, jitterMs: BEHIND_JITTER_MS, reason: 'this replica is behind' }), { priority: true });
    return ok(undefined);
  };

  return {
    handlers: {
      subscribe,
      getPart: getPartHandler({ objects: options.objects, publish, enrolment: options.enrolment, partStreamsMax: options.limits.partStreamsMax }),
    },
    async run(signal) {
      const everyMs = Math.floor(options.freshnessTtlMs / STATEMENTS_PER_TTL);
      do broadcast();
      while (await delay(clock, everyMs, { signal }));
    },
  };
}

const placeName = ({ area, ring }: Place): string => `${area} ${ring}`;

function isConcerned(change: Exclude<Change, { kind: 'revocation' }>, place: Place): boolean {
  // A bundle of a broader area concerns the places below it once a release joins it: then the release says so.
  return change.area === place.area && (change.kind === 'bundle' || change.ring === place.ring);
}

/** What a sidecar of this place should hold, most wanted first. */
function wantedAt(place: Place, { publish, fleet }: { readonly publish: PublishService; readonly fleet: Fleet }): readonly Wanted[] {
  const release = publish.currentRelease(place);
  const newest = publish.newestBundle(place.area);
  const bundles = release?.bundles.map(({ digest }) => digest) ?? [];
  const staged = [...fleet.wished(place), ...(newest === undefined ? [] : [newest.digest]), ...(release?.fallbacks ?? [])];
  return [
    ...bundles.map((digest): Wanted => ({ kind: 'bundle', digest })),
    ...(release === undefined ? [] : [{ kind: 'release', digest: release.digest, bundles } as const]),
    ...staged.filter((digest) => publish.bundle(digest) !== undefined).map((digest): Wanted => ({ kind: 'bundle', digest })),
  ];
}

function bundleOffer({ digest }: Wanted, { publish, objects, authority }: PolicyPlaneOptions, book: ReturnType<typeof offerBook>): ReturnType<typeof book.bundle> {
  return book.bundle(digest, () => {
    const bundle = publish.bundle(digest);
    const delegation = bundle === undefined ? undefined : authority.delegations.get(bundle.area)?.envelope;
    const envelope = bundle === undefined ? undefined : objects.read(bundle.envelope);
    return envelope?.ok === true && delegation !== undefined ? { envelope: envelope.value, delegation } : undefined;
  });
}

function releaseOffer({ digest }: Wanted, { publish, objects }: PolicyPlaneOptions, book: ReturnType<typeof offerBook>): ReturnType<typeof book.release> {
  return book.release(digest, () => {
    const release = publish.release(digest);
    const envelope = release === undefined ? undefined : objects.read(release.envelope);
    return envelope?.ok === true ? envelope.value : undefined;
  });
}

/** In what this process is behind the sidecar, if in anything. */
function judgeBehind(hello: ReadHello, place: Place, { authority, freshness, revocation, publish }: PolicyPlaneOptions): string | undefined {
  if (hello.rootNumber > authority.root.number) return `root ${hello.rootNumber}`;
  if (hello.freshnessSeq > freshness.lastSeq()) return `statement ${hello.freshnessSeq}`;
  if (hello.revocationSeq > revocation.head().seq) return `revocation ${hello.revocationSeq}`;
  const held = activeAt(hello.held, place);
  const current = publish.currentRelease(place);
  if (held === undefined || held.releaseSeq < (current?.releaseSeq ?? 0)) return undefined;
  const isSame = current !== undefined && held.releaseSeq === current.releaseSeq && held.release === current.digest;
  return isSame ? undefined : `release ${held.releaseSeq} \`${held.release}\``;
}

function activeAt(held: readonly ToldRelease[], { area, ring }: Place): ToldRelease | undefined {
  return held.find((release) => release.area === area && release.ring === ring);
}

function toldActive(held: readonly ToldRelease[], place: Place): { readonly activeReleaseSeq: number; readonly activeRelease: string } {
  const active = activeAt(held, place);
  return { activeReleaseSeq: active?.releaseSeq ?? 0, activeRelease: active?.release ?? '' };
}
