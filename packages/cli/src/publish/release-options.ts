/** What every command that releases understands, and the keys that it signs with. */

import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import type { Signer } from '@sallyport/crypto/keys';
import { signingKeyFile } from '../home.ts';
import type { Home, SigningKey } from '../home.ts';
import type { Io } from '../io.ts';
import { keyReferences, loadSigners } from '../keys.ts';
import { duration, flag, many } from '../option.ts';
import type { Option } from '../option.ts';
import type { Refusal } from '../output.ts';

export const RELEASE_OPTIONS: {
  readonly releaseKey: Option<readonly string[]>;
  readonly leaveBehind: Option<boolean>;
  readonly wait: Option<boolean>;
  readonly timeout: Option<number>;
} = {
  releaseKey: many(
    '--release-key FILE',
    'private key of the release role, or command:FILE (repeatable; default: from signing/ in the folder)',
  ),
  leaveBehind: flag('--leave-behind', 'release although connected sidecars have not staged it; they go dark once stale'),
  wait: flag('--wait', 'wait until every connected sidecar enforces it, and show how long each took'),
  timeout: duration('--timeout SPAN', 'how long to wait', { otherwise: '60s', minMs: 1_000, maxMs: 3_600_000 }),
};

/** Signers of the files that were named, else of the folder's own. */
export function releaseSigners(
  given: readonly string[],
  home: Home,
  io: Io,
  otherwise: readonly SigningKey[],
): Result<readonly Signer[], Refusal> {
  const files = given.length > 0 ? keyReferences(given, io) : otherwise.map((key) => signingKeyFile(home, key));
  const signers = loadSigners(files, io);
  return signers.ok ? ok(signers.value) : fail({ exit: 64, problems: signers.error });
}
