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
  readonly address: string;
  readonly socket: Socket;
  readonly watched: Watched;
  readonly key: AlertKey;
  /** Nothing of it is to be reported any more: it got on, was refused, or is cut. */
  isSettled: boolean;
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
  // Owner: this listener. One that is told may still be going when the next comes from its address, and stands here no more.
  const open = new Map<string, Open>();
  const end = (held: Open): void => {
    held.isSettled = true;
    held.watched.end();
    held.key.wipe();
    if (open.get(held.address) === held) open.delete(held.address);
  };
  // Once: what is cut for its slowness fails as well.
  const refuse = (held: Open, detail: string): void => {
    held.key.wipe();
    if (held.isSettled) return;
    held.isSettled = true;
    options.onRefusal({ code: 'handshake_failed', detail, address: held.address, status: 0, isWithinExchange: false });
  };
  return {
    begin(socket) {
      const watched = options.watch.add(() => {
        refuse(held, 'the handshake took too long');
        socket.destroy();
      });
      const held: Open = { address: addressOf(socket), socket, watched, key: new AlertKey(), isSettled: false };
      watched.within(options.msMax);
      open.set(held.address, held);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        // One that never said a word was only looking whether anybody is there.
        if (socket.bytesRead > 0) refuse(held, 'closed in the handshake');
        end(held);
      });
    },
    noted(line, secured) {
      const held = open.get(addressOf(secured));
      if (held === undefined) line.fill(0);
      else held.key.note(line, held.socket.bytesWritten);
    },
    admits(secured) {
      const held = open.get(addressOf(secured));
      const objection = options.isProofAsked ? objectionTo(secured) : undefined;
      if (objection === undefined) {
        if (held !== undefined) end(held);
        return true;
      }
      secured.on('error', () => undefined);
      const record = held?.key.seal(secured, held.socket.bytesWritten, objection.description);
      if (held !== undefined) refuse(held, objection.detail);
      if (held === undefined || record === undefined) secured.destroy();
      else tell(record, secured, held);
      return false;
    },
    failed(secured, detail) {
      const held = open.get(addressOf(secured));
      if (held !== undefined) refuse(held, detail);
    },
    cutAll() {
      for (const held of open.values()) {
        end(held);
        held.socket.destroy();
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
