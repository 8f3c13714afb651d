/** Refusals of callers' proofs: a code for the caller, a detail that names the method for the record. */

import { type Denial, type DenialCode, deny, fail } from '@sallyport/model';

/** A denial by one method. */
export type Refuse = (code: DenialCode, detail: string) => { readonly ok: false; readonly error: Denial };

/** The refusals of the method of this name. Details hold nothing that a sender could have written, nor any secret. */
export function refusalsOf(method: string): Refuse {
  return (code, detail) => fail(deny(code, `caller method \`${method}\`: ${detail}`));
}
