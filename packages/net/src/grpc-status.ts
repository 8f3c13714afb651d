/** How a gRPC call ended, as a value: the closed list of codes (gRPC status codes), and what they mean as a Fault. */

import { status as wire } from '@grpc/grpc-js';
import { Fault, unreachable } from '@sallyport/model';
import type { ConnectFailure } from './connect-failure.ts';

export type GrpcCode =
  | 'ok'
  | 'cancelled'
  | 'unknown'
  | 'invalid_argument'
  | 'deadline_exceeded'
  | 'not_found'
  | 'already_exists'
  | 'permission_denied'
  | 'resource_exhausted'
  | 'failed_precondition'
  | 'aborted'
  | 'out_of_range'
  | 'unimplemented'
  | 'internal'
  | 'unavailable'
  | 'data_loss'
  | 'unauthenticated';

/** `message` crosses the wire: it names no secret and no inner detail. */
export interface GrpcStatus {
  readonly code: GrpcCode;
  readonly message: string;
  /** Why nobody was reached; never from the wire. */
  readonly failure?: ConnectFailure;
}

const NUMBERS: Readonly<Record<GrpcCode, number>> = {
  ok: wire.OK,
  cancelled: wire.CANCELLED,
  unknown: wire.UNKNOWN,
  invalid_argument: wire.INVALID_ARGUMENT,
  deadline_exceeded: wire.DEADLINE_EXCEEDED,
  not_found: wire.NOT_FOUND,
  already_exists: wire.ALREADY_EXISTS,
  permission_denied: wire.PERMISSION_DENIED,
  resource_exhausted: wire.RESOURCE_EXHAUSTED,
  failed_precondition: wire.FAILED_PRECONDITION,
  aborted: wire.ABORTED,
  out_of_range: wire.OUT_OF_RANGE,
  unimplemented: wire.UNIMPLEMENTED,
  internal: wire.INTERNAL,
  unavailable: wire.UNAVAILABLE,
  data_loss: wire.DATA_LOSS,
  unauthenticated: wire.UNAUTHENTICATED,
};

const CODES: ReadonlyMap<number, GrpcCode> = new Map(Object.entries(NUMBERS).map(([code, number]) => [number, code as GrpcCode]));

export function grpcStatus(code: GrpcCode, message: string): GrpcStatus {
  return { code, message };
}

/** The number on the wire. */
export function grpcNumber(code: GrpcCode): number {
  return NUMBERS[code];
}

/** A number outside the list is `unknown`. */
export function grpcCode(number: number): GrpcCode {
  return CODES.get(number) ?? 'unknown';
}

/** What a status other than `ok` means to a caller that cannot go on: the control plane is away, the call was cut, or it broke the protocol. */
export function grpcFault(what: string, status: GrpcStatus): Fault {
  const message = `while ${what}: ${status.code}: ${status.message}`;
  switch (status.code) {
    case 'unavailable':
    case 'deadline_exceeded':
    case 'resource_exhausted':
      return new Fault('control_plane_unreachable', 'control_plane', message, { cause: status });
    case 'cancelled':
    case 'aborted':
      return new Fault('aborted', 'control_plane', message, { cause: status });
    case 'unauthenticated':
    case 'permission_denied':
      return new Fault('upstream_untrusted', 'control_plane', message, { cause: status });
    case 'ok':
    case 'unknown':
    case 'invalid_argument':
    case 'not_found':
    case 'already_exists':
    case 'failed_precondition':
    case 'out_of_range':
    case 'unimplemented':
    case 'internal':
    case 'data_loss':
      return new Fault('upstream_protocol', 'control_plane', message, { cause: status });
    default:
      return unreachable(status.code);
  }
}
