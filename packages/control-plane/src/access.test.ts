import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Audit,
  CreateJoinTokenRequestSchema,
  EnrolRequestSchema,
  Enrolment,
  Fleet,
  GetHeadsRequestSchema,
  ExportRequestSchema,
  GetPartRequestSchema,
  PolicyPlane,
  ProveRequestSchema,
  Publish,
  RenewRequestSchema,
  ShipMessageSchema,
  StatusRequestSchema,
  SubmitBundleRequestSchema,
  SubmitReleaseRequestSchema,
  TailRequestSchema,
  TailRequest_View,
  create,
} from '@sallyport/contract';
import { createCsr, generateKey } from '@sallyport/crypto/keys';
import { createClient } from '@sallyport/net';
import type { GrpcStatus } from '@sallyport/net';
import { controlPlaneHarness, policyStream, testAuthority } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';
import { AUTHORIZATION, SERVICES, authorize } from './authorization.ts';

const soon = { deadlineMs: 10_000 };
const never = { signal: new AbortController().signal };

let harness: ControlPlaneHarness;
beforeAll(async () => {
  harness = await controlPlaneHarness();
});
afterAll(async () => harness.close());

async function codeOf(answer: Promise<{ ok: true } | { ok: false; error: GrpcStatus }>): Promise<string> {
  const got = await answer;
  return got.ok ? 'ok' : got.error.code;
}

async function endOf(stream: AsyncIterable<unknown> & { readonly status: Promise<GrpcStatus> }): Promise<string> {
  const first = await stream[Symbol.asyncIterator]().next();
  return first.done === true ? (await stream.status).code : 'ok';
}

describe('who may call what', () => {
  test('every RPC of every service has a row, and a row that admits strangers is Enrol alone', () => {
    for (const [name, service] of Object.entries(SERVICES)) {
      const rows = AUTHORIZATION[name as keyof typeof AUTHORIZATION] as Record<string, unknown>;
      expect(Object.keys(rows).toSorted(), name).toEqual(Object.keys(service.method).toSorted());
    }
    const strangers = Object.values(AUTHORIZATION).flatMap((rows) =>
      Object.entries(rows).filter(([, admitted]) => admitted === 'unproven'),
    );
    expect(strangers.map(([method]) => method)).toEqual(['enrol']);
  });

  test('an RPC without a row and a caller without a certificate are refused, each in its own word', () => {
    const admin = { kind: 'admin', name: 'alice' } as const;
    expect(authorize(undefined, admin)).toMatchObject({ ok: false, error: { code: 'PERMISSION_DENIED' } });
    expect(authorize(['admin'], undefined)).toMatchObject({ ok: false, error: { code: 'UNAUTHENTICATED' } });
    expect(authorize(['sidecar'], admin)).toMatchObject({ ok: false, error: { code: 'PERMISSION_DENIED' } });
    expect(authorize([], admin).ok).toBe(false);
    expect(authorize(['admin'], admin).ok).toBe(true);
  });

  test('[R9.19] a sidecar, a collector and the control plane itself may not publish, nor see the fleet', async () => {
    for (const path of ['/sidecar/support-triage/one', '/collector', '/control-plane']) {
      const publish = await harness.client(Publish, path);
      const fleet = await harness.client(Fleet, path);
      const bundle = create(SubmitBundleRequestSchema, { envelope: new Uint8Array(1) });
      const release = create(SubmitReleaseRequestSchema, { envelope: new Uint8Array(1) });
      expect(await codeOf(publish.submitBundle(bundle, soon)), path).toBe('permission_denied');
      expect(await codeOf(publish.submitRelease(release, soon)), path).toBe('permission_denied');
      expect(await codeOf(publish.getHeads(create(GetHeadsRequestSchema, { area: 'default', ring: 'default' }), soon)), path).toBe(
        'permission_denied',
      );
      expect(await codeOf(fleet.status(create(StatusRequestSchema), soon)), path).toBe('permission_denied');
      expect(await codeOf(fleet.createJoinToken(create(CreateJoinTokenRequestSchema), soon)), path).toBe('permission_denied');
      const policyPlane = await harness.client(PolicyPlane, path);
      expect(await endOf(policyPlane.export(create(ExportRequestSchema), never)), path).toBe('permission_denied');
      expect(await codeOf(policyPlane.prove(create(ProveRequestSchema), soon)), path).toBe('permission_denied');
    }
  });

  test('an administrator is no sidecar: no policy stream, no part, no record, no renewal', async () => {
    const channel = await harness.channel('/admin/alice');
    const stream = policyStream(channel);
    stream.hello();
    expect((await stream.status).code).toBe('permission_denied');
    const part = create(GetPartRequestSchema, { digest: `sha256:${'0'.repeat(64)}` });
    expect(await endOf(createClient(PolicyPlane, channel).getPart(part, never))).toBe('permission_denied');
    const { out, incoming } = createClient(Audit, channel).ship(never);
    out.write(create(ShipMessageSchema));
    expect(await endOf(incoming)).toBe('permission_denied');
    expect(await codeOf(createClient(Enrolment, channel).renew(create(RenewRequestSchema), soon))).toBe('permission_denied');
  });

  test('a collector reads the log, and a sidecar does not', async () => {
    const request = create(TailRequestSchema, { view: TailRequest_View.RECORDS });
    expect(await endOf((await harness.client(Audit, '/collector')).tail(request, never))).toBe('ok');
    expect(await endOf((await harness.client(Audit, '/sidecar/support-triage/one')).tail(request, never))).toBe('permission_denied');
  });

  test('a certificate of a stranger’s CA does not get through the handshake', async () => {
    const stranger = await testAuthority(harness.simulator.trustDomain);
    const tls = await stranger.issue('/admin/alice', { usage: 'tls-client', authorities: [harness.authority.ca.certificate] });
    const code = await codeOf(harness.connect(tls, Publish).getHeads(create(GetHeadsRequestSchema), soon));
    expect(['unavailable', 'unauthenticated']).toContain(code);
  });

  test('a certificate that has ended by the control plane’s clock is nobody’s', async () => {
    const notAfter = Math.floor((harness.clock.wall() - 1_000) / 1_000) * 1_000;
    const channel = await harness.channel('/admin/alice', { notAfter: notAfter + 86_400_000, notBefore: notAfter - 86_400_000 });
    expect(await codeOf(createClient(Fleet, channel).status(create(StatusRequestSchema), soon))).toBe('ok');
    const ended = await harness.channel('/admin/bob', { notBefore: harness.clock.wall() + 600_000 });
    expect(await codeOf(createClient(Fleet, ended).status(create(StatusRequestSchema), soon))).toBe('unauthenticated');
  });

  test('the port for strangers serves Enrol alone, and the other port does not enrol', async () => {
    const csr = createCsr(generateKey('ed25519').privatePem);
    expect(await codeOf(harness.enrolment().renew(create(RenewRequestSchema, { tlsCsr: csr, auditCsr: csr }), soon))).toBe(
      'unauthenticated',
    );
    const inside = await harness.client(Enrolment, '/sidecar/support-triage/one');
    expect(await codeOf(inside.enrol(create(EnrolRequestSchema, { tlsCsr: csr, auditCsr: csr }), soon))).toBe('unimplemented');
  });
});

describe('an authority certifies only what Root lets it', () => {
  test('a CA that Root lists for administrators cannot make a sidecar', async () => {
    const second = await testAuthority(harness.simulator.trustDomain);
    const limited = await controlPlaneHarness({ moreAuthorities: [{ certificate: second.ca.certificate, prefixes: ['/admin/'] }] });
    try {
      const authorities = [limited.authority.ca.certificate];
      const admin = await second.issue('/admin/mallory', { usage: 'tls-client', authorities });
      expect(await codeOf(limited.connect(admin, Fleet).status(create(StatusRequestSchema), soon))).toBe('ok');
      const forged = await second.issue('/sidecar/support-triage/one', { usage: 'tls-client', authorities });
      expect(await codeOf(limited.connect(forged, Enrolment).renew(create(RenewRequestSchema), soon))).toBe('unauthenticated');
    } finally {
      await limited.close();
    }
  });
});
