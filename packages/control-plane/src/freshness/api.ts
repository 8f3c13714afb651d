/**
 * The issuer of freshness: says, under the freshness key, which releases are current and how far the revocation log has
 * come. Its number comes from the database, in the transaction that reads what it attests; a read that fails issues
 * nothing. It can confirm and withhold, and cannot name policy that the release role has not signed.
 * docs/spec/control-plane.md section 6.
 */

import type { LocalSigner } from '@sallyport/crypto/keys';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Area, Clock, Instant, Result, Ring } from '@sallyport/model';
import type { Database } from '@sallyport/store';
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
  readonly code: 'root_expired' | 'key_out_of_period' | 'store_failed';
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
  readonly leaves: () => readonly FreshnessLeaf[];
  /** Head of the revocation log, read in this service's transaction. */
  readonly revocationHead: () => RevocationHead;
  readonly audit: Pick<AuditService, 'alert'>;
}

interface Attested {
  readonly firstSeq: number;
  readonly issuedAt: Instant;
  readonly revocation: RevocationHead;
  readonly leaves: readonly FreshnessLeaf[];
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
  /** What kept the last statement from being issued. Owner: this service. */
  #problem: IssueProblem | undefined;

  constructor(options: FreshnessOptions) {
    const { database, clock, metrics, audit } = options;
    this.#options = options;
    this.#table = freshnessTable(database.service('freshness', FRESHNESS_MIGRATIONS));
    this.#issued = metrics.counter({
      name: 'sallyport_statements_issued_total',
      help: 'Freshness statements and live proofs',
      labels: ['kind'],
    });
    this.#time = signerClock({
      clock,
      last: this.#table.issuedAt(),
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

  /** The number of the last statement issued. */
  lastSeq(): number {
    return this.#table.lastSeq();
  }

  /** A statement over a read that begins now. */
  state(): Result<IssuedStatement, IssueProblem> {
    const attested = this.#attest(1);
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
      if (this.#asked.length === 0) setImmediate(() => this.#answerAll());
      this.#asked.push({ question, answer: resolve });
    });
  }

  #answerAll(): void {
    const asked = this.#asked;
    this.#asked = [];
    let proved: Result<readonly IssuedStatement[], IssueProblem>;
    try {
      proved = this.#proveAll(asked.map(({ question }) => question));
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

  #proveAll(questions: readonly Question[]): Result<readonly IssuedStatement[], IssueProblem> {
    const attested = this.#attest(questions.length);
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

  #attest(count: number): Result<Attested, IssueProblem> {
    const attested = this.#readHeads(count);
    this.#problem = attested.ok ? undefined : attested.error;
    return attested;
  }

  /** Reads the heads and takes `count` numbers, in one transaction. */
  #readHeads(count: number): Result<Attested, IssueProblem> {
    const { root, key, database, log } = this.#options;
    const issuedAt = this.#time.now();
    const expired = judgeRootExpiry(root, issuedAt);
    if (expired !== undefined) return fail({ code: 'root_expired', detail: expired.detail });
    if (issuedAt < key.notBefore || issuedAt > key.notAfter) {
      const detail = `the freshness key is certified from ${formatInstant(key.notBefore)} to ${formatInstant(key.notAfter)}`;
      return fail({ code: 'key_out_of_period', detail });
    }
    try {
      return ok(
        database.transaction(() => {
          const [leaves, revocation] = [this.#options.leaves(), this.#options.revocationHead()];
          const firstSeq = this.#table.nextSeq();
          for (let taken = 1; taken < count; taken++) this.#table.nextSeq();
          this.#table.setIssuedAt(issuedAt);
          return { firstSeq, issuedAt, revocation, leaves };
        }),
      );
    } catch (error) {
      log.error('freshness.read_failed', {}, error);
      return fail({ code: 'store_failed', detail: 'the heads could not be read' });
    }
  }

  #statement({ issuedAt, revocation }: Attested, seq: number, merkleRoot: Uint8Array): Freshness {
    const { root, ttlMs } = this.#options;
    return { seq, rootNumber: root.number, merkleRoot, revocation, issuedAt, ttlMs };
  }
}

function issued(seq: number, envelope: Uint8Array, entries: readonly FreshnessEntry[]): IssuedStatement {
  return { seq, envelope, entriesFor: (area, ring) => entries.filter((entry) => entry.area === area && entry.ring === ring) };
}
