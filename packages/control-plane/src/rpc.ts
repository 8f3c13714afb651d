/**
 * Between the wire and the services: each handler is wrapped in the row of the authorization table that belongs to its
 * method, so that none can be reached round it. A caller that is not admitted costs no work and learns nothing.
 */

import type { DescService } from '@sallyport/contract';
import { Fault, fail } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { grpcStatus, serve } from '@sallyport/net';
import type { GrpcCode, GrpcStatus, Handlers, PeerPurpose, ServedService, ServerCall } from '@sallyport/net';
import { authorize } from './authorization.ts';
import type { Admitted } from './authorization.ts';
import type { Caller, ProveCaller } from './callers.ts';

/** What a service's handler knows of its call. */
export interface ProvenCall extends ServerCall {
  readonly caller: Caller;
}

type Proven<H> = H extends (...args: [...infer A, ServerCall]) => infer R ? (...args: [...A, ProvenCall]) => R : never;

/** A handler for every method of a service, called with a proven caller. */
export type ProvenHandlers<S extends DescService> = { readonly [M in keyof Handlers<S>]: Proven<Handlers<S>[M]> };

export interface GuardOptions<S extends DescService> {
  readonly table: Readonly<Record<keyof S['method'], Admitted>>;
  readonly prove: ProveCaller;
  readonly handlers: ProvenHandlers<S>;
  /** On a port where nobody proves anything; there only rows that say `unproven` admit. */
  readonly isForStrangers?: boolean;
  /** For the log and its counter; nothing of it goes to the caller. */
  readonly onRefused: (refused: {
    readonly method: string;
    readonly code: string;
    readonly address: string;
    readonly identity: string;
  }) => void;
  /** A handler met a failure of disk or database. */
  readonly onFault: (method: string, fault: Fault) => void;
}

type AnyHandler = (...args: readonly unknown[]) => Promise<Result<unknown, GrpcStatus>>;

const CODES: Readonly<Record<'UNAUTHENTICATED' | 'PERMISSION_DENIED', GrpcCode>> = {
  UNAUTHENTICATED: 'unauthenticated',
  PERMISSION_DENIED: 'permission_denied',
};
const PURPOSES: readonly PeerPurpose[] = ['control_plane', 'collector', 'sidecar', 'admin'];

/** The service with every handler behind its row. */
export function guarded<S extends DescService>(service: S, options: GuardOptions<S>): ServedService {
  const handlers: Record<string, AnyHandler> = {};
  for (const [method, handler] of Object.entries(options.handlers as Readonly<Record<string, AnyHandler>>)) {
    const admitted = (options.table as Readonly<Record<string, Admitted>>)[method];
    handlers[method] = async (...args) => {
      const call = args.at(-1) as ServerCall;
      const caller = options.prove(call.peer);
      const authorized = authorize(admitted, caller?.purpose);
      if (authorized.ok) return withoutFaults(method, options, async () => handler(...args.slice(0, -1), { ...call, caller }));
      const { code, message } = authorized.error;
      options.onRefused({ method, code, address: call.address, identity: call.peer?.spiffeId ?? '-' });
      return fail(grpcStatus(CODES[code], message));
    };
  }
  // The rows decide, method by method; the purposes of the whole service would be a second, coarser table.
  return serve(service, { purposes: options.isForStrangers === true ? [] : PURPOSES, handlers: handlers as unknown as Handlers<S> });
}

/** A disk or database that fails is no mistake of ours: the caller may come again, and the log has the reason. */
async function withoutFaults(
  method: string,
  { onFault }: Pick<GuardOptions<never>, 'onFault'>,
  run: () => ReturnType<AnyHandler>,
): ReturnType<AnyHandler> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    onFault(method, error);
    return fail(grpcStatus('unavailable', 'this cannot be done now'));
  }
}
