/**
 * What the disk itself takes: appends of a record's size, each followed by fdatasync, in the folder given. Prints the
 * sorted milliseconds as JSON.
 */

import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const RECORD = Buffer.alloc(900, 'x');
const ROUNDS = 500;

const path = join(process.argv[2] ?? '.', 'fdatasync.probe');
const file = openSync(path, 'w', 0o600);
const times = Array.from({ length: ROUNDS }, () => {
  const startedAt = performance.now();
  writeSync(file, RECORD);
  fdatasyncSync(file);
  return performance.now() - startedAt;
});
closeSync(file);
rmSync(path);
console.log(JSON.stringify(times.toSorted((a, b) => a - b)));
