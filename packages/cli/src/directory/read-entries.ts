/** What the directory is to say, from a file of one JSON object to a line; every problem with its line. */

import { fail, ok } from '@sallyport/model';
import type { DirectoryEntry, Problem, Result } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { DIRECTORY_BYTES_MAX, DIRECTORY_ENTRIES_MAX, directoryKeyOf, encodeDirectoryContent, readDirectoryEntry } from '@sallyport/trust';

const LINE_BYTES_MAX = 65_536;
const PROBLEMS_MAX = 50;

/** The content to sign. `attributes`: all that Root leaves to the directory. */
export function readEntries(
  text: string,
  { file, attributes }: { readonly file: string; readonly attributes: ReadonlySet<string> },
): Result<Uint8Array, readonly Problem[]> {
  const entries: DirectoryEntry[] = [];
  const problems: Problem[] = [];
  const taken = new Map<string, number>();
  for (const [index, written] of text.split('\n').entries()) {
    const line = index + 1;
    if (written.trim() === '' || problems.length > PROBLEMS_MAX) continue;
    const entry = readLine(written);
    if (!entry.ok) {
      problems.push(...entry.error.map((problem) => ({ ...problem, file, line })));
      continue;
    }
    const first = taken.get(directoryKeyOf(entry.value));
    taken.set(directoryKeyOf(entry.value), first ?? line);
    if (first !== undefined)
      problems.push({ path: 'principal', message: 'this principal has a line already', remedy: `first at line ${first}`, file, line });
    problems.push(...beyond(entry.value, attributes).map((problem) => ({ ...problem, file, line })));
    entries.push(entry.value);
  }
  if (entries.length > DIRECTORY_ENTRIES_MAX)
    problems.push({ path: '', message: `names ${entries.length} principals, at most ${DIRECTORY_ENTRIES_MAX} are read`, file });
  if (problems.length > 0) return fail(problems.slice(0, PROBLEMS_MAX));
  const content = encodeDirectoryContent(entries);
  if (content.byteLength <= DIRECTORY_BYTES_MAX) return ok(content);
  return fail([{ path: '', message: `comes to ${content.byteLength} bytes, at most ${DIRECTORY_BYTES_MAX} are read`, file }]);
}

function readLine(written: string): Result<DirectoryEntry, readonly Problem[]> {
  const judged = judge(new TextEncoder().encode(written), { limits: { bytesMax: LINE_BYTES_MAX } });
  if (!judged.ok) return fail(judged.error.map(({ path, message }) => ({ path, message })));
  return readDirectoryEntry(judged.value.tree);
}

function beyond({ attributes }: DirectoryEntry, allowed: ReadonlySet<string>): readonly Problem[] {
  return Object.keys(attributes)
    .filter((name) => !allowed.has(name))
    .map((name) => ({
      path: `attributes.${name}`,
      message: `Root leaves no attribute \`${name}\` to the directory`,
      remedy: allowed.size === 0 ? 'have a root signed that leaves attributes to it' : `it leaves ${[...allowed].toSorted().join(', ')}`,
    }));
}
