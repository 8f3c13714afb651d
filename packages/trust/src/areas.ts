/** Areas are nested by path, and a release joins the bundles of an area and of those that cover it: its layers. Spec 4.4. */

import { digestOf, utf8 } from '@sallyport/crypto';
import type { Area, Digest } from '@sallyport/model';

/** Whether an area is the same as another or broader: `company` covers `company/prod`, and not `company-two`. */
export function covers(broad: Area, narrow: Area): boolean {
  return broad === narrow || narrow.startsWith(`${broad}/`);
}

/** The areas whose bundles may be joined at this one, the broadest first, this one last. */
export function areasCovering(area: Area): readonly Area[] {
  const words = area.split('/');
  return words.map((_, index) => words.slice(0, index + 1).join('/') as Area);
}

/**
 * What records call a joined set by: of one bundle its own digest, of several the digest of their areas and digests, the
 * broadest first. Who has the release can compute it. Spec section 4.4.1.
 */
export function digestOfJoined(bundles: readonly { readonly area: Area; readonly digest: Digest }[]): Digest | undefined {
  const [only, ...more] = bundles;
  if (only === undefined || more.length === 0) return only?.digest;
  return digestOf(utf8(JSON.stringify(bundles.map(({ area, digest }) => ({ area, digest }))))) as Digest;
}
