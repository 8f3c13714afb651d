/** The folder as the one file that npm publishes and installs. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { buildArtefact } from './build.ts';
import type { Artefact } from './build.ts';

export interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
}

/** Packs what `buildArtefact` has made, into the folder above it. */
export function pack({ packageDir }: Pick<Artefact, 'packageDir'>, outDir: string): Packed {
  const said = execFileSync('npm', ['pack', packageDir, '--pack-destination', outDir, '--json', '--loglevel', 'error'], {
    cwd: outDir,
    encoding: 'utf8',
  });
  const [packed] = JSON.parse(said) as readonly Packed[];
  if (packed === undefined) throw new Error(`npm packed nothing: ${said}`);
  return packed;
}

/** Builds and packs into `outDir`; gives the path of the file. */
export async function packArtefact(outDir: string): Promise<string> {
  return join(outDir, pack(await buildArtefact({ outDir }), outDir).filename);
}
