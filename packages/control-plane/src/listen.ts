/** The two ports: proven callers on the one, strangers with a join token on the other. Every handler is behind its row. */

import { Fault } from '@sallyport/model';
import type { Clock } from '@sallyport/model';
import { startGrpcServer } from '@sallyport/net';
import type { GrpcServer, ServedService, TlsHolder } from '@sallyport/net';
import type { ListenAddress } from '@sallyport/runtime';
import type { Log, Metrics } from '@sallyport/telemetry';
import type { TrustedRoot } from '@sallyport/trust';
import { AUTHORIZATION, SERVICES } from './authorization.ts';
import { callers } from './callers.ts';
import type { ControlPlaneConfig } from './config.ts';
import { guarded } from './rpc.ts';
import type { GuardOptions } from './rpc.ts';

type Handlers = { readonly [S in keyof typeof SERVICES]: GuardOptions<(typeof SERVICES)[S]>['handlers'] };

/** Handlers for each port. */
export interface Served {
  readonly proven: Handlers;
  readonly strangers: Handlers['Enrolment'];
}

export interface ListenOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly services: Served;
  readonly root: TrustedRoot;
  readonly tls: TlsHolder;
}

export interface Listening {
  readonly grpc: GrpcServer;
  readonly enrolment: GrpcServer;
  /** Closes both; once is enough, and a second time waits for the same. */
  drain(options: { readonly graceMs: number }): Promise<void>;
}

/** Connections beyond the policy streams: administrators, collectors, sidecars on their way in. */
const CONNECTIONS_SPARE = 1_024;
const CALL_MS = 30_000;

/** Opens both ports, or neither. Rejects with a Fault `listen_failed`. */
export async function listen(config: ControlPlaneConfig, options: ListenOptions): Promise<Listening> {
  const { clock, log, metrics, root, tls } = options;
  const bugs = metrics.counter({ name: 'sallyport_bug_total', help: 'Broken promises of our own code' });
  const common = {
    tls,
    trustDomain: root.trustDomain,
    clock,
    onBug: (error: unknown, method: string): void => {
      bugs.add({});
      log.error('call.failed', { method }, error);
    },
    limits: {
      unsentBytesMax: config.limits.unsent_bytes_max,
      connectionsMax: config.limits.subscribers_max + CONNECTIONS_SPARE,
      callMsMax: config.limits.staging_wait_ms_max + CALL_MS,
    },
  };
  const { proven, strangers } = guardAll(options);
  const grpc = await startGrpcServer({ ...common, ...tcp(config.listen.grpc), clients: 'verified', services: proven });
  try {
    const enrolment = await startGrpcServer({ ...common, ...tcp(config.listen.enrolment), clients: 'anyone', services: strangers });
    // Owner: this closure.
    let closing: Promise<unknown> | undefined;
    return {
      grpc,
      enrolment,
      async drain({ graceMs }) {
        await (closing ??= Promise.all([grpc.drain({ graceMs }), enrolment.drain({ graceMs })]));
      },
    };
  } catch (error) {
    await grpc.drain({ graceMs: 0 });
    throw error;
  }
}

function guardAll({ clock, log, metrics, services, root }: ListenOptions): { proven: ServedService[]; strangers: ServedService[] } {
  const refused = metrics.counter({
    name: 'sallyport_calls_refused_total',
    help: 'Calls refused before their handler',
    labels: ['method', 'code'],
  });
  const guard = {
    prove: callers({ root, clock }),
    onFault: (method: string, fault: Fault): void => log.error('call.fault', { method, code: fault.code }, fault),
    onRefused: ({ method, code, address, identity }: Parameters<GuardOptions<never>['onRefused']>[0]): void => {
      refused.add({ method, code });
      log.warn('call.refused', { method, code, address, identity });
    },
  };
  const { proven: handlers, strangers } = services;
  return {
    proven: [
      guarded(SERVICES.PolicyPlane, { ...guard, table: AUTHORIZATION.PolicyPlane, handlers: handlers.PolicyPlane }),
      guarded(SERVICES.Publish, { ...guard, table: AUTHORIZATION.Publish, handlers: handlers.Publish }),
      guarded(SERVICES.Audit, { ...guard, table: AUTHORIZATION.Audit, handlers: handlers.Audit }),
      guarded(SERVICES.Fleet, { ...guard, table: AUTHORIZATION.Fleet, handlers: handlers.Fleet }),
      guarded(SERVICES.Enrolment, { ...guard, table: AUTHORIZATION.Enrolment, handlers: handlers.Enrolment }),
      guarded(SERVICES.Directory, { ...guard, table: AUTHORIZATION.Directory, handlers: handlers.Directory }),
    ],
    strangers: [guarded(SERVICES.Enrolment, { ...guard, table: AUTHORIZATION.Enrolment, handlers: strangers, isForStrangers: true })],
  };
}

function tcp(address: ListenAddress): { readonly host: string; readonly port: number } {
  if (address.kind === 'tcp') return { host: address.host, port: address.port };
  throw new Fault('config_invalid', 'internal', 'gRPC is served over TCP alone');
}
