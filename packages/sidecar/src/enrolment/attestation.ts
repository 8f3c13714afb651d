/**
 * The token of this pod in the place of a join token: projected for the audience of enrolment alone, mounted in this sidecar's
 * container and no other. Whom it is shown to is known by the Root, since no join token names the authority.
 */

import { sha256, encodeHex, fromUtf8 } from '@sallyport/crypto';
import { fail, ok, type Digest, type Problem, type Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { authoritiesFor, type TrustedRoot } from '@sallyport/trust';
import type { SidecarConfig } from '../config.ts';
import type { EnrolmentProof } from './enroller.ts';

const TOKEN_BYTES_MAX = 8_192;
const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const PATH = 'control_plane.attestation_token_file';

/** The token as it lies on disk now, which a kubelet replaces; `undefined` where there is none yet. */
export function readAttestation(
  file: string,
  disk: FileSystem,
  root: TrustedRoot | undefined,
): Result<EnrolmentProof | undefined, readonly Problem[]> {
  if (root === undefined)
    return fail([
      {
        path: 'root_file',
        message: `is missing: \`${PATH}\` needs it`,
        remedy: 'without a join token the Root alone says whose control plane it is',
      },
    ]);
  const [authority] = authoritiesFor(root, `spiffe://${root.trustDomain}/control-plane`);
  if (authority === undefined) return fail([{ path: 'root_file', message: 'names no authority that may certify a control plane' }]);
  const token = readToken(file, disk);
  if (token === undefined) return ok(undefined);
  if (!TOKEN.test(token)) return fail([{ path: PATH, message: `\`${file}\` holds no service-account token` }]);
  return ok({ trustDomain: root.trustDomain, caDigest: `sha256:${encodeHex(sha256(authority))}` as Digest, serviceAccountToken: token });
}

/** Why there is nothing to enrol with, and what to do about it. */
export function withoutProof({ agent, control_plane: from }: SidecarConfig): { readonly why: string; readonly remedy: string } {
  const { join_token_file: join, attestation_token_file: attested } = from;
  const remedy =
    attested === undefined
      ? `make a token with \`sallyport agents join-token --agent ${agent} --out ${join ?? 'FILE'}\``
      : 'project a service-account token for the audience of the control plane’s `attestation`';
  if (attested !== undefined) return { why: `the service-account token \`${attested}\` does not exist`, remedy };
  return { why: join === undefined ? '`control_plane.join_token_file` is not set' : `the join token \`${join}\` does not exist`, remedy };
}

function readToken(file: string, disk: FileSystem): string | undefined {
  try {
    const bytes = disk.readFile(file, TOKEN_BYTES_MAX);
    return bytes === undefined ? undefined : fromUtf8(bytes)?.trim();
  } catch {
    // Unreadable and absent are the same to whoever has to mend it.
    return undefined;
  }
}
