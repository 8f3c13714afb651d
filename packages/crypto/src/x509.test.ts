/** Certificates: issued, read, chained, and forged in the ways that a verifier must refuse. */

import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { concatBytes, utf8 } from './bytes.ts';
import { readCertificate } from './certificate.ts';
import { extension, nameOf, sequence, signCertificate } from './certificate-der.ts';
import { verifyChain } from './chain.ts';
import { createCsr, readCsr } from './csr.ts';
import { TAG, contextTag, writeInteger, writeOid, writeTlv } from './der.ts';
import { certificatePem, createCa, issueCertificate } from './issue.ts';
import type { CertificateAuthority, IssueOptions } from './issue.ts';
import { generateKey, randomBytes, signerFromPem } from './signer.ts';
import type { GeneratedKey } from './signer.ts';

const NOW = Date.parse('2026-11-20T07:00:00.000Z');
const HOUR = 3_600_000;
const life = { notBefore: NOW - HOUR, notAfter: NOW + HOUR };
const SPIFFE_ID = 'spiffe://example.org/sidecar/support/1';

const ca = await createCa({
  trustDomain: 'example.org',
  privatePem: generateKey('es256').privatePem,
  notBefore: NOW - 24 * HOUR,
  notAfter: NOW + 24 * HOUR,
});
const leafKey = generateKey('ed25519');

function issue(options: Partial<IssueOptions> = {}): Promise<Uint8Array> {
  const subjectPublicKey = { alg: leafKey.alg, raw: leafKey.publicRaw };
  return issueCertificate({ ca, subjectPublicKey, spiffeId: SPIFFE_ID, usage: 'audit', ...life, serial: randomBytes(16), ...options });
}

/** A certificate with any extensions, by any issuer, for what `issueCertificate` refuses to make. */
function forge(options: {
  extensions: readonly Uint8Array[];
  by?: CertificateAuthority;
  issuer?: string;
  subject?: string;
  key?: GeneratedKey;
}): Promise<Uint8Array> {
  const { extensions, by = ca, issuer = 'example.org', subject = 'forged', key = leafKey } = options;
  return signCertificate(signerFromPem(by.privatePem), {
    validity: life,
    serial: randomBytes(16),
    issuer: nameOf(issuer),
    subject: nameOf(subject),
    subjectPublicKey: { alg: key.alg, raw: key.publicRaw },
    extensions,
  });
}

const uriName = (uri: string): Uint8Array => writeTlv(contextTag(6, false), utf8(uri));
const dnsName = (name: string): Uint8Array => writeTlv(contextTag(2, false), utf8(name));
const names = (...list: readonly Uint8Array[]): Uint8Array => extension('2.5.29.17', sequence(...list));
const caConstraints = extension('2.5.29.19', sequence(writeTlv(TAG.boolean, Uint8Array.of(0xff))), 'critical');
const certSign = extension('2.5.29.15', writeTlv(TAG.bitString, Uint8Array.of(2, 0x04)), 'critical');

describe('issuing', () => {
  test('an audit leaf says who, what for and until when', async () => {
    const leaf = readCertificate(await issue());
    expect(leaf).toMatchObject({
      subject: 'O=Sallyport, CN=audit',
      spiffeId: SPIFFE_ID,
      isCa: false,
      keyUsages: ['digitalSignature'],
      usage: 'audit',
      publicKey: { alg: 'ed25519', raw: leafKey.publicRaw },
      ...life,
    });
  });

  test.each([
    ['tls-client', ['1.3.6.1.5.5.7.3.2']],
    ['tls-server', ['1.3.6.1.5.5.7.3.1']],
    ['tls-both', ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']],
  ] as const)('%s has the extended key usages of TLS, and Node reads the same', async (usage, extendedKeyUsages) => {
    const der = await issue({ usage, dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1', '2001:db8::ffff:1.2.3.4'] });
    expect(readCertificate(der)).toMatchObject({ usage, extendedKeyUsages, dnsNames: ['localhost'] });
    const node = new X509Certificate(der);
    expect(node.keyUsage).toEqual(extendedKeyUsages);
    expect(node.subjectAltName).toBe(
      `URI:${SPIFFE_ID}, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:2001:DB8:0:0:0:FFFF:102:304`,
    );
    expect(node.verify(new X509Certificate(ca.certificate).publicKey)).toBe(true);
  });

  test.each([
    ['tls-client', true],
    ['tls-both', true],
    ['tls-server', false],
    ['audit', false],
    ['assertion', false],
  ] as const)('as a TLS client, a certificate for %s is accepted: %s', async (usage, isAccepted) => {
    // TLS reads the machine's clock, so these live for decades.
    const span = { notBefore: Date.parse('2020-01-01T00:00:00.000Z'), notAfter: Date.parse('2049-01-01T00:00:00.000Z') };
    const wideCa = await createCa({ trustDomain: 'example.org', privatePem: ca.privatePem, ...span });
    const serve = { ca: wideCa, usage: 'tls-server', ipAddresses: ['127.0.0.1'], ...span } as const;
    const [serverDer, clientDer] = [await issue(serve), await issue({ ca: wideCa, usage, ...span })];
    const common = { key: leafKey.privatePem, ca: certificatePem(wideCa.certificate) };
    const server = createServer({ ...common, cert: certificatePem(serverDer), requestCert: true, rejectUnauthorized: true });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const accepted = once(server, 'secureConnection').then(() => true);
    const refused = once(server, 'tlsClientError').then(() => false);
    const { port } = server.address() as AddressInfo;
    const client = connect({ ...common, port, host: '127.0.0.1', cert: certificatePem(clientDer) });
    client.on('error', () => {
      // The refusal reaches the client as an alert or a reset; the server's own word is what is asserted.
    });
    expect(await Promise.race([accepted, refused])).toBe(isAccepted);
    client.destroy();
    server.close();
    await once(server, 'close');
  });

  test('instants from 2050 are written as GeneralizedTime', async () => {
    const far = Date.parse('2061-01-01T00:00:00.000Z');
    const longCa = await createCa({ trustDomain: 'example.org', privatePem: ca.privatePem, notBefore: NOW, notAfter: far });
    expect(readCertificate(longCa.certificate)).toMatchObject({
      isCa: true,
      pathLengthMax: 0,
      notBefore: NOW,
      notAfter: far,
      spiffeId: 'spiffe://example.org',
    });
  });

  test.each([
    ['a name of another trust domain', { spiffeId: 'spiffe://example.com/sidecar/support/1' }],
    ['a name that is no SPIFFE ID', { spiffeId: 'https://example.org/sidecar' }],
    ['a name that climbs', { spiffeId: 'spiffe://example.org/sidecar/../admin/root' }],
    ['a life beyond the CA’s', { notAfter: NOW + 25 * HOUR }],
    ['a life that ends before it begins', { notAfter: NOW - 2 * HOUR }],
    ['a life that is no number', { notBefore: Number.NaN }],
    ['a short serial', { serial: randomBytes(7) }],
    ['a long serial', { serial: randomBytes(21) }],
    ['a wildcard name', { dnsNames: ['*.example.org'] }],
    ['an address that is none', { ipAddresses: ['127.0.0.256'] }],
    ['a small-order key', { subjectPublicKey: { alg: 'ed25519' as const, raw: new Uint8Array(32) } }],
    ['a CA with the key of another', { ca: { certificate: ca.certificate, privatePem: generateKey('es256').privatePem } }],
  ])('refuses to issue %s', async (_, options) => {
    await expect(issue(options)).rejects.toThrow(/./);
  });

  test('a leaf may live as long as its CA, to the same fraction of a second', async () => {
    const span = { notBefore: NOW + 123, notAfter: NOW + 456_789 };
    const shortCa = await createCa({ trustDomain: 'example.org', privatePem: ca.privatePem, ...span });
    expect(readCertificate(await issue({ ca: shortCa, ...span }))).toMatchObject({ notBefore: NOW, notAfter: NOW + 456_000 });
  });

  test('a leaf issues nothing', async () => {
    const leafAsCa = { certificate: await issue(), privatePem: leafKey.privatePem };
    await expect(issue({ ca: leafAsCa })).rejects.toThrow(TypeError);
  });

  test('openssl verifies what is issued, strictly', async (context) => {
    if (spawnSync('openssl', ['version']).status !== 0) {
      context.skip('not run: needs openssl');
      return;
    }
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-x509-'));
    try {
      const [caFile, leafFile, csrFile] = [join(folder, 'ca.pem'), join(folder, 'leaf.pem'), join(folder, 'leaf.csr')];
      writeFileSync(caFile, certificatePem(ca.certificate));
      writeFileSync(csrFile, createCsr(leafKey.privatePem));
      const at = String(NOW / 1000);
      for (const [usage, purpose] of [
        ['audit', 'any'],
        ['tls-client', 'sslclient'],
        ['tls-server', 'sslserver'],
      ] as const) {
        writeFileSync(leafFile, certificatePem(await issue({ usage })));
        const run = spawnSync('openssl', ['verify', '-x509_strict', '-attime', at, '-purpose', purpose, '-CAfile', caFile, leafFile], {
          encoding: 'utf8',
        });
        expect(run.stdout).toContain('OK');
      }
      const request = spawnSync('openssl', ['req', '-inform', 'DER', '-in', csrFile, '-verify', '-noout'], { encoding: 'utf8' });
      expect(request.status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('reading', () => {
  test('two URIs are no identity', async () => {
    const der = await forge({ extensions: [names(uriName(SPIFFE_ID), uriName('spiffe://example.org/admin/root'))] });
    expect(readCertificate(der)?.spiffeId).toBeUndefined();
  });

  test.each([
    ['a DNS name that spells one', dnsName(`x, URI:spiffe://example.org/admin/root`)],
    ['a URI with a NUL', uriName('spiffe://example.org/admin/root\u0000.evil')],
    ['a URI with upper case in its domain', uriName('spiffe://Example.org/admin/root')],
    ['a URI with a port', uriName('spiffe://example.org:80/admin/root')],
    ['a URI that climbs', uriName('spiffe://example.org/sidecar/../admin/root')],
    ['a URI with an empty segment', uriName('spiffe://example.org//admin')],
    ['a web address', uriName('https://example.org/admin/root')],
  ])('name confusion: %s is no SPIFFE ID', async (_, name) => {
    const der = await forge({ extensions: [names(name)] });
    expect(readCertificate(der)).toBeDefined();
    expect(readCertificate(der)?.spiffeId).toBeUndefined();
  });

  test('an extension that stands twice makes a certificate unreadable', async () => {
    const der = await forge({ extensions: [names(uriName(SPIFFE_ID)), names(uriName('spiffe://example.org/admin/root'))] });
    expect(readCertificate(der)).toBeUndefined();
  });

  test('trailing bytes, PEM, a cut, nothing and garbage are no certificate', async () => {
    const der = await issue();
    const others = [
      concatBytes(der, Uint8Array.of(0)),
      utf8(certificatePem(der)),
      der.subarray(0, -1),
      new Uint8Array(),
      randomBytes(300),
      new Uint8Array(20_000),
    ];
    for (const other of others) expect(readCertificate(other)).toBeUndefined();
  });

  test('every cut and most flips are read without an exception', async () => {
    const der = await issue();
    for (let i = 0; i < der.byteLength; i++) {
      expect(readCertificate(der.subarray(0, i))).toBeUndefined();
      const bent = Uint8Array.from(der);
      bent[i] = (bent[i] ?? 0) ^ 0xff;
      expect(() => readCertificate(bent)).not.toThrow();
    }
  });
});

describe('chains', () => {
  const reason = (result: ReturnType<typeof verifyChain>): string => (result.ok ? 'ok' : result.reason);

  test('an Ed25519 leaf under a P-256 CA holds while both are valid', async () => {
    const result = verifyChain([await issue()], [ca.certificate], NOW);
    expect(result.ok && result.leaf.spiffeId).toBe(SPIFFE_ID);
    expect(verifyChain([await issue(), ca.certificate], [ca.certificate], NOW).ok).toBe(true);
  });

  test.each([
    ['a moment before it begins', life.notBefore - 1, 'not_yet_valid'],
    ['when it begins', life.notBefore, 'ok'],
    ['when it ends', life.notAfter, 'ok'],
    ['a moment after it ends', life.notAfter + 1, 'expired'],
    ['at an instant that is no number', Number.NaN, 'not_yet_valid'],
  ])('a leaf %s', async (_, at, expected) => {
    expect(reason(verifyChain([await issue()], [ca.certificate], at))).toBe(expected);
  });

  test('an expired CA vouches for nobody', async () => {
    const old = await createCa({ trustDomain: 'example.org', privatePem: ca.privatePem, notBefore: NOW - 48 * HOUR, notAfter: NOW - HOUR });
    expect(reason(verifyChain([await issue()], [old.certificate], NOW))).toBe('expired');
  });

  test('a CA of the same name with another key vouches for nobody', async () => {
    const twin = await createCa({ trustDomain: 'example.org', privatePem: generateKey('es256').privatePem, ...life });
    expect(reason(verifyChain([await issue()], [twin.certificate], NOW))).toBe('untrusted');
    expect(verifyChain([await issue()], [twin.certificate, ca.certificate], NOW).ok).toBe(true);
    expect(reason(verifyChain([await issue(), twin.certificate], [twin.certificate], NOW))).toBe('untrusted');
  });

  test('leaf as CA: what a leaf has signed is refused, whatever it claims', async () => {
    const parent = await issue();
    const by = { certificate: parent, privatePem: leafKey.privatePem };
    const child = await forge({ by, issuer: 'audit', extensions: [names(uriName('spiffe://example.org/admin/root'))] });
    expect(reason(verifyChain([child, parent], [ca.certificate], NOW))).toBe('not_a_ca');
    expect(reason(verifyChain([child, parent], [parent], NOW))).toBe('not_a_ca');
  });

  test('path length: a CA below ours vouches for nobody', async () => {
    const middleKey = generateKey('es256');
    const middle = await forge({ subject: 'middle', key: middleKey, extensions: [caConstraints, certSign] });
    const by = { certificate: middle, privatePem: middleKey.privatePem };
    const child = await forge({ by, issuer: 'middle', extensions: [names(uriName(SPIFFE_ID))] });
    expect(reason(verifyChain([child, middle], [ca.certificate], NOW))).toBe('path_too_long');
  });

  test.each([
    [
      'without the right to sign certificates',
      [caConstraints, extension('2.5.29.15', writeTlv(TAG.bitString, Uint8Array.of(7, 0x80)), 'critical')],
    ],
    ['without saying what its key is for', [caConstraints]],
    ['with a restriction to some purpose', [caConstraints, certSign, extension('2.5.29.37', sequence(writeOid('1.3.6.1.5.5.7.3.2')))]],
  ])('an anchor %s is no CA', async (_, extensions) => {
    const key = generateKey('es256');
    const self = { certificate: new Uint8Array(), privatePem: key.privatePem };
    const anchor = await forge({ by: self, issuer: 'odd', subject: 'odd', key, extensions });
    const child = await forge({ by: self, issuer: 'odd', extensions: [names(uriName(SPIFFE_ID))] });
    expect(reason(verifyChain([child], [anchor], NOW))).toBe('not_a_ca');
  });

  test('a critical extension that nobody here knows is refused', async () => {
    const nameConstraints = extension('2.5.29.30', sequence(), 'critical');
    expect(reason(verifyChain([await forge({ extensions: [nameConstraints] })], [ca.certificate], NOW))).toBe('critical_extension_unknown');
  });

  test('a CA in the place of the leaf is refused', () => {
    expect(reason(verifyChain([ca.certificate], [ca.certificate], NOW))).toBe('leaf_is_ca');
  });

  test('every flipped byte of a leaf breaks the chain', async () => {
    const der = await issue();
    for (let i = 0; i < der.byteLength; i++) {
      const bent = Uint8Array.from(der);
      bent[i] = (bent[i] ?? 0) ^ 0x01;
      expect(verifyChain([bent], [ca.certificate], NOW).ok).toBe(false);
    }
  });

  test('nothing, too much, and the unreadable are refused', async () => {
    const leaf = await issue();
    expect(reason(verifyChain([], [ca.certificate], NOW))).toBe('empty');
    expect(reason(verifyChain([leaf], [], NOW))).toBe('untrusted');
    expect(reason(verifyChain([leaf, leaf, leaf, leaf, leaf], [ca.certificate], NOW))).toBe('too_long');
    expect(reason(verifyChain([leaf, utf8('x')], [ca.certificate], NOW))).toBe('unreadable');
    expect(reason(verifyChain([leaf], [utf8('x')], NOW))).toBe('unreadable');
  });
});

describe('requests', () => {
  test.each(['ed25519', 'es256'] as const)('a request of an %s key gives back its key', (alg) => {
    const { privatePem, publicRaw } = generateKey(alg);
    expect(readCsr(createCsr(privatePem))).toEqual({ publicKey: { alg, raw: publicRaw } });
  });

  test('no proof of possession: another’s key under one’s own signature is refused', () => {
    const [own, stolen] = [createCsr(generateKey('ed25519').privatePem), createCsr(generateKey('ed25519').privatePem)];
    const at = own.byteLength - 64;
    expect(readCsr(concatBytes(stolen.subarray(0, at), own.subarray(at)))).toBeUndefined();
  });

  test('every flipped byte, every cut and every trailing byte is refused', () => {
    const csr = createCsr(leafKey.privatePem);
    for (let i = 0; i < csr.byteLength; i++) {
      const bent = Uint8Array.from(csr);
      bent[i] = (bent[i] ?? 0) ^ 0x01;
      expect(readCsr(bent)).toBeUndefined();
      expect(readCsr(csr.subarray(0, i))).toBeUndefined();
    }
    expect(readCsr(concatBytes(csr, Uint8Array.of(0)))).toBeUndefined();
    expect(readCsr(new Uint8Array(5_000))).toBeUndefined();
  });
});

test('an INTEGER is written in the fewest bytes, and never as a negative number', () => {
  expect([...writeInteger(Uint8Array.of(0, 0, 1))]).toEqual([2, 1, 1]);
  expect([...writeInteger(Uint8Array.of(0x80))]).toEqual([2, 2, 0, 0x80]);
  expect([...writeInteger(Uint8Array.of(0, 0))]).toEqual([2, 1, 0]);
});
