/** Whose sessions are open, so that nobody has more than a share of them. */

import type { Principal, SessionId } from '@sallyport/model';

/** Two issuers, or two tenants, may each have an `alice`. */
export type Owner = Pick<Principal, 'id' | 'kind' | 'tenant' | 'issuer'>;

export interface SessionOwners {
  add(owner: Owner, id: SessionId): void;
  remove(owner: Owner, id: SessionId): void;
  count(owner: Owner): number;
  /** Of the owner's, the one used longest ago, by the time that is given for each; `undefined` where it has none. */
  longestUnused(owner: Owner, usedAt: (id: SessionId) => number): SessionId | undefined;
}

export function sessionOwners(): SessionOwners {
  // Owner: these functions. Those without a session are not there.
  const owned = new Map<string, Set<SessionId>>();
  return {
    add(owner, id) {
      const name = nameOf(owner);
      const own = owned.get(name);
      if (own === undefined) owned.set(name, new Set([id]));
      else own.add(id);
    },
    remove(owner, id) {
      const name = nameOf(owner);
      const own = owned.get(name);
      own?.delete(id);
      if (own?.size === 0) owned.delete(name);
    },
    count: (owner) => owned.get(nameOf(owner))?.size ?? 0,
    longestUnused(owner, usedAt) {
      let found: SessionId | undefined;
      for (const id of owned.get(nameOf(owner)) ?? []) if (found === undefined || usedAt(id) < usedAt(found)) found = id;
      return found;
    },
  };
}

function nameOf({ id, kind, tenant, issuer }: Owner): string {
  return JSON.stringify([kind, issuer, tenant, id]);
}
