/** What one service tells the others that it has done; nobody who listens can refuse or delay it. */

import type { Area, Ring } from '@sallyport/model';
import type { AuthorityChange } from './live-authority.ts';

export type Change =
  /** A bundle of this area was accepted. */
  | { readonly kind: 'bundle'; readonly area: Area }
  /** A release of this area and ring became the current one. */
  | { readonly kind: 'release'; readonly area: Area; readonly ring: Ring }
  /** Bundles are wanted at the sidecars of this area and ring before a release names them. */
  | { readonly kind: 'staging'; readonly area: Area; readonly ring: Ring }
  | { readonly kind: 'revocation' }
  /** Something is said of principals: something new, or the same again. */
  | { readonly kind: 'directory' }
  /** Another process on the same database has committed something, or may have. */
  | { readonly kind: 'elsewhere' }
  /** Signed files of the administrators were replaced. */
  | { readonly kind: 'authority'; readonly change: AuthorityChange };

export interface Changes {
  tell(change: Change): void;
  listen(listener: (change: Change) => void): void;
}

/** `onFailure` hears of a listener that throws: what was done is done, and its teller goes on. */
export function createChanges(onFailure: (error: unknown) => void): Changes {
  // Owner: this closure; listeners are added while composing and stay.
  const listeners: ((change: Change) => void)[] = [];
  return {
    tell(change) {
      for (const listener of listeners) {
        try {
          listener(change);
        } catch (error) {
          onFailure(error);
        }
      }
    },
    listen: (listener) => void listeners.push(listener),
  };
}
