/** Pods at the enrolment port: what their cluster signs for them, and what it signs for others. */

import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnrolRequestSchema, create } from '@sallyport/contract';
import type { Certificates, EnrolRequest } from '@sallyport/contract';
import { readCertificate } from '@sallyport/crypto';
import { createCsr, generateKey, randomBytes } from '@sallyport/crypto/keys';
import type { GrpcStatus } from '@sallyport/net';
import { cluster, controlPlaneHarness, flipBit } from '@sallyport/testkit';
import type { Cluster, ControlPlaneHarness } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const soon = { deadlineMs: 20_000 };
const AUDIENCE = 'sallyport-enrolment';
const POD = '0e1f2a3b-1111-2222-3333-444455556666';
const OTHER_POD = '9e1f2a3b-1111-2222-3333-444455556666';

type Answer = { readonly ok: true; readonly value: Certificates } | { readonly ok: false; readonly error: GrpcStatus };

let dir: string;
let keysFile: string;
let ours: Cluster;
let harness: ControlPlaneHarness;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-attestation-'));
  keysFile = join(dir, 'jwks.json');
  ours = cluster();
  writeFileSync(keysFile, ours.jwks);
  harness = await controlPlaneHarness({
    config: {
      attestation: {
        keys_file: keysFile,
        issuer: ours.issuer,
        audience: AUDIENCE,
        workloads: [
          { service_account: 'system:serviceaccount:support:triage', agent: 'support-triage' },
          { service_account: 'system:serviceaccount:support:retired', agent: 'retired' },
        ],
      },
    },
  });
  await harness.publish();
});
afterEach(async () => {
  await harness.close();
  rmSync(dir, { recursive: true, force: true });
});

const token = (of: Partial<Parameters<Cluster['token']>[0]> = {}, by = ours): string =>
  by.token({ account: 'support:triage', audience: AUDIENCE, now: harness.clock.wall(), pod: POD, ...of });

function enrol(serviceAccountToken: string, more: Partial<Pick<EnrolRequest, 'instance' | 'tokenSecret'>> = {}): Promise<Answer> {
  const request = create(EnrolRequestSchema, {
    serviceAccountToken,
    instance: `pod-${POD}`,
    tlsCsr: createCsr(generateKey('es256').privatePem),
    auditCsr: createCsr(generateKey('ed25519').privatePem),
    assertionCsr: createCsr(generateKey('es256').privatePem),
    ...more,
  });
  return harness.enrolment().enrol(request, soon);
}
const codeOf = (answer: Answer): string => (answer.ok ? 'ok' : answer.error.code);

describe('a pod', () => {
  test('enrols by its own token as the agent of its service account, under its uid', async () => {
    const answer = await enrol(token());
    const [leaf = new Uint8Array()] = answer.ok ? answer.value.tlsChain : [];
    expect(readCertificate(leaf)?.spiffeId).toMatch(new RegExp(`/sidecar/support-triage/pod-${POD}$`));
    const acts = await harness.acts();
    expect(acts).toMatchObject([{ act: 'publish' }, { act: 'enrol' }]);
    expect(acts.at(-1)?.['detail']).toMatch('service account system:serviceaccount:support:triage');
  });

  test.each<[attack: string, code: string, of: () => string, more?: Parameters<typeof enrol>[1]]>([
    ['the token of another cluster with the same names', 'unauthenticated', () => token({}, cluster())],
    ['the token of a service account that is listed nowhere', 'unauthenticated', () => token({ account: 'support:other' })],
    ['the token of a service account in another namespace', 'unauthenticated', () => token({ account: 'evil:triage' })],
    ['the token that its agent shows on the outbound port', 'unauthenticated', () => token({ audience: 'sallyport-agent' })],
    ['a token for the API server', 'unauthenticated', () => token({ audience: 'https://kubernetes.default.svc' })],
    ['a token of yesterday', 'unauthenticated', () => token({ now: (harness.clock.wall() - 86_400_000) as never })],
    ['a token that is bound to no pod', 'unauthenticated', () => token({ claims: { 'kubernetes.io': { namespace: 'support' } } })],
    ['no token at all', 'unauthenticated', () => 'x'],
    ['the uid of another pod', 'invalid_argument', () => token({ pod: OTHER_POD })],
    ['a name that it wishes for', 'invalid_argument', () => token(), { instance: 'one' }],
    ['a join token beside it', 'invalid_argument', () => token(), { tokenSecret: randomBytes(32) }],
    ['an agent that the newest bundle does not have', 'failed_precondition', () => token({ account: 'support:retired' })],
  ])('with %s gets nothing', async (_attack, code, of, more) => {
    const answer = await enrol(of(), more);
    expect(codeOf(answer)).toBe(code);
    expect(await harness.acts()).not.toContainEqual(expect.objectContaining({ act: 'enrol' }));
  });

  test('that stole a token after its pod has enrolled finds it spent, also after a restart of the control plane', async () => {
    const stolen = token({ claims: { exp: Math.floor(harness.clock.wall() / 1000) + 3_600 } });
    expect(codeOf(await enrol(stolen))).toBe('ok');
    expect(codeOf(await enrol(stolen))).toBe('unauthenticated');
    await harness.restart();
    expect(codeOf(await enrol(stolen))).toBe('unauthenticated');
  });

  test('cannot make a spent token new by altering its signature', async () => {
    const spent = token();
    expect(codeOf(await enrol(spent))).toBe('ok');
    const [head, claims, signature = ''] = spent.split('.');
    const bent = Buffer.from(flipBit(new Uint8Array(Buffer.from(signature, 'base64url')), 9)).toString('base64url');
    expect(codeOf(await enrol(`${head}.${claims}.${bent}`))).toBe('unauthenticated');
  });

  test('of one uid twice at once: one of them enrols', async () => {
    const answers = await Promise.all([enrol(token()), enrol(token())]);
    expect(answers.map(codeOf).toSorted()).toEqual(['already_exists', 'ok']);
  });

  test('of a key that the cluster withdrew gets nothing, from the next request on', async () => {
    writeFileSync(keysFile, cluster().jwks);
    expect(codeOf(await enrol(token()))).toBe('unauthenticated');
    unlinkSync(keysFile);
    expect(codeOf(await enrol(token()))).toBe('unauthenticated');
    writeFileSync(keysFile, ours.jwks);
    expect(codeOf(await enrol(token()))).toBe('ok');
  });
});
