/**
 * What the directory says, as calls read it: the entries of one content, and how old the last word about them is at this very
 * moment. The same content that is signed again is the same directory, only younger; calls that are under way go on with it.
 */

import type { DirectoryReading, Issuer } from '@sallyport/model';
import type { VerifiedDirectory } from '@sallyport/trust';

/** `ageMs` is asked at every reading, since nothing is remembered of how young it was a moment ago. */
export function directoryReading(of: VerifiedDirectory | undefined, ageMs: () => number): DirectoryReading {
  return new HeldDirectory(of, ageMs);
}

class HeldDirectory implements DirectoryReading {
  readonly #of: VerifiedDirectory | undefined;
  readonly #ageMs: () => number;

  constructor(of: VerifiedDirectory | undefined, ageMs: () => number) {
    this.#of = of;
    this.#ageMs = ageMs;
  }

  get ageMs(): number {
    return this.#of === undefined ? Number.POSITIVE_INFINITY : this.#ageMs();
  }

  find(principal: Parameters<DirectoryReading['find']>[0]): ReturnType<DirectoryReading['find']> {
    return this.#of?.find(principal);
  }
}

/** Attributes that are too old to be known, as one text: where it changes, calls under way are judged anew. */
export function outdated(issuers: readonly Issuer[], ageMs: number): string {
  const names = issuers.flatMap(({ issuer, directory = {} }) =>
    Object.entries(directory).flatMap(([name, { ageMsMax }]) => (ageMs <= ageMsMax ? [] : [`${issuer} ${name}`])),
  );
  return names.join('\n');
}
