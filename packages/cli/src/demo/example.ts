/** The policies of the demo: examples/ of the clone or of the package, copied before anything in them is changed. */

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '@sallyport/model';
import { installation } from '../installation.ts';

export interface ExampleValues {
  /** What `keys_file` of the issuer holds. */
  readonly keySet: string;
  /** Values of the environment by name, each as its YAML: `{ url: "http://127.0.0.1:1" }`. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * A copy of an example's folder, with values of its own. Every other line stays where it is, so that a rule stands in the
 * copy where it stands in the example.
 */
export function copyExample(name: string, dir: string, { keySet, environment }: ExampleValues): void {
  cpSync(join(installation.examples, name), dir, { recursive: true });
  writeFileSync(join(dir, 'idp-keys.json'), keySet);
  for (const [value, yaml] of Object.entries(environment))
    editFile(join(dir, 'environment.yaml'), (text) => text.replace(new RegExp(`^( +${value}:) .*$`, 'm'), `$1 ${yaml}`));
}

/** Changes a file; a Fault where nothing came to be different, since then the demo would show what it has not done. */
export function editFile(path: string, change: (text: string) => string): void {
  const before = readFileSync(path, 'utf8');
  const after = change(before);
  if (after === before) throw new Fault('config_invalid', 'internal', `nothing to change in \`${path}\``);
  writeFileSync(path, after);
}
