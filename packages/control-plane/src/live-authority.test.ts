/** Signed files that are replaced under a running control plane: newer ones are taken, anything else changes nothing. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { generateKey } from '@sallyport/crypto/keys';
import { addMs } from '@sallyport/model';
import { realFileSystem } from '@sallyport/runtime';
import { createLog } from '@sallyport/telemetry';
import { controlPlaneHarness, flipBit } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';
import { readAuthority } from './authority.ts';
import { liveAuthority } from './live-authority.ts';
import type { LiveAuthority } from './live-authority.ts';

const DAY_MS = 86_400_000;
let harness: ControlPlaneHarness;
let live: LiveAuthority;
let log: string[];
beforeEach(async () => {
  harness = await controlPlaneHarness({ isStopped: true });
  const { config, clock } = harness;
  const disk = realFileSystem();
  const first = readAuthority(config, { disk, now: clock.wall() });
  if (!first.ok) throw new Error(JSON.stringify(first.error));
  log = [];
  const written = createLog({ level: 'info', name: 'test', clock, write: (line) => void log.push(line) });
  live = liveAuthority({ config, first: first.value, disk, clock, log: written });
});
afterEach(async () => harness.close());

const put = (name: string, content: Uint8Array | string): void => writeFileSync(join(harness.directory, name), content, { mode: 0o600 });
const refusals = (): readonly string[] => log.filter((line) => line.includes('authority.files_refused'));

describe('signed files that are replaced', () => {
  test('nothing is taken where nothing has changed', () => {
    expect([live.reread(), live.reread(), log]).toEqual([undefined, undefined, []]);
  });

  test('the next root is found beside the last, and everything reads as under it', async () => {
    const { authority } = live;
    const { envelope } = await harness.simulator.publishRoot();
    put('3.root.json', envelope);
    expect(live.reread()).toEqual({ root: true, delegations: false, onlineKeys: false });
    expect([authority.root.number, authority.rootEnvelopes.length]).toEqual([3, 3]);
  });

  test('newer online keys and delegations are taken, each for itself', async () => {
    const { simulator } = harness;
    put('online-keys.json', (await simulator.publishOnlineKeys()).envelope);
    expect(live.reread()).toEqual({ root: false, delegations: false, onlineKeys: true });
    put('delegation.json', (await simulator.publishDelegation()).envelope);
    expect(live.reread()).toEqual({ root: false, delegations: true, onlineKeys: false });
  });

  test('rollback: an older object in the place of a newer one changes nothing', async () => {
    const { simulator } = harness;
    const [oldKeys, oldDelegation] = [simulator.onlineKeys.envelope, simulator.delegation.envelope];
    put('online-keys.json', (await simulator.publishOnlineKeys()).envelope);
    put('delegation.json', (await simulator.publishDelegation()).envelope);
    live.reread();
    const { number } = live.authority.onlineKeys.trusted;
    put('online-keys.json', oldKeys);
    expect([live.reread(), live.authority.onlineKeys.trusted.number]).toEqual([undefined, number]);
    put('online-keys.json', simulator.onlineKeys.envelope);
    put('delegation.json', oldDelegation);
    expect([live.reread(), refusals().length]).toEqual([undefined, 2]);
  });

  test('equivocation: another object under a number that is held changes nothing', async () => {
    const { simulator } = harness;
    const held = simulator.onlineKeys.payload;
    const edit = (keys: typeof held): typeof held => ({
      ...keys,
      number: held.number,
      keys: keys.keys.map((key) => ({ ...key, notAfter: addMs(key.notAfter, 1) })),
    });
    put('online-keys.json', (await simulator.publishOnlineKeys({ edit })).envelope);
    expect([live.reread(), refusals().length]).toEqual([undefined, 1]);
  });

  test.each(['online-keys.json', 'delegation.json', '2.root.json'])('a bent %s changes nothing, and is told once', (name) => {
    const before = live.authority.root.digest;
    put(name, flipBit(realFileSystem().readFile(join(harness.directory, name), 100_000) ?? new Uint8Array(), 300));
    for (let times = 0; times < 3; times++) expect(live.reread()).toBeUndefined();
    expect([live.authority.root.digest, refusals().length]).toEqual([before, 1]);
  });

  test('a key of people that turns up here changes nothing', () => {
    put('freshness.pem', harness.simulator.privatePem('release-1'));
    expect([live.reread(), refusals()[0]]).toEqual([undefined, expect.stringContaining('never lives in a control plane')]);
  });

  test('half of a change waits for the rest: online keys under release keys that the root has replaced', async () => {
    const { simulator } = harness;
    const { envelope } = await simulator.publishRoot({
      edit: (root) => {
        const { publicRaw } = generateKey('ed25519');
        const record = { ...root.keys[0]!, publicRaw, keyId: 'a'.repeat(32) as never };
        const second = { ...record, publicRaw: generateKey('ed25519').publicRaw, keyId: 'b'.repeat(32) as never };
        const gone = root.roles.release.keyIds;
        return {
          ...root,
          keys: [...root.keys.filter(({ keyId }) => !gone.includes(keyId)), record, second],
          roles: { ...root.roles, release: { ...root.roles.release, keyIds: [record.keyId, second.keyId] } },
        };
      },
    });
    put('3.root.json', envelope);
    expect([live.reread(), live.authority.root.number, refusals()[0]]).toEqual([undefined, 2, expect.stringContaining('online_keys_file')]);
  });

  test('another audit key needs a start', () => {
    put('audit.pem', generateKey('ed25519').privatePem);
    expect([live.reread(), refusals()[0]]).toEqual([undefined, expect.stringContaining('they are taken at a start')]);
  });

  test('what ends soon is told, and not before', async () => {
    const { simulator, clock } = harness;
    const ending = async (days: number): Promise<readonly string[]> => {
      const edit = (keys: typeof simulator.onlineKeys.payload): typeof keys => ({
        ...keys,
        keys: keys.keys.map((key) => ({ ...key, notAfter: addMs(clock.wall(), days * DAY_MS) })),
      });
      put('online-keys.json', (await simulator.publishOnlineKeys({ edit })).envelope);
      live.reread();
      return live.ending().filter((line) => line.startsWith('freshness key'));
    };
    expect(await ending(8)).toEqual([]);
    expect(await ending(6)).toEqual([expect.stringMatching(/^freshness key `[0-9a-f]{32}` ends at /)]);
  });
});
