/** When two declarations of a server's place are the same place. */

import { isSameServerTls, type Destination } from '@sallyport/model';

/** Same scheme, host, port, kind of network and TLS: one may stand for the other. */
export function isSameDestination(a: Destination, b: Destination): boolean {
  const isThere = a.scheme === b.scheme && a.host === b.host && a.port === b.port && a.network === b.network;
  return isThere && isSameServerTls(a.tls, b.tls);
}
