/**
 * The folder that is published as the npm package `@sallyport/verifier`: one module with our own packages inside, and their
 * declarations. Tool owners install it beside their server, so it depends on nothing.
 */

import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './bundles.ts';

/** Whose declarations the verifier's own name; its arrows in test/tidy/arrows.ts. */
const PACKAGES = ['verifier', 'crypto', 'identity', 'model', 'strict'] as const;

/** Fills `dir`, which is emptied first; the declarations are compiled for it. */
export async function stageVerifier(dir: string): Promise<void> {
  rmSync(dir, { recursive: true, force: true });
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  };
  execFileSync(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-b', 'packages/verifier'], { cwd: ROOT, stdio: 'inherit' });
  put('lib/index.mjs', await verifierBundle());
  for (const name of PACKAGES) {
    const dist = join(ROOT, 'packages', name, 'dist');
    const declared = globSync('**/*.d.ts', { cwd: dist });
    if (declared.length === 0) throw new Error(`tsc left no declarations in packages/${name}/dist`);
    for (const path of declared) put(`types/${name}/${path}`, declarationsOf(readFileSync(join(dist, path), 'utf8'), path));
  }
  put('package.json', `${JSON.stringify(manifest(), null, 2)}\n`);
  put('README.md', readFileSync(join(ROOT, 'packages', 'verifier', 'README.md')));
  put('LICENSE', readFileSync(join(ROOT, 'LICENSE')));
}

async function verifierBundle(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['packages/verifier/src/index.ts'],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    conditions: ['sallyport-src'],
    // It is read by whoever reviews what they install: nothing is minified, and names stay.
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error('esbuild made nothing of the verifier');
  return file.contents;
}

/** Our packages lie beside each other here, and declarations name files as their compiled form is called. */
function declarationsOf(text: string, path: string): string {
  const up = '../'.repeat(path.split('/').length);
  return text
    .replaceAll(/(['"])@sallyport\/([a-z-]+)\1/g, `$1${up}$2/index.js$1`)
    .replaceAll(/(['"])(\.{1,2}\/[^'"]+)\.ts\1/g, '$1$2.js$1')
    .replaceAll(/^\/\/# sourceMappingURL=.*$/gm, '');
}

function manifest(): object {
  const { version, description, license } = JSON.parse(readFileSync(join(ROOT, 'packages', 'verifier', 'package.json'), 'utf8')) as Record<
    string,
    string
  >;
  return {
    name: '@sallyport/verifier',
    version,
    description,
    license,
    type: 'module',
    engines: { node: '>=24' },
    sideEffects: false,
    exports: { '.': { types: './types/verifier/index.d.ts', default: './lib/index.mjs' } },
    files: ['lib', 'types'],
  };
}
