/**
 * Staging and production: two control planes, two Roots, the same names throughout. Whoever has everything of staging, and
 * every key that signs there, has nothing of production.
 */

import {
  create,
  GetPartRequestSchema,
  PolicyPlane,
  PutPartRequestSchema,
  SubmitBundleRequestSchema,
  SubmitReleaseRequestSchema,
} from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import type { Digest } from '@sallyport/model';
import { createClient, openChannel, tlsHolder } from '@sallyport/net';
import { realFileSystem } from '@sallyport/runtime';
import { writeBundleFile } from '@sallyport/trust';
import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityFiles } from '../../../packages/sidecar/src/enrolment/identity-files.ts';
import { codeOf } from '../../support/answers.ts';
import { areasOf, type PublishedLayer } from '../../support/areas.ts';
import { versionOf } from '../../support/versions.ts';
import { AGENT, eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

const DEADLINE = { deadlineMs: 20_000 };

describe('staging and production', () => {
  let up: RecordingUpstream;
  let staging: World;
  let production: World;
  let stagingSidecar: RunningSidecar;
  let productionSidecar: RunningSidecar;
  let carried: string;
  let allowing: PublishedLayer;

  beforeAll(async () => {
    up = await recordingUpstream();
    [staging, production] = [await startWorld({ areas: ['acme'] }), await startWorld()];
    // Production refuses what staging allows, so that a bundle of staging's would be seen.
    await production.admin.publish(versionOf(production, up.url, { number: 1, allows: false }));
    await staging.admin.publish(versionOf(production, up.url, { number: 1 }));
    allowing = await areasOf(staging).publish('acme', versionOf(production, up.url, { number: 2 }));
    carried = join(production.dir, 'carried');
    mkdirSync(carried, { mode: 0o700 });
    stagingSidecar = await staging.startSidecar();
    productionSidecar = await production.startSidecar({ config: { policy: { directory: carried, look_ms: 100 } } });
    for (const sidecar of [stagingSidecar, productionSidecar]) await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await staging?.close();
    await production?.close();
    await up?.close();
  });

  it('[R14.05] a sidecar of staging’s gets no word from the control plane of production, and one of production’s does', async () => {
    const ask = async (world: World, sidecar: RunningSidecar): Promise<string> => {
      const held = await identityFiles(realFileSystem(), join(sidecar.stateDir, 'identity'), { agent: AGENT, instance: 'one' }).read();
      const own = await identityFiles(realFileSystem(), join(productionSidecar.stateDir, 'identity'), {
        agent: AGENT,
        instance: 'one',
      }).read();
      if (held === undefined || own === undefined) throw new Error('it has no identity');
      // It believes production's authority: what refuses it is the control plane.
      const tls = tlsHolder({ chain: held.tlsChain, privatePem: held.tlsPem, authorities: own.tlsChain.slice(-1) });
      if (!tls.ok) throw new Error(JSON.stringify(tls.error));
      const trust = { kind: 'peer', tls: tls.value, trustDomain: 'demo.local', purpose: 'control_plane' } as const;
      const channel = openChannel({ ...world.controlPlane.addresses().grpc, trust, clock: world.clock });
      const digest = `sha256:${'0'.repeat(64)}`;
      const call = createClient(PolicyPlane, channel).getPart(create(GetPartRequestSchema, { digest, offset: 0n }), {
        signal: new AbortController().signal,
      });
      for await (const _ of call) void _;
      const { code } = await call.status;
      channel.close();
      return code;
    };
    expect(await ask(production, productionSidecar)).toBe('not_found');
    expect(['unavailable', 'unauthenticated']).toContain(await ask(production, stagingSidecar));
  });

  it('[R14.05] a bundle and a release that staging signed are refused by production’s control plane', async () => {
    const { parts } = allowing.layer;
    const put = production.admin.publishClient.putPart(DEADLINE);
    for (const part of Object.values(parts))
      put.out.write(create(PutPartRequestSchema, { digest: digestOf(part), data: part }), { priority: true });
    put.out.end();
    await put.response;
    const { envelope } = allowing;
    const bundle = await production.admin.publishClient.submitBundle(create(SubmitBundleRequestSchema, { envelope }), DEADLINE);
    expect(bundle.ok ? bundle.value.problems[0]?.message : bundle.error.code).toMatch(/REJECTED\(SIGNATURE\)/);
    const [stagingRelease] = (await staging.admin.versions()).versions.filter(({ kind }) => kind === 'release');
    const release = await staging.admin.object(stagingRelease?.digest ?? '');
    const answer = await production.admin.publishClient.submitRelease(
      create(SubmitReleaseRequestSchema, { envelope: release, leaveBehind: true }),
      DEADLINE,
    );
    expect(answer.ok && answer.value).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining('SIGNATURE') as string,
    });
  });

  it('[R14.05] carried to a sidecar of production’s, past its control plane, they are refused there, and what is enforced stays', async () => {
    const [version] = (await staging.admin.versions()).versions.filter(({ kind }) => kind === 'bundle');
    const [released] = (await staging.admin.versions()).versions.filter(({ kind }) => kind === 'release');
    const delegation = readFileSync(join(staging.dir, 'delegations', 'default.json'));
    const envelope = await staging.admin.object(version?.digest ?? '');
    const digest = (version?.digest ?? '') as Digest;
    writeFileSync(
      join(carried, `bundle-${digest.slice('sha256:'.length)}.json`),
      writeBundleFile({ envelope, delegation, parts: allowing.layer.parts }),
      {
        mode: 0o600,
      },
    );
    writeFileSync(join(carried, 'release.json'), await staging.admin.object(released?.digest ?? ''), { mode: 0o600 });
    const alerts = await eventually(async () => {
      const lines = (await production.admin.tail()).map((line) => JSON.parse(line) as Record<string, unknown>);
      const codes = lines.filter((line) => line['kind'] === 'ALERT').map((line) => line['code']);
      return codes.length >= 2 ? codes : undefined;
    }, 'two alerts');
    expect(new Set(alerts)).toEqual(new Set(['REJECTED_DELEGATION', 'REJECTED_SIGNATURE']));
    const session = await productionSidecar.session({ roles: ['support-rep'] });
    expect(codeOf(await productionSidecar.call('orders/get_order', { order_id: 'O-000123' }, session))[0]).toBe(403);
    expect(up.requests).toEqual([]);
  });
});
