/** The files of the repository as git sees them: tracked, and new ones that no rule ignores. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { SourceFile } from './finding.ts';

export const ROOT: string = join(import.meta.dirname, '..', '..');

/** Files beyond this size are data, not text that a person wrote; the lock file is the largest that is read. */
const FILE_BYTES_MAX = 1024 * 1024;

/** Reads every text file of the tree. A file that git lists and that is gone from disk is passed over: it is being deleted. */
export function readTree(): readonly SourceFile[] {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' });
  const paths = [...new Set(list.split('\0'))].filter((path) => path !== '' && isReadable(join(ROOT, path)));
  return paths.map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })).filter(({ text }) => !text.includes('\0'));
}

function isReadable(path: string): boolean {
  return existsSync(path) && statSync(path).isFile() && statSync(path).size <= FILE_BYTES_MAX;
}
