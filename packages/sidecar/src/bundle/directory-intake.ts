/**
 * The directory's way to what calls are judged by, one step of the activator at a time: the envelope is judged, the content is
 * fetched beside the turn where it is not held already, and both are judged again before they are kept (trust-v1, 6.6).
 */

import { fail, ok, type Digest, type Result } from '@sallyport/model';
import {
  acceptDirectory,
  reject,
  verifyDirectory,
  type DirectoryContext,
  type DirectoryFile,
  type Rejection,
  type SignedDirectory,
  type VerifiedDirectory,
} from '@sallyport/trust';

/** A directory from somewhere; `fetch` brings the content that it names, may fail, and may bring anything. */
export interface DirectoryCandidate {
  readonly kind: 'directory';
  readonly envelope: Uint8Array;
  readonly fetch: (content: { readonly digest: Digest; readonly bytes: number }) => Promise<Uint8Array | undefined>;
}

export interface DirectoryIntakeOptions {
  /** What it is judged by at this moment; `undefined` before there is a root. */
  readonly context: () => DirectoryContext | undefined;
  /** Runs a step in the activator's turn. */
  readonly inTurn: <T>(task: () => Promise<T>) => Promise<T>;
  /** On disk: the directory, and the mark that names it. */
  readonly keep: (kept: DirectoryFile, signed: SignedDirectory) => Promise<void>;
  /** Shows what is true now. */
  readonly publish: () => void;
}

export class DirectoryIntake {
  readonly #options: DirectoryIntakeOptions;
  // Owner: this intake, in the activator's turn. Replaced, never edited.
  #held: { readonly verified: VerifiedDirectory; readonly content: Uint8Array } | undefined;

  constructor(options: DirectoryIntakeOptions) {
    this.#options = options;
  }

  get verified(): VerifiedDirectory | undefined {
    return this.#held?.verified;
  }

  /** The root has changed: what was verified under the one before is read again, or is gone. */
  forget(): void {
    this.#held = undefined;
  }

  /** As a bundle: the content may be long in coming, and what is true then decides. What is held is not fetched again. */
  async offer({ envelope, fetch }: DirectoryCandidate): Promise<Result<'taken' | 'already', Rejection>> {
    const { inTurn, publish } = this.#options;
    const signed = await inTurn(async () => this.#judge(envelope));
    if (!signed.ok) return signed;
    const held = this.#held;
    if (held?.verified.signed.digest === signed.value.digest) return ok('already');
    const named = signed.value.payload.content;
    const isHeld = held?.verified.signed.payload.content.digest === named.digest;
    const content = isHeld ? held.content : await fetch(named);
    if (content === undefined) return fail(reject('DIGEST', 'the content of the directory could not be had'));
    return inTurn(async () => {
      try {
        return await this.take({ envelope, content });
      } finally {
        publish();
      }
    });
  }

  /** In the activator's turn alone. */
  async take(kept: DirectoryFile): Promise<Result<'taken', Rejection>> {
    const signed = this.#judge(kept.envelope);
    if (!signed.ok) return signed;
    const verified = acceptDirectory(signed.value, kept.content);
    if (!verified.ok) return verified;
    await this.#options.keep(kept, signed.value);
    this.#held = { verified: verified.value, content: kept.content };
    return ok('taken');
  }

  #judge(envelope: Uint8Array): Result<SignedDirectory, Rejection> {
    const context = this.#options.context();
    return context === undefined ? fail(reject('ROOT', 'a directory came before a root')) : verifyDirectory(envelope, context);
  }
}
