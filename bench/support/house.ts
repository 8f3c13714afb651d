/**
 * A control plane and one sidecar as they run in production: policy published over gRPC, records shipped and acknowledged
 * while calls are measured. The control plane runs beside the load, the sidecar alone on its core.
 */

import { request } from '../../test/support/world.ts';
import type { Child } from './children.ts';
import type { Form } from './launch.ts';
import { eventually, startPlane, startSidecar } from './plane.ts';
import { benchPolicy, type Servers } from './policy.ts';

export interface House {
  readonly port: number;
  /** The sidecar that runs now. */
  readonly sidecar: Child;
  /** The measured part's own folder. */
  readonly dir: string;
  publish(rules: number, servers: Servers): Promise<void>;
  /** A new session's token. */
  session(): Promise<string>;
  /** Records that the control plane has not acknowledged. */
  backlog(): Promise<number>;
  /** Waits until the collector holds everything. */
  settled(): Promise<void>;
  /** Starts the sidecar again over what it has on disk. Gives milliseconds until it was ready. */
  restart(): Promise<number>;
  close(): Promise<void>;
}

export interface HouseOptions {
  readonly form: Form;
  readonly rules: number;
  readonly servers: Servers;
  readonly profileDir?: string | undefined;
}

/** Starts both, with a policy in force. */
export async function startHouse({ form, rules, servers, profileDir }: HouseOptions): Promise<House> {
  const plane = await startPlane({ form: 'source', place: 'load' });
  const publish = async (count: number, to: Servers): Promise<void> => void (await plane.admin.publish(benchPolicy(count, to, plane.idp)));
  await publish(rules, servers);
  const sidecar = await startSidecar(plane, { form, place: 'proxy', profileDir });
  const backlog = async (): Promise<number> => {
    const { text } = await request(sidecar.health, '/metrics', { method: 'GET' });
    return Number(/^sallyport_audit_backlog_records (\d+)/m.exec(text)?.[1]);
  };
  return {
    port: sidecar.port,
    dir: plane.dir,
    publish,
    backlog,
    get sidecar() {
      return sidecar.process;
    },
    session: () => sidecar.session(),
    settled: () => eventually(async () => (await backlog()) < 50, 'the acknowledgement of all records'),
    restart: () => sidecar.restart(),
    async close() {
      // A profile is written by a process that ends by itself.
      await sidecar.process.stop(profileDir === undefined ? 'SIGKILL' : 'SIGTERM');
      await plane.close();
    },
  };
}
