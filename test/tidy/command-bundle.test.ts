import { expect, test } from 'vitest';
import { bundle } from '../../scripts/artefact/bundles.ts';
import { checkStart, loadedAtStart } from './command-bundle.ts';
import { inWords } from './finding.ts';

test('help loads no app and nothing of the wire', async () => {
  const { metafile } = await bundle('sallyport');
  const inputs = loadedAtStart(metafile, 'lib/sallyport.mjs');
  expect(inputs).toContain('packages/cli/src/program.ts');
  const findings = checkStart(inputs);
  if (findings.length > 0) expect.fail(`\n${findings.map(inWords).join('\n\n')}\n`);
});

test('sees what is imported through another chunk, and not what is imported later', () => {
  const output = (inputs: readonly string[], imports: readonly (readonly [string, 'import-statement' | 'dynamic-import'])[]): object => ({
    inputs: Object.fromEntries(inputs.map((path) => [path, { bytesInOutput: 1 }])),
    imports: imports.map(([path, kind]) => ({ path, kind })),
  });
  const outputs = {
    'lib/a.mjs': output(
      ['packages/cli/src/main.ts'],
      [
        ['lib/b.mjs', 'import-statement'],
        ['lib/c.mjs', 'dynamic-import'],
      ],
    ),
    'lib/b.mjs': output(['packages/net/src/index.ts'], [['lib/a.mjs', 'import-statement']]),
    'lib/c.mjs': output(['packages/sidecar/src/run.ts'], []),
  };
  const inputs = loadedAtStart({ outputs } as unknown as Parameters<typeof loadedAtStart>[0], 'lib/a.mjs');
  expect(checkStart(inputs).map(({ where }) => where)).toEqual(['packages/net/src/index.ts']);
});
