/**
 * The administrator's folder, as `root init` makes it: the pin, the signed objects, the signing keys that stay with
 * people, the control plane's own files, and client certificates. Only its names; nothing here reads a key.
 */

import { join, relative } from 'node:path';
import { at } from './files.ts';
import type { Io } from './io.ts';
import { text } from './option.ts';
import type { Option } from './option.ts';

/** Where each thing lies, absolute. */
export interface Home {
  readonly dir: string;
  readonly rootPin: string;
  readonly roots: string;
  readonly delegations: string;
  readonly onlineKeys: string;
  readonly signing: string;
  readonly controlPlane: string;
  readonly controlPlaneConfig: string;
  readonly admin: string;
}

export const DEFAULT_DIR = '.sallyport';

/** The folder that most administrators' commands read. */
export const dirOption: Option<string | undefined> = text(
  '--dir DIR',
  `the administrator's folder (default: $SALLYPORT_DIR, else ${DEFAULT_DIR})`,
);

/** The folder by flag, environment or default, in this order. */
export function homeOf(dir: string | undefined, io: Io): Home {
  const given = [dir, io.env['SALLYPORT_DIR'], DEFAULT_DIR].find((one) => one !== undefined && one !== '') ?? DEFAULT_DIR;
  const root = at(io.cwd, given);
  const controlPlane = join(root, 'control-plane');
  return {
    dir: root,
    rootPin: join(root, 'root-pin'),
    roots: join(root, 'root'),
    delegations: join(root, 'delegations'),
    onlineKeys: join(root, 'online-keys.json'),
    signing: join(root, 'signing'),
    controlPlane,
    controlPlaneConfig: join(controlPlane, 'config.yaml'),
    admin: join(root, 'admin'),
  };
}

/** Keys that stay with people, by role. */
export const SIGNING_KEYS = ['root', 'registrar', 'release-1', 'release-2', 'publisher'] as const;
export type SigningKey = (typeof SIGNING_KEYS)[number];

export function signingKeyFile(home: Home, key: SigningKey): string {
  return join(home.signing, `${key}.pem`);
}

/** The path as a person at this folder would type it. */
export function shownPath(path: string, io: Io): string {
  const short = relative(io.cwd, path);
  return short === '' || short.startsWith('..') ? path : short;
}
