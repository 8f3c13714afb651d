/**
 * A development root lives longer than its first online keys: whoever runs its control plane from the folder that holds
 * the release key as well signs the next ones by itself. A production root has no such key there, and nothing is renewed.
 */

import { existsSync } from 'node:fs';
import { addMs } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import { encodeOnlineKeys, signEnvelope } from '@sallyport/trust';
import { errorText } from '../failure.ts';
import { homeOf, signingKeyFile } from '../home.ts';
import type { Home } from '../home.ts';
import type { Io } from '../io.ts';
import { loadSigners } from '../keys.ts';
import { readOwnTrust } from '../trust-files.ts';
import { ONLINE_KEYS_CEREMONY, heldOnlineKeys } from './online-keys.ts';

const DAY_MS = 86_400_000;
const PERIOD_MS: number = 30 * DAY_MS;
/** Before anybody is alarmed that they end. */
const RENEWED_BEFORE_MS: number = 10 * DAY_MS;

/** Looks every day, until the signal aborts. What cannot be renewed is left as it is: the control plane says what ends. */
export async function keepDevelopmentKeys(home: Home, io: Io, signal: AbortSignal): Promise<void> {
  while (await delay(io.clock, DAY_MS, { signal })) {
    try {
      await renewDevelopmentKeys(home, io);
    } catch (error) {
      // A control plane goes on without: it is tried again tomorrow, and there are ten days.
      io.note(`the online keys were not renewed: ${errorText(error, false)}\n`);
    }
  }
}

/** The folder of a control plane's configuration, where it is one of those that `root init` makes. */
export function homeOfConfig(config: string, io: Io): Home | undefined {
  const home = homeOf(config.replace(/[/\\]control-plane[/\\]config\.yaml$/, ''), io);
  return home.controlPlaneConfig === config ? home : undefined;
}

/** Whether the online keys were renewed. */
export async function renewDevelopmentKeys(home: Home, io: Io): Promise<boolean> {
  const key = signingKeyFile(home, 'release-1');
  const held = existsSync(key) ? heldOnlineKeys(home) : undefined;
  const trust = held === undefined ? undefined : readOwnTrust(home, {}, io);
  if (held === undefined || trust?.ok !== true || trust.value.root.profile !== 'development') return false;
  const { root } = trust.value;
  const now = io.clock.wall();
  if (held.keys.every(({ notAfter }) => notAfter > addMs(now, RENEWED_BEFORE_MS))) return false;
  const signers = loadSigners([key], io);
  if (!signers.ok) return false;
  const next = {
    number: held.number + 1,
    keys: held.keys.map((one) => ({ ...one, notAfter: Math.max(one.notAfter, addMs(now, PERIOD_MS)) as Instant })),
  };
  const envelope = await signEnvelope('OnlineKeys', encodeOnlineKeys(next), signers.value);
  return ONLINE_KEYS_CEREMONY.install({ object: next, envelope }, { home, root, io }).ok;
}
