/** A sidecar in a cluster gets its identity by the token of its pod: no secret is handed out, and none lies about. */

import { cluster, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { AGENT, eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const AUDIENCE = 'sallyport-enrolment';
const [POD, OTHER] = ['0e1f2a3b-1111-2222-3333-444455556666', '9e1f2a3b-1111-2222-3333-444455556666'];

describe('a sidecar of a pod', () => {
  const ours = cluster();
  let dir: string;
  let world: World;
  let up: RecordingUpstream;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sallyport-pods-'));
    writeFileSync(join(dir, 'jwks.json'), ours.jwks);
    up = await recordingUpstream();
    const workloads = [{ service_account: 'system:serviceaccount:support:triage', agent: AGENT, area: 'default', ring: 'default' }];
    const attestation = {
      keys_file: join(dir, 'jwks.json'),
      issuer: ours.issuer,
      audience: AUDIENCE,
      token_lifetime_ms_max: 3_600_000,
      workloads,
    };
    world = await startWorld({ controlPlane: { attestation } });
    await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const tokenFile = (name: string, pod: string, account = 'support:triage'): string => {
    const file = join(dir, name);
    writeFileSync(file, ours.token({ account, audience: AUDIENCE, now: world.clock.wall(), pod }), { mode: 0o600 });
    return file;
  };
  const started = (name: string, pod: string, file: string): Promise<RunningSidecar> =>
    world.startSidecar({
      name,
      withToken: false,
      config: { instance: `pod-${pod}`, drain_ms: 100, control_plane: { attestation_token_file: file } },
    });
  const refused = (from: number): Promise<boolean> =>
    eventually(() => world.log.slice(from).some((line) => line.includes('"enrolment_refused"')), 'a refused enrolment');

  it('enrols by its token, is ready, and serves as the instance that its pod is', async () => {
    const sidecar = await started('first', POD, tokenFile('first-token', POD));
    await eventually(() => sidecar.ready(), 'readiness');
    expect(sidecar.sidecar.readiness().identity).toBe(`spiffe://demo.local/sidecar/${AGENT}/pod-${POD}`);
    expect((await sidecar.call('orders/get_order', { order_id: 'O-000123' }, await sidecar.session())).status).toBe(200);
    const { sidecars } = await world.admin.status();
    expect(sidecars.map(({ spiffeId }) => spiffeId)).toContain(`spiffe://demo.local/sidecar/${AGENT}/pod-${POD}`);
  });

  it('whose token was stolen and used first, or that steals one, is not enrolled, and nothing passes it', async () => {
    const file = tokenFile('stolen-token', OTHER);
    const thief = await started('thief', OTHER, file);
    await eventually(() => thief.ready(), 'readiness');
    const from = world.log.length;
    const late = await started('late', OTHER, file);
    await refused(from);
    expect((await late.request('/session')).json()['code']).toBe('policy_unavailable');
    expect(await late.ready()).toBe(false);
  });

  it.each([
    ['the token of another service account', () => tokenFile('other-token', POD, 'support:other'), POD],
    ['the token of another pod', () => tokenFile('wrong-token', OTHER), POD],
  ])('with %s is not enrolled', async (what, file, pod) => {
    const from = world.log.length;
    const sidecar = await started(`no-${what.replaceAll(' ', '-')}`, pod, file());
    await refused(from);
    expect(await sidecar.ready()).toBe(false);
  });
});
