/**
 * The secrets that callers' proofs are judged with: read from where the policy says that they lie, when they are due, and used
 * on for a while when their place is away. The room of `secrets/` reads; nothing here shows a value.
 */

import { utf8 } from '@sallyport/crypto';
import type { BootMs, Clock } from '@sallyport/model';
import type { CallerSecret } from '@sallyport/policy';
import { HeldSecret, type SecretTimes } from '../secrets/held-secret.ts';
import { readSecretFile } from '../secrets/secret-file.ts';
import type { ReadSecret } from '../secrets/secret-source.ts';
import type { ReadVault } from '../secrets/secret-vault.ts';

export interface CallerSecretsOptions {
  readonly clock: Clock;
  /** Absent: no file can be named. */
  readonly folder: string | undefined;
  /** Absent: no secret of Vault's can be named. */
  readonly vault: ReadVault | undefined;
  readonly times: SecretTimes;
}

/** A method, or whoever else has secrets; the same object at each asking. */
export interface WithSecrets {
  /** By the name under which it has each. */
  readonly secrets: Readonly<Record<string, CallerSecret>>;
}

export interface CallerSecrets {
  /** Reads what is due of somebody's secrets; `undefined` where nothing is. Never rejects. */
  ready(of: WithSecrets): Promise<unknown> | undefined;
  /** The value under the name by which somebody has it, while it may be used. */
  secretOf(name: string): Uint8Array | undefined;
}

/** As many as two bundles can name. */
const HELD_MAX = 20_000;
/** A method's secrets are looked at no more often than this; each of them has its own times beside. */
const LOOK_MS = 1_000;

export function callerSecrets({ clock, folder, vault, times }: CallerSecretsOptions): CallerSecrets {
  // Owner: this object. By name, which is the place itself; the one that was named first goes first.
  const held = new Map<string, HeldSecret>();
  // Owner: this object. When the secrets of a method are to be looked at again; gone with its bundle.
  const looks = new WeakMap<WithSecrets, BootMs>();
  const heldFor = (name: string, source: CallerSecret): HeldSecret => {
    const known = held.get(name);
    if (known !== undefined) return known;
    const [first] = held.keys();
    if (held.size >= HELD_MAX && first !== undefined) held.delete(first);
    const made = new HeldSecret(readerOf(source, { folder, vault }), { clock, times });
    held.set(name, made);
    return made;
  };
  return {
    ready(of) {
      const due = looks.get(of);
      if (due !== undefined && clock.boot() < due) return undefined;
      const secrets = Object.entries(of.secrets).map(([name, source]) => heldFor(name, source));
      return Promise.all(secrets.map((secret) => secret.refresh())).then(() => looks.set(of, (clock.boot() + LOOK_MS) as BootMs));
    },
    secretOf(name) {
      const value = held.get(name)?.value();
      return value === undefined ? undefined : utf8(value);
    },
  };
}

function readerOf(source: CallerSecret, { folder, vault }: Pick<CallerSecretsOptions, 'folder' | 'vault'>): ReadSecret {
  if (source.kind === 'file')
    return async () => (folder === undefined ? { failure: 'not_configured' } : readSecretFile(folder, source.path));
  return async (signal) => (vault === undefined ? { failure: 'not_configured' } : vault(source, signal));
}
