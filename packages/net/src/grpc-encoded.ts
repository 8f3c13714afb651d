/**
 * Messages on their way to the wire. A message for many receivers is encoded once and the same bytes are handed to each
 * call; grpc-js is told to serialise through here, so that it takes either form.
 */

import { create, fromBinary, toBinary } from '@sallyport/contract';
import type { DescMessage, MessageInitShape, MessageShape } from '@sallyport/contract';

declare const encodedAs: unique symbol;

/** The wire bytes of a message of type `T`. Never changed after it was made: many calls share it. */
export type Encoded<T> = Uint8Array & { readonly [encodedAs]: T };

/** A message, or one that is encoded already. */
export type Sendable<T> = T | Encoded<T>;

/** Encodes once, for any number of receivers. */
export function encode<S extends DescMessage>(schema: S, message: MessageInitShape<S>): Encoded<MessageShape<S>> {
  return toBinary(schema, create(schema, message)) as Encoded<MessageShape<S>>;
}

/** How many bytes a message takes on the wire, and those bytes. */
export function toWire<S extends DescMessage>(schema: S, message: Sendable<MessageShape<S>>): Encoded<MessageShape<S>> {
  return (message instanceof Uint8Array ? message : toBinary(schema, message)) as Encoded<MessageShape<S>>;
}

/** For grpc-js: the same memory as a Buffer, not a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** For grpc-js: reads one message; throws for bytes that are none, which ends the call. */
export function fromWire<S extends DescMessage>(schema: S, bytes: Uint8Array): MessageShape<S> {
  return fromBinary(schema, bytes);
}
