/** What kind of network an IP address leads to, from the IANA special-purpose registries. Pure; nothing is dialled here. */

import { Bug } from '@sallyport/model';
import type { Destination } from '@sallyport/model';

/** `public` is what the registries leave; everything else is named for what it is. */
export type AddressKind =
  | 'public'
  | 'private'
  | 'loopback'
  | 'link_local'
  | 'metadata'
  | 'shared'
  | 'unspecified'
  | 'multicast'
  | 'documentation'
  | 'embedded_ipv4'
  | 'reserved'
  | 'not_an_address';

/** The kind of an IPv4 or IPv6 address in any spelling that `node:net` accepts, without brackets or zone. */
export function addressKind(address: string): AddressKind {
  throw new Bug(`to come ${address}`);
}

/** Whether a destination may be dialled at this address; the reason in words where it may not. */
export function judgeAddress(
  destination: Destination,
  address: string,
): { readonly kind: AddressKind; readonly refusal: string | undefined } {
  throw new Bug(`to come ${destination.host} ${address}`);
}
