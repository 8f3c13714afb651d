/**
 * What calls carry: the headers of the credentials that the policy names for a call, made when it is sent. Everything
 * outside of this room knows credentials by their names. docs/spec/credentials.md.
 */

import { deny, invariant, type Clock, type CredentialName, type Denial, type ServerName } from '@sallyport/model';
import { UpstreamFault, type Upstreams } from '@sallyport/net';
import type { CarriedCredential } from '@sallyport/policy';
import { HeldSecret, type SecretState, type SecretTimes } from './held-secret.ts';
import { readSecretFile } from './secret-file.ts';
import { fetchToken } from './secret-oauth.ts';
import type { ReadSecret, Sourced } from './secret-source.ts';
import type { ReadVault } from './secret-vault.ts';

export type Header = readonly [name: string, value: string];

/** What one kind of call carries. Made once for each list of credentials. */
export interface Carried {
  /** Tells what is carried apart, by names. */
  readonly key: string;
  /** Fetches what is due. A denial where a value cannot be had: then nothing may be sent. */
  ready(): Promise<Denial | undefined>;
  /** For this destination and no other. Throws an `UpstreamFault`, unsent, where a value may not be used any more. */
  headers(server: ServerName): readonly Header[];
  /** The upstream answered 401: looks at the sources again. Whether there is another value than the one that was sent. */
  isReplaced(): Promise<boolean>;
}

export interface CredentialsOptions {
  readonly clock: Clock;
  /** Absent: no file can be named. */
  readonly folder: string | undefined;
  /** Absent: no secret of Vault's can be named. */
  readonly vault: ReadVault | undefined;
  /** The way to token endpoints. */
  readonly oauth: Upstreams;
  readonly times: SecretTimes;
}

export interface Credentials {
  of(credentials: readonly CarriedCredential[]): Carried;
  /** Looks at its source if it is time to; a token is fetched for a call alone. Never rejects. */
  look(credential: CarriedCredential): Promise<void>;
  stateOf(credential: CarriedCredential): SecretState;
}

/** What most calls carry. */
export const NOTHING_CARRIED: Carried = {
  key: '',
  ready: async () => undefined,
  headers: () => NO_HEADERS,
  isReplaced: async () => false,
};
const NO_HEADERS: readonly Header[] = [];
/** Secrets held at a time; as many as a bundle can name, and those of the one before. */
const HELD_MAX = 2_000;

export function credentials(options: CredentialsOptions): Credentials {
  // Owner: this object. By credential and source; the one that was made first goes first.
  const held = new Map<string, HeldSecret>();
  // Owner: this object. A list of credentials lives as long as the policy that made it.
  const carried = new WeakMap<readonly CarriedCredential[], Carried>();
  const heldFor = (credential: CarriedCredential): HeldSecret => {
    const key = JSON.stringify([credential.name, credential.source, credential.maxAgeMs ?? null, credential.endpoint ?? null]);
    const known = held.get(key);
    if (known !== undefined) return known;
    const [first] = held.keys();
    if (held.size >= HELD_MAX && first !== undefined) held.delete(first);
    const made = new HeldSecret(readerOf(credential, options), { clock: options.clock, times: timesOf(credential, options.times) });
    held.set(key, made);
    return made;
  };
  return {
    of(list) {
      if (list.length === 0) return NOTHING_CARRIED;
      const known = carried.get(list);
      if (known !== undefined) return known;
      const made = new CarriedSecrets(list.map((credential) => ({ credential, secret: heldFor(credential) })));
      carried.set(list, made);
      return made;
    },
    async look(credential) {
      if (credential.source.kind !== 'oauth_client_credentials') await heldFor(credential).refresh();
    },
    stateOf: (credential) => heldFor(credential).state,
  };
}

function readerOf({ source, endpoint }: CarriedCredential, options: CredentialsOptions): ReadSecret {
  const { folder, vault, oauth } = options;
  const file = async (path: string): Promise<Sourced> => (folder === undefined ? NOT_CONFIGURED : readSecretFile(folder, path));
  if (source.kind === 'file') return () => file(source.path);
  if (source.kind === 'vault') return async (signal) => (vault === undefined ? NOT_CONFIGURED : vault(source, signal));
  invariant(endpoint !== undefined, 'a source that is a declared server knows where it is');
  return (signal) => fetchToken(source, { endpoint, upstreams: oauth, secret: () => file(source.clientSecretFile), signal });
}

const NOT_CONFIGURED: Sourced = { failure: 'not_configured' };

/** A stale credential is not used on when its source is away. */
function timesOf({ maxAgeMs }: CarriedCredential, times: SecretTimes): SecretTimes {
  return maxAgeMs === undefined ? times : { ...times, lastGoodMsMax: Math.min(maxAgeMs, times.lastGoodMsMax) };
}

interface Pair {
  readonly credential: CarriedCredential;
  readonly secret: HeldSecret;
}

class CarriedSecrets implements Carried {
  readonly key: string;
  readonly #pairs: readonly Pair[];

  constructor(pairs: readonly Pair[]) {
    this.#pairs = pairs;
    this.key = JSON.stringify(
      pairs.map(({ credential: { name, source, header, scheme, maxAgeMs, endpoint } }) => [
        name,
        source,
        header,
        scheme,
        maxAgeMs,
        endpoint,
      ]),
    );
  }

  async ready(): Promise<Denial | undefined> {
    for (const { credential, secret } of this.#pairs) {
      await secret.refresh();
      if (secret.value() === undefined) return unavailable(credential.name, secret.state.failure ?? 'outdated');
    }
    return undefined;
  }

  headers(server: ServerName): readonly Header[] {
    return this.#pairs.map(({ credential, secret }): Header => {
      invariant(credential.destinations.includes(server), 'a credential goes to its destinations alone');
      const value = secret.use();
      // A call without its credential is another call; it does not go out.
      if (value === undefined)
        throw new UpstreamFault('upstream_unreachable', `credential \`${credential.name}\` ran out`, { wasSent: false });
      return [credential.header, credential.scheme === undefined ? value : `${credential.scheme} ${value}`];
    });
  }

  async isReplaced(): Promise<boolean> {
    let isAny = false;
    for (const { secret } of this.#pairs) if (await secret.isReplaced()) isAny = true;
    return isAny;
  }
}

/** The record names the credential and what kind of trouble it has; a path or an address is in neither. */
function unavailable(name: CredentialName, why: string): Denial {
  return deny('credential_unavailable', `credential \`${name}\`: ${why}`);
}
