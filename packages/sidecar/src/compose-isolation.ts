/** Part of the composition root: what is looked at to say whether the agent is kept from going round this sidecar. */

import type { Clock } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import type { Log } from '@sallyport/telemetry';
import type { SidecarConfig } from './config.ts';
import { isolationRoom, type IsolationRoom } from './isolation/isolation.ts';
import { kernelPeerUsers, type PeerUsers } from './isolation/kernel-table.ts';
import { guardedPlaces } from './isolation/places.ts';

const LOOK_AT_FILES_MS = 30_000;

/** `peerUsers`: by this machine's kernel unless a test says otherwise. */
export function isolationOf(
  config: SidecarConfig,
  { log, peerUsers }: { readonly log: Log; readonly peerUsers?: PeerUsers },
): IsolationRoom {
  return isolationRoom({
    vouched: config.isolation,
    users: peerUsers ?? kernelPeerUsers(),
    places: guardedPlaces(config),
    outbound: config.outbound.listen,
    onReason: (reason, detail) => log.warn('isolation_advisory', { reason, detail }),
  });
}

/** A mode that is changed under a running sidecar is found, and one that is mended. Resolves when the signal aborts. */
export async function keepLookingAtFiles(
  room: IsolationRoom,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  while (await delay(clock, LOOK_AT_FILES_MS, { signal })) room.look();
}
