/** A head and a short body in one write: Node joins them where the body is text, and writes two pieces where it is bytes. */

import type { OutgoingMessage } from 'node:http';

/** A longer body is not worth copying. */
const BYTES_MAX = 16_384;

/** Ends a message with a body. Latin-1 gives every byte a character of its own, so exactly these bytes go out. */
export function endWith(outgoing: OutgoingMessage, body: Uint8Array): void {
  if (body.length > BYTES_MAX) outgoing.end(body);
  else outgoing.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1'), 'latin1');
}
