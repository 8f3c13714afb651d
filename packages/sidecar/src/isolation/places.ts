/**
 * Files and folders that an agent on the same machine must not reach: whether their owners and modes keep it out. Modes are
 * all that is looked at; what a mount or a capability lets an agent do is for whoever deploys it to vouch for.
 */

import { realpathSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { SidecarConfig } from '../config.ts';
import type { IsolationReason } from './reasons.ts';

/** One thing that has to be kept from the agent. */
export interface Place {
  readonly path: string;
  /** The mode bits that it must not have. */
  readonly closed: number;
  readonly reason: IsolationReason;
}

export interface JudgedPlaces {
  /** What lies open to whoever is on this machine: by its reason, the first path. */
  readonly open: ReadonlyMap<IsolationReason, string>;
  /** By the owner of a place, or of a folder above one: what lies open to that user. */
  readonly owned: ReadonlyMap<number, { readonly reason: IsolationReason; readonly path: string }>;
}

const ALL_BUT_OWNER = 0o077;
/** A group may read, as Kubernetes gives a volume to a pod. */
const ALL_BUT_GROUP_READS = 0o027;
const STRANGER_WRITES = 0o022;
const STICKY = 0o1000;

/** Everything that the configuration names and an agent could turn against this sidecar. */
export function guardedPlaces(config: SidecarConfig): readonly Place[] {
  const { inbound, outbound, secrets, admin } = config;
  const keys = [inbound?.key_file, outbound.agent_certificate?.key_file];
  return [
    { path: config.state_dir, closed: ALL_BUT_OWNER, reason: 'state_open' },
    ...placesOf('key_open', ALL_BUT_GROUP_READS, keys),
    ...placesOf('secret_open', ALL_BUT_GROUP_READS, [secrets.vault?.token_file, config.control_plane.join_token_file]),
    // Each file in it is judged when it is read; here, that nobody else puts one there.
    ...placesOf('secret_open', STRANGER_WRITES, [secrets.folder]),
    ...placesOf('anchor_open', STRANGER_WRITES, [config.root_pin_file]),
    ...placesOf('admin_open', ALL_BUT_OWNER, [admin.socket === undefined ? undefined : dirname(admin.socket)]),
  ];
}

function placesOf(reason: IsolationReason, closed: number, paths: readonly (string | undefined)[]): readonly Place[] {
  return paths.flatMap((path) => (path === undefined ? [] : [{ path, closed, reason }]));
}

/** A place that cannot be looked at counts as open; one that is not there is nobody's. */
export function judgePlaces(places: readonly Place[], own: number | undefined): JudgedPlaces {
  const open = new Map<IsolationReason, string>();
  const owned = new Map<number, { readonly reason: IsolationReason; readonly path: string }>();
  for (const { path, closed, reason } of places) {
    const looked = look(path);
    if (looked === 'absent') continue;
    if (looked === 'unknown') {
      open.set(reason, open.get(reason) ?? path);
      continue;
    }
    const [itself, ...above] = looked;
    const isOpen = itself === undefined || (itself.mode & closed) !== 0 || above.some(isReplaceable);
    if (isOpen) open.set(reason, open.get(reason) ?? path);
    // Root is told apart by itself, and owns much.
    for (const { uid } of looked) if (uid !== own && uid !== 0) owned.set(uid, { reason, path });
  }
  return { open, owned };
}

/**
 * Of a Unix socket, whose peers the platform does not name: a folder that its owner alone can enter says who they are.
 * `undefined` where that is another user than this sidecar's.
 */
export function judgeSocketFolder(socket: string, own: number | undefined): IsolationReason | undefined {
  const looked = look(dirname(socket));
  const folder = typeof looked === 'string' ? undefined : looked[0];
  if (folder === undefined || own === undefined || (folder.mode & ALL_BUT_OWNER) !== 0) return 'socket_open';
  if (folder.uid === own) return 'same_user';
  return folder.uid === 0 ? 'agent_is_root' : undefined;
}

/** What stands at the end of the links, and each folder above it. */
function look(path: string): readonly Stats[] | 'absent' | 'unknown' {
  try {
    const found: Stats[] = [];
    for (let at = realpathSync(path); ; at = dirname(at)) {
      found.push(statSync(at));
      if (dirname(at) === at) return found;
    }
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ENOENT' ? 'absent' : 'unknown';
  }
}

/** Whoever may write to a folder can put another thing in the place of what lies in it, unless the folder is sticky. */
function isReplaceable({ mode }: Stats): boolean {
  return (mode & STRANGER_WRITES) !== 0 && (mode & STICKY) === 0;
}
