/** Sidecars and their control plane prove themselves to each other before anything is said, and for a short time at once. */

import { PolicyPlane } from '@sallyport/contract';
import { readCertificate } from '@sallyport/crypto';
import { fail, ok } from '@sallyport/model';
import { grpcStatus, openChannel, serve, startGrpcServer, tlsHolder, type TlsHolder } from '@sallyport/net';
import { policyStream, recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { strangersCa, workload, workloadCa } from '../../support/workload-ca.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const ORDER = { order_id: 'O-000123' };

/** Opens the policy stream and says Hello; what it came to. */
async function subscribe(world: World, tls: TlsHolder): Promise<{ code: string; messages: number }> {
  const trust = { kind: 'peer', tls, trustDomain: 'demo.local', purpose: 'control_plane' } as const;
  const channel = openChannel({ ...world.controlPlane.addresses().grpc, trust, clock: world.clock });
  try {
    const stream = policyStream(channel);
    stream.hello();
    const { code } = await stream.status;
    return { code, messages: stream.received.length };
  } finally {
    channel.close();
  }
}

describe('before any policy is sent', () => {
  let world: World;
  let up: RecordingUpstream;
  const closing: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  it('[R1.20] a certificate that the control plane does not know is UNAUTHENTICATED on the bundle stream, and gets no byte of a bundle', async () => {
    const tls = await workload(world, workloadCa(world), { path: '/sidecar/support-triage/ghost', usage: 'tls-client' });
    expect(await subscribe(world, tls)).toEqual({ code: 'unauthenticated', messages: 0 });
  });

  it('[R1.20] one of another authority with the same names does not get as far as the stream', async () => {
    const sidecar = await world.startSidecar({ name: 'real' });
    await eventually(() => sidecar.ready(), 'readiness');
    const tls = await workload(world, await strangersCa(world), { path: '/sidecar/support-triage/real', usage: 'tls-client' });
    const { code, messages } = await subscribe(world, tls);
    expect([['unavailable', 'unauthenticated'].includes(code), messages]).toEqual([true, 0]);
  });

  it.each([
    ['for servers', { path: '/sidecar/support-triage/real', usage: 'tls-server' }],
    ['for signing records', { path: '/sidecar/support-triage/real', usage: 'audit' }],
    [
      'that has ended',
      { path: '/sidecar/support-triage/real', usage: 'tls-client', notAfter: Date.now() - 10_000, notBefore: Date.now() - 60_000 },
    ],
  ] as const)('one %s opens nothing [R2.23]', async (_what, of) => {
    const { code, messages } = await workload(world, workloadCa(world), of).then(
      (tls) => subscribe(world, tls),
      // A key that is not for TLS is not even held.
      () => ({ code: 'unavailable', messages: 0 }),
    );
    expect([['unavailable', 'unauthenticated'].includes(code), messages]).toEqual([true, 0]);
  });

  it.each([
    ['of another authority', { path: '/control-plane', usage: 'tls-server' }, true],
    ['of a sidecar', { path: '/sidecar/support-triage/real', usage: 'tls-both' }, false],
    [
      'that has ended',
      { path: '/control-plane', usage: 'tls-server', notAfter: Date.now() - 10_000, notBefore: Date.now() - 60_000 },
      false,
    ],
  ] as const)('a sidecar says nothing to a control plane whose certificate is one %s [R1.20]', async (what, of, isStrange) => {
    const tls = await workload(world, isStrange ? await strangersCa(world) : workloadCa(world), of);
    const heard: string[] = [];
    const server = await startGrpcServer({
      host: '127.0.0.1',
      port: 0,
      tls,
      trustDomain: 'demo.local',
      clients: 'verified',
      clock: world.clock,
      onBug: () => undefined,
      services: [
        serve(PolicyPlane, {
          purposes: ['sidecar'],
          handlers: {
            async subscribe(incoming) {
              for await (const { message } of incoming) heard.push(String(message.case));
              return ok(undefined);
            },
            getPart: async () => ok(undefined),
            export: async () => ok(undefined),
            prove: async () => fail(grpcStatus('unimplemented', 'not here')),
          },
        }),
      ],
    });
    closing.push(() => server.drain({ graceMs: 0 }));
    const name = `told-${what.replaceAll(' ', '-')}`;
    const before = world.log.length;
    await world.startSidecar({ name, config: { drain_ms: 100 }, controlPlane: { grpc: { host: '127.0.0.1', port: server.port } } });
    await eventually(() => world.log.slice(before).some((line) => line.includes('policy_stream_lost')), 'its refusal');
    expect(heard).toEqual([]);
  });
});

/** Long enough that a handshake fits in, and short enough to see several. */
const LIFE_MS = 10_000;

describe('certificates that end soon', () => {
  let world: World;
  let up: RecordingUpstream;
  let sidecar: RunningSidecar;
  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld({ controlPlane: { workload_certificate_ms: LIFE_MS } });
    await world.admin.publish(versionOf(world, up.url, { number: 1 }));
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
  });

  const chainOf = (): readonly Uint8Array[] => {
    const { tls } = JSON.parse(readFileSync(join(sidecar.stateDir, 'identity', 'certificates.json'), 'utf8')) as { tls: string[] };
    return tls.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  };

  it(
    '[R2.23] are renewed before their end without a refused call or a stale policy, and are worth nothing after it',
    { timeout: 60_000 },
    async () => {
      const session = await sidecar.session();
      const first = chainOf();
      const ends = readCertificate(first[0] ?? new Uint8Array())?.notAfter ?? 0;
      const privatePem = readFileSync(join(sidecar.stateDir, 'identity', 'tls.pem'), 'utf8');
      const refusals: number[] = [];
      const serials = new Set<string>();
      // Past the end of the first one, and of the one after it.
      await eventually(
        async () => {
          const { status } = await sidecar.call('orders/get_order', ORDER, session);
          if (status !== 200) refusals.push(status);
          if (!(await sidecar.ready())) refusals.push(0);
          serials.add(readCertificate(chainOf()[0] ?? new Uint8Array())?.serial ?? '');
          return serials.size >= 4 && world.clock.wall() > ends + LIFE_MS / 2;
        },
        'three renewals',
        50_000,
      );
      expect(refusals).toEqual([]);
      // What is published now still comes, over a stream of a later certificate.
      await world.admin.publish(versionOf(world, up.url, { number: 2 }));
      await eventually(() => sidecar.sidecar.readiness().release_seq === 2, 'the second release');
      const ended = tlsHolder({ chain: first, privatePem, authorities: first.slice(-1) });
      if (!ended.ok) throw new Error('the first identity is complete');
      const { code, messages } = await subscribe(world, ended.value);
      expect([['unavailable', 'unauthenticated'].includes(code), messages]).toEqual([true, 0]);
    },
  );
});
