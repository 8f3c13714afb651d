import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { certificatePem } from '@sallyport/crypto/keys';
import type { HttpListener } from '@sallyport/net';
import { realFileSystem } from '@sallyport/runtime';
import { createLog, type Log } from '@sallyport/telemetry';
import { fakeClock, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listenUnderTls, renewCertificate, type TlsPort } from './tls-port.ts';

let dir: string;
let clock: FakeClock;
let lines: string[];
let log: Log;
let authority: TestAuthority;
const cleanups: (() => void | Promise<void>)[] = [];
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-inbound-'));
  clock = fakeClock();
  lines = [];
  log = createLog({ level: 'debug', name: 'test', clock, write: (line) => lines.push(line) });
  authority = await testAuthority();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
  rmSync(dir, { recursive: true });
});

const port = (): TlsPort => ({
  section: 'inbound',
  listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  files: { certificate_file: join(dir, 'tls.pem'), key_file: join(dir, 'tls.key') },
});

async function write(what: { certificate?: boolean; key?: boolean } = { certificate: true, key: true }): Promise<void> {
  const { chain, privatePem } = await authority.issue('/sidecar/triage/one', { dnsNames: ['localhost'] });
  if (what.certificate === true) writeFileSync(join(dir, 'tls.pem'), chain.map((der) => certificatePem(der)).join(''));
  if (what.key === true) writeFileSync(join(dir, 'tls.key'), privatePem);
}

async function listening(): Promise<HttpListener> {
  const options = { clock, disk: realFileSystem(), onExchange: async () => {}, onRefusal: () => {}, onBug: () => {} };
  const listener = await listenUnderTls(port(), options);
  cleanups.push(async () => {
    const drained = listener.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
  return listener;
}

async function serialOf({ address }: HttpListener): Promise<string> {
  const port = address.kind === 'tcp' ? address.port : 0;
  const socket = tlsConnect({ host: '127.0.0.1', port, servername: 'localhost', ca: certificatePem(authority.ca.certificate) });
  await once(socket, 'secureConnect');
  const { serialNumber = '' } = socket.getPeerX509Certificate() ?? {};
  socket.destroy();
  return serialNumber;
}

describe('a port under TLS', () => {
  it.each<[string, () => Promise<void>, string]>([
    ['no certificate', async () => write({ key: true }), 'inbound.certificate_file: cannot read'],
    ['no key', async () => write({ certificate: true }), 'inbound.key_file: cannot read'],
    ['a key of another certificate', async () => (await write(), write({ key: true })), 'inbound.key_file: the key does not fit'],
    ['a key that is none', async () => (await write(), writeFileSync(join(dir, 'tls.key'), 'x')), 'inbound.key_file: the key does not fit'],
  ])('does not open with %s, and names the key of the configuration', async (_name, prepare, message) => {
    await prepare();
    await expect(listening()).rejects.toMatchObject({ code: 'listen_failed', message: expect.stringContaining(message) });
  });

  it('takes a renewed certificate while it runs, and keeps the one it has while the pair does not fit', async () => {
    await write();
    const listener = await listening();
    const first = await serialOf(listener);
    const over = new AbortController();
    const renewing = renewCertificate(listener, port(), { disk: realFileSystem(), clock, log, signal: over.signal });
    await write({ certificate: true });
    await clock.advance(10_000);
    expect(await serialOf(listener)).toBe(first);
    expect(lines.join('')).toContain('certificate_unfit');
    await write();
    await clock.advance(10_000);
    const second = await serialOf(listener);
    expect(second).not.toBe(first);
    rmSync(join(dir, 'tls.pem'));
    await clock.advance(10_000);
    expect(await serialOf(listener)).toBe(second);
    over.abort();
    await renewing;
  });
});
