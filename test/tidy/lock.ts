/** The lock file serves every platform: npm drops what its registry lacks without a word, and then refuses elsewhere. */

import type { Check } from './finding.ts';

interface Lock {
  readonly packages: Readonly<Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>>;
}

export const checkLock: Check = (files) =>
  files
    .filter(({ path }) => path === 'package-lock.json')
    .flatMap(({ path, text }) => {
      const { packages } = JSON.parse(text) as Lock;
      const held = new Set(Object.keys(packages).map((place) => place.replace(/^.*node_modules\//, '')));
      return Object.entries(packages).flatMap(([place, { optionalDependencies }]) =>
        Object.keys(optionalDependencies ?? {})
          .filter((name) => !held.has(name))
          .map((name) => ({
            where: path,
            what: `${place === '' ? 'the root' : place} may bring \`${name}\`, which the lock does not hold`,
            why: 'npm 11 refuses to install from such a lock, on every platform',
            instead: 'restore the entry that npm install dropped: version, os and cpu are enough',
          })),
      );
    });
