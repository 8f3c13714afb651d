/** A protobuf-es method as grpc-js wants it. Both its directions take a message or its bytes (docs: encode once). */

import type { MethodDefinition } from '@grpc/grpc-js';
import type { DescMethod, DescService } from '@sallyport/contract';
import { asBuffer, fromWire, toWire } from './grpc-encoded.ts';

/** `/sallyport.policy.v1.PolicyPlane/Subscribe` and how its messages are written and read. */
export function methodDefinition(method: DescMethod): MethodDefinition<unknown, unknown> {
  const { methodKind, input, output, parent, name } = method;
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === 'client_streaming' || methodKind === 'bidi_streaming',
    responseStream: methodKind === 'server_streaming' || methodKind === 'bidi_streaming',
    requestSerialize: (message) => asBuffer(toWire(input, message as never)),
    requestDeserialize: (bytes) => fromWire(input, bytes),
    responseSerialize: (message) => asBuffer(toWire(output, message as never)),
    responseDeserialize: (bytes) => fromWire(output, bytes),
  };
}

/** Every method of a service by its local name. */
export function serviceDefinition(service: DescService): Readonly<Record<string, MethodDefinition<unknown, unknown>>> {
  return Object.fromEntries(service.methods.map((method) => [method.localName, methodDefinition(method)]));
}
