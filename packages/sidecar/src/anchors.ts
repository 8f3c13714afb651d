/**
 * What only the administrator's own files say: whom to trust. There is no trust on first use; without a pin the process
 * does not start, and a token that names another root, agent or place than the configuration is refused.
 */

import { fromUtf8 } from '@sallyport/crypto';
import { fail, isDigest, ok, type Digest, type Problem, type Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { parseJoinToken, trustRoot, type JoinToken, type TrustedRoot } from '@sallyport/trust';
import { join } from 'node:path';
import type { SidecarConfig } from './config.ts';
import { readAttestation, withoutProof } from './enrolment/attestation.ts';
import type { EnrolmentProof } from './enrolment/enroller.ts';
import { judgeAgentFiles } from './downstream/agent-auth.ts';

export interface Anchors {
  readonly pin: Digest;
  /** Reads the token anew: it is needed until there is an identity, and may be put there late. `undefined`: none is there. */
  readonly enrolmentProof: () => Result<EnrolmentProof | undefined, readonly Problem[]>;
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
  let trustedRoot: TrustedRoot | undefined;
  const root = config.root_file === undefined ? undefined : readFile(disk, config.root_file);
  if (config.root_file !== undefined && root === undefined)
    problems.push({ path: 'root_file', message: `cannot read \`${config.root_file}\`` });
  if (root !== undefined && pin !== undefined && isDigest(pin)) {
    const trusted = trustRoot({ pin, chain: [root], allowDevelopmentRoot: config.allow_development_root });
    if (!trusted.ok) problems.push({ path: 'root_file', message: trusted.error.detail });
    else trustedRoot = trusted.value;
  }
  const enrolmentProof = (): ReturnType<Anchors['enrolmentProof']> => {
    const { attestation_token_file: attested } = config.control_plane;
    return attested === undefined ? readJoinToken(config, disk, pin) : readAttestation(attested, disk, trustedRoot);
  };
  const read = enrolmentProof();
  if (!read.ok) problems.push(...read.error);
  problems.push(...judgeAgentFiles(config, disk));
  if (problems.length > 0) return fail(problems);
  return ok({ pin: pin as Digest, enrolmentProof, ...(root === undefined ? {} : { root }) });
}

/** Whether a start could get an identity: it has one, or there is a token to get one with. */
export function judgeEnrolment(config: SidecarConfig, disk: FileSystem): readonly Problem[] {
  const { join_token_file: joinToken, attestation_token_file: attested } = config.control_plane;
  const file = attested ?? joinToken;
  const hasIdentity = disk.readFile(join(config.state_dir, 'identity', 'certificates.json'), FILE_BYTES_MAX) !== undefined;
  if (hasIdentity || (file !== undefined && readText(disk, file) !== undefined)) return [];
  return [
    {
      path: attested === undefined ? 'control_plane.join_token_file' : 'control_plane.attestation_token_file',
      message: file === undefined ? 'missing, and there is no identity yet' : `\`${file}\` does not exist, and there is no identity yet`,
      remedy: withoutProof(config).remedy.replace(/^make a token/, 'make one'),
    },
  ];
}

/**
 * The token that lies where the configuration says, judged against the rest of it; `undefined` where there is none. It is
 * spent once and may be gone by the next start; one that is put there later is found by whoever still needs it.
 */
function readJoinToken(
  config: SidecarConfig,
  disk: FileSystem,
  pin: string | undefined,
): Result<JoinToken | undefined, readonly Problem[]> {
  const path = 'control_plane.join_token_file';
  const file = config.control_plane.join_token_file;
  const text = file === undefined ? undefined : readText(disk, file);
  if (text === undefined) return ok(undefined);
  const token = parseJoinToken(text);
  if (!token.ok)
    return fail(token.error.map((problem) => ({ ...problem, path: [path, problem.path].filter((part) => part !== '').join('.') })));
  const problems: Problem[] = [];
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
  return problems.length > 0 ? fail(problems) : ok(token.value);
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
