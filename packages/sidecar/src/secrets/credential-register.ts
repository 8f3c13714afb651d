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
  /** When a leak was reported, as the policy says; null where none was. */
  readonly leaked_at: string | null;
  /** `open` while the value in use is from before the leak, `critical` from the fifth day on; null where it is not. */
  readonly leak: 'open' | 'critical' | null;
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
  /** Once when a leaked value is found to be in use, and once more when that has become critical. */
  readonly onLeak: (name: CredentialName, leak: 'open' | 'critical') => void;
  /** How long a leaked value has been in use; 0 once it is replaced. Only of those of which a leak was reported. */
  readonly onLeakAge: (name: CredentialName, leakMs: number) => void;
  readonly onAge: (name: CredentialName, ageMs: number) => void;
}

export interface CredentialRegister {
  /** Looks at what is due and tells of what is stale. Never rejects. */
  look(): Promise<void>;
  /** By name. */
  entries(): readonly CredentialEntry[];
}

/** A leaked value that is still in use after this long is nobody's oversight any more. */
const LEAK_CRITICAL_MS = 5 * 86_400_000;

export function credentialRegister(options: RegisterOptions): CredentialRegister {
  const { clock, credentials, named, onStale, onLeak, onLeakAge, onAge } = options;
  // Owner: `look`. Of which value it was told that it is stale, by when it was made. No longer than the policy's list.
  let told: ReadonlyMap<CredentialName, Instant> = new Map();
  // Owner: `look`. What of each leak was told last, and of which value.
  let toldLeaks: ReadonlyMap<CredentialName, string> = new Map();
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
      leaked_at: credential.leakedAt === undefined ? null : formatInstant(credential.leakedAt),
      leak: leakOf(credential, state.madeAt, clock.wall()),
      usable: state.isUsable,
      failure: state.failure ?? null,
      uses: state.uses,
      last_used_at: state.lastUsedAt === undefined ? null : formatInstant(state.lastUsedAt),
    };
  };
  const tellLeaks = (list: readonly CarriedCredential[]): ReadonlyMap<CredentialName, string> => {
    const open = new Map<CredentialName, string>();
    for (const credential of list) {
      const { name, leakedAt } = credential;
      if (leakedAt === undefined) continue;
      const { leak } = entryOf(credential);
      onLeakAge(name, leak === null ? 0 : Math.max(0, clock.wall() - leakedAt));
      if (leak === null) continue;
      const what = `${leak} ${leakedAt}`;
      if (toldLeaks.get(name) !== what) onLeak(name, leak);
      open.set(name, what);
    }
    return open;
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
      toldLeaks = tellLeaks(list);
    },
    entries: () => named().map(entryOf),
  };
}

/** Of a source that does not say when its value was made, nothing shows that it is another one. */
function leakOf({ leakedAt }: CarriedCredential, madeAt: Instant | undefined, now: Instant): CredentialEntry['leak'] {
  if (leakedAt === undefined || (madeAt !== undefined && madeAt > leakedAt)) return null;
  return now - leakedAt >= LEAK_CRITICAL_MS ? 'critical' : 'open';
}
