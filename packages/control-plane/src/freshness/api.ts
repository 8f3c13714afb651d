/**
 * The issuer of freshness: says, under the freshness key, which releases are current and how far the revocation log has
 * come. Its number comes from the database, in the transaction that reads what it attests; a read that fails issues
 * nothing. It can confirm and withhold, and cannot name policy that the release role has not signed.
 * docs/spec/control-plane.md section 6.
 */

import type { LocalSigner } from '@sallyport/crypto/keys';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Area, Clock, Instant, Result, Ring } from '@sallyport/model';
import type { Database, Transaction } from '@sallyport/store';
import type { Counter, Log, Metrics } from '@sallyport/telemetry';
import { SIGNER_SKEW_MS, encodeFreshness, encodeLiveProof, freshnessTree, judgeRootExpiry } from '@sallyport/trust';
import type { Freshness, FreshnessEntry, FreshnessLeaf, OnlineKey, RevocationHead, TrustedRoot } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import { signNow } from '../sign-now.ts';
import { signerClock } from './signer-clock.ts';
import type { SignerClock } from './signer-clock.ts';
import { FRESHNESS_MIGRATIONS, freshnessTable } from './store.ts';
import type { FreshnessTable } from './store.ts';

/** A signed statement, and what travels beside it for each area and ring. */
export interface IssuedStatement {
  readonly seq: number;
  readonly envelope: Uint8Array;
  /** The entry of an area and ring; empty where it has no release yet. */
  entriesFor(area: Area, ring: Ring): readonly FreshnessEntry[];
}

/** What a live proof answers: the nonce of a Hello, from the identity of its certificate. */
export interface Question {
  readonly nonce: Uint8Array;
  readonly identity: string;
}

/** Why nothing was issued; for the log. */
export interface IssueProblem {
  readonly code: 'root_expired' | 'key_out_of_period' | 'store_failed' | 'database_behind';
  readonly detail: string;
}

export interface FreshnessOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly root: TrustedRoot;
  readonly signer: LocalSigner;
  readonly key: OnlineKey;
  readonly ttlMs: number;
  /** Current releases, read in this service's transaction. */
  readonly leaves: (tx: Transaction) => Promise<readonly FreshnessLeaf[]>;
  /** Head of the revocation log, read in this service's transaction. */
  readonly revocationHead: (tx: Transaction) => Promise<RevocationHead>;
  readonly audit: Pick<AuditService, 'alert'>;
}

interface Attested {
  readonly firstSeq: number;
  readonly issuedAt: Instant;
  readonly revocation: RevocationHead;
  readonly leaves: readonly FreshnessLeaf[];
}

/** Undoes the transaction that has taken a number which was issued before. */
class BehindError extends Error {
  readonly seq: number;

  constructor(seq: number) {
    super(`number ${seq} was issued before`);
    this.seq = seq;
  }
}

interface Asked {
  readonly question: Question;
  readonly answer: (result: Result<IssuedStatement, IssueProblem>) => void;
}

export class FreshnessService {
  readonly #options: FreshnessOptions;
  readonly #table: FreshnessTable;
  readonly #time: SignerClock;
  readonly #issued: Counter<'kind'>;
  /** Questions that wait for the end of their turn. Owner: this service. */
  #asked: Asked[] = [];
  /** The highest number that this process has taken: a database that gives it again was restored from a backup. Owner: this service. */
  #highestSeq = 0;
  /** What kept the last statement from being issued. Owner: this service. */
  #problem: IssueProblem | undefined;

  /** Opens its tables. */
  static async open(options: FreshnessOptions): Promise<FreshnessService> {
    const { database } = options;
    const table = freshnessTable(await database.service('freshness', FRESHNESS_MIGRATIONS));
    return new FreshnessService(options, { table, last: await database.read(async (tx) => table.issuedAt(tx)) });
  }

  private constructor(options: FreshnessOptions, of: { readonly table: FreshnessTable; readonly last: Instant | undefined }) {
    const { clock, metrics, audit } = options;
    this.#options = options;
    this.#table = of.table;
    this.#issued = metrics.counter({
      name: 'sallyport_statements_issued_total',
      help: 'Freshness statements and live proofs',
      labels: ['kind'],
    });
    this.#time = signerClock({
      clock,
      last: of.last,
      stepMsMax: SIGNER_SKEW_MS,
      onStep: ({ direction, byMs }) => {
        const detail = `the wall clock is ${byMs} ms ${direction === 'back' ? 'behind' : 'ahead of'} the last statement and the time since`;
        void audit.alert({ code: 'CLOCK_STEP', subject: null, detail, source: 'clock' });
      },
    });
  }

  /** Why nothing could be issued the last time; `undefined` when it could. */
  get problem(): IssueProblem | undefined {
    return this.#problem;
  }

  /** The number of the last statement issued, by whichever process. */
  async lastSeq(tx: Transaction): Promise<number> {
    return this.#table.lastSeq(tx);
  }

  /** A statement over a read that begins now. */
  async state(): Promise<Result<IssuedStatement, IssueProblem>> {
    const attested = await this.#attest(1);
    if (!attested.ok) return attested;
    const tree = freshnessTree(attested.value.leaves);
    const { firstSeq } = attested.value;
    const payload = encodeFreshness(this.#statement(attested.value, firstSeq, tree.merkleRoot));
    this.#issued.add({ kind: 'freshness' });
    return ok(issued(firstSeq, signNow('Freshness', payload, this.#options.signer), tree.entries));
  }

  /**
   * A live proof over a read that begins after this call. A fleet that reconnects asks at once: who asks in one turn
   * shares one read and one commit, and each proof has a number of its own.
   */
  async prove(question: Question): Promise<Result<IssuedStatement, IssueProblem>> {
    return new Promise((resolve) => {
      if (this.#asked.length === 0) setImmediate(() => void this.#answerAll());
      this.#asked.push({ question, answer: resolve });
    });
  }

  async #answerAll(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    let proved: Result<readonly IssuedStatement[], IssueProblem>;
    try {
      proved = await this.#proveAll(asked.map(({ question }) => question));
    } catch (error) {
      // A signer that fails answers nobody, and must not end the process from an event of its own.
      this.#options.log.error('freshness.sign_failed', {}, error);
      proved = fail({ code: 'store_failed', detail: 'the proofs could not be signed' });
    }
    for (const [index, { answer }] of asked.entries()) {
      const statement = proved.ok ? proved.value[index] : undefined;
      if (statement !== undefined) answer(ok(statement));
      else if (!proved.ok) answer(proved);
    }
  }

  async #proveAll(questions: readonly Question[]): Promise<Result<readonly IssuedStatement[], IssueProblem>> {
    const attested = await this.#attest(questions.length);
    if (!attested.ok) return attested;
    const tree = freshnessTree(attested.value.leaves);
    this.#issued.add({ kind: 'live_proof' }, questions.length);
    return ok(
      questions.map((question, index) => {
        const seq = attested.value.firstSeq + index;
        const payload = encodeLiveProof({ ...this.#statement(attested.value, seq, tree.merkleRoot), ...question });
        return issued(seq, signNow('LiveProof', payload, this.#options.signer), tree.entries);
      }),
    );
  }

  async #attest(count: number): Promise<Result<Attested, IssueProblem>> {
    const attested = await this.#readHeads(count);
    this.#problem = attested.ok ? undefined : attested.error;
    return attested;
  }

  /** Reads the heads and takes `count` numbers, in one transaction. */
  async #readHeads(count: number): Promise<Result<Attested, IssueProblem>> {
    const { database, log } = this.#options;
    const now = this.#time.now();
    const unfit = this.#judgeInstant(now);
    if (unfit !== undefined) return fail(unfit);
    try {
      const attested = await database.transaction(async (tx) => {
        // The number first: who has a higher one has read later heads.
        const firstSeq = await this.#table.nextSeq(tx);
        if (firstSeq <= this.#highestSeq) throw new BehindError(firstSeq);
        for (let taken = 1; taken < count; taken++) await this.#table.nextSeq(tx);
        const [leaves, revocation] = [await this.#options.leaves(tx), await this.#options.revocationHead(tx)];
        // Another process may have a clock that is ahead: statements never go back.
        const issuedAt = Math.max(now, (await this.#table.issuedAt(tx)) ?? now) as Instant;
        await this.#table.setIssuedAt(tx, issuedAt);
        return { firstSeq, issuedAt, revocation, leaves };
      });
      this.#highestSeq = Math.max(this.#highestSeq, attested.firstSeq + count - 1);
      const late = this.#judgeInstant(attested.issuedAt);
      return late === undefined ? ok(attested) : fail(late);
    } catch (error) {
      if (error instanceof BehindError) return fail(await this.#behind(error.seq));
      log.error('freshness.read_failed', {}, error);
      return fail({ code: 'store_failed', detail: 'the heads could not be read' });
    }
  }

  /** Equal numbers with other contents would be equivocation: what follows the number that was given before is not issued. */
  async #behind(seq: number): Promise<IssueProblem> {
    const detail = `the database gives number ${seq} again, and ${this.#highestSeq} was issued: was it restored from a backup?`;
    await this.#options.audit.alert({ code: 'BEHIND', subject: null, detail, source: 'freshness' });
    return { code: 'database_behind', detail };
  }

  /** Why nothing may say that it was issued then. */
  #judgeInstant(issuedAt: Instant): IssueProblem | undefined {
    const { root, key } = this.#options;
    const expired = judgeRootExpiry(root, issuedAt);
    if (expired !== undefined) return { code: 'root_expired', detail: expired.detail };
    if (issuedAt >= key.notBefore && issuedAt <= key.notAfter) return undefined;
    const detail = `the freshness key is certified from ${formatInstant(key.notBefore)} to ${formatInstant(key.notAfter)}`;
    return { code: 'key_out_of_period', detail };
  }

  #statement({ issuedAt, revocation }: Attested, seq: number, merkleRoot: Uint8Array): Freshness {
    const { root, ttlMs } = this.#options;
    return { seq, rootNumber: root.number, merkleRoot, revocation, issuedAt, ttlMs };
  }
}

function issued(seq: number, envelope: Uint8Array, entries: readonly FreshnessEntry[]): IssuedStatement {
  return { seq, envelope, entriesFor: (area, ring) => entries.filter((entry) => entry.area === area && entry.ring === ring) };
}
