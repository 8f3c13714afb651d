/**
 * Connections under TLS until somebody may read from them: each with a deadline, and where callers have to prove themselves
 * none gets on without. Who fails is told by an alert, and the connection ends.
 */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { AlertKey, objectionTo } from './client-alert.ts';
import { addressOf } from './http-exchange.ts';
import type { ListenerRefusal } from './http-listener.ts';
import type { Watch, Watched } from './watch.ts';

export interface Handshakes {
  /** A connection has been accepted, and nothing of it is known. */
  begin(socket: Socket): void;
  /** A line of its key log, which is wiped; to be called where callers have to prove themselves. */
  noted(line: Buffer, secured: TLSSocket): void;
  /** Its handshake is over. False where nothing of it may be read: it is reported, told, and ends by itself. */
  admits(secured: TLSSocket): boolean;
  /** It went wrong; reported. */
  failed(secured: Socket, detail: string): void;
  cutAll(): void;
}

interface Open {
  readonly socket: Socket;
  readonly watched: Watched;
  readonly key: AlertKey;
  isReported: boolean;
}

/** How long a client that was told may take to go, and how much it may say by then: closed at once, it might lose the alert. */
const GOING_MS_MAX = 1_000;
const GOING_BYTES_MAX = 65_536;

/** They are known by their address: Node hands out another socket after the handshake. */
export function handshakes(options: {
  readonly watch: Watch;
  readonly msMax: number;
  readonly isProofAsked: boolean;
  readonly onRefusal: (refusal: ListenerRefusal) => unknown;
}): Handshakes {
  // Owner: this listener.
  const open = new Map<string, Open>();
  const end = (address: string): void => {
    const held = open.get(address);
    held?.watched.end();
    held?.key.wipe();
    open.delete(address);
  };
  // Once: what is cut for its slowness fails as well.
  const refuse = (address: string, detail: string): void => {
    const held = open.get(address);
    if (held === undefined || held.isReported) return;
    held.isReported = true;
    held.key.wipe();
    options.onRefusal({ code: 'handshake_failed', detail, address, status: 0, isWithinExchange: false });
  };
  return {
    begin(socket) {
      const address = addressOf(socket);
      const watched = options.watch.add(() => {
        refuse(address, 'the handshake took too long');
        socket.destroy();
      });
      watched.within(options.msMax);
      open.set(address, { socket, watched, key: new AlertKey(), isReported: false });
      socket.on('error', () => undefined);
      socket.once('close', () => {
        if (open.get(address)?.socket !== socket) return;
        // One that never said a word was only looking whether anybody is there.
        if (socket.bytesRead > 0) refuse(address, 'closed in the handshake');
        end(address);
      });
    },
    noted(line, secured) {
      const held = open.get(addressOf(secured));
      if (held === undefined) line.fill(0);
      else held.key.note(line, held.socket.bytesWritten);
    },
    admits(secured) {
      const address = addressOf(secured);
      const objection = options.isProofAsked ? objectionTo(secured) : undefined;
      const held = open.get(address);
      if (objection === undefined) {
        end(address);
        return true;
      }
      secured.on('error', () => undefined);
      const record = held?.key.seal(secured, held.socket.bytesWritten, objection.description);
      refuse(address, objection.detail);
      if (held === undefined || record === undefined) secured.destroy();
      else tell(record, secured, held);
      return false;
    },
    failed: (secured, detail) => refuse(addressOf(secured), detail),
    cutAll() {
      for (const [address, { socket }] of open) {
        end(address);
        socket.destroy();
      }
    },
  };
}

/**
 * Sends the record past Node's TLS, and shuts that side of the connection: what Node still has to send, under the same number
 * of the same key, can never follow. Where the system did not take the record whole, the connection is cut instead.
 */
function tell(record: Uint8Array, secured: TLSSocket, { socket, watched }: Open): void {
  socket.end(record);
  if (socket.writableLength > 0) {
    socket.destroy();
    return;
  }
  watched.within(GOING_MS_MAX);
  let bytes = 0;
  secured.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength;
    if (bytes > GOING_BYTES_MAX) secured.destroy();
  });
  secured.once('end', () => secured.destroy());
}
