/** `npm run artefact`: builds the package into dist/artefact, packs it, and says what came out. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { buildArtefact } from './build.ts';
import { ROOT } from './bundles.ts';

const outDir = join(ROOT, 'dist');
const { packageDir, bundles } = await buildArtefact({ outDir });
const packed = JSON.parse(
  execFileSync('npm', ['pack', packageDir, '--pack-destination', outDir, '--json', '--loglevel', 'error'], {
    cwd: outDir,
    encoding: 'utf8',
  }),
) as readonly { readonly filename: string; readonly size: number; readonly unpackedSize: number }[];

for (const { files } of bundles) {
  const [first = ['', new Uint8Array()]] = files;
  const all = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  console.log(`lib/${first[0]}: ${first[1].length} bytes${files.size === 1 ? '' : `, ${files.size - 1} chunks, together ${all} bytes`}`);
}
for (const { filename, size, unpackedSize } of packed) console.log(`dist/${filename}: ${size} bytes, unpacked ${unpackedSize}`);
