/**
 * Keys that somebody is about to sign with, held against their own Root and delegation: a wrong one is told, with the
 * right ones, before anything travels. The control plane and every sidecar judge again, by what they hold.
 */

import type { Signer } from '@sallyport/crypto/keys';
import type { Area, Instant, Problem } from '@sallyport/model';
import { EMPTY_HIGH_WATER, trustDelegation } from '@sallyport/trust';
import type { RoleKeys, TrustedRoot } from '@sallyport/trust';
import { readDelegation } from '../trust-files.ts';
import type { Home } from '../home.ts';
import type { Io } from '../io.ts';

type Signers = readonly Pick<Signer, 'keyId'>[];

/** Signers that publish nothing for the area; none are told where the folder has no delegation of it that holds. */
export function strangePublishers(signers: Signers, { home, root, area, at }: Publishing, io: Io): readonly Problem[] {
  const publishers = publishersOf({ home, root, area, at }, io);
  return publishers === undefined ? [] : strangers(signers, publishers.keys, `publisher of ${area}`);
}

interface Publishing {
  readonly home: Home;
  readonly root: TrustedRoot;
  readonly area: Area;
  readonly at: Instant;
}

/** Who is missing where these signers are too few for the area; none are told where the folder has no delegation of it that holds. */
export function missingPublishers(signers: Signers, publishing: Publishing, io: Io): readonly Problem[] {
  const publishers = publishersOf(publishing, io);
  const here = new Set(signers.map(({ keyId }) => keyId));
  if (publishers === undefined || here.size >= publishers.threshold) return [];
  const missing = publishers.keys.filter(({ keyId }) => !here.has(keyId)).map(({ keyId }) => keyId);
  const message = `publishing for ${publishing.area} takes ${publishers.threshold} signatures, and ${here.size} ${here.size === 1 ? 'is' : 'are'} here`;
  const remedy = `${publishers.threshold - here.size} more of ${missing.join(', ')}; where they sit elsewhere: policy build, bundle sign, bundle submit`;
  return [{ path: '', message, remedy }];
}

function publishersOf({ home, root, area, at }: Publishing, io: Io): RoleKeys | undefined {
  const envelope = readDelegation(home, area, undefined, io);
  const delegation = envelope.ok ? trustDelegation(envelope.value, { root, highWater: EMPTY_HIGH_WATER, at }) : undefined;
  return delegation?.ok === true ? delegation.value.publishers : undefined;
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
