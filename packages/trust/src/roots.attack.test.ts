import { SIMULATED_START, bendPayload, trustSimulator } from '@sallyport/testkit';
import type { Bend, TrustSimulator } from '@sallyport/testkit';
import { addMs } from '@sallyport/model';
import type { Digest, KeyId, Result } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { acceptManifest } from './acceptance.ts';
import { NO_MEMORY } from './freshness-memory.ts';
import { EMPTY_HIGH_WATER } from './high-water.ts';
import { keyRecordOf } from './objects/keys.ts';
import type { Root } from './objects/root.ts';
import { trustOnlineKeys } from './online-keys.ts';
import type { Rejection } from './rejection.ts';
import { verifyRelease } from './releases.ts';
import { beginRevocations } from './revocations.ts';
import { adoptRoot } from './root-change.ts';
import { followRoot, judgeRootExpiry, replacesKeys, trustRoot } from './roots.ts';
import type { TrustedRoot } from './roots.ts';

const walk = (sim: TrustSimulator, options: { pin?: Digest; allowDevelopmentRoot?: boolean } = {}): Result<TrustedRoot, Rejection> =>
  trustRoot({ pin: sim.pin, chain: sim.chain, allowDevelopmentRoot: true, ...options });

const trusted = (sim: TrustSimulator): TrustedRoot => {
  const root = walk(sim);
  if (!root.ok) throw new Error(root.error.detail);
  return root.value;
};

const refusal = (result: Result<unknown, Rejection>): string => (result.ok ? 'accepted' : `${result.error.code}: ${result.error.detail}`);

describe('root attacks', () => {
  it('walks from the pin to the newest root', async () => {
    const sim = await trustSimulator();
    await sim.publishRoot();
    await sim.publishRoot();
    expect(trusted(sim).number).toBe(3);
  });

  it('no trust on first use: a root that is not the pinned one is refused, however well it is signed', async () => {
    const [honest, other] = [await trustSimulator(), await trustSimulator({ seed: 'mallory' })];
    expect(refusal(walk(other, { pin: honest.pin }))).toMatch(/^ROOT: root 1 has digest/);
    expect(refusal(trustRoot({ pin: honest.pin, chain: [], allowDevelopmentRoot: true }))).toBe('ROOT: there is no root');
  });

  it('development root in production: refused unless the configuration allows it', async () => {
    const sim = await trustSimulator();
    expect(refusal(walk(sim, { allowDevelopmentRoot: false }))).toMatch(/^ROOT: .*`development`/);
    expect(refusal(walk(await trustSimulator({ profile: 'production' }), { allowDevelopmentRoot: false }))).toBe('accepted');
  });

  it.each(['development', 'production'] as const)('a chain that begins as %s stays so for ever', async (profile) => {
    const sim = await trustSimulator({ profile });
    const other = profile === 'development' ? 'production' : 'development';
    await sim.publishRoot({
      edit: (root) => ({ ...root, profile: other, roles: { ...root.roles, release: { ...root.roles.release, threshold: 2 } } }),
    });
    expect(refusal(walk(sim))).toMatch(/^ROOT: a root of profile/);
  });

  it('the trust domain never changes', async () => {
    const sim = await trustSimulator();
    await sim.publishRoot({ edit: (root) => ({ ...root, trustDomain: 'elsewhere.test' }) });
    expect(refusal(walk(sim))).toMatch(/^ROOT: the trust domain changes/);
  });

  const names = ['root-1', 'root-2', 'root-3', 'root-4'];
  const replaced =
    (sim: TrustSimulator): NonNullable<Bend<Root>['edit']> =>
    (root) => {
      const keys = [keyRecordOf(sim.signer('root-3').publicRaw), keyRecordOf(sim.signer('root-4').publicRaw)];
      const old = root.roles.root.keyIds;
      return {
        ...root,
        keys: [...root.keys.filter((key) => !old.includes(key.keyId)), ...keys],
        roles: { ...root.roles, root: { keyIds: keys.map((key) => key.keyId), threshold: 2 } },
      };
    };

  it.each([
    ['only the new keys', ['root-3', 'root-4'], /root 1/],
    ['only the old keys', ['root-1', 'root-2'], /root 2/],
    ['one old and both new', ['root-1', 'root-3', 'root-4'], /root 1/],
    ['both old and one new', ['root-1', 'root-2', 'root-3'], /root 2/],
  ])('stolen root keys: %s do not make the next root', async (_name, signers, by) => {
    const sim = await trustSimulator();
    await sim.publishRoot({ edit: replaced(sim), signers });
    const outcome = refusal(walk(sim));
    expect(outcome).toMatch(/^ROOT: the Root is signed by/);
    expect(outcome).toMatch(by);
  });

  it('old and new thresholds together do', async () => {
    const sim = await trustSimulator();
    await sim.publishRoot({ edit: replaced(sim), signers: names });
    expect(trusted(sim).number).toBe(2);
  });

  it.each([0, 3, 100])('rollback and fast-forward: root %d does not follow root 1', async (number) => {
    const sim = await trustSimulator();
    const root = trusted(sim);
    const link = await bendPayload('Root', sim.root.envelope, (payload) => (payload['number'] = number), [
      sim.signer('root-1'),
      sim.signer('root-2'),
    ]);
    expect(refusal(followRoot(root, link))).toMatch(/^ROOT/);
  });

  it('equivocation: two roots signed under one number', async () => {
    const sim = await trustSimulator();
    const first = await sim.publishRoot();
    const root = trusted(sim);
    const second = await sim.publishRoot({ edit: (honest) => ({ ...honest, number: 2, expiresAt: addMs(honest.expiresAt, 1) }) });
    expect(refusal(followRoot(root, second.envelope))).toMatch(/^EQUIVOCATION/);
    expect(refusal(followRoot(root, first.envelope))).toBe('accepted');
  });

  it('one key under two ids: it counts once', async () => {
    const sim = await trustSimulator();
    const alias = 'f'.repeat(32) as KeyId;
    const bent =
      (threshold: number): NonNullable<Bend<Root>['edit']> =>
      (root) => ({
        ...root,
        keys: [
          ...root.keys.filter((key) => !root.roles.root.keyIds.slice(1).includes(key.keyId)),
          { ...keyRecordOf(sim.signer('root-1').publicRaw), keyId: alias },
        ],
        roles: { ...root.roles, root: { keyIds: [...root.roles.root.keyIds.slice(0, 1), alias], threshold } },
      });
    await sim.publishRoot({ edit: bent(2) });
    expect(refusal(walk(sim))).toMatch(/^ROOT: .*asks for 2 keys and has 1 distinct/);
  });

  it('one key signing twice: it counts once', async () => {
    const sim = await trustSimulator();
    await sim.publishRoot({ signers: ['root-1', 'root-1'] });
    expect(refusal(walk(sim))).toMatch(/signed by 1 of the 2/);
  });

  it.each([
    ['root', 'release'],
    ['registrar', 'release'],
    ['release', 'revocation'],
    ['root', 'revocation'],
  ] as const)('key used in two roles: %s and %s', async (one, two) => {
    const sim = await trustSimulator();
    const shared = (root: Root): Root => {
      const keyIds = [...root.roles[two].keyIds, ...root.roles[one].keyIds.slice(0, 1)];
      return { ...root, roles: { ...root.roles, [two]: { ...root.roles[two], keyIds } } };
    };
    await sim.publishRoot({ edit: shared });
    expect(refusal(walk(sim))).toMatch(new RegExp(`serves both \`(${one}|${two})\` and \`(${one}|${two})\``));
  });

  it('key used in two roles under two ids: the key itself is compared', async () => {
    const sim = await trustSimulator();
    const alias = 'e'.repeat(32) as KeyId;
    await sim.publishRoot({
      edit: (root) => ({
        ...root,
        keys: [...root.keys, { ...keyRecordOf(sim.signer('release-1').publicRaw), keyId: alias }],
        roles: { ...root.roles, revocation: { keyIds: [...root.roles.revocation.keyIds, alias], threshold: 1 } },
      }),
    });
    expect(refusal(walk(sim))).toMatch(/serves both `release` and `revocation`/);
  });

  it.each([
    ['a role that names a key which is not listed', (root: Root): Root => ({ ...root, keys: root.keys.slice(1) }), /listed 0 times/],
    ['a key id listed twice', (root: Root): Root => ({ ...root, keys: [...root.keys, ...root.keys.slice(0, 1)] }), /listed 2 times/],
    [
      'a threshold above the number of keys',
      (root: Root): Root => ({ ...root, roles: { ...root.roles, revocation: { ...root.roles.revocation, threshold: 2 } } }),
      /asks for 2 keys/,
    ],
    [
      'a rollback threshold that nobody can reach',
      (root: Root): Root => ({ ...root, roles: { ...root.roles, release: { ...root.roles.release, rollbackThreshold: 3 } } }),
      /`rollback_threshold` asks for 3/,
    ],
    [
      'a rollback threshold below the threshold',
      (root: Root): Root => ({ ...root, roles: { ...root.roles, release: { ...root.roles.release, threshold: 2, rollbackThreshold: 1 } } }),
      /below the threshold/,
    ],
    ['a ttl beyond a day', (root: Root): Root => ({ ...root, ceilings: { freshnessTtlMsMax: 86_400_001 } }), /freshness_ttl_ms_max/],
    ['a ttl below two seconds', (root: Root): Root => ({ ...root, ceilings: { freshnessTtlMsMax: 1_999 } }), /freshness_ttl_ms_max/],
  ])('refuses %s', async (_name, edit, words) => {
    const sim = await trustSimulator();
    await sim.publishRoot({ edit });
    expect(refusal(walk(sim))).toMatch(words);
  });

  it('a key that serves no role is refused', async () => {
    const sim = await trustSimulator();
    await sim.publishRoot({ edit: (root) => ({ ...root, keys: [...root.keys, keyRecordOf(sim.signer('nobody').publicRaw)] }) });
    expect(refusal(walk(sim))).toMatch(/serves no role/);
  });

  it.each(['root', 'registrar', 'release'] as const)('one thief must not suffice: production needs two keys for %s', async (role) => {
    const sim = await trustSimulator({ profile: 'production' });
    await sim.publishRoot({ edit: (root) => ({ ...root, roles: { ...root.roles, [role]: { ...root.roles[role], threshold: 1 } } }) });
    expect(refusal(walk(sim))).toMatch(/at least 2/);
  });

  it('expiry is judged where a root is used, so that an expired one is still followed', async () => {
    const sim = await trustSimulator();
    const { expiresAt } = sim.root.payload;
    expect(judgeRootExpiry(trusted(sim), expiresAt)).toBeUndefined();
    expect(judgeRootExpiry(trusted(sim), addMs(expiresAt, 1))?.code).toBe('ROOT');
    expect(judgeRootExpiry(trusted(sim), Number.NaN as never)?.code).toBe('ROOT');
    await sim.publishRoot({ edit: (root) => ({ ...root, expiresAt: addMs(root.expiresAt, 86_400_000) }) });
    expect(judgeRootExpiry(trusted(sim), addMs(expiresAt, 1))).toBeUndefined();
  });

  it('lost links: a root below the highest accepted can be followed on, and nothing is verified under it', async () => {
    const sim = await trustSimulator();
    const first = trusted(sim);
    const bundle = await sim.publishBundle();
    await sim.publishRoot();
    const second = trusted(sim);
    const held = { highWater: EMPTY_HIGH_WATER, memory: NO_MEMORY, revocations: beginRevocations({ seq: 0, head: null }) };
    const { highWater } = adoptRoot(held, first, second);
    expect(adoptRoot({ ...held, highWater }, undefined, first).highWater.root).toEqual({ number: 2, digest: second.digest });
    const receiver = { area: sim.area, ring: sim.ring, identity: 'spiffe://sallyport.test/sidecar/support/one' };
    const context = { highWater, at: SIMULATED_START, receiver, features: new Set<string>() };
    const offer = { bundle: bundle.envelope, delegation: bundle.delegation };
    expect(refusal(acceptManifest(offer, { ...context, root: first }))).toMatch(/^ROLLBACK: root/);
    expect(refusal(acceptManifest(offer, { ...context, root: second }))).toBe('accepted');
    expect(refusal(trustOnlineKeys(sim.onlineKeys.envelope, { root: first, highWater }))).toMatch(/^ROLLBACK: root/);
    const release = await sim.publishRelease(bundle);
    const rest = { ...context, revocations: held.revocations, bundles: new Map() };
    expect(refusal(verifyRelease(release.envelope, { ...rest, root: first }))).toMatch(/^ROLLBACK: root/);
  });

  it('keys are replaced only when those that stay could not reach the threshold', async () => {
    const sim = await trustSimulator();
    const before = trusted(sim);
    await sim.publishRoot({ edit: replaced(sim), signers: names });
    const after = trusted(sim);
    expect(replacesKeys(before, after, 'root')).toBe(true);
    expect(replacesKeys(before, after, 'release')).toBe(false);
  });

  it.each([
    [1, false],
    [2, true],
  ])('one of two release keys stays and the threshold is %d: replaced is %s', async (threshold, isReplaced) => {
    const sim = await trustSimulator();
    const before = trusted(sim);
    await sim.publishRoot({
      edit: (root) => {
        const kept = root.roles.release.keyIds.slice(0, 1);
        const dropped = root.roles.release.keyIds.slice(1);
        const fresh = keyRecordOf(sim.signer('release-3').publicRaw);
        const release = { keyIds: [...kept, fresh.keyId], threshold, rollbackThreshold: 2 };
        return { ...root, keys: [...root.keys.filter((key) => !dropped.includes(key.keyId)), fresh], roles: { ...root.roles, release } };
      },
    });
    expect(replacesKeys(before, trusted(sim), 'release')).toBe(isReplaced);
  });
});
