import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { installation, installationOf } from './installation.ts';

test.each([
  [
    'file:///clone/packages/cli/src/installation.ts',
    { main: '/clone/packages/cli/src/main.ts', nodeArguments: ['--conditions=sallyport-src'], examples: '/clone/examples' },
  ],
  [
    'file:///clone/packages/cli/dist/installation.js',
    { main: '/clone/packages/cli/dist/main.js', nodeArguments: [], examples: '/clone/examples' },
  ],
  [
    'file:///p/node_modules/sallyport/lib/chunk-A.mjs',
    { main: '/p/node_modules/sallyport/bin/sallyport.mjs', nodeArguments: [], examples: '/p/node_modules/sallyport/examples' },
  ],
])('of %s', (url, expected) => {
  expect(installationOf(url)).toEqual(expected);
});

test('the one of these sources has a main and the example policies', () => {
  expect(existsSync(installation.main)).toBe(true);
  expect(existsSync(join(installation.examples, 'demo-policy'))).toBe(true);
});
