/** Services call with a certificate of their own: the handshake lets in what an authority vouches for, the policy says who it is. */

import { certificatePem } from '@sallyport/crypto/keys';
import { foreignAuthority, type ForeignLeaf } from '@sallyport/testkit';
import { execFile, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, type SecureVersion } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastCall, recordOf } from '../../support/audit.ts';
import { codeOf, inboundPolicy, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually, request, type HttpAnswer } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const DAY_MS = 86_400_000;
/** Alerts of RFC 8446, section 6. */
const HANDSHAKE_FAILURE = 40;
const BAD_CERTIFICATE = 42;
const CERTIFICATE_EXPIRED = 45;
const UNKNOWN_CA = 48;
const DECRYPT_ERROR = 51;
const CERTIFICATE_REQUIRED = 116;
const now = Date.now();
const company = foreignAuthority('Callers CA', now);
const elsewhere = foreignAuthority('Callers CA', now);
const another = foreignAuthority('Another CA', now);
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

const REQUEST = `POST ${INVOKE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`;

/** What a client sees that asks for the agent as soon as it can: the bytes of HTTP, and the number of the alert that it names. */
interface Seen {
  readonly heard: string;
  readonly alert: number;
}

const alertIn = (text: string): number => Number(/SSL alert number (\d+)/.exec(text)?.[1] ?? 0);

async function byNode(shown: Partial<Shown>, maxVersion: SecureVersion): Promise<Seen> {
  const socket = tlsConnect({ host: '127.0.0.1', port: side.port, ca: side.ca, maxVersion, ...shown });
  let heard = '';
  let alert = 0;
  socket.on('secureConnect', () => socket.write(REQUEST));
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.on('error', (error) => (alert = alertIn(error.message)));
  await new Promise((resolve) => socket.once('close', resolve));
  return { heard, alert };
}

/** A program of its own, with the certificate in files. */
async function byProgram(name: string, shown: Partial<Shown>, args: (files: readonly string[]) => readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-shown-'));
  try {
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(certFile, shown.cert ?? '');
    writeFileSync(keyFile, shown.key ?? '', { mode: 0o600 });
    return await new Promise((resolve) => {
      const child = execFile(name, args([certFile, keyFile]), (_error, stdout, stderr) => resolve(`${stdout}\n${stderr}`));
      // Held open: at its end the program would go before it is told.
      child.stdin?.on('error', () => undefined);
      child.stdin?.write(REQUEST);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether this machine has a program whose own word for itself contains this. */
function has(name: string, argument: string, word: string): boolean {
  const { status, stdout } = spawnSync(name, [argument], { encoding: 'utf8' });
  return status === 0 && stdout.includes(word);
}

async function byOpenssl(shown: Partial<Shown>, maxVersion: SecureVersion): Promise<Seen> {
  const version = maxVersion === 'TLSv1.3' ? '-tls1_3' : '-tls1_2';
  const where = ['s_client', '-connect', `127.0.0.1:${side.port}`, '-servername', 'localhost', '-quiet', version];
  const text = await byProgram('openssl', shown, ([cert = '', key = '']) => [
    ...where,
    ...(shown.cert === undefined ? [] : ['-cert', cert, '-key', key]),
  ]);
  return { heard: /HTTP\/1\.1 .*/.exec(text)?.[0] ?? '', alert: alertIn(text) };
}

async function failedHandshakes(): Promise<number> {
  const { text } = await request(side.sidecar.healthPort, '/metrics', { method: 'GET' });
  return Number(/sallyport_listener_refusals_total\{leg="inbound",code="handshake_failed"\} (\d+)/.exec(text)?.[1] ?? 0);
}

/** Does it, with nothing at the agent and one more handshake counted as failed. */
async function refusedInHandshake<T>(connect: () => Promise<T>): Promise<T> {
  const [failed, reached] = [await failedHandshakes(), side.agent.requests.length];
  const seen = await connect();
  await eventually(async () => (await failedHandshakes()) === failed + 1, 'the handshake in the metrics');
  expect(side.agent.requests.length).toBe(reached);
  return seen;
}

const ended = (): Shown => certificate({ dnsNames: ['svc-a'], notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS });
const notYet = (): Shown => certificate({ dnsNames: ['svc-a'], notBefore: now + DAY_MS, notAfter: now + 9 * DAY_MS });
const stranger = (): Shown => certificate({ dnsNames: ['svc-a'] }, another);
const impostor = (): Shown => certificate({ dnsNames: ['svc-a'] }, elsewhere);

describe('[R1.09] a connection that no authority of the port vouches for', () => {
  it.each<[what: string, maxVersion: SecureVersion, show: () => Partial<Shown>, alert: number]>([
    ['with a certificate that has ended', 'TLSv1.3', ended, CERTIFICATE_EXPIRED],
    ['with a certificate that has ended', 'TLSv1.2', ended, CERTIFICATE_EXPIRED],
    ['with one that does not hold yet', 'TLSv1.3', notYet, BAD_CERTIFICATE],
    ['with one of another authority', 'TLSv1.3', stranger, UNKNOWN_CA],
    ['with one of another authority', 'TLSv1.2', stranger, UNKNOWN_CA],
    ['with one of another authority of the same name', 'TLSv1.3', impostor, DECRYPT_ERROR],
    ['with one of another authority of the same name', 'TLSv1.2', impostor, DECRYPT_ERROR],
    ['with none', 'TLSv1.3', () => ({}), CERTIFICATE_REQUIRED],
    ['with none', 'TLSv1.2', () => ({}), HANDSHAKE_FAILURE],
  ])('%s (%s) ends by an alert: no byte of HTTP, nothing at the agent, and it is counted', async (_what, maxVersion, show, alert) => {
    expect(await refusedInHandshake(() => byNode(show(), maxVersion))).toEqual({ heard: '', alert });
  });

  it.for<[what: string, maxVersion: SecureVersion, show: () => Partial<Shown>, alert: number]>([
    ['a certificate that has ended', 'TLSv1.3', ended, CERTIFICATE_EXPIRED],
    ['a certificate that has ended', 'TLSv1.2', ended, CERTIFICATE_EXPIRED],
    ['one of another authority', 'TLSv1.3', stranger, UNKNOWN_CA],
    ['none', 'TLSv1.3', () => ({}), CERTIFICATE_REQUIRED],
  ])('ends by an alert for openssl, too: %s (%s)', async ([, maxVersion, show, alert], context) => {
    if (!has('openssl', 'version', 'SSL')) context.skip('not run: needs openssl');
    expect(await refusedInHandshake(() => byOpenssl(show(), maxVersion))).toEqual({ heard: '', alert });
  });

  it.for<[protocol: string, args: readonly string[]]>([
    ['HTTP/1.1', ['--http1.1']],
    ['HTTP/2', ['--http2']],
    ['TLS 1.2', ['--tls-max', '1.2']],
  ])('ends by an alert for curl, too: %s', async ([, args], context) => {
    if (!has('curl', '--version', ' OpenSSL/')) context.skip('not run: needs curl with OpenSSL');
    const asked = ['-sSk', '-w', '%{http_code}', ...args, '--data', '{}', `https://127.0.0.1:${side.port}${INVOKE}`];
    const text = await refusedInHandshake(() =>
      byProgram('curl', stranger(), ([cert = '', key = '']) => ['--cert', cert, '--key', key, ...asked]),
    );
    expect(text).toMatch(/^000\n[^]*alert unknown ca/);
  });

  it('hurts no other: whoever is vouched for is answered, by each version of TLS', async () => {
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      await refusedInHandshake(() => byNode(ended(), maxVersion));
      const connection = { ...certificate({ dnsNames: ['svc-a'] }), ca: side.ca, maxVersion };
      expect((await side.ask(INVOKE, { json: { request: 'x' }, headers: { authorization: undefined }, connection })).status).toBe(200);
    }
  });
});
