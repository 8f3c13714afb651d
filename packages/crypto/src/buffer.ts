/** Between Node's `Buffer` and what callers see. Declarations of the entries name no Node type: pure packages have none. */

/** A `Buffer` as the plain bytes it is. */
export function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** The same bytes with the methods of `Buffer`. */
export function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
