/**
 * The policy stream: signed statements down, verdicts up. Identity is the certificate's, area and ring are those of the
 * enrolment; a Hello says only where to begin. Freshness goes to everyone every third of its ttl, and at once after a
 * release or a revocation. docs/spec/control-plane.md section 6.
 */

import type { Beat, ClientMessage, PolicyPlane, ServerMessage } from '@sallyport/contract';
import type { SpiffeId } from '@sallyport/identity';
import { ISOLATIONS, fail, ok } from '@sallyport/model';
import type { Clock, Random, Result } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcStatus, StreamWriter } from '@sallyport/net';
import type { Counter, Log, Metrics } from '@sallyport/telemetry';
import type { AuditService } from '../audit/api.ts';
import type { Authority } from '../authority.ts';
import type { Caller } from '../callers.ts';
import type { Change, Changes } from '../changes.ts';
import type { EnrolmentService } from '../enrolment/api.ts';
import type { IssueProblem, IssuedStatement } from '../freshness/api.ts';
import type { AuthorityChange } from '../live-authority.ts';
import type { Place } from '../publish/api.ts';
import { repeat } from '../repeat.ts';
import type { ProvenCall, ProvenHandlers } from '../rpc.ts';
import { streamLife, untilAborted } from '../until.ts';
import type { StreamLife } from '../until.ts';
import { safeNumber } from '../wire.ts';
import { carriedHandlers } from './carried.ts';
import { getPartHandler } from './get-part.ts';
import { readActive, readHead, readHello } from './hello.ts';
import type { ReadHello } from './hello.ts';
import { directoryMessage, offerBook, proofMessage, reconnectMessage, rootMessage, statementMessage } from './messages.ts';
import type { Message, OfferBook } from './messages.ts';
import { activeAt, isConcerned, judgeBehind, placeName, toldActive, viewOf } from './standing.ts';
import type { PlaceView, Present } from './standing.ts';
import { Subscriber } from './subscriber.ts';
import type { SubscriberSources } from './subscriber.ts';

export interface PolicyPlaneOptions extends Present {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly enrolment: Pick<EnrolmentService, 'placeOf' | 'admit' | 'banned'>;
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

export class PolicyPlaneService {
  readonly #options: PolicyPlaneOptions;
  readonly #unsent: Counter<'code'>;
  // Owner of what follows: this service. One stream per sidecar: a newer one takes the place of the older.
  readonly #subscribers = new Map<SpiffeId, Subscriber>();
  readonly #callers = new Map<SpiffeId, Caller>();
  /** What each place with sidecars should hold, read once however many they are, and again at every change. */
  readonly #views = new Map<string, PlaceView>();
  /** The views may be older than what was committed. */
  #isDirty = false;
  /** Changes and statements, one after the other: what is sent first was current first. */
  #turn: Promise<void> = Promise.resolve();
  #last: IssuedStatement | undefined;
  #book: OfferBook;
  readonly handlers: ProvenHandlers<typeof PolicyPlane>;

  constructor(options: PolicyPlaneOptions) {
    const { metrics, objects, publish, enrolment, directory, limits } = options;
    this.#options = options;
    this.#book = offerBook(options.random);
    this.#unsent = metrics.counter({
      name: 'sallyport_statements_not_issued_total',
      help: 'Times that no freshness could be issued',
      labels: ['code'],
    });
    metrics.gaugeFrom({ name: 'sallyport_subscribers', help: 'Policy streams that have said Hello' }, () => this.#subscribers.size);
    options.changes.listen((change) => void this.#inTurn(async () => this.#onChange(change)));
    this.handlers = {
      subscribe: async (incoming, out, call) => this.#subscribe(incoming, out, call),
      getPart: getPartHandler({ objects, publish, enrolment, directory, partStreamsMax: limits.partStreamsMax }),
      ...carriedHandlers({ ...options, onUnissued: (problem) => this.#unissued(problem) }),
    };
  }

  /** Sends freshness to everyone every third of the ttl, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, freshnessTtlMs } = this.#options;
    const act = async (): Promise<void> => this.#inTurn(async () => this.#beat());
    // One that goes wrong must not be the last: without freshness the fleet stops.
    const onFailure = (error: unknown): void => log.error('freshness.not_sent', {}, error);
    await repeat(clock, { everyMs: Math.floor(freshnessTtlMs / STATEMENTS_PER_TTL), act, onFailure, signal });
  }

  /** Whatever goes wrong is told, and keeps nobody behind it from their turn. */
  async #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch((error: unknown) => this.#options.log.error('policy_plane.turn_failed', {}, error));
    return this.#turn;
  }

  async #beat(): Promise<void> {
    await this.#sendOffRevoked();
    if (this.#isDirty) await this.#renew({ isAttested: true });
    else await this.#broadcast();
  }

  /** Not at once: an honest sidecar is told first that it is revoked, and refuses everything itself. It finds no way back in. */
  async #sendOffRevoked(): Promise<void> {
    for (const spiffeId of await this.#options.enrolment.banned([...this.#callers.values()]))
      this.#subscribers.get(spiffeId)?.reconnect('this identity is revoked');
  }

  async #broadcast(onlineKeys?: Uint8Array): Promise<void> {
    const issued = await this.#options.freshness.state();
    if (!issued.ok) {
      this.#unissued(issued.error);
      return;
    }
    this.#last = issued.value;
    const messages = new Map<string, Message>();
    for (const subscriber of this.#streams()) {
      const name = placeName(subscriber.place);
      const message = messages.get(name) ?? statementMessage(issued.value, subscriber.place, onlineKeys);
      messages.set(name, message);
      subscriber.send(message);
    }
  }

  async #onChange(change: Change): Promise<void> {
    this.#isDirty = true;
    if (change.kind === 'authority') return this.#onAuthority(change.change);
    if (change.kind === 'directory') return this.#tellDirectory(this.#streams());
    // Revocations are ahead of everything, also of what has to be read first.
    if (change.kind === 'elsewhere') await this.#options.revocation.refresh();
    if (change.kind === 'revocation' || change.kind === 'elsewhere')
      await Promise.all(this.#streams().map(async (subscriber) => this.#tellRevocations(subscriber)));
    // A statement counts only once the revocations that it attests have been applied.
    await this.#renew({ isAttested: change.kind === 'release' || change.kind === 'revocation' || change.kind === 'elsewhere' });
    if (change.kind === 'revocation') return;
    if (change.kind === 'elsewhere' && (await this.#options.directory.refresh())) this.#tellDirectory(this.#streams());
    for (const subscriber of this.#streams()) if (isConcerned(change, subscriber.place)) subscriber.offerNext();
  }

  /** A sidecar that cannot be told is not kept waiting: it comes again, and is fresh no longer than its ttl. */
  async #tellRevocations(subscriber: Subscriber): Promise<void> {
    try {
      await subscriber.sendRevocations();
    } catch (error) {
      this.#options.log.error('revocations.not_sent', { identity: subscriber.spiffeId }, error);
      subscriber.reconnect('revocations cannot be read');
    }
  }

  /**
   * Reads what is current and makes it what is offered. The statement that names a release comes before it, and is held:
   * what becomes active is fresh at that very moment. The other way round every call in between would find policy that
   * nothing vouches for yet. A verdict that comes meanwhile goes by what was offered before.
   */
  async #renew({ isAttested }: { readonly isAttested: boolean }): Promise<void> {
    const views = await this.#readViews();
    const isNew = Array.from(views).some(([name, view]) => releaseIn(view) !== releaseIn(this.#views.get(name)));
    if (isAttested || isNew) await this.#broadcast();
    this.#views.clear();
    for (const [name, view] of views) this.#views.set(name, view);
    this.#isDirty = false;
    // Who joined meanwhile may be the first of its place.
    const late = this.#streams().filter(({ place }) => !this.#views.has(placeName(place)));
    if (late.length === 0) return;
    await this.#renew({ isAttested: true });
    for (const subscriber of late) subscriber.offerNext();
  }

  async #readViews(): Promise<ReadonlyMap<string, PlaceView>> {
    const places = new Map(this.#streams().map(({ place }) => [placeName(place), place]));
    const of = { present: this.#options, book: this.#book };
    return this.#options.database.read(async (tx) => {
      const read = new Map<string, PlaceView>();
      for (const [name, place] of places) read.set(name, await viewOf(tx, place, of));
      return read;
    });
  }

  /** In turn, so that no change passes it by. */
  async #requireView(place: Place): Promise<void> {
    if (this.#views.has(placeName(place))) return;
    await this.#inTurn(async () => {
      const of = { present: this.#options, book: this.#book };
      const view = await this.#options.database.read(async (tx) => viewOf(tx, place, of));
      this.#views.set(placeName(place), view);
    });
  }

  /** Under another root everything is verified anew, so everybody begins anew; newer keys and delegations travel on the stream. */
  async #onAuthority({ root, delegations, onlineKeys }: AuthorityChange): Promise<void> {
    // Offers carry the delegation that they were made with.
    if (delegations || root) this.#book = offerBook(this.#options.random);
    if (root) for (const subscriber of this.#streams()) subscriber.reconnect('there is a new root');
    await this.#renew({ isAttested: false });
    if (onlineKeys && !root) await this.#broadcast(this.#options.authority.onlineKeys.envelope);
  }

  /** What a greeting hangs on. */
  #inForce(): string {
    const { root, onlineKeys } = this.#options.authority;
    return `${root.digest} ${onlineKeys.trusted.digest}`;
  }

  /** Encoded once, however many hear it. */
  #tellDirectory(subscribers: readonly Subscriber[]): void {
    const said = this.#options.directory.head();
    const message = said === undefined ? undefined : directoryMessage(said.envelope);
    if (message !== undefined) for (const subscriber of subscribers) subscriber.send(message);
  }

  /** A copy: sending can end a stream, which takes it out. */
  #streams(): readonly Subscriber[] {
    return Array.from(this.#subscribers.values());
  }

  #unissued({ code, detail }: IssueProblem): void {
    this.#unsent.add({ code });
    this.#options.log.error('freshness.not_issued', { code, detail });
  }

  async #subscribe(
    incoming: AsyncIterable<ClientMessage>,
    out: StreamWriter<ServerMessage>,
    call: ProvenCall,
  ): Promise<Result<void, GrpcStatus>> {
    const { clock, enrolment, limits, draining } = this.#options;
    const { notAfter } = call.caller;
    const admitted = await enrolment.admit(call.caller);
    if (!admitted.ok) return admitted;
    const place = admitted.value;
    if (this.#subscribers.size >= limits.subscribersMax) return fail(grpcStatus('resource_exhausted', 'too many policy streams'));
    const life = streamLife({ clock, notAfter, call: call.signal, draining });
    const waiting = new AbortController();
    clock.timer(limits.helloWaitMsMax, () => life.end(), { signal: waiting.signal });
    let subscriber: Subscriber | undefined;
    try {
      for await (const { message } of untilAborted(incoming, life.signal)) {
        if (subscriber !== undefined) {
          if (!(await this.#hear(message, subscriber))) return fail(grpcStatus('invalid_argument', 'the message does not fit the stream'));
          continue;
        }
        waiting.abort();
        const begun = await this.#begin(message, { call, place, out, life });
        if (begun === undefined || !begun.ok) return begun ?? ok(undefined);
        subscriber = begun.value;
      }
      if (subscriber === undefined && life.reason === 'ended') return fail(grpcStatus('deadline_exceeded', 'a stream begins with Hello'));
      if (life.reason === 'draining' || life.reason === 'certificate') subscriber?.reconnect(life.reason);
      return ok(undefined);
    } finally {
      waiting.abort();
      life.clear();
      if (subscriber !== undefined) this.#end(subscriber);
    }
  }

  /** Answers a Hello; `undefined` where the sidecar was sent away. */
  async #begin(message: ClientMessage['message'], stream: Stream): Promise<Result<Subscriber, GrpcStatus> | undefined> {
    const { audit, database, freshness } = this.#options;
    const { spiffeId } = stream.call.caller;
    const hello = message.case === 'hello' ? readHello(message.value) : fail('a stream begins with Hello');
    if (!hello.ok) return fail(grpcStatus('invalid_argument', hello.error));
    const { place } = stream;
    const behind = await database.read(async (tx) => judgeBehind(tx, { hello: hello.value, place, present: this.#options }));
    if (behind !== undefined) {
      await this.#sendAway(behind, hello.value, stream);
      return undefined;
    }
    audit.noteContact(spiffeId);
    if (hello.value.auditHead !== undefined) await audit.noteHead(spiffeId, hello.value.auditHead);
    const inForce = this.#inForce();
    // Before the proof, which then attests all that is offered.
    await this.#requireView(place);
    const proof = await freshness.prove({ nonce: hello.value.nonce, identity: spiffeId });
    if (!proof.ok) {
      this.#unissued(proof.error);
      return fail(grpcStatus('unavailable', 'no freshness can be issued now'));
    }
    const subscriber = this.#greet(hello.value, proof.value, stream);
    await this.#tellRevocations(subscriber);
    // Replaced while it was being greeted: whoever is told of that now, it is not among them.
    if (this.#inForce() !== inForce) subscriber.reconnect('the signed files have changed');
    if (stream.life.signal.aborted || subscriber.ended.aborted) return fail(grpcStatus('unavailable', 'connect again'));
    this.#join(subscriber, hello.value, { ...stream, proof: proof.value });
    return ok(subscriber);
  }

  /** Nothing that hangs on a root comes before it: roots, then the proof under the newest, then what the proof attests. */
  #greet(hello: ReadHello, proof: IssuedStatement, { call, place, out }: Stream): Subscriber {
    const { clock, authority, limits } = this.#options;
    const { spiffeId } = call.caller;
    const subscriber = new Subscriber({
      spiffeId,
      place,
      out,
      clock,
      sources: this.#sourcesOf(spiffeId, place),
      revocationSeq: hello.revocationSeq,
      verdictWaitMsMax: limits.verdictWaitMsMax,
      active: activeAt(hello.held, place)?.release,
    });
    for (const root of rootsAfter(hello, authority)) subscriber.send(root);
    subscriber.send(proofMessage(proof, place, authority.onlineKeys.envelope));
    return subscriber;
  }

  /** From here on the sidecar is one of those who get everything. */
  #join(subscriber: Subscriber, hello: ReadHello, { call, place, life, proof }: Stream & { readonly proof: IssuedStatement }): void {
    const { fleet } = this.#options;
    const { spiffeId, purpose } = call.caller;
    this.#subscribers.get(spiffeId)?.reconnect('another stream of this identity has begun');
    this.#subscribers.set(spiffeId, subscriber);
    this.#callers.set(spiffeId, call.caller);
    const named = purpose.kind === 'sidecar' ? { agent: purpose.agent, instance: purpose.instance } : { agent: '-', instance: '-' };
    fleet.connect({ spiffeId, ...named, ...place });
    const { build, isolation, freshnessSeq, revocationSeq } = hello;
    fleet.tell(spiffeId, { build, isolation, freshnessSeq, revocationSeq, ...toldActive(hello.held, place) });
    if (subscriber.ended.aborted) life.end();
    else subscriber.ended.addEventListener('abort', () => life.end(), { once: true });
    // What was revoked while it was being greeted nobody has told it.
    void this.#tellRevocations(subscriber);
    this.#tellDirectory([subscriber]);
    // A statement that was issued while the proof was being made names what the proof could not.
    if (this.#last !== undefined && this.#last.seq > proof.seq) subscriber.send(statementMessage(this.#last, place));
    if (this.#views.has(placeName(place))) {
      subscriber.offerNext();
      return;
    }
    // Its place was without sidecars at a change in between.
    void this.#inTurn(async () => {
      await this.#renew({ isAttested: true });
      subscriber.offerNext();
    });
  }

  #end(subscriber: Subscriber): void {
    subscriber.stop();
    const { spiffeId } = subscriber;
    // A newer stream of the same sidecar may have taken its place.
    if (this.#subscribers.get(spiffeId) !== subscriber) return;
    this.#subscribers.delete(spiffeId);
    this.#callers.delete(spiffeId);
    this.#options.fleet.disconnect(spiffeId);
  }

  /** Attack, or a database restored from a backup: what is behind the sidecar must not issue anything to it. */
  async #sendAway(behind: string, hello: ReadHello, { call, out }: Stream): Promise<void> {
    const { spiffeId } = call.caller;
    // A root that replaces the keys which counted so far makes it begin anew: that is how a stolen key is undone.
    const roots = rootsAfter(hello, this.#options.authority);
    for (const root of roots) out.write(root, { priority: false });
    const detail = `it holds ${behind}, which this control plane does not know: was its state lost, or restored from a backup?`;
    this.#options.log.error('sidecar.ahead', { identity: spiffeId, detail });
    await this.#options.audit.alert({ code: 'BEHIND', subject: null, detail: `\`${spiffeId}\` holds ${behind}`, source: spiffeId });
    const reason = 'this replica is behind';
    out.write(reconnectMessage({ afterMs: BEHIND_AFTER_MS, jitterMs: BEHIND_JITTER_MS, reason }), { priority: roots.length === 0 });
  }

  /** False for a message that ends the stream. */
  async #hear(message: ClientMessage['message'], subscriber: Subscriber): Promise<boolean> {
    this.#options.audit.noteContact(subscriber.spiffeId);
    switch (message.case) {
      case 'verdict': {
        const isFine = subscriber.verdict(message.value);
        this.#options.fleet.tell(subscriber.spiffeId, toldActive(readActive(message.value), subscriber.place));
        return isFine;
      }
      case 'beat':
        await this.#hearBeat(message.value, subscriber);
        return true;
      // A second Hello would ask for a proof over a nonce that this stream has no question for.
      case 'hello':
      case undefined:
        return false;
    }
  }

  async #hearBeat(beat: Beat, { spiffeId, place }: Subscriber): Promise<void> {
    const head = readHead(beat.auditHead);
    this.#options.fleet.tell(spiffeId, {
      freshnessSeq: safeNumber(beat.freshnessSeq) ?? 0,
      revocationSeq: safeNumber(beat.revocationSeq) ?? 0,
      policyAgeMs: safeNumber(beat.policyAgeMs) ?? 0,
      state: beat.state,
      // Sidecars of before say it in their Hello alone.
      ...(ISOLATIONS.some((word) => word === beat.isolation) ? { isolation: beat.isolation } : {}),
      ...toldActive(readActive(beat), place),
      ...(head === undefined ? {} : { auditStream: head.stream, auditHeadSeq: head.seq }),
    });
    if (head !== undefined) await this.#options.audit.noteHead(spiffeId, head);
  }

  #sourcesOf(spiffeId: SpiffeId, place: Place): SubscriberSources {
    const { revocation, fleet, log } = this.#options;
    return {
      wanted: () => this.#views.get(placeName(place))?.wanted ?? [],
      offer: ({ digest }) => this.#views.get(placeName(place))?.offers.get(digest),
      revocationsAfter: async (seq, limit) => revocation.after(seq, limit),
      snapshot: () => revocation.snapshot(),
      answered: (bundle, isStaged) => fleet.answered(spiffeId, bundle, isStaged),
      activated: () => fleet.tell(spiffeId, { lastRejection: '' }),
      rejected: ({ kind, digest }, detail) => {
        fleet.tell(spiffeId, { lastRejection: `${kind} ${digest}: ${detail}` });
        log.warn('offer.rejected', { identity: spiffeId, digest, detail });
      },
    };
  }
}

function rootsAfter({ rootNumber }: ReadHello, { rootEnvelopes }: Authority): readonly Message[] {
  return rootEnvelopes.slice(rootNumber).map(rootMessage);
}

/** A stream that has not said Hello yet. */
interface Stream {
  readonly call: ProvenCall;
  readonly place: Place;
  readonly out: StreamWriter<ServerMessage>;
  readonly life: StreamLife;
}

/** The release that a place should enforce. */
function releaseIn(view: PlaceView | undefined): string | undefined {
  return view?.wanted.find(({ kind }) => kind === 'release')?.digest;
}
