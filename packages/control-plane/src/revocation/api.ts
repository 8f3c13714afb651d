/**
 * The revocation log: what administrators ask for is signed with the revocation key and appended, contiguous, in one
 * transaction with its act. The key can only deny. Opening it verifies the whole log again, so that an entry edited on
 * disk stops the start instead of reaching sidecars.
 */

import { fail, formatInstant, ok, Fault } from '@sallyport/model';
import type { Clock, Problem, Result } from '@sallyport/model';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { Database, Transaction } from '@sallyport/store';
import {
  allEntries,
  applyRevocation,
  beginRevocations,
  digestOfPayload,
  encodeRevocation,
  encodeRevocationSnapshot,
} from '@sallyport/trust';
import type { RevocationEntry, RevocationHead, RevocationState, TrustedRoot } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Changes } from '../changes.ts';
import { signNow } from '../sign-now.ts';
import { REVOCATION_MIGRATIONS, revocationTable } from './store.ts';
import type { LoggedRevocation, RevocationTable } from './store.ts';

export type { LoggedRevocation } from './store.ts';

export interface RevocationService {
  /** How far the log has come, read in the caller's transaction. */
  head(tx: Transaction): Promise<RevocationHead>;
  /** Everything that is revoked, for `isRevoked`, read in the caller's transaction. */
  state(tx: Transaction): Promise<RevocationState>;
  /** Entries above `seq` as far as this process has read and verified them, in order. */
  after(seq: number, limit: number): Promise<readonly LoggedRevocation[]>;
  /** Reads what another process has appended; true where there was something. Throws a Fault where it does not verify. */
  refresh(): Promise<boolean>;
  /** The log up to now in one signed object. */
  snapshot(): { readonly seq: number; readonly envelope: Uint8Array };
  /** Appends an entry. When it resolves the entry is durable, told to the others, and recorded. */
  revoke(entry: RevocationEntry, actor: string): Promise<Result<{ readonly seq: number }, Problem>>;
}

export interface RevocationOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly root: TrustedRoot;
  readonly signer: LocalSigner;
  readonly audit: Pick<AuditService, 'act' | 'recordActs'>;
  readonly changes: Changes;
}

const PAGE = 1_000;
/** Entries that are kept at hand: a fleet that is told of a new one asks for the same few. */
const TAIL_MAX = 256;

/** What of the log is read, every signature and link verified. */
interface Read {
  readonly state: RevocationState;
  /** The last entries, the newest last. */
  readonly tail: readonly LoggedRevocation[];
}

/** Reads and verifies the whole log; throws a Fault where it does not verify. */
export async function openRevocation(options: RevocationOptions): Promise<RevocationService> {
  const { database, clock, signer, changes, audit } = options;
  const table = revocationTable(await database.service('revocation', REVOCATION_MIGRATIONS));
  const log = { ...options, table };
  // Owner: this service. `read` follows the table; `snapshot` is remade when the log has grown.
  let read = await database.read(async (tx) => readOn(tx, { state: beginRevocations({ seq: 0, head: null }), tail: [] }, log));
  let snapshot: { readonly seq: number; readonly envelope: Uint8Array } | undefined;
  /** Two that read at once do not put each other back. */
  const advance = (next: Read): void => {
    if (next.state.seq > read.state.seq) read = next;
  };

  return {
    head: async (tx) => table.head(tx),
    state: async (tx) => (await readOn(tx, read, log)).state,
    async after(seq, limit) {
      const { tail, state } = read;
      const first = tail[0]?.seq ?? state.seq + 1;
      if (seq >= first - 1) return tail.slice(seq - first + 1, seq - first + 1 + limit);
      const entries = await database.read(async (tx) => table.after(tx, seq, Math.min(limit, state.seq - seq)));
      return entries;
    },
    async refresh() {
      const before = read.state.seq;
      advance(await database.read(async (tx) => readOn(tx, read, log)));
      return read.state.seq > before;
    },
    snapshot() {
      const { state } = read;
      if (snapshot?.seq !== state.seq) {
        const entries = [...allEntries(state.index)].filter((entry) => entry.expiresAt >= clock.wall());
        const payload = encodeRevocationSnapshot({ seq: state.seq, head: state.head, entries });
        snapshot = { seq: state.seq, envelope: signNow('RevocationSnapshot', payload, signer) };
      }
      return snapshot;
    },
    async revoke(entry, actor) {
      const appended = await database.transaction(async (tx) => append(tx, { read, entry, actor, log }));
      if (!appended.ok) return appended;
      advance(appended.value);
      changes.tell({ kind: 'revocation' });
      await audit.recordActs();
      return ok({ seq: appended.value.state.seq });
    },
  };
}

interface Log extends RevocationOptions {
  readonly table: RevocationTable;
}

/** Signs an entry onto what is the head now, whoever appended it; what is read then. */
async function append(
  tx: Transaction,
  of: { readonly read: Read; readonly entry: RevocationEntry; readonly actor: string; readonly log: Log },
): Promise<Result<Read, Problem>> {
  const { entry, actor, log } = of;
  const { table, clock, root, signer, audit } = log;
  const { state, tail } = await readOn(tx, of.read, log);
  const [seq, previous, at] = [state.seq + 1, state.head, clock.wall()];
  const payload = encodeRevocation({ seq, previous, entry, issuedAt: at });
  const envelope = signNow('Revocation', payload, signer);
  // Judged like any receiver would, before it exists: an entry that sidecars refuse would stop them for good.
  const applied = applyRevocation(state, envelope, { root, at });
  if (!applied.ok) return fail({ path: 'entry', message: applied.error.detail, ...problemsOf(applied.error.problems) });
  const { type, value } = entry.selector;
  const logged = { seq, digest: digestOfPayload(payload), envelope };
  await table.add(tx, logged, { author: actor, at });
  await audit.act(tx, {
    actor,
    act: 'revoke',
    object: `${type} ${value}`,
    old_digest: previous,
    new_digest: logged.digest,
    area: '-',
    ring: '-',
    release_seq: null,
    detail: `revocation ${seq}; before ${entry.before === 'never' ? 'never' : formatInstant(entry.before)}; ${entry.reason}`,
  });
  tx.announce();
  return ok({ state: applied.value.state, tail: lastOf(tail, [logged]) });
}

function lastOf(tail: readonly LoggedRevocation[], more: readonly LoggedRevocation[]): readonly LoggedRevocation[] {
  return [...tail, ...more].slice(-TAIL_MAX);
}

function problemsOf(problems: readonly Problem[]): { readonly remedy?: string } {
  return problems.length === 0 ? {} : { remedy: problems.map(({ path, message }) => `${path}: ${message}`).join('; ') };
}

/** Reads on from what is read, every signature and link verified. */
async function readOn(tx: Transaction, from: Read, { table, root, clock }: Log): Promise<Read> {
  let { state, tail } = from;
  const at = clock.wall();
  for (;;) {
    const page = await table.after(tx, state.seq, PAGE);
    if (page.length === 0) return { state, tail };
    for (const { seq, envelope } of page) {
      const applied = applyRevocation(state, envelope, { root, at });
      if (!applied.ok || applied.value.kind !== 'applied')
        throw new Fault(
          'store_failed',
          'internal',
          `revocation ${seq} in the database does not verify: ${applied.ok ? applied.value.kind : applied.error.detail}`,
        );
      ({ state } = applied.value);
    }
    tail = lastOf(tail, page);
  }
}
