/**
 * The shipped bundles: one ECMAScript module for each process, straight from the sources, with every package inside.
 * Nothing is written here; the caller gets bytes and the metafile, so that a test can judge a bundle without a disk.
 * docs/adr/0019-the-shipped-artefact.md says why it is made so.
 */

import { build } from 'esbuild';
import type { Metafile, Plugin } from 'esbuild';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, join } from 'node:path';

export const ROOT: string = join(import.meta.dirname, '..', '..');
const STUBS = 'scripts/artefact/absent';

/** What is started or loaded by a name of its own. Each is made alone: no code moves between them, no bundle waits for another. */
export const BUNDLES = {
  /** Every command; what one command alone needs lies in chunks that only it loads. */
  sallyport: { entry: 'packages/cli/src/main.ts', isSplit: true },
  sidecar: { entry: 'packages/sidecar/src/run.ts', isSplit: false },
  'vetting-worker': { entry: 'packages/sidecar/src/bundle/vetting-worker.ts', isSplit: false },
  'control-plane': { entry: 'packages/control-plane/src/run.ts', isSplit: false },
} as const satisfies Readonly<Record<string, { readonly entry: string; readonly isSplit: boolean }>>;

export type BundleName = keyof typeof BUNDLES;
export const BUNDLE_NAMES = Object.keys(BUNDLES) as readonly BundleName[];

export interface Bundled {
  readonly name: BundleName;
  /** File name in `lib/` to content; the first is the bundle itself, others are its chunks. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** File name to source map; kept beside the package, not in it. */
  readonly sourceMaps: ReadonlyMap<string, Uint8Array>;
  readonly metafile: Metafile;
}

/**
 * Node's own modules by `require`, also where a source imports them. An import reads every export to make named ones of
 * them, and reading some loads what nobody asked for: those of `node:http` bring undici (16 MB and 45 ms, measured),
 * those of `node:crypto` all of WebCrypto.
 */
const BUILTINS_BY_REQUIRE: Plugin = {
  name: 'builtins-by-require',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z_:/0-9]+$/ }, ({ path, kind }) => {
      if (!isBuiltin(path) || kind === 'require-call') return undefined;
      return { path, namespace: 'node' };
    });
    onLoad({ filter: /.*/, namespace: 'node' }, ({ path }) => ({ contents: builtinModule(path) }));
  },
};

/** Of the exports only those that somebody imports are read; `@__PURE__` lets the others be left out. */
function builtinModule(path: string): string {
  const names = Object.keys(process.getBuiltinModule(path) as object).filter((name) => name !== 'default' && IDENTIFIER.test(name));
  const exported = names.map(
    (name) => `const _${name} = /* @__PURE__ */ (() => all[${JSON.stringify(name)}])(); export { _${name} as ${name} };`,
  );
  return [`const all = require(${JSON.stringify(path)});`, 'export { all as default };', ...exported].join('\n');
}
const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/**
 * One character outside of ASCII makes V8 hold the whole source with two bytes for each. esbuild writes such characters as
 * escapes everywhere but in regular expressions, so this one is escaped where it stands.
 */
const ASCII_IN_PATTERNS: Plugin = {
  name: 'ascii-in-patterns',
  setup({ onLoad }) {
    onLoad({ filter: /@marcbachmann[/\\]cel-js[/\\]lib[/\\].*\.js$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replaceAll('µ', String.raw`\u00b5`),
    }));
  },
};

/**
 * CommonJS inside a bundle asks for Node's own modules by `require`, which a module does not have. No bundled package may
 * find anything else by it: nothing else is installed.
 */
const REQUIRE =
  "import { createRequire as createRequireOfBundle } from 'node:module';\nconst require = createRequireOfBundle(import.meta.url);";

/**
 * The same bytes for the same sources and lock file, wherever the clone lies. `globals` renames free identifiers, for a test
 * that looks for their use.
 */
export async function bundle(name: BundleName, globals: Readonly<Record<string, string>> = {}): Promise<Bundled> {
  const { entry, isSplit } = BUNDLES[name];
  const { outputFiles, metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { [name]: entry },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    conditions: ['sallyport-src'],
    define: globals,
    alias: ABSENT,
    plugins: [BUILTINS_BY_REQUIRE, ASCII_IN_PATTERNS],
    splitting: isSplit,
    outdir: 'lib',
    outExtension: { '.js': '.mjs' },
    chunkNames: `${name}-[hash]`,
    sourcemap: 'external',
    sourcesContent: false,
    // Names stay, so that a stack trace can be read and the file reviewed; white space and comments cost memory for nothing.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    banner: { js: REQUIRE },
    logLevel: 'silent',
  });
  const files = outputFiles.map(({ path, contents }) => [basename(path), contents] as const).toSorted(([a], [b]) => order(a, b, name));
  return {
    name,
    files: new Map(files.filter(([file]) => !file.endsWith('.map'))),
    sourceMaps: new Map(files.filter(([file]) => file.endsWith('.map'))),
    metafile,
  };
}

/** Packages that a bundled one names and never needs here; each stub says in its head why that is so. */
const ABSENT: Readonly<Record<string, string>> = {
  '@grpc/proto-loader': `./${STUBS}/proto-loader.mjs`,
};

function order(a: string, b: string, name: BundleName): number {
  const rank = (file: string): number => (file === `${name}.mjs` ? 0 : 1);
  return rank(a) - rank(b) || (a < b ? -1 : 1);
}
