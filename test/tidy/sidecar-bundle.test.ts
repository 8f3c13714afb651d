import { beforeAll, describe, expect, test } from 'vitest';
import { bundle, type Bundled } from '../../scripts/artefact/bundles.ts';
import { inWords, type Finding } from './finding.ts';
import { checkAscii, checkGlobals, checkInputs, checkShares, sharesOf, SIDECAR_BYTES_MAX, tableOf, WATCHED } from './sidecar-bundle.ts';

function expectNone(findings: readonly Finding[]): void {
  if (findings.length > 0) expect.fail(`\n${findings.map(inWords).join('\n\n')}\n`);
}

const textOf = ({ files }: Bundled): string => new TextDecoder().decode(files.get('sidecar.mjs'));

describe("the sidecar's bundle", () => {
  let built: Bundled;
  beforeAll(async () => {
    built = await bundle('sidecar');
  });

  test('holds the packages of the table, each within its budget', () => {
    const shares = sharesOf(built.metafile);
    const bytes = built.files.get('sidecar.mjs')?.length ?? 0;
    console.log(tableOf(shares, bytes));
    expect(shares.map(({ name }) => name)).toContain('packages/sidecar');
    expectNone(checkShares(shares, bytes));
  });

  test('holds no path that is refused', () => {
    const paths = Object.values(built.metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
    expect(paths).toContain('packages/sidecar/src/compose.ts');
    expectNone(checkInputs(paths));
  });

  test('makes no code from strings and fetches nothing', async () => {
    expectNone(checkGlobals(textOf(await bundle('sidecar', WATCHED))));
  });

  test('is ASCII', () => {
    expectNone(checkAscii(textOf(built)));
  });

  test('imports nothing that is not Node’s own', () => {
    const imports = Object.values(built.metafile.outputs).flatMap((output) => output.imports.filter(({ external }) => external));
    expect(imports.map(({ path }) => path).filter((path) => path.startsWith('.') || path.startsWith('@'))).toEqual([]);
  });
});

describe('the fence sees', () => {
  test.each([
    ['ajv', 'makes code from strings'],
    ['prom-client', 'memory'],
    ['@opentelemetry/sdk-node', 'traces'],
    ['undici', 'dialled by net'],
    ['@protobufjs/codegen', 'contract'],
    ['commander', 'command line'],
    ['packages/control-plane', 'no app is inside another'],
    ['left-pad', 'beside every agent'],
  ])('%s', (name, why) => {
    expect(checkShares([{ name, bytes: 1 }], 1)).toMatchObject([
      { where: `sidecar.mjs: ${name}`, why: expect.stringContaining(why) as string },
    ]);
  });

  test('a package that grew, and a bundle that grew', () => {
    const findings = checkShares([{ name: 'pino', bytes: 10_000_000 }], SIDECAR_BYTES_MAX + 1);
    expect(findings.map(({ where }) => where)).toEqual(['sidecar.mjs: pino', 'sidecar.mjs']);
  });

  test('the large entry of zod, and key sets that are fetched', () => {
    const paths = [
      'node_modules/zod/v4/classic/schemas.js',
      'node_modules/jose/dist/webapi/jwks/remote.js',
      'node_modules/zod/v4/mini/schemas.js',
    ];
    expect(checkInputs(paths).map(({ where }) => where)).toEqual(paths.slice(0, 2));
  });

  test('globals, and not methods of the same name', () => {
    expect(checkGlobals('x.fetch(1);class A{fetch(){}};a instanceof __global_Function')).toEqual([]);
    for (const use of ['__global_fetch("https://a")', 'new __global_Function("")', '__global_eval("1")', 'globalThis.fetch(1)']) {
      expect(checkGlobals(use)).toHaveLength(1);
    }
  });

  test('a character beyond ASCII', () => {
    expect(checkAscii('a=/µ/')).toMatchObject([{ what: 'holds `µ`' }]);
  });

  test('of two inputs of one package the sum, wherever it is nested', () => {
    const inputs = {
      'node_modules/a/x.js': { bytesInOutput: 1 },
      'node_modules/b/node_modules/a/y.js': { bytesInOutput: 2 },
      'node:fs': { bytesInOutput: 0 },
    };
    const output = { inputs, bytes: 3, imports: [], exports: [] };
    expect(sharesOf({ outputs: { 'lib/x.mjs': output } })).toEqual([{ name: 'a', bytes: 3 }]);
  });
});
