/** `npm run artefact`: builds the package into dist/artefact, packs it, and says what came out. */

import { join } from 'node:path';
import { buildArtefact } from './build.ts';
import { ROOT } from './bundles.ts';
import { pack } from './pack.ts';

const outDir = join(ROOT, 'dist');
const artefact = await buildArtefact({ outDir });
const { filename, size, unpackedSize } = pack(artefact, outDir);

for (const { files } of artefact.bundles) {
  const [first = ['', new Uint8Array()]] = files;
  const all = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  console.log(`lib/${first[0]}: ${first[1].length} bytes${files.size === 1 ? '' : `, ${files.size - 1} chunks, together ${all} bytes`}`);
}
console.log(`dist/${filename}: ${size} bytes, unpacked ${unpackedSize}`);
