/** Where relative paths of arguments count from: where the person is, also where npm has gone elsewhere to run a script. */

import { dirname, isAbsolute } from 'node:path';

/** `npm run sallyport` in a clone starts at its root and keeps where it was typed; any other script means what it says. */
export function startFolder(env: Readonly<Record<string, string>>, cwd: string): string {
  const typedAt = env['INIT_CWD'] ?? '';
  const isOwnScript = env['npm_package_name'] === 'sallyport-workspace' && env['npm_lifecycle_event'] === 'sallyport';
  return isOwnScript && dirname(env['npm_package_json'] ?? '') === cwd && isAbsolute(typedAt) ? typedAt : cwd;
}
