/**
 * Workload identity: a join token buys two short certificates once, for one registered agent; a renewal needs the
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
import type { Database } from '@sallyport/store';
import { isRevoked } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Caller } from '../callers.ts';
import type { PublishService } from '../publish/api.ts';
import type { RevocationService } from '../revocation/api.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { safeNumber } from '../wire.ts';
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

export interface EnrolmentService {
  /** Where a sidecar was enrolled for; `undefined` for an identity that was never enrolled here. */
  placeOf(spiffeId: SpiffeId): { readonly area: Area; readonly ring: Ring } | undefined;
  createToken(token: NewJoinToken, actor: string): Promise<Result<undefined, GrpcStatus>>;
  /** For the port that strangers reach: `renew` is refused there before it comes here. */
  readonly handlers: ProvenHandlers<typeof Enrolment>;
  /** For the port of proven callers: `enrol` is not served there. */
  readonly renewal: ProvenHandlers<typeof Enrolment>;
}

export interface EnrolmentOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly trustDomain: string;
  readonly issue: Issue;
  readonly publish: Pick<PublishService, 'registration'>;
  readonly revocation: Pick<RevocationService, 'state'>;
  readonly audit: Pick<AuditService, 'act' | 'recordActs' | 'alert'>;
  readonly joinTokenMsMax: number;
  readonly joinTokensMax: number;
}

const INSTANCE = /^[a-z0-9][a-z0-9-]{0,62}$/;
const SECRET_BYTES = 32;
/** How long a spent or expired token is remembered, so that its use again says what happened. */
const TOKEN_MEMORY_MS = 7 * 86_400_000;

const refuse = (code: GrpcCode, message: string): { readonly ok: false; readonly error: GrpcStatus } => fail(grpcStatus(code, message));
/** One answer for every token that does not buy anything: which of them it was is nobody's business but the log's. */
const NO_TOKEN = refuse('unauthenticated', 'the join token is unknown, spent or expired');

interface Keys {
  readonly tls: VerifyKey;
  readonly audit: VerifyKey;
}

export function openEnrolment(options: EnrolmentOptions): EnrolmentService {
  const { clock, database, audit } = options;
  const tables = enrolmentTables(database.service('enrolment', ENROLMENT_MIGRATIONS));

  const certify = async (spiffeId: SpiffeId, keys: Keys): Promise<{ readonly tls: Issued; readonly audit: Issued }> => {
    const tls = await options.issue({ spiffeId, publicKey: keys.tls, usage: 'tls-client' });
    return { tls, audit: await options.issue({ spiffeId, publicKey: keys.audit, usage: 'audit' }) };
  };

  const requireRegistered = (area: Area, agent: AgentName): Result<undefined, GrpcStatus> => {
    switch (options.publish.registration(area, agent)) {
      case 'registered':
        return ok(undefined);
      case 'not_registered':
        return refuse('failed_precondition', `agent \`${agent}\` is not registered in the newest bundle of \`${area}\`: add it and publish`);
      case 'no_bundle':
        return refuse('failed_precondition', `\`${area}\` has no bundle yet: publish one that registers agent \`${agent}\``);
    }
  };

  const enrol = async (request: EnrolRequest): Promise<Result<Certificates, GrpcStatus>> => {
    const keys = readKeys(request.tlsCsr, request.auditCsr);
    if (!keys.ok) return keys;
    if (!INSTANCE.test(request.instance)) return refuse('invalid_argument', 'an instance is 1 to 63 of `a-z`, `0-9` and `-`');
    const token = openToken(tables, request.tokenSecret, clock.wall());
    if (token === undefined) return NO_TOKEN;
    const registered = requireRegistered(token.area, token.agent);
    if (!registered.ok) return registered;
    const { agent, area, ring } = token;
    const purpose = { kind: 'sidecar', agent, instance: request.instance } as const;
    const spiffeId = formatSpiffeId({ trustDomain: options.trustDomain, purpose });
    const issued = await certify(spiffeId, keys.value);
    // Certificates exist already, but nobody has them before the token is spent for them.
    const spent = database.transaction(() => {
      if (openToken(tables, request.tokenSecret, clock.wall()) === undefined) return NO_TOKEN;
      const known = tables.workload(spiffeId);
      // Two running sidecars under one name could not be told apart in any record.
      if (known !== undefined && known.certifiedUntil >= clock.wall())
        return refuse('already_exists', `instance \`${request.instance}\` of \`${agent}\` is certified: choose another name, or wait until its certificate has ended`);
      const counter = (known?.counter ?? 0) + 1;
      tables.spendToken(token.hash, spiffeId);
      tables.putWorkload({ spiffeId, agent, instance: request.instance, area, ring, ...stateOf(keys.value, issued, counter) });
      audit.act({
        actor: spiffeId,
        act: 'enrol',
        object: `sidecar ${agent}/${request.instance}`,
        old_digest: null,
        new_digest: null,
        area,
        ring,
        release_seq: null,
        detail: `join token by ${token.author}`,
      });
      return ok(counter);
    });
    if (!spent.ok) return spent;
    await audit.recordActs();
    return ok(toWire(issued, spent.value));
  };

  const renew = async (request: RenewRequest, caller: Caller): Promise<Result<Certificates, GrpcStatus>> => {
    const keys = readKeys(request.tlsCsr, request.auditCsr);
    const counter = safeNumber(request.counter);
    if (!keys.ok) return keys;
    const known = tables.workload(caller.spiffeId);
    if (known === undefined || counter === undefined) return refuse('permission_denied', 'this identity was not enrolled here: enrol with a join token');
    const banned = isBanned(caller, known.agent, options);
    if (banned) return refuse('permission_denied', 'this identity is revoked');
    const registered = requireRegistered(known.area, known.agent);
    if (!registered.ok) return registered;
    const step = judgeCounter(known, counter, keys.value);
    if (step === 'fork') {
      // Two hold this identity. Which of them is the thief cannot be told from here: neither goes on, and nothing is revoked.
      const detail = `renewal ${counter} comes with another key than was certified for it`;
      await audit.alert({ code: 'IDENTITY_FORK', subject: null, detail: `\`${caller.spiffeId}\`: ${detail}`, source: caller.spiffeId });
      return refuse('failed_precondition', 'this renewal was used with another key: enrol anew with a join token');
    }
    const issued = await certify(caller.spiffeId, keys.value);
    const next = step === 'again' ? known.counter : known.counter + 1;
    const kept = database.transaction(() => {
      // Another renewal of this identity may have come first while the certificates were being made.
      if (tables.workload(caller.spiffeId)?.counter !== known.counter) return false;
      tables.putWorkload({ ...known, ...stateOf(keys.value, issued, next) });
      return true;
    });
    return kept ? ok(toWire(issued, next)) : refuse('aborted', 'another renewal came first');
  };

  const onlyHere = async (): Promise<Result<Certificates, GrpcStatus>> => refuse('unimplemented', 'not served on this port');
  return {
    placeOf(spiffeId) {
      const known = tables.workload(spiffeId);
      return known === undefined ? undefined : { area: known.area, ring: known.ring };
    },
    async createToken(token, actor) {
      const now = clock.wall();
      if (token.hash.byteLength !== SECRET_BYTES) return refuse('invalid_argument', 'the hash of a secret has 32 bytes');
      if (token.expiresAt <= now || token.expiresAt > now + options.joinTokenMsMax)
        return refuse('invalid_argument', `a join token lives at most ${options.joinTokenMsMax} ms from now`);
      if (tables.token(token.hash) !== undefined) return refuse('already_exists', 'this token is registered');
      if (tables.openTokens(now) >= options.joinTokensMax) return refuse('resource_exhausted', 'too many join tokens are unspent');
      database.transaction(() => {
        tables.dropTokens((now - TOKEN_MEMORY_MS) as Instant);
        tables.addToken({ ...token, author: actor });
        audit.act({
          actor,
          act: 'create join token',
          object: `join token for ${token.agent}`,
          old_digest: null,
          new_digest: null,
          area: token.area,
          ring: token.ring,
          release_seq: null,
        });
      });
      await audit.recordActs();
      return ok(undefined);
    },
    handlers: { enrol, renew: onlyHere },
    renewal: { enrol: onlyHere, renew: async (request, call) => renew(request, call.caller) },
  };
}

/** Proof of possession of both keys, which are two keys: one is on the wire every day, the other vouches for the record. */
function readKeys(tlsCsr: Uint8Array, auditCsr: Uint8Array): Result<Keys, GrpcStatus> {
  const [tls, audit] = [readCsr(tlsCsr)?.publicKey, readCsr(auditCsr)?.publicKey];
  if (tls === undefined || audit === undefined) return refuse('invalid_argument', 'a request is not a PKCS#10 signed by its own key');
  if (audit.alg !== 'ed25519') return refuse('invalid_argument', 'an audit key is Ed25519');
  if (equalBytes(tls.raw, audit.raw)) return refuse('invalid_argument', 'the TLS key and the audit key are two keys');
  return ok({ tls, audit });
}

/** The token that this secret opens now. Found by the secret's hash, so that the time it takes says nothing about the secret. */
function openToken(tables: EnrolmentTables, secret: Uint8Array, now: Instant): JoinTokenRow | undefined {
  if (secret.byteLength !== SECRET_BYTES) return undefined;
  const hash = sha256(secret);
  const token = tables.token(hash);
  if (token === undefined || !equalBytes(token.hash, hash) || token.spentBy !== null || token.expiresAt <= now) return undefined;
  return token;
}

/** `next`: the renewal that is due. `again`: the last one, whose answer was lost. `fork`: anything else. */
function judgeCounter(known: Workload, counter: number, keys: Keys): 'next' | 'again' | 'fork' {
  if (counter === known.counter) return 'next';
  const isSame = equalBytes(known.tlsKey, keys.tls.raw) && equalBytes(known.auditKey, keys.audit.raw);
  return counter === known.counter - 1 && isSame ? 'again' : 'fork';
}

function isBanned(caller: Caller, agent: AgentName, { revocation, clock }: EnrolmentOptions): boolean {
  const since = readCertificate(caller.certificate)?.notBefore as Instant | undefined;
  const at = since === undefined ? {} : { authenticatedAt: since };
  const subject = { sidecar: { value: caller.spiffeId, ...at }, agent: { value: agent, ...at } };
  return isRevoked(revocation.state, subject, clock.wall()) !== undefined;
}

function stateOf(
  keys: Keys,
  issued: { readonly tls: Issued; readonly audit: Issued },
  counter: number,
): Pick<Workload, 'counter' | 'tlsKey' | 'auditKey' | 'certifiedUntil'> {
  return { counter, tlsKey: keys.tls.raw, auditKey: keys.audit.raw, certifiedUntil: issued.tls.notAfter };
}

function toWire(issued: { readonly tls: Issued; readonly audit: Issued }, counter: number): Certificates {
  return create(CertificatesSchema, { tlsChain: [...issued.tls.chain], auditChain: [...issued.audit.chain], counter: BigInt(counter) });
}
