import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect as http2Connect } from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as tlsConnect, type ConnectionOptions, type SecureVersion, type TLSSocket } from 'node:tls';
import { protectTlsRecord } from '@sallyport/crypto';
import { certificatePem } from '@sallyport/crypto/keys';
import { fakeClock, foreignAuthority, testAuthority, type FakeClock, type ForeignLeaf, type TestAuthority } from '@sallyport/testkit';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AlertKey } from './client-alert.ts';
import { startHttpListener, type ListenerRefusal } from './http-listener.ts';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const DAY_MS = 86_400_000;
const now = Date.now();
const company = foreignAuthority('Callers CA', now);
const elsewhere = foreignAuthority('Callers CA', now);
const unnamed = foreignAuthority('Another CA', now);

let platform: TestAuthority;
let server: { certificate: string; key: string };
beforeAll(async () => {
  platform = await testAuthority();
  const { chain, privatePem } = await platform.issue('/sidecar/triage/one', { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
  server = { certificate: chain.map((der) => certificatePem(der)).join(''), key: privatePem };
});

let clock: FakeClock;
let refusals: ListenerRefusal[];
let exchanges: number;
beforeEach(() => {
  clock = fakeClock();
  refusals = [];
  exchanges = 0;
});

async function serving(): Promise<number> {
  const listener = await startHttpListener({
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    clock,
    tls: { ...server, clientAuthorities: certificatePem(company.certificate) },
    onExchange: (exchange) => {
      exchanges += 1;
      return exchange.respond({ status: 200, headers: [] }, Buffer.from('hello'));
    },
    onRefusal: (refusal) => void refusals.push(refusal),
    onBug: (error) => expect.unreachable(String(error)),
  });
  cleanups.push(async () => {
    const drained = listener.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
  return listener.address.kind === 'tcp' ? listener.address.port : 0;
}

interface Shown {
  readonly cert: string;
  readonly key: string;
}

const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }) as string;

function shown(leaf: ForeignLeaf = {}, authority = company): Shown {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { cert: certificatePem(authority.issue({ dnsNames: ['svc-a'], ...leaf, publicKey })), key: pem(privateKey) };
}

/** A certificate of the right name, signed by its own key. */
function selfSigned(): Shown {
  const { issue, publicKey, privateKey } = foreignAuthority('svc-a', now);
  return { cert: certificatePem(issue({ commonNames: ['svc-a'], dnsNames: ['svc-a'], publicKey })), key: pem(privateKey) };
}

/** A good one with another bit in its signature. */
function tampered(): Shown {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = company.issue({ dnsNames: ['svc-a'], publicKey });
  der[der.byteLength - 1] = (der.at(-1) ?? 0) ^ 1;
  return { cert: certificatePem(der), key: pem(privateKey) };
}

interface Told {
  /** What the server wrote after the handshake, as the client reads it. */
  readonly heard: string;
  /** Its number, 0 where the connection ended without one. */
  readonly alert: number;
}

/** A client that asks as soon as it may. */
async function told(port: number, options: ConnectionOptions): Promise<Told> {
  const socket = tlsConnect({ host: '127.0.0.1', port, ca: certificatePem(platform.ca.certificate), ...options });
  cleanups.push(() => void socket.destroy());
  let heard = '';
  let alert = 0;
  socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'));
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString();
    socket.end();
  });
  socket.on('error', (error) => (alert = Number(/SSL alert number (\d+)/.exec(error.message)?.[1] ?? 0)));
  await new Promise((resolve) => socket.once('close', resolve));
  return { heard, alert };
}

const REFUSED: [what: string, show: () => Partial<Shown>, detail: string, alert: number, alert12?: number][] = [
  ['one that has ended', () => shown({ notBefore: now - 9 * DAY_MS, notAfter: now - DAY_MS }), 'CERT_HAS_EXPIRED', 45],
  ['one that does not hold yet', () => shown({ notBefore: now + DAY_MS, notAfter: now + 9 * DAY_MS }), 'CERT_NOT_YET_VALID', 42],
  ['one of another authority', () => shown({}, unnamed), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 48],
  ['one of another authority that has the same name', () => shown({}, elsewhere), 'CERT_SIGNATURE_FAILURE', 51],
  ['one that vouches for itself', () => selfSigned(), 'DEPTH_ZERO_SELF_SIGNED_CERT', 48],
  ['one that was changed', () => tampered(), 'CERT_SIGNATURE_FAILURE', 51],
  ['one of a server', () => shown({ extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] }), 'INVALID_PURPOSE', 43],
  ['none', () => ({}), 'no certificate', 116, 40],
];

const VERSIONS: readonly SecureVersion[] = ['TLSv1.3', 'TLSv1.2'];

describe('a client without a certificate that holds', () => {
  it.each(VERSIONS.flatMap((version) => REFUSED.map((row) => [row[0], version, ...row.slice(1)] as const)))(
    'is told: %s, by %s',
    async (...row) => {
      const [, maxVersion, show, detail, alert, alert12] = row as [string, SecureVersion, () => Partial<Shown>, string, number, number?];
      const port = await serving();
      const number = maxVersion === 'TLSv1.2' ? (alert12 ?? alert) : alert;
      expect(await told(port, { ...show(), maxVersion })).toEqual({ heard: '', alert: number });
      expect(refusals).toMatchObject([{ code: 'handshake_failed', detail, status: 0, isWithinExchange: false }]);
      expect(exchanges).toBe(0);
    },
  );

  it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])('is told under %s', async (ciphers) => {
    const port = await serving();
    expect(await told(port, { ...shown({}, unnamed), ciphers })).toEqual({ heard: '', alert: 48 });
  });

  it('is told after a second greeting, where it guessed a group that the server does not take', async () => {
    const wired = await wire(await serving());
    // Two records of the server's greeting, of which the first asks for another key.
    expect(await told(wired.port, { ...shown({}, unnamed), ecdhCurve: 'ffdhe4096:P-256' })).toEqual({ heard: '', alert: 48 });
    expect(wired.records.filter((record) => record.startsWith('22:'))).toHaveLength(2);
  });

  it.each(VERSIONS)('is told however its part comes, here byte by byte: %s', async (maxVersion) => {
    const { port } = await wire(await serving(), undefined, 1);
    expect(await told(port, { ...shown({}, unnamed), maxVersion })).toEqual({ heard: '', alert: 48 });
    expect(refusals).toHaveLength(1);
  });

  it('is told where it would speak HTTP/2', async () => {
    const port = await serving();
    const session = http2Connect(`https://127.0.0.1:${port}`, { ca: certificatePem(platform.ca.certificate), ...shown({}, unnamed) });
    cleanups.push(() => session.destroy());
    const asked = session.request({ ':path': '/' });
    // Node hands it to whoever asked.
    const failed = new Promise<string>((resolve) => asked.once('error', ({ message }) => resolve(message)));
    asked.end();
    expect(await failed).toContain('SSL alert number 48');
    expect(exchanges).toBe(0);
  });

  it('with one that holds is served, and no session of it is resumed past its end', async () => {
    const port = await serving();
    for (const maxVersion of VERSIONS) {
      let session: Buffer | undefined;
      const socket = tlsConnect({ host: '127.0.0.1', port, ca: certificatePem(platform.ca.certificate), ...shown(), maxVersion });
      cleanups.push(() => void socket.destroy());
      socket.on('session', (given: Buffer) => (session = given));
      await once(socket, 'secureConnect');
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      expect(String((await once(socket, 'data'))[0])).toContain('200 OK');
      const held = session ?? socket.getSession();
      expect(await told(port, { maxVersion, ...(held === undefined ? {} : { session: held }) })).toMatchObject({
        heard: '',
        alert: maxVersion === 'TLSv1.2' ? 40 : 116,
      });
    }
    expect(exchanges).toBe(2);
  });
});

interface Wire {
  readonly port: number;
  /** Every record of the server by its type and length, and the end of what it sends. */
  readonly records: readonly string[];
  /** Its end at the server. */
  far(): Socket;
  /** What the server sends from now on reaches nobody. */
  cutClient(): void;
}

/** Each part in a packet of its own, as far as that can be had. */
async function forward(from: Socket, to: Socket, bytesAtOnce: number): Promise<void> {
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += bytesAtOnce) {
        to.write(chunk.subarray(at, at + bytesAtOnce));
        if (bytesAtOnce < chunk.length) await new Promise((resolve) => setImmediate(resolve));
      }
    }
  } catch {
    // The client broke off, and so does what stands for it.
  }
  to.end();
}

/** Somebody between a client and the server, who watches and may interfere. */
async function wire(
  port: number,
  onRecord: (record: string, wired: Wire) => void = () => undefined,
  bytesAtOnce = Infinity,
): Promise<Wire> {
  const records: string[] = [];
  let far: Socket | undefined;
  let isCut = false;
  const between = createServer((near) => {
    const to = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    far = to;
    let rest = Buffer.alloc(0);
    to.setNoDelay();
    void forward(near, to, bytesAtOnce);
    to.on('data', (chunk: Buffer) => {
      for (rest = Buffer.concat([rest, chunk]); rest.length >= 5 && rest.length >= 5 + rest.readUInt16BE(3);) {
        const bytes = rest.subarray(0, 5 + rest.readUInt16BE(3));
        rest = rest.subarray(bytes.length);
        records.push(`${bytes[0]}:${bytes.length - 5}`);
        onRecord(records.at(-1) ?? '', wired);
        if (!isCut) near.write(bytes);
      }
    });
    to.on('end', () => {
      records.push('end');
      if (!isCut) near.end();
    });
    cleanups.push(() => [near, to].forEach((socket) => void socket.destroy()));
    for (const socket of [near, to]) socket.on('error', () => undefined);
  });
  const wired: Wire = {
    port: 0,
    records,
    far: () => far ?? expect.unreachable('nobody connected'),
    cutClient: () => (isCut = true),
  };
  between.listen(0, '127.0.0.1');
  await once(between, 'listening');
  cleanups.push(() => void between.close());
  return { ...wired, port: (between.address() as AddressInfo).port };
}

/** The record of an alert: of two bytes in the clear, or with their type and a tag. */
const ALERTS = { 'TLSv1.3': '23:19', 'TLSv1.2': '21:2' } as const;

describe('on the wire, the alert', () => {
  it.each<[version: SecureVersion, before: string, alert: string]>([
    // Of the suite with SHA-384: four bytes, a digest, the type and the tag.
    ['TLSv1.3', '23:69', ALERTS['TLSv1.3']],
    ['TLSv1.2', '22:4', ALERTS['TLSv1.2']],
  ])('of %s follows the last message of the handshake, and nothing follows it', async (maxVersion, before, alert) => {
    const { port, records } = await wire(await serving());
    await told(port, { ...shown({}, unnamed), maxVersion, ...(maxVersion === 'TLSv1.3' ? { ciphers: 'TLS_AES_256_GCM_SHA384' } : {}) });
    await expect.poll(() => records.at(-1)).toBe('end');
    expect(records.slice(-3)).toEqual([before, alert, 'end']);
  });

  it('ends the connection of a client that stays, after a second', async () => {
    const wired = await wire(await serving(), cutAtAlert);
    const client = await staying(wired);
    await expect.poll(() => wired.records.at(-1)).toBe('end');
    await clock.advance(1_500);
    await closed(wired, client);
    expect(refusals).toHaveLength(1);
  });

  it('ends the connection of a client that goes on talking, after 64 KiB', async () => {
    const wired = await wire(await serving(), cutAtAlert);
    const client = await staying(wired);
    client.write('x'.repeat(1_000_000));
    await new Promise((resolve) => wired.far().once('close', resolve));
    expect([exchanges, refusals.length]).toEqual([0, 1]);
  });

  it('holds up no drain', async () => {
    const wired = await wire(await serving(), cutAtAlert);
    const client = await staying(wired);
    await expect.poll(() => wired.records.at(-1)).toBe('end');
    await cleanups.shift()?.();
    await closed(wired, client);
  });

  it.each(VERSIONS)('to a client that resets at that instant hurts nobody else: %s', async (maxVersion) => {
    const port = await serving();
    const wired = await wire(port);
    const client = tlsConnect({
      host: '127.0.0.1',
      port: wired.port,
      ca: certificatePem(platform.ca.certificate),
      ...shown({}, unnamed),
      maxVersion,
    });
    client.on('error', () => undefined);
    // In the turn in which its last messages leave, or just before the server reads them.
    await once(client, maxVersion === 'TLSv1.3' ? 'secureConnect' : 'keylog');
    wired.far().resetAndDestroy();
    await expect.poll(() => refusals.length).toBe(1);
    expect(await told(port, { ...shown(), maxVersion })).toMatchObject({ alert: 0, heard: expect.stringContaining('200 OK') });
  });
});

const cutAtAlert = (record: string, { cutClient }: Wire): void => {
  if (record === ALERTS['TLSv1.3']) cutClient();
};

/** A client that goes on with its handshake done. */
async function staying({ port }: Wire): Promise<TLSSocket> {
  const client = tlsConnect({ host: '127.0.0.1', port, ca: certificatePem(platform.ca.certificate), ...shown({}, unnamed) });
  cleanups.push(() => void client.destroy());
  client.on('error', () => undefined);
  await once(client, 'secureConnect');
  return client;
}

/** The server has let go of a connection whose one half it had ended before: only whoever writes hears of it. */
async function closed(wired: Wire, client: TLSSocket): Promise<void> {
  await expect.poll(() => [client.write('x'), wired.far().destroyed].at(-1)).toBe(true);
}

describe('the key of an alert', () => {
  const SECRET = 'a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643';
  const spoken = (protocol: string): TLSSocket =>
    ({ getProtocol: () => protocol, getCipher: () => ({ name: 'TLS_AES_128_GCM_SHA256' }) }) as unknown as TLSSocket;
  const line = (label: string, secret = SECRET): Buffer => Buffer.from(`${label} ${'0'.repeat(64)} ${secret}\n`);
  const keyed = (): AlertKey => {
    const key = new AlertKey();
    key.note(line('SERVER_TRAFFIC_SECRET_0'), 0);
    key.note(line('CLIENT_TRAFFIC_SECRET_0', 'ff'.repeat(32)), 1_000);
    return key;
  };

  it('is the server’s, of the last key log line that Node gives before it would send more', () => {
    const expected = protectTlsRecord('TLS_AES_128_GCM_SHA256', Buffer.from(SECRET, 'hex'), {
      type: 21,
      content: Uint8Array.of(2, 48),
      sequence: 0,
    });
    expect(keyed().seal(spoken('TLSv1.3'), 1_000, 48)).toEqual(expected);
    expect(expected).toBeDefined();
  });

  it.each([['SERVER_TRAFFIC_SECRET_0'], ['CLIENT_TRAFFIC_SECRET_0'], ['EXPORTER_SECRET'], ['CLIENT_RANDOM']])(
    'leaves nothing of a line %s',
    (label) => {
      const noted = line(label);
      new AlertKey().note(noted, 0);
      expect(noted.every((byte) => byte === 0)).toBe(true);
    },
  );

  it.each<[what: string, seal: (key: AlertKey) => unknown]>([
    ['Node has sent more in between: a number of the key might be used twice', (key) => key.seal(spoken('TLSv1.3'), 1_024, 48)],
    ['the same, in the clear: the client would expect another record', (key) => key.seal(spoken('TLSv1.2'), 1_024, 40)],
    ['it is wiped', (key) => (key.wipe(), key.seal(spoken('TLSv1.3'), 1_000, 48))],
    ['nothing was noted', () => new AlertKey().seal(spoken('TLSv1.3'), 0, 48)],
    ['another version is spoken', (key) => key.seal(spoken('TLSv1.1'), 1_000, 48)],
  ])('makes none where %s', (_what, seal) => {
    expect(seal(keyed())).toBeUndefined();
  });
});
