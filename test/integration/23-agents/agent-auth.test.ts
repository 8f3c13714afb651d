/** An agent proves itself on the port that it calls out by, in the one way that is configured, before anything else is asked. */

import type { SidecarConfig } from '@sallyport/sidecar';
import { cluster, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callsOfSession, recordOf } from '../../support/audit.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const AUDIENCE = 'sallyport-agent';
const KEY = 'k'.repeat(44);

let world: World;
let up: RecordingUpstream;
beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});

const [ours, foreign] = [cluster(), cluster()];
const tokenOf = (account: string, by = ours): string => by.token({ account, audience: AUDIENCE, now: world.clock.wall() });
const keyFile = (): string => {
  const file = join(world.dir, 'agent-key');
  writeFileSync(file, `${KEY}\n`, { mode: 0o600 });
  return file;
};
const accountSection = () => {
  const file = join(world.dir, 'cluster-jwks.json');
  writeFileSync(file, ours.jwks);
  return {
    keys_file: file,
    issuer: ours.issuer,
    audience: AUDIENCE,
    subject: 'system:serviceaccount:support:triage',
    token_lifetime_ms_max: 3_600_000,
  };
};

interface Way {
  readonly way: NonNullable<SidecarConfig['outbound']['agent_auth']>;
  /** Of the configuration, beside `agent_auth`. */
  readonly section: () => Partial<SidecarConfig['outbound']>;
  readonly right: () => string;
  readonly wrong: readonly (readonly [what: string, shown: () => string])[];
}

describe.each<Way>([
  {
    way: 'key',
    section: () => ({ agent_credential_file: keyFile() }),
    right: () => KEY,
    wrong: [
      ['another key', () => 'n'.repeat(44)],
      ['a token of its service account', () => tokenOf('support:triage')],
    ],
  },
  {
    way: 'service_account',
    section: () => ({ agent_service_account: accountSection() }),
    right: () => tokenOf('support:triage'),
    wrong: [
      ['a key', () => KEY],
      ['the token of another agent', () => tokenOf('support:reporting')],
      ['a token of another cluster', () => tokenOf('support:triage', foreign)],
    ],
  },
])('with `agent_auth: $way`', ({ way, section, right, wrong }) => {
  let sidecar: RunningSidecar;
  beforeAll(async () => {
    sidecar = await world.startSidecar({ name: way.replace('_', '-'), config: { outbound: { agent_auth: way, ...section() } } });
    await eventually(() => sidecar.ready(), 'readiness');
  });

  const open = (shown: string | undefined): Promise<HttpAnswer> =>
    sidecar.request('/session', {
      headers: {
        authorization: `Bearer ${world.idp.mint(world.clock.wall())}`,
        ...(shown === undefined ? {} : { 'sallyport-agent': shown }),
      },
    });
  const call = (session: string, shown: string | undefined): Promise<HttpAnswer> =>
    sidecar.request('/tools/orders/get_order', {
      body: '{"order_id":"O-000123"}',
      headers: {
        'content-type': 'application/json',
        'sallyport-session': session,
        ...(shown === undefined ? {} : { 'sallyport-agent': shown }),
      },
    });

  it('[R1.10] the agent that shows it is let in, and its calls are recorded as its own', async () => {
    const opened = await open(right());
    expect(opened.status).toBe(201);
    const session = opened.json()['token'] as string;
    expect((await call(session, right())).status).toBe(200);
    const [record] = await callsOfSession(world, session, 1);
    expect(record).toMatchObject({ agent_id: AGENT, decision: 'allow', leg: 'outbound' });
    expect(JSON.stringify(up.requests.at(-1))).not.toContain(right());
  });

  it.each<readonly [what: string, shown: () => string | undefined]>([['nothing', () => undefined], ...wrong])(
    '[R1.10] whoever shows %s gets 401, nothing is forwarded, and nobody’s name stands in the record',
    async (_what, shown) => {
      const session = (await open(right())).json()['token'] as string;
      const before = up.requests.length;
      for (const answer of [await open(shown()), await call(session, shown())]) {
        expect(answer.status).toBe(401);
        const record = await recordOf(world, answer);
        expect(record).toMatchObject({ agent_id: '-', operator: '-', decision: 'deny', rule_id: 'gate:authentication' });
        if (shown() !== undefined) expect(JSON.stringify(record)).not.toContain(shown());
      }
      expect(up.requests).toHaveLength(before);
    },
  );

  it('an agent that is proven and has no session is refused under its own name', async () => {
    const answer = await call('bent', right());
    expect([answer.status, (await recordOf(world, answer)).agent_id]).toEqual([401, AGENT]);
  });
});
