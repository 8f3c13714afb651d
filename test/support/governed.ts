/** One agent behind one sidecar, its tools on one HTTP server `orders`, all in this process: where a rule is the subject, and nothing around it. */

import type { CallEvent } from '@sallyport/audit';
import type { Clock } from '@sallyport/model';
import { recordingUpstream, type FakeClock, type RecordingUpstream } from '@sallyport/testkit';
import { allCalls } from './audit.ts';
import { ordersPolicy } from './policies.ts';
import { eventually, pass, startWorld, type HttpAnswer, type RunningSidecar, type World } from './world.ts';

export interface Governed {
  readonly world: World;
  readonly up: RecordingUpstream;
  readonly sidecar: RunningSidecar;
  session(claims?: Readonly<Record<string, unknown>>): Promise<string>;
  /** A tool of `orders`, by its local name. */
  call(session: string, tool: string, args?: object): Promise<HttpAnswer>;
  /** A request by method and path, as a client that knows nothing of tools does it. */
  http(session: string, line: string, body?: object): Promise<HttpAnswer>;
  /** What has reached the tools since this was last asked: method, path and body. */
  arrived(): readonly string[];
  /** The event of a refused call in the control plane's log. */
  record(refused: HttpAnswer): Promise<CallEvent>;
  /** The events of a tool's allowed calls, once there are `count`. */
  allowed(tool: string, count?: number): Promise<readonly CallEvent[]>;
  /** Other documents, once the sidecar enforces them. */
  publish(documents: string): Promise<void>;
  close(): Promise<void>;
}

export interface GovernedOptions {
  /** As in an Issuer. */
  readonly attributes?: string;
  readonly clock?: Clock;
}

export async function governed(documents: string, { attributes, clock }: GovernedOptions = {}): Promise<Governed> {
  const up = await recordingUpstream();
  const world = await startWorld(clock === undefined ? {} : { clock });
  await world.admin.publish(ordersPolicy(up.url, documents, world.idp, attributes));
  const sidecar = await world.startSidecar();
  /** A clock in the test's hands goes on while something is waited for. */
  const once = <T>(look: () => Promise<T | undefined | false> | T | undefined | false, what: string): Promise<T> =>
    eventually(async () => {
      if (clock !== undefined && 'advance' in clock) await pass(clock as FakeClock, 100);
      return look();
    }, what);
  await once(() => sidecar.ready(), 'readiness');
  const json = { 'content-type': 'application/json' };
  // Owner: `arrived`.
  let told = 0;
  return {
    world,
    up,
    sidecar,
    session: (claims) => sidecar.session(claims),
    call: (session, tool, args = {}) => sidecar.call(`orders/${tool}`, args, session),
    http(session, line, body) {
      const [method = '', path = ''] = line.split(' ');
      const headers = { ...(body === undefined ? {} : json), 'sallyport-session': session };
      return sidecar.request(`/http/orders${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    },
    arrived() {
      const since = up.requests.slice(told);
      told = up.requests.length;
      return since.map(({ method, target, body }) => `${method} ${target} ${body}`.trim());
    },
    record(refused) {
      const id = refused.json()['decision_id'];
      return once(async () => (await allCalls(world)).find((call) => call.decision_id === id), `a record of ${String(id)}`);
    },
    allowed: (tool, count = 1) =>
      once(async () => {
        const calls = (await allCalls(world)).filter((call) => call.tool === `orders/${tool}` && call.decision === 'allow');
        return calls.length >= count ? calls : undefined;
      }, `${count} records of ${tool}`),
    async publish(next) {
      const { releaseSeq } = await world.admin.publish(ordersPolicy(up.url, next, world.idp, attributes));
      await once(() => sidecar.sidecar.readiness().release_seq === releaseSeq, `release ${releaseSeq} in force`);
    },
    async close() {
      await world.close();
      await up.close();
    },
  };
}
