/**
 * Keys that somebody is about to sign with, held against their own Root and delegation: a wrong one is told, with the
 * right ones, before anything travels. The control plane and every sidecar judge again, by what they hold.
 */

import type { Signer } from '@sallyport/crypto/keys';
import type { Area, Instant, Problem } from '@sallyport/model';
import { EMPTY_HIGH_WATER, trustDelegation } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';
import { readDelegation } from '../trust-files.ts';
import type { Home } from '../home.ts';
import type { Io } from '../io.ts';

type Signers = readonly Pick<Signer, 'keyId'>[];

/** Signers that publish nothing for the area; none are told where the folder has no delegation of it that holds. */
export function strangePublishers(
  signers: Signers,
  { home, root, area, at }: { readonly home: Home; readonly root: TrustedRoot; readonly area: Area; readonly at: Instant },
  io: Io,
): readonly Problem[] {
  const envelope = readDelegation(home, area, undefined, io);
  const delegation = envelope.ok ? trustDelegation(envelope.value, { root, highWater: EMPTY_HIGH_WATER, at }) : undefined;
  if (delegation?.ok !== true) return [];
  return strangers(signers, delegation.value.publishers.keys, `publisher of ${area}`);
}

/** Signers that release nothing under this Root. */
export function strangeReleasers(signers: Signers, root: TrustedRoot): readonly Problem[] {
  return strangers(signers, root.role('release').keys, 'release key');
}

function strangers(signers: Signers, known: Signers, role: string): readonly Problem[] {
  const names = known.map(({ keyId }) => keyId);
  const [only, ...more] = names;
  const remedy = more.length === 0 ? `${only ?? 'nobody'} is` : `${names.join(', ')} are`;
  return signers
    .filter(({ keyId }) => !names.includes(keyId))
    .map(({ keyId }) => ({ path: '', message: `key ${keyId} is no ${role}`, remedy }));
}
