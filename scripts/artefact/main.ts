/** `npm run artefact`: builds the packages into dist/artefact and dist/verifier, packs them, and says what came out. */

import { join } from 'node:path';
import { buildArtefact } from './build.ts';
import { ROOT } from './bundles.ts';
import { pack } from './pack.ts';
import { stageVerifier } from './verifier-package.ts';

const outDir = join(ROOT, 'dist');
const artefact = await buildArtefact({ outDir });
const { filename, size, unpackedSize } = pack(artefact, outDir);

for (const { files } of artefact.bundles) {
  const [first = ['', new Uint8Array()]] = files;
  const all = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  console.log(`lib/${first[0]}: ${first[1].length} bytes${files.size === 1 ? '' : `, ${files.size - 1} chunks, together ${all} bytes`}`);
}
const verifierDir = join(outDir, 'verifier');
await stageVerifier(verifierDir);
const verifier = pack({ packageDir: verifierDir }, outDir);

console.log(`dist/${filename}: ${size} bytes, unpacked ${unpackedSize}`);
console.log(`dist/${verifier.filename}: ${verifier.size} bytes, unpacked ${verifier.unpackedSize}`);
