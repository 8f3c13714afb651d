/** DSSE v1 pre-authentication encoding: what is signed covers the type and the exact payload bytes, unambiguously. */

import { concatBytes, utf8 } from './bytes.ts';

/** `"DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload`, lengths in bytes, decimal (DSSE protocol v1.0.0). */
export function pae(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concatBytes(utf8(`DSSEv1 ${type.byteLength} `), type, utf8(` ${payload.byteLength} `), payload);
}
