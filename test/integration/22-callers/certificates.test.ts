/** Services call with a certificate of their own: the handshake lets in what an authority vouches for, the policy says who it is. */

import { certificatePem } from '@sallyport/crypto/keys';
import { foreignAuthority, type ForeignLeaf } from '@sallyport/testkit';
import { generateKeyPairSync } from 'node:crypto';
import { connect as tlsConnect, type SecureVersion } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastCall, recordOf } from '../../support/audit.ts';
import { codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, request, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const DAY_MS = 86_400_000;
const now = Date.now();
const company = foreignAuthority('Callers CA', now);
const elsewhere = foreignAuthority('Callers CA', now);
const pem = (der: Uint8Array): string => certificatePem(der);

const indented = (text: string): string =>
  text
    .trim()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n');
const documents = (revoked = ''): string => `kind: CallerMethod
name: service-certificates
mtls:
  authorities: |
${indented(pem(company.certificate))}
${revoked === '' ? '' : `  revocation_lists: |\n${indented(revoked)}\n`}principals:
  - { subject: "dns:svc-a", id: a, kind: service, tenant: acme, roles: [support-rep] }
  - { subject: "dns:svc-f", id: f, kind: service, tenant: acme, roles: [finance] }
`;

let side: InboundSide;
beforeAll(async () => {
  side = await startInbound({ documents: documents(), inbound: { clientAuthorities: pem(company.certificate) } });
});
afterAll(async () => side?.close());

interface Shown {
  readonly cert: string;
  readonly key: string;
}

let serial = 10;
function certificate(leaf: ForeignLeaf, authority = company): Shown {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = authority.issue({ serial: Uint8Array.of(++serial), ...leaf, publicKey });
  return { cert: pem(der), key: privateKey.export({ format: 'pem', type: 'pkcs8' }) };
}

const ask = (shown: Shown, headers: Record<string, string | undefined> = {}): Promise<HttpAnswer> =>
  side.ask(INVOKE, { json: { request: 'x' }, headers: { authorization: undefined, ...headers }, connection: { ...shown, ca: side.ca } });

describe('a certificate of a client', () => {
  it('[R1.08] is who the policy maps its name to, and nobody where it maps none', async () => {
    const answer = await ask(certificate({ dnsNames: ['svc-a'] }));
    expect(answer.status).toBe(200);
    const session = answer.headers['sallyport-session-id'];
    expect(await lastCall(side.world, (call) => call.session_id === session)).toMatchObject({
      user_id: 'a',
      authn_method: 'mtls',
      root_kind: 'system',
      decision: 'allow',
    });
    const before = side.agent.requests.length;
    const unmapped = await ask(certificate({ dnsNames: ['svc-z'] }));
    expect([unmapped.status, codeOf(unmapped)]).toEqual([403, 'no_matching_policy']);
    expect(await recordOf(side.world, unmapped)).toMatchObject({ decision: 'deny', operator: '-' });
    expect(side.agent.requests.length).toBe(before);
  });

  it.each<[what: string, code: string, leaf: ForeignLeaf]>([
    ['two mapped names', 'no_matching_policy', { dnsNames: ['svc-a', 'svc-f'] }],
    ['a common name beside the one that counts', 'no_matching_policy', { commonNames: ['svc-a'], dnsNames: ['svc-z'] }],
    ['a name whose caller the agent does not act for', 'no_matching_policy', { dnsNames: ['svc-f'] }],
  ])('with %s is refused: %s', async (_what, code, leaf) => {
    const before = side.agent.requests.length;
    expect(codeOf(await ask(certificate(leaf)))).toBe(code);
    expect(side.agent.requests.length).toBe(before);
  });

  it('says nothing beside a token, which decides', async () => {
    const answer = await ask(certificate({ dnsNames: ['svc-f'] }), { authorization: `Bearer ${side.token()}` });
    expect(answer.status).toBe(200);
    const session = answer.headers['sallyport-session-id'];
    expect(await lastCall(side.world, (call) => call.session_id === session)).toMatchObject({ authn_method: 'access_token' });
    expect(codeOf(await ask(certificate({ dnsNames: ['svc-a'] }), { authorization: 'Bearer nonsense' }))).toBe('unauthenticated');
  });

  it('that its authority revokes is refused by the next bundle, on a connection that is open', async () => {
    const revokedSerial = Uint8Array.of(99);
    const shown = certificate({ dnsNames: ['svc-a'], serial: revokedSerial });
    expect((await ask(shown)).status).toBe(200);
    const list = company.list({ serials: [revokedSerial], thisUpdate: now - DAY_MS, nextUpdate: now + DAY_MS });
    const crl = `-----BEGIN X509 CRL-----\n${Buffer.from(list).toString('base64')}\n-----END X509 CRL-----`;
    await side.world.admin.publish(inboundPolicy(side, 'callers: [{ roles: [support-rep] }]', undefined, documents(crl)));
    await eventually(async () => codeOf(await ask(shown)) === 'token_revoked', 'the revocation list');
    expect((await ask(certificate({ dnsNames: ['svc-a'] }))).status).toBe(200);
  });
});

/** What a client sees that asks for the agent as soon as it can: the bytes of HTTP, and how the connection ended. */
async function connecting(shown: Partial<Shown>, maxVersion: SecureVersion): Promise<{ readonly heard: string; readonly ended: string }> {
  const socket = tlsConnect({ host: '127.0.0.1', port: side.port, ca: side.ca, maxVersion, ...shown });
  let heard = '';
  let ended = 'closed';
  socket.on('secureConnect', () => socket.write(`POST ${INVOKE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`));
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.on('error', (error: NodeJS.ErrnoException) => (ended = error.code ?? 'failed'));
  await new Promise((resolve) => socket.once('close', resolve));
  return { heard, ended };
}

async function failedHandshakes(): Promise<number> {
  const { text } = await request(side.sidecar.healthPort, '/metrics', { method: 'GET' });
  return Number(/sallyport_listener_refusals_total\{leg="inbound",code="handshake_failed"\} (\d+)/.exec(text)?.[1] ?? 0);
}

describe('a connection that no authority of the port vouches for', () => {
  it.each<[what: string, shown: () => Partial<Shown>, maxVersion: SecureVersion]>([
    [
      'with a certificate that has ended',
      () => certificate({ dnsNames: ['svc-a'], notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS }),
      'TLSv1.3',
    ],
    [
      'with one that has ended, by TLS 1.2',
      () => certificate({ dnsNames: ['svc-a'], notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS }),
      'TLSv1.2',
    ],
    ['with one of another authority of the same name', () => certificate({ dnsNames: ['svc-a'] }, elsewhere), 'TLSv1.3'],
    ['with one of another authority, by TLS 1.2', () => certificate({ dnsNames: ['svc-a'] }, elsewhere), 'TLSv1.2'],
    ['with none', () => ({}), 'TLSv1.3'],
  ])('%s ends in its handshake: no byte of HTTP, nothing at the agent, and it is counted', async (_what, shown, maxVersion) => {
    const [failed, reached] = [await failedHandshakes(), side.agent.requests.length];
    const { heard } = await connecting(shown(), maxVersion);
    expect(heard).toBe('');
    await eventually(async () => (await failedHandshakes()) === failed + 1, 'the handshake in the metrics');
    expect(side.agent.requests.length).toBe(reached);
  });

  it('is told by an alert where it shows none', async () => {
    expect((await connecting({}, 'TLSv1.3')).ended).toBe('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  });
});
