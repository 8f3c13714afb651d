/**
 * A watched folder as a source of candidates, beside the stream: the same signed objects as files, handed to the same
 * activator. It verifies nothing and swaps nothing. A file counts once it was seen unchanged twice; one that was refused
 * is tried again when something was taken that it may have waited for. docs/spec/watched-directory.md section 4.
 */

import type { Area, Clock, Result, Ring } from '@sallyport/model';
import { delay, type FileSystem } from '@sallyport/runtime';
import {
  orderCarried,
  readBundleFile,
  readDirectoryFile,
  readCarriedName,
  readStatements,
  rootNumberOf,
  type CarriedKind,
  type CarriedName,
  type Rejection,
} from '@sallyport/trust';
import type { Activator } from './activator.ts';
import type { Candidate, Verdict } from './candidate.ts';
import { carriedFolder, type CarriedFolder, type FileMark } from './carried-folder.ts';
import { writtenQuestion, type WrittenQuestion } from './written-question.ts';

export interface DirectorySourceOptions {
  readonly directory: string;
  readonly lookMs: number;
  /** Where the question lies while there is one, and whom it is from. */
  readonly challengeFile: string;
  readonly place: { readonly area: Area; readonly ring: Ring };
  readonly activator: Activator;
  readonly clock: Clock;
  readonly disk: FileSystem;
  /** Something is wrong with the folder, or with a file of it: said once, and again after it was right. */
  readonly onProblem: (detail: string) => void;
  /** A question lies in `challengeFile`, for somebody to carry. */
  readonly onAsked: () => void;
}

/** What became of a file. */
interface Row {
  /** At the last look; a copy that is under way changes from look to look. */
  seen?: FileMark;
  offered?: FileMark;
  /** It was refused, or waits for something. */
  isOpen: boolean;
  /** When the others were last taken up again for its sake. */
  renewed?: FileMark;
}

interface Watching extends DirectorySourceOptions {
  readonly folder: CarriedFolder;
  readonly question: WrittenQuestion;
  // Owner of both: the one loop. By name; what is not there any more is forgotten.
  readonly rows: Map<string, Row>;
  readonly said: Map<string, string>;
}

/** Looks again and again until the signal aborts. */
export async function followDirectory(options: DirectorySourceOptions, { signal }: { signal: AbortSignal }): Promise<void> {
  const lookAt = directoryLook(options);
  do await lookAt(signal);
  while (await delay(options.clock, options.lookMs, { signal }));
}

/** One look at a time: what has changed and settled since the last one is handed over. Never rejects. */
export function directoryLook(options: DirectorySourceOptions): (signal: AbortSignal) => Promise<void> {
  const watching: Watching = {
    ...options,
    folder: carriedFolder(options.directory),
    question: writtenQuestion(options),
    rows: new Map(),
    said: new Map(),
  };
  return async (signal) => {
    try {
      await look(watching, signal);
    } catch (thrown) {
      // A disk that fails now may not fail later: these looks are how policy comes, and must not end.
      say(watching, 'the disk', thrown instanceof Error ? thrown.message : String(thrown));
    }
  };
}

async function look(watching: Watching, signal: AbortSignal): Promise<void> {
  const { folder, question, rows, directory } = watching;
  const found = await folder.names((name) => readCarriedName(name) !== undefined);
  say(watching, directory, found.ok ? undefined : found.error);
  // Of all proofs that lie there one is for this question, and the others are for other sidecars, or for nobody any more.
  const named = (found.ok ? found.value : []).flatMap((name) => readCarriedName(name) ?? []);
  const { files, tooMany } = orderCarried(named.filter(({ kind, name }) => kind !== 'proof' || name === question.answer));
  say(watching, 'files', tooMany.length === 0 ? undefined : `too many of kind ${tooMany.join(', ')}; none of them is read`);
  for (const name of rows.keys()) if (!files.some((file) => file.name === name)) rows.delete(name);
  let hasTaken = false;
  for (const file of files) {
    if (signal.aborted) return;
    hasTaken = (await visit(file, { watching, hasTaken })) || hasTaken;
  }
  await question.tend();
  say(watching, 'the disk', undefined);
}

/** Hands a file over where that is due; true where something of it was taken, for which others may have waited. */
async function visit({ name, kind, bytesMax }: CarriedName, at: { watching: Watching; hasTaken: boolean }): Promise<boolean> {
  const { watching, hasTaken } = at;
  const { folder, rows } = watching;
  const row: Row = rows.get(name) ?? { isOpen: false };
  rows.set(name, row);
  const marked = await folder.mark(name, bytesMax);
  say(watching, name, marked.ok ? undefined : marked.error);
  const mark = marked.ok ? marked.value : undefined;
  const isSettled = mark !== undefined && mark === row.seen;
  if (mark === undefined) delete row.seen;
  else row.seen = mark;
  if (!isSettled || (row.offered === mark && !(row.isOpen && hasTaken))) return false;
  const read = await folder.read(name, bytesMax, mark);
  const bytes = read.ok ? read.value : undefined;
  if (bytes === undefined) return false;
  const candidates = candidatesIn(name, kind, { bytes, watching });
  if (candidates === undefined) say(watching, name, 'it does not read as what its name says');
  const outcome = await offerAll(candidates ?? [], watching);
  row.offered = mark;
  row.isOpen = outcome.isOpen || candidates === undefined;
  if (outcome.needsOthers && row.renewed !== mark) {
    // Once for each content: what lacks something that is not there would else be tried for ever.
    row.renewed = mark;
    for (const other of rows.values()) if (other !== row) delete other.offered;
  }
  return outcome.hasTaken;
}

/** What a file holds; nothing for what is not due yet, `undefined` for what cannot be read. */
function candidatesIn(
  name: string,
  kind: CarriedKind,
  { bytes, watching }: { readonly bytes: Uint8Array; readonly watching: Watching },
): readonly Candidate[] | undefined {
  const { activator } = watching;
  switch (kind) {
    case 'root':
      // The links that are held already need not be walked again.
      return rootNumberOf(name) <= activator.position.rootNumber ? [] : [{ kind, envelope: bytes }];
    case 'online_keys':
    case 'revocation_snapshot':
    case 'release':
      return [{ kind, envelope: bytes }];
    case 'bundle': {
      const bundle = readBundleFile(bytes);
      return bundle === undefined ? undefined : [{ ...bundle, kind, fetch: async () => bundle.parts }];
    }
    case 'directory': {
      const said = readDirectoryFile(bytes);
      return said === undefined ? undefined : [{ kind, envelope: said.envelope, fetch: async () => said.content }];
    }
    case 'extension':
      return activator.mustProve ? [] : [{ kind, offer: { envelope: bytes, entries: [] } }];
    case 'proof':
    case 'freshness': {
      const statements = readStatements(bytes).filter((one) => one.kind === (kind === 'proof' ? 'live_proof' : 'freshness'));
      // Without memory none of them can be told from an old one; the proof comes first.
      if (kind === 'freshness' && activator.mustProve) return [];
      return statements.length === 0
        ? undefined
        : statements.slice(0, STATEMENTS_MAX).map(({ offer }) => ({ kind: STATEMENT[kind], offer }));
    }
  }
}

const STATEMENT = { proof: 'live_proof', freshness: 'freshness' } as const;
/** Of one file. */
const STATEMENTS_MAX = 8;

interface Outcome {
  readonly isOpen: boolean;
  readonly hasTaken: boolean;
  /** Other files have to be handed over anew, though they have not changed. */
  readonly needsOthers: boolean;
}

async function offerAll(candidates: readonly Candidate[], { activator, question }: Watching): Promise<Outcome> {
  let [isOpen, hasTaken, needsOthers] = [false, false, false];
  for (const candidate of candidates) {
    const verdict = await activator.offer(candidate);
    const isTaken = verdict.ok && verdict.value !== 'already' && verdict.value !== 'held_back';
    hasTaken ||= isTaken;
    isOpen ||= !verdict.ok || verdict.value === 'held_back';
    needsOthers ||= isTaken ? candidate.kind === 'root' : lacksBundle(candidate, verdict);
    if (candidate.kind === 'freshness' && !verdict.ok && verdict.error.code === 'ROLLBACK') question.want();
  }
  return { isOpen, hasTaken, needsOthers };
}

/** A release may name a bundle that was let go since it was staged from here. */
function lacksBundle({ kind }: Candidate, verdict: Result<Verdict, Rejection>): boolean {
  return kind === 'release' && !verdict.ok && verdict.error.code === 'DIGEST';
}

/** Says what is wrong with something, once; `undefined`: nothing any more. */
function say({ said, onProblem }: Watching, what: string, problem: string | undefined): void {
  if (said.get(what) === problem) return;
  if (problem === undefined) {
    said.delete(what);
    return;
  }
  said.set(what, problem);
  onProblem(`${what}: ${problem}`);
}
