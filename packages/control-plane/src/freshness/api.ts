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
import type { Log, Metrics } from '@sallyport/telemetry';
import { SIGNER_SKEW_MS, encodeFreshness, encodeLiveProof, freshnessTree, judgeRootExpiry } from '@sallyport/trust';
import type { Freshness, FreshnessEntry, FreshnessLeaf, OnlineKey, RevocationHead, TrustedRoot } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import { signNow } from '../sign-now.ts';
import { signerClock } from './signer-clock.ts';
import { FRESHNESS_MIGRATIONS, freshnessTable } from './store.ts';

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
export type IssueProblem = { readonly code: 'root_expired' | 'key_out_of_period' | 'store_failed'; readonly detail: string };

export interface FreshnessService {
  /** A statement over a read that begins now. */
  state(): Result<IssuedStatement, IssueProblem>;
  /** A live proof over a read that begins now or later. Questions of one turn share one read. */
  prove(question: Question): Promise<Result<IssuedStatement, IssueProblem>>;
  /** The number of the last statement issued. */
  lastSeq(): number;
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
  readonly first: number;
  readonly issuedAt: Instant;
  readonly revocation: RevocationHead;
  readonly leaves: readonly FreshnessLeaf[];
}

export function openFreshness(options: FreshnessOptions): FreshnessService {
  const { database, clock, log, metrics, root, signer, key, ttlMs, audit } = options;
  const table = freshnessTable(database.service('freshness', FRESHNESS_MIGRATIONS));
  const issuedTotal = metrics.counter({ name: 'sallyport_statements_issued_total', help: 'Freshness statements and live proofs', labels: ['kind'] });
  const time = signerClock({
    clock,
    last: table.issuedAt(),
    stepMsMax: SIGNER_SKEW_MS,
    onStep: ({ direction, byMs }) => {
      const detail = `the wall clock is ${byMs} ms ${direction === 'back' ? 'behind' : 'ahead of'} the last statement and the time since`;
      void audit.alert({ code: 'CLOCK_STEP', subject: null, detail, source: 'clock' });
    },
  });
  // Owner: this service. Questions that wait for the end of their turn.
  let asked: { readonly question: Question; readonly answer: (result: Result<IssuedStatement, IssueProblem>) => void }[] = [];

  /** Reads the heads and takes `count` numbers, in one transaction. */
  const attest = (count: number): Result<Attested, IssueProblem> => {
    const issuedAt = time.now();
    const expired = judgeRootExpiry(root, issuedAt);
    if (expired !== undefined) return fail({ code: 'root_expired', detail: expired.detail });
    if (issuedAt < key.notBefore || issuedAt > key.notAfter)
      return fail({ code: 'key_out_of_period', detail: `the freshness key is certified from ${formatInstant(key.notBefore)} to ${formatInstant(key.notAfter)}` });
    try {
      return ok(
        database.transaction(() => {
          const leaves = options.leaves();
          const revocation = options.revocationHead();
          const first = table.nextSeq();
          for (let taken = 1; taken < count; taken++) table.nextSeq();
          table.setIssuedAt(issuedAt);
          return { first, issuedAt, revocation, leaves };
        }),
      );
    } catch (error) {
      log.error('freshness.read_failed', {}, error);
      return fail({ code: 'store_failed', detail: 'the heads could not be read' });
    }
  };

  const statementOf = ({ issuedAt, revocation }: Attested, seq: number, merkleRoot: Uint8Array): Freshness => ({
    seq,
    rootNumber: root.number,
    merkleRoot,
    revocation,
    issuedAt,
    ttlMs,
  });

  const prove = (questions: readonly Question[]): Result<readonly IssuedStatement[], IssueProblem> => {
    const attested = attest(questions.length);
    if (!attested.ok) return attested;
    const tree = freshnessTree(attested.value.leaves);
    return ok(
      questions.map((question, index) => {
        const seq = attested.value.first + index;
        const payload = encodeLiveProof({ ...statementOf(attested.value, seq, tree.merkleRoot), ...question });
        return issued(seq, signNow('LiveProof', payload, signer), tree.entries);
      }),
    );
  };

  const answerAll = (): void => {
    const batch = asked;
    asked = [];
    let proved: ReturnType<typeof prove>;
    try {
      proved = prove(batch.map(({ question }) => question));
    } catch (error) {
      // A signer that fails answers nobody, and must not end the process from an event of its own.
      log.error('freshness.sign_failed', {}, error);
      proved = fail({ code: 'store_failed', detail: 'the proofs could not be signed' });
    }
    for (const [index, { answer }] of batch.entries()) {
      const statement = proved.ok ? proved.value[index] : undefined;
      if (proved.ok && statement !== undefined) answer(ok(statement));
      else if (!proved.ok) answer(proved);
    }
    if (proved.ok) issuedTotal.add({ kind: 'live_proof' }, batch.length);
  };

  return {
    lastSeq: () => table.lastSeq(),
    state() {
      const attested = attest(1);
      if (!attested.ok) return attested;
      const tree = freshnessTree(attested.value.leaves);
      const { first } = attested.value;
      issuedTotal.add({ kind: 'freshness' });
      const payload = encodeFreshness(statementOf(attested.value, first, tree.merkleRoot));
      return ok(issued(first, signNow('Freshness', payload, signer), tree.entries));
    },
    async prove(question) {
      return new Promise((resolve) => {
        // A fleet that reconnects asks at once: one commit for all who asked in this turn, each over a read that begins after its question.
        if (asked.length === 0) setImmediate(answerAll);
        asked.push({ question, answer: resolve });
      });
    },
  };
}

function issued(seq: number, envelope: Uint8Array, entries: readonly FreshnessEntry[]): IssuedStatement {
  return { seq, envelope, entriesFor: (area, ring) => entries.filter((entry) => entry.area === area && entry.ring === ring) };
}
