/**
 * What is said of principals: administrators submit the whole of it, the directory key signs, sidecars are told at once. It is
 * signed again every so often, because what is old is not known to anybody. The key can say only what Root and bundles leave to it.
 * docs/spec/control-plane.md section 10.
 */

import type { Directory } from '@sallyport/contract';
import { fail, ok } from '@sallyport/model';
import type { Clock, Digest, DirectoryEntry, Result } from '@sallyport/model';
import type { Database, Transaction } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import { EMPTY_HIGH_WATER, acceptDirectory, encodeDirectory, readDirectoryContent, verifyDirectory } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Authority } from '../authority.ts';
import type { Changes } from '../changes.ts';
import type { Objects } from '../objects/api.ts';
import { repeat } from '../repeat.ts';
import type { ProvenHandlers } from '../rpc.ts';
import { signNow } from '../sign-now.ts';
import { compareContents } from './compare.ts';
import type { Difference } from './compare.ts';
import { directoryHandlers } from './handlers.ts';
import { DIRECTORY_MIGRATIONS, directoryTable } from './store.ts';
import type { DirectoryHead, DirectoryTable } from './store.ts';

export type { DirectoryHead } from './store.ts';

export interface DirectoryService {
  readonly handlers: ProvenHandlers<typeof Directory>;
  /** What sidecars are told; `undefined` where nothing is said, or nobody here can sign. As far as it was read. */
  head(): DirectoryHead | undefined;
  /** The same, read in the caller's transaction. */
  headIn(tx: Transaction): Promise<DirectoryHead | undefined>;
  /** Whether this is the content that the head names. */
  hasContent(digest: Digest): boolean;
  /** Reads what another process may have signed; whether it has. */
  refresh(): Promise<boolean>;
  /** Signs again, at once and then every so often, until the signal aborts. */
  run(everyMs: number, signal: AbortSignal): Promise<void>;
}

export interface DirectoryOptions {
  readonly database: Database;
  readonly clock: Clock;
  /** The root in force, and the key; without a key nothing is said. */
  readonly authority: Pick<Authority, 'root' | 'directory'>;
  readonly objects: Pick<Objects, 'read'>;
  readonly audit: Pick<AuditService, 'act' | 'recordActs'>;
  readonly changes: Changes;
  readonly log: Log;
}

/** What an administrator hands in. */
export interface Submission {
  readonly content: Digest;
  readonly actor: string;
}

export interface Submitted extends Difference {
  readonly seq: number;
}

interface Context extends DirectoryOptions {
  readonly table: DirectoryTable;
}

export async function openDirectory(options: DirectoryOptions): Promise<DirectoryService> {
  const { database, clock, authority, changes, log } = options;
  const table = directoryTable(await database.service('directory', DIRECTORY_MIGRATIONS));
  const context: Context = { ...options, table };
  const headIn = async (tx: Transaction): Promise<DirectoryHead | undefined> =>
    authority.directory === undefined ? undefined : table.head(tx);
  // Owner: this service. Two that read at once do not put each other back.
  let held = await database.read(headIn);
  const advance = (next: DirectoryHead | undefined): boolean => {
    if (next === undefined || next.seq <= (held?.seq ?? 0)) return false;
    held = next;
    return true;
  };
  const renew = async (youngMs: number): Promise<void> => {
    const next = await signAgain(context, { held, youngMs });
    if (next !== undefined && advance(next)) changes.tell({ kind: 'directory' });
  };
  const onFailure = (error: unknown): void => log.error('task.failed', { name: 'directory' }, error);
  // Under another root the key may be another: what the one before signed is nobody's word any more.
  changes.listen((change) => {
    if (change.kind === 'authority' && change.change.root) renew(0).catch(onFailure);
  });
  return {
    handlers: directoryHandlers({
      head: () => held,
      hasSigner: () => authority.directory !== undefined,
      submit: async (submission) => {
        const submitted = await submit(context, submission);
        if (!submitted.ok) return submitted;
        const { next, ...difference } = submitted.value;
        advance(next);
        changes.tell({ kind: 'directory' });
        await options.audit.recordActs();
        return ok({ seq: next.seq, ...difference });
      },
    }),
    head: () => held,
    headIn,
    hasContent: (digest) => held?.content === digest,
    refresh: async () => advance(await database.read(headIn)),
    async run(everyMs, signal) {
      try {
        await renew(0);
      } catch (error) {
        onFailure(error);
      }
      // Several processes say one thing: whoever comes second finds it young.
      await repeat(clock, { everyMs, act: async () => renew(everyMs / 2), onFailure, signal });
    },
  };
}

/** The next object over a content, judged as every receiver will before it exists. */
function signNext(
  { clock, authority: { root, directory: signer } }: Context,
  of: { readonly seq: number; readonly content: Digest; readonly bytes: Uint8Array },
): Result<DirectoryHead, string> {
  if (signer === undefined) return fail('this control plane has no directory key');
  const { seq, content } = of;
  const [issuedAt, bytes] = [clock.wall(), of.bytes.byteLength];
  const envelope = signNow('Directory', encodeDirectory({ seq, content: { digest: content, bytes }, issuedAt }), signer);
  const verified = verifyDirectory(envelope, { root, highWater: EMPTY_HIGH_WATER, at: issuedAt });
  const accepted = verified.ok ? acceptDirectory(verified.value, of.bytes) : verified;
  if (accepted.ok) return ok({ seq, envelope, content, bytes, principals: accepted.value.size, issuedAt });
  const problems = accepted.error.problems.map(({ path, message }) => `${path}: ${message}`);
  return fail([accepted.error.detail, ...problems].join('; '));
}

/** The same content under the next seq; `undefined` where there is none, where it is young still, or cannot be signed. */
async function signAgain(
  context: Context,
  { held, youngMs }: { readonly held: DirectoryHead | undefined; readonly youngMs: number },
): Promise<DirectoryHead | undefined> {
  const { database, table, objects, clock, log } = context;
  if (held === undefined) return undefined;
  const bytes = await objects.read(held.content);
  return database.transaction(async (tx) => {
    const last = await table.head(tx);
    // Another process has said something else, or the same a moment ago.
    if (last === undefined || last.content !== held.content || clock.wall() - last.issuedAt < youngMs) return last;
    const next = bytes.ok
      ? signNext(context, { seq: last.seq + 1, content: last.content, bytes: bytes.value })
      : fail(`its content is ${bytes.error}`);
    if (!next.ok) {
      log.error('directory.not_signed', { detail: next.error });
      return undefined;
    }
    await table.put(tx, next.value);
    tx.announce();
    return next.value;
  });
}

async function submit(
  context: Context,
  { content, actor }: Submission,
): Promise<Result<Difference & { readonly next: DirectoryHead }, string>> {
  const { database, table, objects, audit } = context;
  const bytes = await objects.read(content);
  if (!bytes.ok) return fail(`the content is ${bytes.error}`);
  const before = await database.read(async (tx) => table.head(tx));
  const difference = compareContents(before === undefined ? [] : await entriesOf(context, before.content), entriesIn(bytes.value));
  const { added, changed, removed } = difference;
  return database.transaction(async (tx) => {
    const last = await table.head(tx);
    if (last?.content !== before?.content) return fail('another one was taken a moment ago: hand it in again');
    const next = signNext(context, { seq: (last?.seq ?? 0) + 1, content, bytes: bytes.value });
    if (!next.ok) return next;
    await table.put(tx, next.value);
    await audit.act(tx, {
      actor,
      act: 'directory',
      object: `directory ${next.value.seq}`,
      old_digest: last?.content ?? null,
      new_digest: content,
      area: '-',
      ring: '-',
      release_seq: null,
      // Numbers alone: who is in which group is nobody's to read in a record of acts.
      detail: `${next.value.principals} principals; added ${added}, changed ${changed}, removed ${removed}`,
    });
    tx.announce();
    return ok({ next: next.value, ...difference });
  });
}

/** For counting alone: what does not read counts as nobody. */
async function entriesOf({ objects }: Context, content: Digest): Promise<readonly DirectoryEntry[]> {
  const bytes = await objects.read(content);
  return bytes.ok ? entriesIn(bytes.value) : [];
}

function entriesIn(bytes: Uint8Array): readonly DirectoryEntry[] {
  const read = readDirectoryContent(bytes);
  return read.ok ? read.value : [];
}
