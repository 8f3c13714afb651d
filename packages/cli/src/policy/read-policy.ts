/** An author's folder, read and built: every YAML document and key set below it, judged as a whole. */

import { posix } from 'node:path';
import { fail, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import { buildParts, parseDocuments } from '@sallyport/policy';
import type { Beneath, BuiltParts, PolicyFile, PolicySource } from '@sallyport/policy';
import { at, filesBelow, readText } from '../files.ts';
import type { Io } from '../io.ts';
import type { Refusal } from '../output.ts';

/** More files than the policy language takes; it reports its own bounds with a remedy. */
const FILES_MAX = 5_000;
const FILE_BYTES_MAX = 1_048_576;

/** What is made of the documents before they are built; the documents unless given. */
export type Amend = (source: PolicySource) => PolicySource;

export interface ReadOptions {
  readonly amend?: Amend;
  /** The layers above, for a policy that is one of several. */
  readonly beneath?: Beneath | undefined;
}

/** Reads and builds `dir` (as it was typed). Problems and warnings name files so that they can be opened from here. */
export function readPolicy(
  dir: string,
  io: Pick<Io, 'cwd'>,
  { amend = (source) => source, beneath }: ReadOptions = {},
): Result<BuiltParts, Refusal> {
  const files = policyFiles(dir, io);
  if (!files.ok) return fail({ exit: 64, problems: files.error });
  const source = parseDocuments(files.value, beneath);
  if (!source.ok) return fail({ exit: 1, problems: located(dir, source.error) });
  const built = buildParts(amend(source.value), beneath);
  if (!built.ok) return fail({ exit: 1, problems: located(dir, built.error) });
  return ok({ ...built.value, warnings: located(dir, built.value.warnings) });
}

/** The same problems, their files as seen from where the person is. */
export function located(dir: string, problems: readonly Problem[]): readonly Problem[] {
  return problems.map((problem) => (problem.file === undefined ? problem : { ...problem, file: locatedFile(dir, problem.file) }));
}

export function locatedFile(dir: string, file: string): string {
  return posix.join(dir, file);
}

/** The files that make up a policy, below its absolute folder. */
export function policyFileNames(root: string): Result<readonly string[], Problem> {
  return filesBelow(root, (name) => /\.(ya?ml|json)$/.test(name), FILES_MAX);
}

/** Paths stay relative to the folder: they are part of what is built, and must not depend on where it stands. */
function policyFiles(dir: string, io: Pick<Io, 'cwd'>): Result<readonly PolicyFile[], readonly Problem[]> {
  const root = at(io.cwd, dir);
  const names = policyFileNames(root);
  if (!names.ok) return fail([{ ...names.error, file: dir }]);
  if (!names.value.some((name) => !name.endsWith('.json')))
    return fail([
      {
        path: '',
        file: dir,
        message: 'holds no YAML document',
        remedy: 'name the folder with your policy in it, such as examples/demo-policy',
      },
    ]);
  const files: PolicyFile[] = [];
  const problems: Problem[] = [];
  for (const path of names.value) {
    const text = readText(at(root, path), { bytesMax: FILE_BYTES_MAX, shown: locatedFile(dir, path) });
    if (text.ok) files.push({ path, text: text.value });
    else problems.push(text.error);
  }
  return problems.length === 0 ? ok(files) : fail(problems);
}
