/** The online keys in force: certified by the release role, so that no control plane can name its own. Spec section 6.3. */

import { fail, ok } from '@sallyport/model';
import type { Digest, Result } from '@sallyport/model';
import { digestOfPayload, parseEnvelope } from './envelope.ts';
import { judgeNumber, judgeRootMark } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { readOnlineKeys } from './objects/online-keys.ts';
import type { OnlineKey, OnlineKeys } from './objects/online-keys.ts';
import { reject } from './rejection.ts';
import type { Rejection } from './rejection.ts';
import type { TrustedRoot } from './roots.ts';
import { countThreshold } from './threshold.ts';

let make: (payload: OnlineKeys, digest: Digest, root: Digest) => TrustedOnlineKeys;

/** Online keys that the release threshold signed under a trusted root. Only this module makes one. */
export class TrustedOnlineKeys {
  readonly #payload: OnlineKeys;
  readonly digest: Digest;
  /** Of the root that they were verified under; another root has to verify them again. */
  readonly root: Digest;

  private constructor(payload: OnlineKeys, digest: Digest, root: Digest) {
    this.#payload = payload;
    this.digest = digest;
    this.root = root;
  }

  static {
    make = (payload, digest, root) => new TrustedOnlineKeys(payload, digest, root);
  }

  get number(): number {
    return this.#payload.number;
  }

  get keys(): readonly OnlineKey[] {
    return this.#payload.keys;
  }
}

/** Verifies the object that certifies the freshness keys. A withdrawn key cannot come back with an older one. */
export function trustOnlineKeys(
  bytes: Uint8Array,
  { root, highWater }: { readonly root: TrustedRoot; readonly highWater: HighWater },
): Result<TrustedOnlineKeys, Rejection> {
  const behind = judgeRootMark(highWater, root);
  if (behind !== undefined) return fail(behind);
  const parsed = parseEnvelope('OnlineKeys', bytes);
  if (!parsed.ok) return parsed;
  const counted = countThreshold('OnlineKeys', parsed.value, root.role('release'));
  if (!counted.ok) return counted;
  const read = readOnlineKeys(parsed.value.payload);
  if (!read.ok) return read;
  const shared = read.value.keys.find((key) => root.usesKey(key));
  if (shared !== undefined) return fail(reject('SIGNATURE', `freshness key \`${shared.keyId}\` already serves a role of the root`));
  const digest = digestOfPayload(parsed.value.payload);
  const judged = judgeNumber('online keys', { number: read.value.number, digest }, highWater.onlineKeys);
  return judged.ok ? ok(make(read.value, digest, root.digest)) : judged;
}
