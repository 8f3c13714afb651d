/**
 * The one place that says whether the agent's isolation is enforced: whoever deployed it vouches for it (`isolation` of the
 * configuration), and nothing that can be seen here speaks against it. Files are looked at on a beat, the user at the other
 * end once for each connection. It never says who calls: a uid is a second factor, and no proof. ADR 41.
 */

import type { Isolation } from '@sallyport/model';
import type { ConnectionEnds } from '@sallyport/net';
import type { ListenAddress } from '@sallyport/runtime';
import type { Leg } from '../pipeline/gate.ts';
import type { PeerUser, PeerUsers } from './kernel-table.ts';
import { judgePlaces, judgeSocketFolder, type JudgedPlaces, type Place } from './places.ts';
import { REASONS, type IsolationReason } from './reasons.ts';

export interface IsolationOptions {
  /** What the configuration vouches for. */
  readonly vouched: Isolation;
  readonly users: PeerUsers;
  readonly places: readonly Place[];
  /** Where the agent calls. */
  readonly outbound: ListenAddress;
  /** A reason that was not there before, in words; once for each time that it comes. */
  readonly onReason: (reason: IsolationReason, detail: string) => void;
}

export interface IsolationStanding {
  readonly isolation: Isolation;
  /** Why it is advisory, sorted; empty where it is enforced. */
  readonly reasons: readonly IsolationReason[];
}

export interface IsolationRoom {
  /** Of a call that came over this connection; one of a caller of the agent has what is known of the agent. */
  of(leg: Leg, ends: ConnectionEnds): Isolation;
  /** As the last look and the agent's last connection have it. */
  standing(): IsolationStanding;
  /** Looks at the files; nothing is enforced before the first look. To be called on a beat. */
  look(): void;
}

const NOT_VOUCHED: IsolationStanding = { isolation: 'advisory', reasons: ['not_vouched'] };

export function isolationRoom(options: IsolationOptions): IsolationRoom {
  if (options.vouched === 'enforced') return new Room(options);
  // Nothing is looked up of what nobody vouches for.
  return { of: () => 'advisory', standing: () => NOT_VOUCHED, look: () => {} };
}

class Room implements IsolationRoom {
  readonly #options: IsolationOptions;
  /** Owner of all that follows: this room. */
  readonly #users: WeakMap<ConnectionEnds, PeerUser> = new WeakMap();
  /** Before the first look nothing is known, and nothing enforced. */
  #places: JudgedPlaces | undefined;
  #socket: IsolationReason | undefined;
  /** Of the agent's last connection; `undefined` before the first. */
  #last: PeerUser | undefined;
  #standing: IsolationStanding = { isolation: 'advisory', reasons: [] };

  constructor(options: IsolationOptions) {
    this.#options = options;
  }

  of(leg: Leg, ends: ConnectionEnds): Isolation {
    if (leg === 'inbound' || this.#options.outbound.kind === 'unix') return this.#standing.isolation;
    const user = this.#userOf(ends);
    return this.#places?.open.size === 0 && this.#against(user) === undefined ? 'enforced' : 'advisory';
  }

  standing(): IsolationStanding {
    return this.#standing;
  }

  look(): void {
    const { places, users, outbound } = this.#options;
    this.#places = judgePlaces(places, users.own);
    this.#socket = outbound.kind === 'unix' ? judgeSocketFolder(outbound.path, users.own) : undefined;
    this.#stand();
  }

  #userOf(ends: ConnectionEnds): PeerUser {
    const known = this.#users.get(ends);
    if (known !== undefined) return known;
    const user = this.#options.users.of(ends);
    this.#users.set(ends, user);
    if (user !== this.#last) {
      this.#last = user;
      this.#stand();
    }
    return user;
  }

  /** What speaks against an agent of this user; `undefined` where nothing does. */
  #against(user: PeerUser): IsolationReason | undefined {
    const { own } = this.#options.users;
    if (user === 'elsewhere') return undefined;
    if (user === 'unknown' || own === undefined) return 'peer_unknown';
    if (user === own) return 'same_user';
    return user === 0 ? 'agent_is_root' : this.#places?.owned.get(user)?.reason;
  }

  #stand(): void {
    const ofPeer = this.#last === undefined ? undefined : this.#against(this.#last);
    const known = [...(this.#places?.open.keys() ?? []), this.#socket, ofPeer].filter((reason) => reason !== undefined);
    const reasons = [...new Set(known)].toSorted();
    const before = this.#standing.reasons;
    this.#standing = { isolation: this.#places !== undefined && reasons.length === 0 ? 'enforced' : 'advisory', reasons };
    for (const reason of reasons) if (!before.includes(reason)) this.#options.onReason(reason, this.#words(reason));
  }

  #words(reason: IsolationReason): string {
    const { open, owned } = this.#places ?? {};
    const path = open?.get(reason) ?? [...(owned?.values() ?? [])].find((one) => one.reason === reason)?.path;
    return path === undefined ? REASONS[reason] : `${REASONS[reason]}: ${path}`;
  }
}
