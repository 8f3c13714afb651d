/**
 * The agent's own credential: what the agent alone can read, shown with every request on the outbound port. A neighbour
 * that reaches the port (another container of the pod, another user of the machine) has the network and not this. The
 * file may hold two, so that one can be exchanged for the other without a refused call. docs/spec/sessions.md, section 6.
 */

import { statSync } from 'node:fs';
import { equalBytes, fromUtf8, sha256, utf8 } from '@sallyport/crypto';
import { deny, fail, ok, type AgentName, type BootMs, type Clock, type Denial, type Problem, type Result } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { AgentCredential } from '../pipeline/ports.ts';

/** Where none is configured: whoever reaches the port is taken for the agent. */
export function noAgentCredential(agent: AgentName): AgentCredential {
  const taken = ok(agent);
  return { isAsked: false, judge: () => taken };
}

const FILE_BYTES_MAX = 1_024;
const CREDENTIALS_MAX = 2;
const CREDENTIAL = /^[\x21-\x7e]{32,256}$/;
/** How long a credential that was taken out of the file may still be good. */
const READ_AGAIN_MS = 1_000;

/** The credentials of a file: one on each line. A list of problems where it holds none, more than two, or a short one. */
export function readAgentCredentials(path: string, disk: FileSystem): Result<readonly Uint8Array[], readonly Problem[]> {
  let text: string | undefined;
  try {
    const bytes = disk.readFile(path, FILE_BYTES_MAX);
    text = bytes === undefined ? undefined : fromUtf8(bytes);
  } catch {
    text = undefined;
  }
  const refused = (message: string): Result<never, readonly Problem[]> => fail([{ path: KEY, message, remedy: REMEDY(path) }]);
  if (text === undefined) return refused(`cannot read \`${path}\``);
  if (isOpenToOthers(path)) return refused(`others can read \`${path}\``);
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.length === 0 || lines.length > CREDENTIALS_MAX) return refused(`\`${path}\` does not hold one credential, or two`);
  if (!lines.every((line) => CREDENTIAL.test(line)))
    return refused(`\`${path}\` holds a line that is not 32 to 256 visible ASCII characters`);
  return ok(lines.map((line) => sha256(utf8(line))));
}

/** The group may be the agent's and this sidecar's, as Kubernetes gives a volume to a pod; everybody is nobody's secret. */
function isOpenToOthers(path: string): boolean {
  return process.platform !== 'win32' && ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o007) !== 0;
}

const KEY = 'outbound.agent_credential_file';
const REMEDY = (path: string): string =>
  `\`(umask 077; head -c 32 /dev/urandom | base64 > ${path})\`, readable by this sidecar and its agent alone`;

/** Judges by the file as it is, read again every second. A file that is gone or damaged proves nobody. */
export function agentCredential(of: { path: string; agent: AgentName; disk: FileSystem; clock: Clock }): AgentCredential {
  const { path, disk, clock } = of;
  const proven = ok(of.agent);
  const refused = (detail: string): Result<never, Denial> => fail(deny('unauthenticated', detail));
  // Owner: `judge`. Digests, so that comparing takes as long whatever was shown.
  let known: readonly Uint8Array[] = [];
  let readAt: BootMs | undefined;
  return {
    isAsked: true,
    judge(shown) {
      if (shown === undefined) return refused('no Sallyport-Agent header');
      const now = clock.boot();
      if (readAt === undefined || now - readAt >= READ_AGAIN_MS) {
        const read = readAgentCredentials(path, disk);
        known = read.ok ? read.value : [];
        readAt = now;
      }
      if (known.length === 0) return refused('the file of agent credentials cannot be read');
      const digest = sha256(utf8(shown));
      // Every one is compared: which of them fits is nobody's to learn by time.
      const fits = known.map((credential) => equalBytes(credential, digest));
      return fits.includes(true) ? proven : refused('another credential than the agent’s in Sallyport-Agent');
    },
  };
}
