/**
 * Where this command lies, in its three lives: TypeScript in a clone (`.ts`), built by the compiler (`.js`), and the
 * shipped bundles (`.mjs`, all in one folder `lib/` of the package). The only file that may ask; bundling moves everything
 * else away from where it was written.
 */

import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Installation {
  /** What `node` runs to be this command. */
  readonly main: string;
  /** Arguments of Node itself without which `main` does not start. */
  readonly nodeArguments: readonly string[];
  /** The folder with the example policies, the same in a clone and in the package. */
  readonly examples: string;
}

/** Of the file with this URL, which lies directly in `src`, `dist` or `lib`. */
export function installationOf(url: string): Installation {
  const file = fileURLToPath(url);
  const here = dirname(file);
  switch (extname(file)) {
    case '.mjs':
      return { main: join(here, '..', 'bin', 'sallyport.mjs'), nodeArguments: [], examples: join(here, '..', 'examples') };
    case '.ts':
      // From the sources Node has to be told where packages lie.
      return {
        main: join(here, 'main.ts'),
        nodeArguments: ['--conditions=sallyport-src'],
        examples: join(here, '..', '..', '..', 'examples'),
      };
    default:
      return { main: join(here, 'main.js'), nodeArguments: [], examples: join(here, '..', '..', '..', 'examples') };
  }
}

export const installation: Installation = installationOf(import.meta.url);
