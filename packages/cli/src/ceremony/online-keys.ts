/** The ceremony of online keys: the release role says which keys may sign freshness, and when. docs/spec/ceremonies.md section 7. */

import { fail, formatInstant, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { EMPTY_HIGH_WATER, readOnlineKeys, trustOnlineKeys } from '@sallyport/trust';
import type { OnlineKeys } from '@sallyport/trust';
import type { Home } from '../home.ts';
import type { Refusal } from '../output.ts';
import { needRoot, rejected } from './ceremony.ts';
import type { Ceremony, Place, Signed } from './ceremony.ts';
import { readHeld, replaceNumbered } from './held.ts';

export const ONLINE_KEYS_CEREMONY: Ceremony<OnlineKeys> = {
  kind: 'OnlineKeys',
  family: 'online-keys',
  noun: 'online keys',
  read: readOnlineKeys,
  signatories: (_keys, root) =>
    root === undefined ? fail(needRoot()) : ok([{ says: `the release role of root ${root.number}`, role: root.role('release') }]),
  describe: ({ number, keys }) => [
    `online keys ${number}`,
    ...keys.map(
      ({ keyId, role, replica, notBefore, notAfter }) =>
        `  ${role} key ${keyId} of ${replica}, ${formatInstant(notBefore)} to ${formatInstant(notAfter)}`,
    ),
  ],
  json: ({ number, keys }) => ({
    number,
    keys: keys.map(({ keyId, replica, notBefore, notAfter }) => ({
      keyid: keyId,
      replica,
      not_before: formatInstant(notBefore),
      not_after: formatInstant(notAfter),
    })),
  }),
  install,
};

/** What lies in the folder, for who drafts the next: read, not verified. */
export function heldOnlineKeys(home: Pick<Home, 'onlineKeys'>): OnlineKeys | undefined {
  return readHeld('OnlineKeys', home.onlineKeys, readOnlineKeys);
}

function install({ object, envelope }: Signed<OnlineKeys>, { home, root }: Place): Result<readonly string[], Refusal> {
  if (root === undefined) return fail(needRoot());
  const trusted = trustOnlineKeys(envelope, { root, highWater: EMPTY_HIGH_WATER });
  if (!trusted.ok) return fail(rejected(trusted.error));
  const held = heldOnlineKeys(home)?.number ?? 0;
  return replaceNumbered(home.onlineKeys, { kind: 'OnlineKeys', envelope, number: object.number, held, what: 'the online keys' });
}
