/**
 * What is known of the credentials of the policy in force, by name: how old they are, whether they can be had, how they
 * are used. Looked at on a beat, so that one that nobody calls with is found stale as well. docs/spec/credentials.md, 6.
 */

import { formatInstant, type Clock, type CredentialName, type Instant } from '@sallyport/model';
import type { CarriedCredential } from '@sallyport/policy';
import type { Credentials } from './credentials.ts';

/** As the administration socket tells it. No member holds a value, a path or an address. */
export interface CredentialEntry {
  readonly name: CredentialName;
  readonly source: CarriedCredential['source']['kind'];
  readonly header: string;
  readonly destinations: readonly string[];
  /** Since it was made, by its source; null where that does not say. */
  readonly age_ms: number | null;
  readonly max_age_ms: number | null;
  readonly stale: boolean;
  /** Whether a call could carry it now. */
  readonly usable: boolean;
  /** Of the last look; null where that succeeded, or none was taken. */
  readonly failure: string | null;
  readonly uses: number;
  readonly last_used_at: string | null;
}

export interface RegisterOptions {
  readonly clock: Clock;
  readonly credentials: Credentials;
  /** Those of the policy in force. */
  readonly named: () => readonly CarriedCredential[];
  /** Once for each value that has become stale. */
  readonly onStale: (name: CredentialName) => void;
  readonly onAge: (name: CredentialName, ageMs: number) => void;
}

export interface CredentialRegister {
  /** Looks at what is due and tells of what is stale. Never rejects. */
  look(): Promise<void>;
  /** By name. */
  entries(): readonly CredentialEntry[];
}

export function credentialRegister({ clock, credentials, named, onStale, onAge }: RegisterOptions): CredentialRegister {
  // Owner: `look`. Of which value it was told that it is stale, by when it was made. No longer than the policy's list.
  let told: ReadonlyMap<CredentialName, Instant> = new Map();
  const entryOf = (credential: CarriedCredential): CredentialEntry => {
    const state = credentials.stateOf(credential);
    const ageMs = state.madeAt === undefined ? undefined : Math.max(0, clock.wall() - state.madeAt);
    return {
      name: credential.name,
      source: credential.source.kind,
      header: credential.header,
      destinations: credential.destinations,
      age_ms: ageMs ?? null,
      max_age_ms: credential.maxAgeMs ?? null,
      stale: ageMs !== undefined && credential.maxAgeMs !== undefined && ageMs > credential.maxAgeMs,
      usable: state.isUsable,
      failure: state.failure ?? null,
      uses: state.uses,
      last_used_at: state.lastUsedAt === undefined ? null : formatInstant(state.lastUsedAt),
    };
  };
  return {
    async look() {
      const list = named();
      await Promise.all(list.map((credential) => credentials.look(credential)));
      const stale = new Map<CredentialName, Instant>();
      for (const credential of list) {
        const { name, age_ms: ageMs, stale: isStale } = entryOf(credential);
        if (ageMs !== null) onAge(name, ageMs);
        const { madeAt } = credentials.stateOf(credential);
        if (!isStale || madeAt === undefined) continue;
        if (told.get(name) !== madeAt) onStale(name);
        stale.set(name, madeAt);
      }
      told = stale;
    },
    entries: () => named().map(entryOf),
  };
}
