/**
 * The revocation log: what administrators ask for is signed with the revocation key and appended, contiguous, in one
 * transaction with its act. The key can only deny. Opening it verifies the whole log again, so that an entry edited on
 * disk stops the start instead of reaching sidecars.
 */

import { fail, formatInstant, ok, Fault } from '@sallyport/model';
import type { Clock, Instant, Problem, Result } from '@sallyport/model';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { Database } from '@sallyport/store';
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
  head(): RevocationHead;
  /** Everything that is revoked, for `isRevoked`. */
  readonly state: RevocationState;
  /** Entries above `seq`, in order. */
  after(seq: number, limit: number): readonly LoggedRevocation[];
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

export function openRevocation(options: RevocationOptions): RevocationService {
  const { database, clock, root, signer, audit, changes } = options;
  const service = database.service('revocation', REVOCATION_MIGRATIONS);
  const table = revocationTable(service);
  // Owner: this service. `state` follows the table; `snapshot` is remade when the log has grown.
  let state = verifiedLog(table, root, clock.wall());
  let snapshot: { readonly seq: number; readonly envelope: Uint8Array } | undefined;

  const append = (entry: RevocationEntry, actor: string): Result<{ readonly seq: number }, Problem> => {
    const { seq: last, head: previous } = table.head();
    const payload = encodeRevocation({ seq: last + 1, previous, entry, issuedAt: clock.wall() });
    const envelope = signNow('Revocation', payload, signer);
    // Judged like any receiver would, before it exists: an entry that sidecars refuse would stop them for good.
    const applied = applyRevocation(state, envelope, { root, at: clock.wall() });
    if (!applied.ok) return fail({ path: 'entry', message: applied.error.detail, ...problemsOf(applied.error.problems) });
    const { type, value } = entry.selector;
    const digest = digestOfPayload(payload);
    database.transaction(() => {
      table.add({ seq: last + 1, digest, envelope }, { author: actor, at: clock.wall() });
      audit.act({
        actor,
        act: 'revoke',
        object: `${type} ${value}`,
        old_digest: previous,
        new_digest: digest,
        area: '-',
        ring: '-',
        release_seq: null,
        detail: `revocation ${last + 1}; before ${entry.before === 'never' ? 'never' : formatInstant(entry.before)}; ${entry.reason}`,
      });
    });
    ({ state } = applied.value);
    return ok({ seq: last + 1 });
  };

  return {
    head: () => table.head(),
    get state() {
      return state;
    },
    after: (seq, limit) => table.after(seq, limit),
    snapshot() {
      if (snapshot?.seq !== state.seq) {
        const entries = [...allEntries(state.index)].filter((entry) => entry.expiresAt >= clock.wall());
        const payload = encodeRevocationSnapshot({ seq: state.seq, head: state.head, entries });
        snapshot = { seq: state.seq, envelope: signNow('RevocationSnapshot', payload, signer) };
      }
      return snapshot;
    },
    async revoke(entry, actor) {
      const appended = append(entry, actor);
      if (!appended.ok) return appended;
      changes.tell({ kind: 'revocation' });
      await audit.recordActs();
      return appended;
    },
  };
}

function problemsOf(problems: readonly Problem[]): { readonly remedy?: string } {
  return problems.length === 0 ? {} : { remedy: problems.map(({ path, message }) => `${path}: ${message}`).join('; ') };
}

/** The log on disk, every signature and link verified. */
function verifiedLog(table: RevocationTable, root: TrustedRoot, at: Instant): RevocationState {
  let state = beginRevocations({ seq: 0, head: null });
  for (;;) {
    const page = table.after(state.seq, PAGE);
    if (page.length === 0) return state;
    for (const { seq, envelope } of page) {
      const applied = applyRevocation(state, envelope, { root, at });
      if (!applied.ok || applied.value.kind !== 'applied')
        throw new Fault(
          'store_failed',
          'internal',
          `revocation ${seq} in the database does not verify: ${applied.ok ? applied.value.kind : applied.error.detail}`,
        );
      state = applied.value.state;
    }
  }
}
