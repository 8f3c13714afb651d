import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let clone: string;
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'sallyport-clone-'));
  mkdirSync(join(clone, 'scripts'));
  copyFileSync(join(import.meta.dirname, 'floor.mjs'), join(clone, 'scripts', 'floor.mjs'));
});
afterEach(() => rmSync(clone, { recursive: true }));

const started = (node: string): readonly [code: number | null, out: string, err: string] => {
  const ran = spawnSync(node, ['--import', './scripts/floor.mjs', '-e', 'console.log("ran")'], { cwd: clone, timeout: 20_000 });
  return [ran.status, ran.stdout.toString(), ran.stderr.toString()];
};
/** A Node of the machine, which may be older than what this repository runs on. */
const NODES = [process.execPath, '/usr/bin/node'].filter((path) => existsSync(path));

describe('before any script', () => {
  it.each(NODES)('a fresh clone is told to install first, by %s', (node) => {
    expect(started(node)).toEqual([1, '', 'run npm ci first, at the root of the clone: node_modules is missing.\n']);
  });

  it('an installed one runs what was asked for', () => {
    mkdirSync(join(clone, 'node_modules'));
    expect(started(process.execPath)).toEqual([0, 'ran\n', '']);
  });
});
