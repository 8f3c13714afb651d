import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certificatePem } from '@sallyport/crypto/keys';
import type { Destination, ServerName, ServerTls } from '@sallyport/model';
import { systemClock } from '@sallyport/runtime';
import { fakeClock, testAuthority, type FakeClock, type TestAuthority } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serverTlsRoom, type ConnectingIdentity, type ServerTlsRoom } from './server-tls.ts';

const TIMES = { refreshMs: 1_000, lastGoodMsMax: 5_000, readMsMax: 5_000 };
const LEDGER = 'spiffe://test.sallyport.dev/service/ledger';

let folder: string;
let clock: FakeClock;
let authority: TestAuthority;
let room: ServerTlsRoom;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-server-tls-'));
  clock = fakeClock({ wall: systemClock().wall() });
  authority = await testAuthority();
  room = serverTlsRoom({ clock, folder, times: TIMES });
});
afterEach(() => rmSync(folder, { recursive: true }));

const to = (tls: ServerTls): Destination => ({
  server: 'ledger' as ServerName,
  scheme: 'https',
  host: 'ledger.internal',
  port: 443,
  network: 'private',
  tls,
});
const OURS: ServerTls = { authorities: 'workload', identity: LEDGER, client: 'workload' };
const FILES: ServerTls = { client: { certificate: 'tls.crt', key: 'tls.key' } };

async function identity(): Promise<ConnectingIdentity> {
  const { chain, privatePem } = await authority.issue('/sidecar/desk/one', { usage: 'tls-client' });
  return { spiffeId: 'spiffe://test.sallyport.dev/sidecar/desk/one', tlsChain: chain, tlsPem: privatePem };
}
async function lay(options: Parameters<TestAuthority['issue']>[1] = {}, mode = 0o600): Promise<void> {
  const { chain, privatePem } = await authority.issue('/client/desk', { usage: 'tls-client', ...options });
  for (const [name, text] of [
    ['tls.crt', chain.map(certificatePem).join('')],
    ['tls.key', privatePem],
  ] as const) {
    rmSync(join(folder, name), { force: true });
    writeFileSync(join(folder, name), text, { mode });
  }
}
const unready = async (tls: ServerTls = FILES): Promise<readonly [string | undefined, string | undefined]> => {
  const denial = await room.ready(to(tls));
  return [denial?.code, denial?.detail];
};

describe('the workload’s own', () => {
  it('is not there before there is an identity', async () => {
    await expect(room.of(to(OURS))).rejects.toMatchObject({ code: 'upstream_untrusted', wasSent: false });
  });

  it('is its CA and its certificate without the CA; the same object until a renewal, and then another', async () => {
    const [first, second] = [await identity(), await identity()];
    room.use(first);
    const terms = await room.of(to(OURS));
    const [leaf] = first.tlsChain;
    expect(terms).toEqual({
      authorities: [certificatePem(authority.ca.certificate)],
      identity: LEDGER,
      client: { certificate: leaf === undefined ? '' : certificatePem(leaf), key: first.tlsPem },
    });
    // A release that says the same is no reason to connect anew.
    expect(await room.of(to({ ...OURS }))).toBe(terms);
    room.use(second);
    const renewed = await room.of(to(OURS));
    expect([renewed === terms, renewed.client?.key]).toEqual([false, second.tlsPem]);
  });

  it('speaks for its own trust domain alone', async () => {
    room.use(await identity());
    for (const other of ['spiffe://other.example/service/ledger', 'spiffe://test.sallyport.dev.evil.example/service/ledger'])
      await expect(room.of(to({ ...OURS, identity: other }))).rejects.toMatchObject({ code: 'upstream_untrusted', wasSent: false });
  });
});

describe('a client certificate of files', () => {
  it('cannot be had without a folder', async () => {
    room = serverTlsRoom({ clock, folder: undefined, times: TIMES });
    expect(await unready()).toEqual(['credential_unavailable', 'client certificate for `ledger`: not_configured']);
  });

  it.each<[string, () => Promise<void> | void, string]>([
    ['is not there', () => {}, 'missing'],
    ['can be read by others', () => lay({}, 0o604), 'exposed'],
    ['has ended', () => lay({ notBefore: clock.wall() - 9_000, notAfter: clock.wall() - 1_000 }), 'outdated'],
    ['is none', () => lay().then(() => writeFileSync(join(folder, 'tls.crt'), 'hello')), 'malformed'],
    ['has another key', () => lay().then(() => writeFileSync(join(folder, 'tls.key'), 'hello')), 'malformed'],
    ['is larger than any', () => lay().then(() => writeFileSync(join(folder, 'tls.crt'), 'x'.repeat(65_537))), 'too_large'],
  ])('that %s sends nothing, and says of what kind its trouble is', async (_, prepare, failure) => {
    await prepare();
    expect(await unready()).toEqual(['credential_unavailable', `client certificate for \`ledger\`: ${failure}`]);
    await expect(room.of(to(FILES))).rejects.toMatchObject({ wasSent: false });
  });

  it('is used on for a while when its files are gone, and no longer', async () => {
    await lay();
    expect(await unready()).toEqual([undefined, undefined]);
    const terms = await room.of(to(FILES));
    rmSync(join(folder, 'tls.key'));
    await clock.advance(4_000);
    expect([await unready(), await room.of(to(FILES))]).toEqual([[undefined, undefined], terms]);
    await clock.advance(2_000);
    expect((await unready())[0]).toBe('credential_unavailable');
  });

  it('what asks for none needs none', async () => {
    expect(await unready({ identity: LEDGER })).toEqual([undefined, undefined]);
    expect(await room.of(to({ identity: LEDGER }))).toEqual({ identity: LEDGER });
  });
});
