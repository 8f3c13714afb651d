/** The import table holds: each forbidden arrow is found and told why. */

import { describe, expect, test } from 'vitest';
import { ARROWS, checkDeclarations, checkImports } from './arrows.ts';

const findings = (path: string, text: string): readonly string[] => checkImports([{ path, text }]).map(({ what }) => what);
const reasons = (path: string, text: string): string =>
  checkImports([{ path, text }])
    .map(({ why }) => why)
    .join();

describe('forbidden imports', () => {
  test.each([
    ['sidecar/src/compose.ts', "import { publish } from '@sallyport/control-plane';", 'sidecar imports control-plane', 'fail apart'],
    ['control-plane/src/a.ts', "import type { Permit } from '@sallyport/sidecar';", 'control-plane imports sidecar', 'fail apart'],
    ['policy/src/a.ts', "import { Journal } from '@sallyport/store';", 'policy imports store', 'does no I/O'],
    ['policy/src/a.ts', "import { verify } from '@sallyport/trust';", 'policy imports trust', 'proven apart'],
    ['policy/src/a.test.ts', "import { verify } from '@sallyport/trust';", 'policy imports trust', 'proven apart'],
    ['trust/src/a.ts', "import { Envelope } from '@sallyport/contract';", 'trust imports contract', 'decodes no wire'],
    ['model/src/a.ts', "import { sha256 } from '@sallyport/crypto';", 'model imports crypto', 'names things for everyone'],
    ['crypto/src/a.ts', "import { ok } from '@sallyport/model';", 'crypto imports model', 'a leaf'],
    ['store/src/a.ts', "import { dial } from '@sallyport/net';", 'store imports net', 'shells stay thin'],
    ['sidecar/src/a.ts', "import { FakeClock } from '@sallyport/testkit';", 'sidecar imports testkit', 'code that ships'],
    ['net/src/a.ts', "const { run } = await import('@sallyport/cli');", 'net imports cli', 'stands on top'],
    ['cli/src/main.ts', "import { run } from '@sallyport/sidecar';", 'cli imports sidecar at start', 'load both apps'],
    ['cli/src/main.ts', "import {\n  run,\n} from '@sallyport/sidecar';", 'cli imports sidecar at start', 'load both apps'],
  ])('%s: %s', (path, text, what, why) => {
    expect(findings(`packages/${path}`, text)).toEqual([what]);
    expect(reasons(`packages/${path}`, text)).toContain(why);
  });

  test.each([
    ['policy/src/a.ts', "import { sign } from '@sallyport/crypto/keys';", 'imports `@sallyport/crypto/keys`'],
    ['sidecar/src/a.ts', "import { x } from '@sallyport/model/src/ids.ts';", 'imports `@sallyport/model/src/ids.ts`'],
    ['sidecar/src/a.ts', "import { x } from '../../model/src/ids.ts';", 'imports `../../model/src/ids.ts`'],
    ['model/src/a.ts', "import { ok } from '@sallyport/model';", 'imports its own package `@sallyport/model`'],
    ['policy/src/a.ts', "export { x } from '@sallyport/store';", 'policy imports store'],
  ])('ways around the index, %s: %s', (path, text, what) => {
    expect(findings(`packages/${path}`, text)).toEqual([what]);
  });
});

test.each([
  ['policy/src/a.ts', "import { sha256 } from '@sallyport/crypto';"],
  ['policy/src/a.test.ts', "import { fakeClock } from '@sallyport/testkit';"],
  ['net/src/a.ts', "import { generate } from '@sallyport/crypto/keys';"],
  ['audit/src/a.test.ts', "import { generate } from '@sallyport/crypto/keys';"],
  ['audit/src/testing/a.ts', "import { generate } from '@sallyport/crypto/keys';"],
  ['cli/src/main.ts', "const { run } = await import('@sallyport/sidecar');"],
  ['cli/src/main.ts', "import type { Config } from '@sallyport/sidecar';"],
  ['sidecar/src/pipeline/gates/a.ts', "import { deny } from '../gate.ts';"],
])('permitted, %s: %s', (path, text) => {
  expect(findings(`packages/${path}`, text)).toEqual([]);
});

describe('declarations', () => {
  const judge = (path: string, manifest: object): readonly string[] =>
    checkDeclarations([{ path, text: JSON.stringify(manifest) }]).map(({ what }) => what);

  test('an arrow that package.json adds is found, and one that it lacks', () => {
    const dependencies = { '@sallyport/crypto': '0.1.0', '@sallyport/strict': '0.1.0', '@sallyport/net': '0.1.0', yaml: '2.0.0' };
    expect(judge('packages/policy/package.json', { dependencies })).toEqual([
      'policy declares net, which the table does not allow',
      'policy does not declare model, which the table allows',
    ]);
  });

  test('an arrow that tsconfig adds is found, and platform types in a pure package', () => {
    const references = [{ path: '../model' }, { path: '../strict' }, { path: '../runtime' }];
    expect(judge('packages/dialects/tsconfig.json', { references, compilerOptions: { types: ['node'] } })).toEqual([
      'dialects declares runtime, which the table does not allow',
      'a pure package sees platform types',
    ]);
  });

  test('a package that the table does not know is found', () => {
    expect(judge('packages/injector/package.json', {})).toEqual(['package injector is not in the table']);
  });
});

test('the table names only packages that it places, and no arrow twice', () => {
  for (const { may } of Object.values(ARROWS)) {
    expect(may.filter((name) => ARROWS[name] === undefined)).toEqual([]);
    expect(new Set(may).size).toBe(may.length);
  }
});
