/**
 * Workload identity: a join token buys short certificates once, for one registered agent; a renewal needs the
 * certificate before. It also knows which area and ring each sidecar was enrolled for: never what the sidecar claims.
 * docs/spec/control-plane.md section 7.
 */

import { CertificatesSchema, create } from '@sallyport/contract';
import type { Certificates, EnrolRequest, Enrolment, RenewRequest } from '@sallyport/contract';
import { equalBytes, readCertificate, sha256 } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import { readCsr } from '@sallyport/crypto/keys';
import { formatSpiffeId } from '@sallyport/identity';
import type { SpiffeId } from '@sallyport/identity';
import { fail, ok } from '@sallyport/model';
import type { AgentName, Area, Clock, Instant, Result, Ring } from '@sallyport/model';
import { grpcStatus } from '@sallyport/net';
import type { GrpcCode, GrpcStatus } from '@sallyport/net';
import type { Database, Transaction } from '@sallyport/store';
import { isRevoked } from '@sallyport/trust';
import type { RevocationEntry, RevocationState } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Caller } from '../callers.ts';
import type { PublishService } from '../publish/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { safeNumber } from '../wire.ts';
import type { Attest } from './attestation.ts';
import type { Issue, Issued } from './certificates.ts';
import { ENROLMENT_MIGRATIONS, enrolmentTables } from './store.ts';
import type { EnrolmentTables, JoinTokenRow, Workload } from './store.ts';

/** What an administrator allows with one join token. */
export interface NewJoinToken {
  /** SHA-256 of the secret, which never comes here before it is spent. */
  readonly hash: Uint8Array;
  readonly agent: AgentName;
  readonly area: Area;
  readonly ring: Ring;
  readonly expiresAt: Instant;
}

export interface EnrolmentOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly issue: Issue;
  readonly publish: Pick<PublishService, 'registration'>;
  readonly revocation: Pick<RevocationService, 'state'>;
  readonly audit: Pick<AuditService, 'act' | 'recordActs' | 'alert'>;
  /** How long a workload is remembered whose last certificate has ended. */
  readonly memoryMs: number;
  readonly joinTokenMsMax: number;
  readonly joinTokensMax: number;
  /** Where sidecars of a cluster enrol by the token of their pod. */
  readonly attest?: Attest;
  /** Of an attestation that was refused; its token is not in it. */
  readonly onUnattested: (detail: string) => void;
}

const INSTANCE = /^[a-z0-9][a-z0-9-]{0,62}$/;
const SECRET_BYTES = 32;
/** How long a spent or expired token is remembered, so that its use again says what happened. */
const TOKEN_MEMORY_MS = 7 * 86_400_000;

const refuse = (code: GrpcCode, message: string): { readonly ok: false; readonly error: GrpcStatus } => fail(grpcStatus(code, message));
const REVOKED = refuse('permission_denied', 'this identity is revoked');
/** One answer for every token of a pod that proves nothing here, also for one that was spent. */
const NOT_ATTESTED = refuse('unauthenticated', 'the service-account token proves no workload here, or was used before');
/** One answer for every token that does not buy anything: which of them it was is nobody's business but the log's. */
const NO_TOKEN = refuse('unauthenticated', 'the join token is unknown, spent or expired');

interface Keys {
  readonly tls: VerifyKey;
  readonly audit: VerifyKey;
  /** Of a sidecar that knows assertions. */
  readonly assertion: VerifyKey | undefined;
}

export class EnrolmentService {
  readonly #options: EnrolmentOptions;
  readonly #tables: EnrolmentTables;
  /** For the port that strangers reach: `renew` is refused there before it comes here. */
  readonly handlers: ProvenHandlers<typeof Enrolment>;
  /** For the port of proven callers: `enrol` is not served there. */
  readonly renewal: ProvenHandlers<typeof Enrolment>;

  /** Opens its tables. */
  static async open(options: EnrolmentOptions): Promise<EnrolmentService> {
    return new EnrolmentService(options, enrolmentTables(await options.database.service('enrolment', ENROLMENT_MIGRATIONS)));
  }

  private constructor(options: EnrolmentOptions, tables: EnrolmentTables) {
    this.#options = options;
    this.#tables = tables;
    const elsewhere = async (): Promise<Result<Certificates, GrpcStatus>> => refuse('unimplemented', 'not served on this port');
    this.handlers = { enrol: async (request) => this.#enrol(request), renew: elsewhere };
    this.renewal = { enrol: elsewhere, renew: async (request, call) => this.#renew(request, call.caller) };
  }

  /** Where a sidecar was enrolled for; `undefined` for an identity that was never enrolled here. */
  async placeOf(spiffeId: SpiffeId): Promise<{ readonly area: Area; readonly ring: Ring } | undefined> {
    const known = await this.#workload(spiffeId);
    return known === undefined ? undefined : { area: known.area, ring: known.ring };
  }

  /** Where a caller is served, or why it is not: an identity of nobody, or a revoked one. */
  async admit(caller: Caller): Promise<Result<{ readonly area: Area; readonly ring: Ring }, GrpcStatus>> {
    const place = await this.placeOf(caller.spiffeId);
    if (place === undefined) return refuse('unauthenticated', 'this identity was not enrolled here');
    return (await this.banned([caller])).size > 0 ? REVOKED : ok(place);
  }

  /** Which of these are revoked by their own name or their agent's; a ban of everything leaves the way by which it is lifted. */
  async banned(callers: readonly Caller[]): Promise<ReadonlySet<SpiffeId>> {
    const bans = await this.#bansOf(callers);
    const own = callers.filter((_, index) => ['sidecar', 'agent'].includes(bans[index]?.selector.type ?? ''));
    return new Set(own.map(({ spiffeId }) => spiffeId));
  }

  async #bansOf(callers: readonly Caller[]): Promise<readonly (RevocationEntry | undefined)[]> {
    const { database, revocation, clock } = this.#options;
    const state = await database.read(async (tx) => revocation.state(tx));
    return callers.map((caller) => banOf(caller, state, clock.wall()));
  }

  /** When the certificates that each identity was given last end. */
  async certifiedUntil(tx: Transaction): Promise<ReadonlyMap<string, Instant>> {
    return this.#tables.certifiedUntil(tx);
  }

  async #workload(spiffeId: SpiffeId): Promise<Workload | undefined> {
    return this.#options.database.read(async (tx) => this.#tables.workload(tx, spiffeId));
  }

  /** Registers the hash of a join token; recorded when it resolves. */
  async createToken(token: NewJoinToken, actor: string): Promise<Result<undefined, GrpcStatus>> {
    const { clock, database, audit, joinTokenMsMax, joinTokensMax } = this.#options;
    const now = clock.wall();
    if (token.hash.byteLength !== SECRET_BYTES) return refuse('invalid_argument', 'the hash of a secret has 32 bytes');
    if (token.expiresAt <= now || token.expiresAt > now + joinTokenMsMax)
      return refuse('invalid_argument', `a join token lives at most ${joinTokenMsMax} ms from now`);
    const { agent, area, ring } = token;
    const created = await database.transaction(async (tx) => {
      if ((await this.#tables.token(tx, token.hash)) !== undefined) return refuse('already_exists', 'this token is registered');
      if ((await this.#tables.openTokens(tx, now)) >= joinTokensMax)
        return refuse('resource_exhausted', 'too many join tokens are unspent');
      await this.#tables.dropTokens(tx, (now - TOKEN_MEMORY_MS) as Instant);
      await this.#tables.dropWorkloads(tx, (now - this.#options.memoryMs) as Instant);
      await this.#tables.addToken(tx, { ...token, author: actor });
      await audit.act(tx, { ...NO_VERSIONS, actor, act: 'create join token', object: `join token for ${agent}`, area, ring });
      return ok(undefined);
    });
    if (created.ok) await audit.recordActs();
    return created;
  }

  async #enrol(request: EnrolRequest): Promise<Result<Certificates, GrpcStatus>> {
    const keys = readKeys(request);
    if (!keys.ok) return keys;
    const { instance, tokenSecret, serviceAccountToken } = request;
    if (!INSTANCE.test(instance)) return refuse('invalid_argument', 'an instance is 1 to 63 of `a-z`, `0-9` and `-`');
    const isAttested = serviceAccountToken !== '';
    if (isAttested && tokenSecret.byteLength > 0) return refuse('invalid_argument', 'a workload proves itself by one token, not by two');
    const admitted = isAttested ? await this.#attested(serviceAccountToken, instance) : await this.#joined(tokenSecret);
    if (!admitted.ok) return admitted;
    const registered = await this.#requireRegistered(admitted.value.area, admitted.value.agent);
    if (!registered.ok) return registered;
    const purpose = { kind: 'sidecar', agent: admitted.value.agent, instance } as const;
    const spiffeId = formatSpiffeId({ trustDomain: this.#options.trustDomain, purpose });
    const issued = await this.#certify(spiffeId, keys.value);
    // Certificates exist by now, but nobody has them before the token is spent for them.
    const spent = await this.#spend(admitted.value, { spiffeId, instance, keys: keys.value, issued });
    if (!spent.ok) return spent;
    await this.#options.audit.recordActs();
    return ok(toWire(issued, spent.value));
  }

  /** By the secret of a join token. */
  async #joined(secret: Uint8Array): Promise<Result<Admission, GrpcStatus>> {
    const { database, clock } = this.#options;
    const find = async (tx: Transaction): Promise<JoinTokenRow | undefined> =>
      openToken(tx, { tables: this.#tables, secret, now: clock.wall() });
    const token = await database.read(find);
    if (token === undefined) return NO_TOKEN;
    const isOpen = async (tx: Transaction): Promise<boolean> => (await find(tx)) !== undefined;
    const spend = async (tx: Transaction, by: SpiffeId): Promise<void> => this.#tables.spendToken(tx, token.hash, by);
    return ok({
      agent: token.agent,
      area: token.area,
      ring: token.ring,
      detail: `join token by ${token.author}`,
      isOpen,
      spend,
      spent: NO_TOKEN,
    });
  }

  /** By the token of a pod, whose uid is the instance. */
  async #attested(token: string, instance: string): Promise<Result<Admission, GrpcStatus>> {
    const { attest, onUnattested, clock } = this.#options;
    if (attest === undefined) return refuse('unauthenticated', 'no cluster is attested here: enrol with a join token');
    const attested = await attest(token);
    if (!attested.ok) {
      onUnattested(attested.error);
      return NOT_ATTESTED;
    }
    const { hash, expiresAt, subject, instance: pod, ...place } = attested.value;
    if (instance !== pod) return refuse('invalid_argument', `this pod enrols as instance \`${pod}\``);
    const isOpen = async (tx: Transaction): Promise<boolean> => !(await this.#tables.isAttestationSpent(tx, hash));
    const spend = async (tx: Transaction): Promise<void> => this.#tables.spendAttestation(tx, hash, { expiresAt, now: clock.wall() });
    return ok({ ...place, detail: `service account ${subject}`, isOpen, spend, spent: NOT_ATTESTED });
  }

  /** One transaction: the token is spent, the workload exists, the act is remembered; or none of it. */
  async #spend(
    admission: Admission,
    of: { spiffeId: SpiffeId; instance: string; keys: Keys; issued: IssuedPair },
  ): Promise<Result<number, GrpcStatus>> {
    const { clock, database, audit } = this.#options;
    const { spiffeId, instance, keys, issued } = of;
    return database.transaction(async (tx) => {
      if (!(await admission.isOpen(tx))) return admission.spent;
      const { agent, area, ring, detail } = admission;
      const known = await this.#tables.workload(tx, spiffeId);
      // Two running sidecars under one name could not be told apart in any record.
      if (known !== undefined && known.certifiedUntil >= clock.wall())
        return refuse(
          'already_exists',
          `\`${agent}/${instance}\` is certified: choose another instance name, or wait until its certificate has ended`,
        );
      const counter = (known?.counter ?? 0) + 1;
      await admission.spend(tx, spiffeId);
      await this.#tables.putWorkload(tx, { spiffeId, agent, instance, area, ring, ...stateOf(keys, issued, counter) });
      const object = `sidecar ${agent}/${instance}`;
      await audit.act(tx, { ...NO_VERSIONS, actor: spiffeId, act: 'enrol', object, area, ring, detail });
      return ok(counter);
    });
  }

  async #renew(request: RenewRequest, caller: Caller): Promise<Result<Certificates, GrpcStatus>> {
    const { database, audit } = this.#options;
    const keys = readKeys(request);
    if (!keys.ok) return keys;
    const { spiffeId } = caller;
    const known = await this.#workload(spiffeId);
    if (known === undefined) return refuse('permission_denied', 'this identity was not enrolled here: enrol with a join token');
    if ((await this.#bansOf([caller]))[0] !== undefined) return REVOKED;
    const registered = await this.#requireRegistered(known.area, known.agent);
    if (!registered.ok) return registered;
    const step = judgeCounter(known, safeNumber(request.counter), keys.value);
    if (step === 'fork') {
      // Two hold this identity. Which of them is the thief cannot be told from here: neither goes on, and nothing is revoked.
      const detail = `\`${spiffeId}\`: renewal ${request.counter} comes with another key than was certified for it`;
      await audit.alert({ code: 'IDENTITY_FORK', subject: null, detail, source: spiffeId });
      return refuse('failed_precondition', 'this renewal was used with another key: enrol anew with a join token');
    }
    const issued = await this.#certify(spiffeId, keys.value);
    const counter = step === 'again' ? known.counter : known.counter + 1;
    const isKept = await database.transaction(async (tx) => {
      // Another renewal of this identity may have come first while the certificates were being made.
      if ((await this.#tables.workload(tx, spiffeId))?.counter !== known.counter) return false;
      await this.#tables.putWorkload(tx, { ...known, ...stateOf(keys.value, issued, counter) });
      return true;
    });
    return isKept ? ok(toWire(issued, counter)) : refuse('aborted', 'another renewal came first');
  }

  async #certify(spiffeId: SpiffeId, keys: Keys): Promise<IssuedPair> {
    const tls = await this.#options.issue({ spiffeId, publicKey: keys.tls, usage: 'tls-client' });
    const audit = await this.#options.issue({ spiffeId, publicKey: keys.audit, usage: 'audit' });
    if (keys.assertion === undefined) return { tls, audit };
    return { tls, audit, assertion: await this.#options.issue({ spiffeId, publicKey: keys.assertion, usage: 'assertion' }) };
  }

  async #requireRegistered(area: Area, agent: AgentName): Promise<Result<undefined, GrpcStatus>> {
    switch (await this.#options.publish.registration(area, agent)) {
      case 'registered':
        return ok(undefined);
      case 'not_registered':
        return refuse(
          'failed_precondition',
          `agent \`${agent}\` is not registered in the newest bundle of \`${area}\`: add it and publish`,
        );
      case 'no_bundle':
        return refuse('failed_precondition', `\`${area}\` has no bundle yet: publish one that registers agent \`${agent}\``);
    }
  }
}

/** What a workload has proven, and how that is spent. */
interface Admission {
  readonly agent: AgentName;
  readonly area: Area;
  readonly ring: Ring;
  /** For the record of the act. */
  readonly detail: string;
  /** False where it was spent meanwhile; asked within the transaction. */
  readonly isOpen: (tx: Transaction) => Promise<boolean>;
  readonly spend: (tx: Transaction, by: SpiffeId) => Promise<void>;
  /** What is answered where it is not open. */
  readonly spent: typeof NO_TOKEN;
}

interface IssuedPair {
  readonly tls: Issued;
  readonly audit: Issued;
  readonly assertion?: Issued;
}

/** An act that concerns no version of policy. */
const NO_VERSIONS = { old_digest: null, new_digest: null, release_seq: null } as const;

/** Proof of possession of the keys, each for one thing: one is on the wire every day, one vouches for the record, one speaks to tools. */
function readKeys({ tlsCsr, auditCsr, assertionCsr }: EnrolRequest | RenewRequest): Result<Keys, GrpcStatus> {
  const [tls, audit, assertion] = [tlsCsr, auditCsr, assertionCsr].map((csr) => readCsr(csr)?.publicKey);
  const isAsked = assertionCsr.byteLength > 0;
  if (tls === undefined || audit === undefined || (isAsked && assertion === undefined))
    return refuse('invalid_argument', 'a request is not a PKCS#10 signed by its own key');
  if (audit.alg !== 'ed25519') return refuse('invalid_argument', 'an audit key is Ed25519');
  if (assertion !== undefined && assertion.alg !== 'es256') return refuse('invalid_argument', 'an assertion key is P-256');
  const isTwice = [audit, assertion].some((key) => key !== undefined && equalBytes(key.raw, tls.raw));
  // Of another kind than the audit key's, an assertion key cannot be the same one.
  if (isTwice) return refuse('invalid_argument', 'the TLS key is a key of its own');
  return ok({ tls, audit, assertion });
}

/** The token that this secret opens now. Found by the secret's hash, so that the time it takes says nothing about the secret. */
async function openToken(
  tx: Transaction,
  of: { readonly tables: EnrolmentTables; readonly secret: Uint8Array; readonly now: Instant },
): Promise<JoinTokenRow | undefined> {
  const { tables, secret, now } = of;
  if (secret.byteLength !== SECRET_BYTES) return undefined;
  const hash = sha256(secret);
  const token = await tables.token(tx, hash);
  if (token === undefined || !equalBytes(token.hash, hash) || token.spentBy !== null || token.expiresAt <= now) return undefined;
  return token;
}

const NO_KEY = new Uint8Array();

/** `next`: the renewal that is due. `again`: the last one, whose answer was lost. `fork`: anything else. */
function judgeCounter(known: Workload, counter: number | undefined, keys: Keys): 'next' | 'again' | 'fork' {
  if (counter === known.counter) return 'next';
  const isSameAssertion = equalBytes(known.assertionKey ?? NO_KEY, keys.assertion?.raw ?? NO_KEY);
  const isSame = equalBytes(known.tlsKey, keys.tls.raw) && equalBytes(known.auditKey, keys.audit.raw) && isSameAssertion;
  return counter === known.counter - 1 && isSame ? 'again' : 'fork';
}

/** The entry that bans a caller, if any does. */
function banOf({ spiffeId, purpose, certificate }: Caller, state: RevocationState, now: Instant): RevocationEntry | undefined {
  const since = readCertificate(certificate)?.notBefore as Instant | undefined;
  const at = since === undefined ? {} : { authenticatedAt: since };
  // Nobody's sign-in, but the proof of a key at this very moment: what signs everybody out must not let every sidecar run out.
  const subject = { session: { value: spiffeId, authenticatedAt: now }, sidecar: { value: spiffeId, ...at } };
  return isRevoked(state, purpose.kind === 'sidecar' ? { ...subject, agent: { value: purpose.agent, ...at } } : subject, now);
}

function stateOf(
  keys: Keys,
  issued: IssuedPair,
  counter: number,
): Pick<Workload, 'counter' | 'tlsKey' | 'auditKey' | 'assertionKey' | 'certifiedUntil'> {
  const assertionKey = keys.assertion?.raw ?? null;
  return { counter, tlsKey: keys.tls.raw, auditKey: keys.audit.raw, assertionKey, certifiedUntil: issued.tls.notAfter };
}

function toWire(issued: IssuedPair, counter: number): Certificates {
  const assertionChain = [...(issued.assertion?.chain ?? [])];
  const [tlsChain, auditChain] = [[...issued.tls.chain], [...issued.audit.chain]];
  return create(CertificatesSchema, { tlsChain, auditChain, assertionChain, counter: BigInt(counter) });
}
