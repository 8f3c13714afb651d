/** When two declarations of a server's place are the same place. */

import type { Destination } from '@sallyport/model';

/** Same scheme, host, port and kind of network: one may stand for the other. */
export function isSameDestination(a: Destination, b: Destination): boolean {
  return a.scheme === b.scheme && a.host === b.host && a.port === b.port && a.network === b.network;
}
