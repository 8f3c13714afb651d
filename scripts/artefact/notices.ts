/** Whose code is inside the bundles, under which licence: read from the metafiles and from what npm installed. */

import type { Metafile } from 'esbuild';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './bundles.ts';

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** The licence's own text. */
  readonly text: string;
}

/** Only what was weighed: a licence outside of these stops the build, and a person decides. */
const LICENSES: ReadonlySet<string> = new Set([
  'Apache-2.0',
  'MIT',
  'ISC',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  '(Apache-2.0 AND BSD-3-Clause)',
]);
const LICENSE_FILE = /^(licen[cs]e|copying)(\.(md|txt))?$/i;

/** Every package with at least one file in one of the bundles, by name. Throws where one has no licence that we know. */
export function bundledPackages(metafiles: readonly Metafile[]): readonly BundledPackage[] {
  const inputs = metafiles.flatMap(({ outputs }) => Object.values(outputs).flatMap((output) => Object.keys(output.inputs)));
  const byFolder = Map.groupBy(new Set(inputs), folderOf);
  byFolder.delete(OUR_OWN);
  return [...byFolder]
    .map(([folder, files]) => readPackage(folder, files))
    .toSorted((a, b) => (a.name + a.version < b.name + b.version ? -1 : 1));
}

/** One page: a table of contents by name, then each text. */
export function noticesText(packages: readonly BundledPackage[]): string {
  const head = 'Sallyport is licensed under the Apache License 2.0 (see LICENSE). Its bundles contain code of these packages.\n';
  const list = packages.map(({ name, version, license }) => `  ${name} ${version} (${license})`).join('\n');
  const texts = packages.map(({ name, version, text }) => `${'-'.repeat(78)}\n${name} ${version}\n\n${text.trim()}\n`).join('\n');
  return `${head}\n${list}\n\n${texts}`;
}

const OUR_OWN = '';

/** `node_modules/a/node_modules/@b/c` of a file below it. */
function folderOf(input: string): string {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? OUR_OWN;
}

function readPackage(folder: string, files: readonly string[]): BundledPackage {
  const at = join(ROOT, folder);
  const { name, version, license } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as BundledPackage;
  if (!LICENSES.has(license)) throw new Error(`${name} ${version} is under \`${license}\`, which nobody has weighed`);
  const file = readdirSync(at)
    .toSorted()
    .find((entry) => LICENSE_FILE.test(entry));
  const text = file === undefined ? headersOf(files) || readmeOf(at) : readFileSync(join(at, file), 'utf8');
  if (text === '') throw new Error(`${name} ${version} comes without a licence text`);
  return { name, version, license, text };
}

/** A package without a licence file says it at the head of its files. */
function headersOf(files: readonly string[]): string {
  const heads = files.toSorted().map((file) => /^(?:\/\/.*\n)+/.exec(readFileSync(join(ROOT, file), 'utf8'))?.[0] ?? '');
  const said = heads.filter((head) => head.includes('Copyright')).map((head) => head.replaceAll(/^\/\/ ?/gm, '').trim());
  return [...new Set(said)].join('\n\n');
}

/** Others say it at the end of their readme, under a heading of its own. */
function readmeOf(folder: string): string {
  const file = readdirSync(folder).find((entry) => /^readme\.md$/i.test(entry));
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8');
  const [, said = ''] = /^#+ *licen[cs]e\b.*\n([\s\S]*)/im.exec(text) ?? [];
  return said.includes('Copyright') && said.includes('Permission is hereby granted') ? said.trim() : '';
}
