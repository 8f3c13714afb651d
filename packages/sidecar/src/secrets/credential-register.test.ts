import type { CredentialName, Instant, ServerName } from '@sallyport/model';
import { createUpstreams } from '@sallyport/net';
import type { CarriedCredential } from '@sallyport/policy';
import { systemClock } from '@sallyport/runtime';
import { fakeClock } from '@sallyport/testkit';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialRegister } from './credential-register.ts';
import { credentials } from './credentials.ts';

const NOW = Date.parse('2026-11-20T08:00:00.000Z') as Instant;
const ORDERS = 'orders' as ServerName;
const upstreams = createUpstreams({ clock: systemClock() });
afterAll(() => upstreams.close());

const KEY: CarriedCredential = {
  name: 'orders-read' as CredentialName,
  source: { kind: 'file', path: 'key' },
  header: 'X-Api-Key',
  destinations: [ORDERS],
  agents: [],
  tools: [],
  maxAgeMs: 60_000,
};
const TOKEN: CarriedCredential = {
  ...KEY,
  name: 'token' as CredentialName,
  source: { kind: 'oauth_client_credentials', server: ORDERS, path: '/t', clientId: 'c', clientSecretFile: 'key', scopes: [] },
  endpoint: { destination: { server: ORDERS, scheme: 'http', host: '127.0.0.1', port: 1, network: 'loopback' }, path: '/t' },
};

describe('the register of credentials', () => {
  let folder: string;
  const put = (value: string, ageMs: number, wall = NOW): void => {
    const path = join(folder, 'key');
    rmSync(path, { force: true });
    writeFileSync(path, value, { mode: 0o600 });
    utimesSync(path, (wall - ageMs) / 1_000, (wall - ageMs) / 1_000);
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-register-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const registerOf = (named: readonly CarriedCredential[]) => {
    const clock = fakeClock({ wall: NOW });
    const told: string[] = [];
    const ages: number[] = [];
    const leaks: string[] = [];
    const leakAges: number[] = [];
    const times = { refreshMs: 1_000, lastGoodMsMax: 30_000, readMsMax: 5_000 };
    const held = credentials({ clock, folder, vault: undefined, oauth: upstreams, times });
    const register = credentialRegister({
      clock,
      credentials: held,
      named: () => named,
      onStale: (name) => told.push(name),
      onLeak: (name, leak) => leaks.push(`${name} ${leak}`),
      onLeakAge: (_name, leakMs) => leakAges.push(leakMs),
      onAge: (_name, ageMs) => ages.push(ageMs),
    });
    const look = async (): Promise<unknown> => {
      await clock.advance(1_000);
      await register.look();
      const [{ age_ms: ageMs, stale, usable, failure } = { age_ms: 0, stale: 0, usable: 0, failure: 0 }] = register.entries();
      return { ageMs, stale, usable, failure };
    };
    return { clock, told, leaks, leakAges, ages, register, held, look };
  };

  it('finds one that nobody calls with, tells once of each value that is older than it may be, and goes on using it', async () => {
    const { told, ages, look } = registerOf([KEY]);
    put('one', 58_500);
    expect(await look()).toEqual({ ageMs: 59_500, stale: false, usable: true, failure: null });
    expect(await look()).toEqual({ ageMs: 60_500, stale: true, usable: true, failure: null });
    await look();
    expect([told, ages]).toEqual([['orders-read'], [59_500, 60_500, 61_500]]);
    put('two', 0);
    expect(await look()).toMatchObject({ stale: false });
    put('three', 90_000);
    expect(await look()).toMatchObject({ stale: true });
    expect(told).toEqual(['orders-read', 'orders-read']);
  });

  const DAY_MS = 86_400_000;
  it.each<[string, number, number, 'open' | 'critical' | null]>([
    ['a moment ago', 1_000, 60_000, 'open'],
    ['four days and 23 hours ago', 5 * DAY_MS - 3_600_000, 6 * DAY_MS, 'open'],
    ['five days ago', 5 * DAY_MS, 6 * DAY_MS, 'critical'],
    ['five days ago, of a value made since', 5 * DAY_MS, 4 * DAY_MS, null],
    ['five days ago, of a value made in that very moment', 5 * DAY_MS, 5 * DAY_MS, 'critical'],
    ['tomorrow, by a clock that runs ahead', -DAY_MS, 60_000, 'open'],
  ])('a leak of %s is told of once, as what it is', async (_, leakedAgoMs, ageMs, leak) => {
    const { leaks, leakAges, look, register } = registerOf([{ ...KEY, leakedAt: (NOW - leakedAgoMs) as Instant }]);
    put('one', ageMs);
    await look();
    await look();
    expect(register.entries()[0]?.leak).toBe(leak);
    expect(leaks).toEqual(leak === null ? [] : [`orders-read ${leak}`]);
    expect(leakAges.at(-1)).toBe(leak === null ? 0 : Math.max(0, leakedAgoMs + 2_000));
  });

  it('of a source that does not say when its value was made, a leak stays open', async () => {
    const { leaks, register, look } = registerOf([{ ...TOKEN, leakedAt: (NOW - 6 * DAY_MS) as Instant }]);
    await look();
    expect([register.entries()[0]?.leak, leaks]).toEqual(['critical', ['token critical']]);
  });

  it('takes a file of the future for a new one', async () => {
    const { told, look } = registerOf([KEY]);
    put('one', -3_600_000);
    expect([await look(), told]).toEqual([{ ageMs: 0, stale: false, usable: true, failure: null }, []]);
  });

  it('lists what cannot be had, and why, without saying where it would lie', async () => {
    const { register, look } = registerOf([KEY]);
    expect(await look()).toEqual({ ageMs: null, stale: false, usable: false, failure: 'missing' });
    expect(JSON.stringify(register.entries())).not.toContain(folder);
  });

  it('counts what goes out, and never shows what', async () => {
    const { register, held, look } = registerOf([KEY]);
    put('Zp4t8Qx2', 0);
    await look();
    const carried = held.of([KEY]);
    expect(await carried.ready()).toBeUndefined();
    carried.headers(ORDERS);
    carried.headers(ORDERS);
    expect(register.entries()).toMatchObject([
      { uses: 2, last_used_at: '2026-11-20T08:00:01.000Z', destinations: ['orders'], source: 'file' },
    ]);
    expect(JSON.stringify(register.entries())).not.toContain('Zp4t8Qx2');
  });

  it('sends a credential nowhere but to its destinations', async () => {
    const { held, look } = registerOf([KEY]);
    put('Zp4t8Qx2', 0);
    await look();
    expect(() => held.of([KEY]).headers('elsewhere' as ServerName)).toThrow('a credential goes to its destinations alone');
  });

  it('fetches no token that no call asks for', async () => {
    const { look } = registerOf([TOKEN]);
    put('client-secret', 0);
    expect(await look()).toEqual({ ageMs: null, stale: false, usable: false, failure: null });
  });
});
