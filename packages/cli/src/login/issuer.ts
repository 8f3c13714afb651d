/** Which issuers may be asked without TLS. */

/** Names that mean this machine and no other; anything else without TLS could be read and answered by whoever is in between. */
export function isLoopback({ protocol, hostname }: URL): boolean {
  return protocol === 'http:' && (hostname === '127.0.0.1' || hostname === '[::1]' || hostname === 'localhost');
}
