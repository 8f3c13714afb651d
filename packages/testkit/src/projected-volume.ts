/**
 * A folder as the kubelet projects a Secret into a pod: each name a link through `..data`, itself a link to a folder of
 * one moment, so that everything changes in one rename (kubernetes/kubernetes, pkg/volume/util/atomic_writer.go).
 */

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ProjectedVolume {
  readonly folder: string;
  /** Replaces all files at once; names that are not there any more are gone. */
  write(files: Readonly<Record<string, string>>, mode?: number): void;
  close(): void;
}

export function projectedVolume(files: Readonly<Record<string, string>>): ProjectedVolume {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-projected-'));
  // Owner: `write`.
  let moment = 0;
  let names: readonly string[] = [];
  const write = (next: Readonly<Record<string, string>>, mode = 0o440): void => {
    const [old, now] = [`..${moment}`, `..${(moment += 1)}`];
    mkdirSync(join(folder, now));
    for (const [name, content] of Object.entries(next)) writeFileSync(join(folder, now, name), content, { mode });
    symlinkSync(now, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    for (const name of Object.keys(next)) if (!names.includes(name)) symlinkSync(join('..data', name), join(folder, name));
    for (const name of names) if (!Object.hasOwn(next, name)) rmSync(join(folder, name));
    names = Object.keys(next);
    rmSync(join(folder, old), { recursive: true, force: true });
  };
  write(files);
  return { folder, write, close: () => rmSync(folder, { recursive: true, force: true }) };
}
