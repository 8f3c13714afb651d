/** Sources to a publishable folder, in this order: bundles, package, code compiled ahead. `npm run artefact` is main.ts. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUNDLE_NAMES, bundle } from './bundles.ts';
import type { Bundled } from './bundles.ts';
import { compileAhead } from './compile-cache.ts';
import { stagePackage } from './package.ts';

export interface ArtefactOptions {
  /** Gets `artefact/` (the package), `metafiles/` and `source-maps/` (kept beside it). */
  readonly outDir: string;
  /** False for a package that is the same to the byte; the compiled code is not. */
  readonly isCompiledAhead?: boolean;
}

export interface Artefact {
  /** The folder to publish. */
  readonly packageDir: string;
  readonly bundles: readonly Bundled[];
}

export async function buildArtefact({ outDir, isCompiledAhead = true }: ArtefactOptions): Promise<Artefact> {
  const bundles = await Promise.all(BUNDLE_NAMES.map((name) => bundle(name)));
  const packageDir = join(outDir, 'artefact');
  stagePackage(packageDir, bundles);
  keepBeside(outDir, bundles);
  if (isCompiledAhead) await compileAhead(packageDir);
  return { packageDir, bundles };
}

/** What a reader of a stack trace or of a size needs, and an installation does not. */
function keepBeside(outDir: string, bundles: readonly Bundled[]): void {
  for (const folder of ['metafiles', 'source-maps']) {
    rmSync(join(outDir, folder), { recursive: true, force: true });
    mkdirSync(join(outDir, folder), { recursive: true });
  }
  for (const { name, metafile, sourceMaps } of bundles) {
    writeFileSync(join(outDir, 'metafiles', `${name}.json`), JSON.stringify(metafile));
    for (const [file, content] of sourceMaps) writeFileSync(join(outDir, 'source-maps', file), content);
  }
}
