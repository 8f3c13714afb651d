/** The folder that is published as the npm package `sallyport`: what is in it, and nothing else. No workspace package, no dependency. */

import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './bundles.ts';
import type { Bundled } from './bundles.ts';
import { bundledPackages, noticesText } from './notices.ts';

const HERE = 'scripts/artefact';

interface RootManifest {
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

/** Fills `dir`, which is emptied first. The compiled code comes later, from running what lies here. */
export function stagePackage(dir: string, bundles: readonly Bundled[]): void {
  rmSync(dir, { recursive: true, force: true });
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  for (const { files } of bundles) for (const [file, content] of files) put(`lib/${file}`, content);
  put('bin/sallyport.mjs', readFileSync(join(ROOT, HERE, 'launcher', 'sallyport.mjs')));
  chmodSync(join(dir, 'bin', 'sallyport.mjs'), 0o755);
  put('launch-flags.json', readFileSync(join(ROOT, HERE, 'launch-flags.json')));
  put('package.json', `${JSON.stringify(manifest(), null, 2)}\n`);
  put('README.md', readFileSync(join(ROOT, HERE, 'package-readme.md')));
  put('LICENSE', readFileSync(join(ROOT, 'LICENSE')));
  put('THIRD-PARTY-NOTICES', noticesText(bundledPackages(bundles.map(({ metafile }) => metafile))));
  for (const path of trackedExamples()) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    cpSync(join(ROOT, path), join(dir, path));
  }
}

function manifest(): object {
  const { version, description, license, optionalDependencies } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  ) as RootManifest;
  return {
    name: 'sallyport',
    version,
    description,
    license,
    type: 'module',
    bin: { sallyport: 'bin/sallyport.mjs' },
    // What the launcher itself needs; on less than its floor it hands over to the Node below.
    engines: { node: '>=20' },
    files: ['bin', 'lib', 'examples', 'compile-cache', 'launch-flags.json', 'THIRD-PARTY-NOTICES'],
    optionalDependencies: Object.fromEntries(
      Object.entries(optionalDependencies).filter(([name]) => /^node-(bin-)?(linux|darwin|win)-/.test(name)),
    ),
  };
}

/** Only what git holds: somebody may have made keys beside an example. */
function trackedExamples(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '-z', 'examples'], { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
  if (listed.length === 0) throw new Error('git names no file below examples/: the package is made from a clone');
  return listed;
}
