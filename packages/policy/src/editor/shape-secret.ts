/** Secrets by reference that prove callers, or the gateway to an issuer. */

import { CREDENTIAL_PATH } from '../grammar/secret-place.ts';
import type { MapShape } from './shape.ts';
import { map } from './shape.ts';
import { text } from './shapes-common.ts';

const PATH = text('names joined by `/`', CREDENTIAL_PATH);

/** A value is never written here. */
export const SECRET: MapShape = map(
  'CallerSecret',
  {
    file: { says: 'A file below the folder that the sidecar’s configuration names as `secrets.folder`.', shape: PATH },
    vault: {
      says: 'A secret of Vault’s KV engine, version 2; which Vault, and as whom, the sidecar’s configuration says.',
      shape: map('CallerVaultSecret', {
        mount: { says: 'Where the engine is mounted.', shape: PATH, default: 'secret' },
        path: { says: 'The secret.', shape: PATH, isRequired: true },
        field: { says: 'Which of its fields.', shape: text('a name', CREDENTIAL_PATH), isRequired: true },
      }),
    },
  },
  { exactlyOne: ['file', 'vault'] },
);
