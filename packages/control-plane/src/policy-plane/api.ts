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
import type { Change, Changes } from '../changes.ts';
import type { EnrolmentService } from '../enrolment/api.ts';
import type { IssueProblem, IssuedStatement } from '../freshness/api.ts';
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
import { offerBook, proofMessage, reconnectMessage, rootMessage, statementMessage } from './messages.ts';
import type { Message, OfferBook } from './messages.ts';
import { activeAt, isConcerned, judgeBehind, offerOf, placeName, toldActive, wantedAt } from './standing.ts';
import type { Present } from './standing.ts';
import { Subscriber } from './subscriber.ts';
import type { SubscriberSources, Wanted } from './subscriber.ts';

export interface PolicyPlaneOptions extends Present {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
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

export class PolicyPlaneService {
  readonly #options: PolicyPlaneOptions;
  readonly #roots: readonly Message[];
  readonly #book: OfferBook;
  readonly #unsent: Counter<'code'>;
  // Owner of what follows: this service. One stream per sidecar: a newer one takes the place of the older.
  readonly #subscribers = new Map<SpiffeId, Subscriber>();
  /** What each place should hold, worked out once however many sidecars it has, and forgotten at every change. */
  readonly #wanted = new Map<string, readonly Wanted[]>();
  #last: IssuedStatement | undefined;
  readonly handlers: ProvenHandlers<typeof PolicyPlane>;

  constructor(options: PolicyPlaneOptions) {
    const { metrics, objects, publish, enrolment, limits } = options;
    this.#options = options;
    this.#roots = options.authority.rootEnvelopes.map(rootMessage);
    this.#book = offerBook(options.random);
    this.#unsent = metrics.counter({
      name: 'sallyport_statements_not_issued_total',
      help: 'Times that no freshness could be issued',
      labels: ['code'],
    });
    metrics.gaugeFrom({ name: 'sallyport_subscribers', help: 'Policy streams that have said Hello' }, () => this.#subscribers.size);
    options.changes.listen((change) => this.#onChange(change));
    this.handlers = {
      subscribe: async (incoming, out, call) => this.#subscribe(incoming, out, call),
      getPart: getPartHandler({ objects, publish, enrolment, partStreamsMax: limits.partStreamsMax }),
      ...carriedHandlers({ ...options, onUnissued: (problem) => this.#unissued(problem) }),
    };
  }

  /** Sends freshness to everyone every third of the ttl, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, freshnessTtlMs } = this.#options;
    const act = (): void => this.#broadcast();
    // One that goes wrong must not be the last: without freshness the fleet stops.
    const onFailure = (error: unknown): void => log.error('freshness.not_sent', {}, error);
    await repeat(clock, { everyMs: Math.floor(freshnessTtlMs / STATEMENTS_PER_TTL), act, onFailure, signal });
  }

  #broadcast(): void {
    const issued = this.#options.freshness.state();
    if (!issued.ok) {
      this.#unissued(issued.error);
      return;
    }
    this.#last = issued.value;
    const messages = new Map<string, Message>();
    for (const subscriber of this.#streams()) {
      const name = placeName(subscriber.place);
      const message = messages.get(name) ?? statementMessage(issued.value, subscriber.place);
      messages.set(name, message);
      subscriber.send(message);
    }
  }

  #onChange(change: Change): void {
    this.#wanted.clear();
    // The statement that names a release comes before it, and is held: what becomes active is fresh at that very moment.
    // The other way round every call in between would find policy that nothing vouches for yet.
    if (change.kind === 'release') this.#broadcast();
    for (const subscriber of this.#streams()) {
      if (change.kind === 'revocation') subscriber.sendRevocations();
      else if (isConcerned(change, subscriber.place)) subscriber.offerNext();
    }
    // A statement counts only once the revocations that it attests have been applied.
    if (change.kind === 'revocation') this.#broadcast();
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
    const { spiffeId, notAfter } = call.caller;
    const place = enrolment.placeOf(spiffeId);
    if (place === undefined) return fail(grpcStatus('unauthenticated', 'this identity was not enrolled here'));
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
    const { audit, freshness } = this.#options;
    const { spiffeId } = stream.call.caller;
    const hello = message.case === 'hello' ? readHello(message.value) : fail('a stream begins with Hello');
    if (!hello.ok) return fail(grpcStatus('invalid_argument', hello.error));
    const behind = judgeBehind(hello.value, stream.place, this.#options);
    if (behind !== undefined) {
      await this.#sendAway(behind, stream);
      return undefined;
    }
    audit.noteContact(spiffeId);
    if (hello.value.auditHead !== undefined) await audit.noteHead(spiffeId, hello.value.auditHead);
    const proof = await freshness.prove({ nonce: hello.value.nonce, identity: spiffeId });
    if (!proof.ok) {
      this.#unissued(proof.error);
      return fail(grpcStatus('unavailable', 'no freshness can be issued now'));
    }
    if (stream.life.signal.aborted) return fail(grpcStatus('unavailable', 'connect again'));
    return ok(this.#join(hello.value, proof.value, stream));
  }

  /** From here on the sidecar is one of those who get everything. */
  #join(hello: ReadHello, proof: IssuedStatement, { call, place, out, life }: Stream): Subscriber {
    const { clock, fleet, authority, limits } = this.#options;
    const { spiffeId, purpose } = call.caller;
    this.#subscribers.get(spiffeId)?.reconnect('another stream of this identity has begun');
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
    this.#subscribers.set(spiffeId, subscriber);
    const named = purpose.kind === 'sidecar' ? { agent: purpose.agent, instance: purpose.instance } : { agent: '-', instance: '-' };
    fleet.connect({ spiffeId, ...named, ...place });
    const { build, isolation, freshnessSeq, revocationSeq } = hello;
    fleet.tell(spiffeId, { build, isolation, freshnessSeq, revocationSeq, ...toldActive(hello.held, place) });
    // Nothing that hangs on a root comes before it: roots, then the proof under the newest, then what the proof attests.
    for (const root of this.#roots.slice(hello.rootNumber)) subscriber.send(root);
    subscriber.send(proofMessage(proof, place, authority.onlineKeys.envelope));
    subscriber.sendRevocations();
    subscriber.offerNext();
    // A statement that was issued while the proof was being made names what the proof could not.
    if (this.#last !== undefined && this.#last.seq > proof.seq) subscriber.send(statementMessage(this.#last, place));
    if (subscriber.ended.aborted) life.end();
    else subscriber.ended.addEventListener('abort', () => life.end(), { once: true });
    return subscriber;
  }

  #end(subscriber: Subscriber): void {
    subscriber.stop();
    const { spiffeId } = subscriber;
    // A newer stream of the same sidecar may have taken its place.
    if (this.#subscribers.get(spiffeId) !== subscriber) return;
    this.#subscribers.delete(spiffeId);
    this.#options.fleet.disconnect(spiffeId);
  }

  /** Attack, or a database restored from a backup: what is behind the sidecar must not issue anything to it. */
  async #sendAway(behind: string, { call, out }: Stream): Promise<void> {
    const { spiffeId } = call.caller;
    const detail = `it holds ${behind}, which this control plane does not know: was its state lost, or restored from a backup?`;
    this.#options.log.error('sidecar.ahead', { identity: spiffeId, detail });
    await this.#options.audit.alert({ code: 'BEHIND', subject: null, detail: `\`${spiffeId}\` holds ${behind}`, source: spiffeId });
    const reason = 'this replica is behind';
    out.write(reconnectMessage({ afterMs: BEHIND_AFTER_MS, jitterMs: BEHIND_JITTER_MS, reason }), { priority: true });
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
      wanted: () => {
        const wanted = this.#wanted.get(placeName(place)) ?? wantedAt(place, this.#options);
        this.#wanted.set(placeName(place), wanted);
        return wanted;
      },
      offer: (wanted) => offerOf(wanted, this.#options, this.#book),
      revocationsAfter: (seq, limit) => revocation.after(seq, limit),
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

/** A stream that has not said Hello yet. */
interface Stream {
  readonly call: ProvenCall;
  readonly place: Place;
  readonly out: StreamWriter<ServerMessage>;
  readonly life: StreamLife;
}
