import { Enrolment, EnrolRequestSchema, create } from '@sallyport/contract';
import { decodeHex } from '@sallyport/crypto';
import { createCsr, generateKey } from '@sallyport/crypto/keys';
import { CONTROL_PLANE_CONFIG, type ControlPlaneConfig } from '@sallyport/control-plane';
import { createClient, openChannel, tlsHolder, type Channel } from '@sallyport/net';
import { readConfig } from '@sallyport/runtime';
import { policyStream, recordingUpstream, type PolicyStream, type RecordingUpstream } from '@sallyport/testkit';
import { parseJoinToken } from '@sallyport/trust';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configYaml } from '../../../packages/cli/src/root/config-yaml.ts';
import { terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { AGENT, startWorld, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

const SILENT = 'spiffe://demo.local/sidecar/support-triage/silent';

/** The limits that the configuration has by itself, but for a short patience with those who do not stage. */
function impatient(): Pick<ControlPlaneConfig, 'limits'> {
  const at = terminal();
  at.write(
    'config.yaml',
    configYaml({ grpc: '127.0.0.1:0', enrolment: '127.0.0.1:0', freshnessTtlMs: 60_000, hasDirectory: false, isDevelopment: true }),
  );
  const read = readConfig(CONTROL_PLANE_CONFIG, { file: at.path('config.yaml') });
  at.close();
  if (!read.ok) throw new Error(JSON.stringify(read.error));
  return { limits: { ...read.value.limits, staging_wait_ms_max: 50 } };
}

/** A sidecar that is enrolled and connected, and answers nothing that it is offered. */
async function silentSidecar(world: World): Promise<{ readonly stream: PolicyStream; readonly channel: Channel }> {
  const token = parseJoinToken(await world.admin.joinToken(AGENT));
  if (!token.ok) throw new Error(JSON.stringify(token.error));
  const { caDigest, secret, trustDomain } = token.value;
  const { grpc, enrolment } = world.controlPlane.addresses();
  const digest = decodeHex(caDigest.slice('sha256:'.length)) ?? new Uint8Array();
  const purpose = 'control_plane' as const;
  const stranger = openChannel({ ...enrolment, trust: { kind: 'ca_digest', digest, trustDomain, purpose }, clock: world.clock });
  const [tls, audit] = [generateKey('es256'), generateKey('ed25519')];
  const request = create(EnrolRequestSchema, {
    tokenSecret: secret,
    instance: 'silent',
    tlsCsr: createCsr(tls.privatePem),
    auditCsr: createCsr(audit.privatePem),
  });
  const certificates = await createClient(Enrolment, stranger).enrol(request, { deadlineMs: 20_000 });
  stranger.close();
  if (!certificates.ok) throw new Error(certificates.error.message);
  const { tlsChain } = certificates.value;
  const holder = tlsHolder({ chain: tlsChain, privatePem: tls.privatePem, authorities: tlsChain.slice(-1) });
  if (!holder.ok) throw new Error(JSON.stringify(holder.error));
  const channel = openChannel({ ...grpc, trust: { kind: 'peer', tls: holder.value, trustDomain, purpose }, clock: world.clock });
  const stream = policyStream(channel);
  stream.hello();
  await stream.next('liveProof');
  return { stream, channel };
}

describe('a release while a connected sidecar has not staged it', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let silent: Awaited<ReturnType<typeof silentSidecar>>;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld({ controlPlane: impatient() });
    desk = deskOf(world, up.url);
    desk.writePolicy('p');
    await desk.admin('policy', 'publish', 'p');
    silent = await silentSidecar(world);
  });
  afterAll(async () => {
    silent?.stream.close();
    silent?.channel.close();
    await world?.close();
    await up?.close();
    desk?.close();
  });

  it('is refused, naming who, and what to do', async () => {
    desk.writePolicy('p', { maxLength: 21 });
    const { exit, out, err } = await desk.admin('policy', 'publish', 'p');
    expect([exit, out]).toEqual([1, '']);
    expect(err).toContain('not_staged: 1 connected sidecars have not staged it');
    expect(err).toContain('--leave-behind releases without them, and they go dark once stale');
    expect(err).toContain(`\`${SILENT}\` has not staged it`);
    expect(err).toContain('revision 2 of default is published, and not released (go on with `sallyport release promote --to 2`');
    // Tried again, the same revision is released: nothing is published twice.
    expect((await desk.admin('policy', 'publish', 'p', '--json')).json()).toMatchObject({
      exit: 1,
      problems: [
        { path: 'not_staged' },
        { path: 'not_staged', message: `\`${SILENT}\` has not staged it` },
        { message: 'revision 2 of default is published, and not released' },
      ],
    });
  });

  it('goes on where it may leave them behind, lists them, and says who is missing when the wait is over', async () => {
    const { exit, json } = await desk.admin('release', 'promote', '--leave-behind', '--wait', '--timeout', '1s', '--json');
    expect(exit).toBe(1);
    expect(json()).toMatchObject({
      release: { release_seq: 2, left_behind: [SILENT] },
      fleet: { active: 0, missing: [{ sidecar: SILENT, connected: true, why: 'absent, still at release 0' }] },
    });
  });

  it('does not wait for those who are gone, and names them', async () => {
    silent.stream.close();
    silent.channel.close();
    await desk.admin('policy', 'publish', 'p', '--force', '--leave-behind');
    const { exit, out } = await desk.admin('policy', 'rollback', '--to', '1', '--reason', 'x', '--leave-behind', '--wait');
    expect(exit).toBe(0);
    expect(out).toContain(`not ${SILENT}: not connected, enforces release 0 while it is fresh`);
  });

  it('shows as drift', async () => {
    expect((await desk.admin('fleet', 'status')).out).toMatch(/^support-triage\/silent +gone +0 +DRIFTED /m);
  });
});
