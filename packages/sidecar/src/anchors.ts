/**
 * What only the administrator's own files say: whom to trust. There is no trust on first use; without a pin the process
 * does not start, and a token that names another root, agent or place than the configuration is refused.
 */

import { fromUtf8 } from '@sallyport/crypto';
import { fail, isDigest, ok, type Digest, type Problem, type Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { parseJoinToken, type JoinToken } from '@sallyport/trust';
import type { SidecarConfig } from './config.ts';

export interface Anchors {
  readonly pin: Digest;
  /** Needed until there is an identity. */
  readonly joinToken?: JoinToken;
  /** Root 1 as an envelope, where it lies beside the pin. */
  readonly root?: Uint8Array;
}

const FILE_BYTES_MAX = 1_048_576;

/** Reads the files that the configuration names; every problem at once. */
export function readAnchors(config: SidecarConfig, disk: FileSystem): Result<Anchors, readonly Problem[]> {
  const problems: Problem[] = [];
  const pin = readText(disk, config.root_pin_file);
  if (pin === undefined || !isDigest(pin)) {
    const message = pin === undefined ? `cannot read \`${config.root_pin_file}\`` : 'the file does not hold a digest';
    problems.push({ path: 'root_pin_file', message, remedy: 'put the `sha256:…` that `sallyport root init` wrote to root-pin there' });
  }
  const joinToken = config.control_plane.join_token_file === undefined ? undefined : readJoinToken(config, disk, { pin, problems });
  const root = config.root_file === undefined ? undefined : readFile(disk, config.root_file);
  if (config.root_file !== undefined && root === undefined)
    problems.push({ path: 'root_file', message: `cannot read \`${config.root_file}\`` });
  if (problems.length > 0) return fail(problems);
  return ok({ pin: pin as Digest, ...(joinToken === undefined ? {} : { joinToken }), ...(root === undefined ? {} : { root }) });
}

function readJoinToken(
  config: SidecarConfig,
  disk: FileSystem,
  { pin, problems }: { pin: string | undefined; problems: Problem[] },
): JoinToken | undefined {
  const path = 'control_plane.join_token_file';
  const text = readText(disk, config.control_plane.join_token_file ?? '');
  // A token is spent once and may be gone by the next start; whether one is needed is known only with the identity.
  if (text === undefined) return undefined;
  const token = parseJoinToken(text);
  if (!token.ok) {
    problems.push(...token.error.map((problem) => ({ ...problem, path: [path, problem.path].filter((part) => part !== '').join('.') })));
    return undefined;
  }
  const { rootPin, agent, area, ring } = token.value;
  if (rootPin !== pin) problems.push({ path, message: 'the token names another root than `root_pin_file`' });
  for (const [key, mine, its] of [
    ['agent', config.agent, agent],
    ['area', config.area, area],
    ['ring', config.ring, ring],
  ] as const) {
    if (mine !== its)
      problems.push({
        path,
        message: `the token is for ${key} \`${its}\`, and this sidecar is \`${mine}\``,
        remedy: `set \`${key}: ${its}\`, or make another token`,
      });
  }
  return token.value;
}

function readFile(disk: FileSystem, path: string): Uint8Array | undefined {
  try {
    return disk.readFile(path, FILE_BYTES_MAX);
  } catch {
    // Unreadable and absent are the same to whoever has to mend it: the problem names the file.
    return undefined;
  }
}

function readText(disk: FileSystem, path: string): string | undefined {
  const bytes = readFile(disk, path);
  return bytes === undefined ? undefined : fromUtf8(bytes)?.trim();
}
