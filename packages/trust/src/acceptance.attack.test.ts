import { bendEnvelope, bendPayload, flipBit, trustReceiver, trustSimulator } from '@sallyport/testkit';
import type { PublishedBundle, TrustReceiver, TrustSimulator } from '@sallyport/testkit';
import { PART_NAMES, addMs } from '@sallyport/model';
import type { Area, KeyId, PartName } from '@sallyport/model';
import { beforeEach, describe, expect, it } from 'vitest';
import { acceptManifest, acceptParts } from './acceptance.ts';
import { EMPTY_HIGH_WATER } from './high-water.ts';
import { PART_BYTES_MAX } from './limits.ts';
import { describeParts } from './objects/bundle.ts';
import { keyRecordOf } from './objects/keys.ts';
import { trustRoot } from './roots.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('bundle attacks', () => {
  let sim: TrustSimulator;
  let receiver: TrustReceiver;
  let bundle: PublishedBundle;
  beforeEach(async () => {
    sim = await trustSimulator();
    receiver = trustReceiver(sim, { features: ['cel'] });
    bundle = await sim.publishBundle({ edit: (honest) => ({ ...honest, features: ['cel'] }) });
  });

  it('accepts an honest bundle', () => {
    expect(receiver.takeBundle(bundle)).toBeUndefined();
  });

  it('endless data: an envelope beyond its bound is refused before it is parsed', () => {
    expect(receiver.takeBundle({ ...bundle, envelope: new Uint8Array(16 * 1024 + 1) })).toMatchObject({ code: 'SIZE' });
    expect(receiver.takeBundle({ ...bundle, delegation: new Uint8Array(16 * 1024 + 1) })).toMatchObject({ code: 'SIZE' });
  });

  it('endless data: a part that says it is larger than any is refused before it is hashed', async () => {
    const huge = await sim.publishBundle({
      edit: (honest) => ({ ...honest, parts: { ...honest.parts, policy: { ...honest.parts.policy, bytes: PART_BYTES_MAX + 1 } } }),
    });
    expect(receiver.takeBundle(huge)).toMatchObject({ code: 'SIZE' });
    const many = await sim.publishBundle({
      edit: (honest) => {
        const parts = Object.fromEntries(PART_NAMES.map((name) => [name, { ...honest.parts[name], bytes: PART_BYTES_MAX }]));
        return { ...honest, parts: parts as typeof honest.parts };
      },
    });
    expect(receiver.takeBundle(many)).toMatchObject({ code: 'SIZE' });
  });

  it.each([
    ['stolen publisher key below threshold', ['publisher-1'], /signed by 1 of the 2/],
    ['one publisher signing twice', ['publisher-1', 'publisher-1'], /signed by 1 of the 2/],
    ['a publisher and a stranger', ['publisher-1', 'mallory'], /signed by 1 of the 2/],
    ['a publisher and a registrar', ['publisher-1', 'registrar-1'], /signed by 1 of the 2/],
    ['both release keys', ['release-1', 'release-2'], /signed by 0 of the 2/],
  ])('%s: refused', async (_name, signers, words) => {
    const bent = await sim.publishBundle({ signers });
    const rejection = receiver.takeBundle(bent);
    expect(rejection?.code).toBe('SIGNATURE');
    expect(rejection?.detail).toMatch(words);
  });

  it('one key under two ids: two signatures by one publisher stay one', async () => {
    const alias = 'a'.repeat(32) as KeyId;
    await sim.publishDelegation({
      edit: (honest) => ({
        ...honest,
        keys: [...honest.keys, { ...keyRecordOf(sim.signer('publisher-1').publicRaw), keyId: alias }],
        publishers: { keyIds: [...honest.publishers.keyIds, alias], threshold: 2 },
      }),
    });
    const twice = await sim.publishBundle({ signers: ['publisher-1', 'publisher-1'] });
    const renamed = bendEnvelope(twice.envelope, (outer) => {
      const [, second] = outer.signatures;
      if (second !== undefined) second.keyid = alias;
    });
    expect(receiver.takeBundle({ ...twice, envelope: renamed })).toMatchObject({ code: 'SIGNATURE' });
  });

  it('key ids are hints: a true signature counts under any id', () => {
    const renamed = bendEnvelope(bundle.envelope, (outer) => {
      for (const signature of outer.signatures) signature.keyid = '';
    });
    expect(receiver.takeBundle({ ...bundle, envelope: renamed })).toBeUndefined();
  });

  it('key used in two roles: a release key named as a publisher is refused', async () => {
    await sim.publishDelegation({
      edit: (honest) => {
        const shared = keyRecordOf(sim.signer('release-1').publicRaw);
        return { ...honest, keys: [shared], publishers: { keyIds: [shared.keyId], threshold: 1 } };
      },
    });
    expect(receiver.takeBundle(await sim.publishBundle({ signers: ['release-1'] }))).toMatchObject({ code: 'DELEGATION' });
  });

  it('publishers who name themselves: a delegation below the registrar threshold is refused', async () => {
    await sim.publishDelegation({ signers: ['registrar-1'] });
    expect(receiver.takeBundle(await sim.publishBundle())).toMatchObject({ code: 'DELEGATION' });
    await sim.publishDelegation({ signers: ['publisher-1', 'publisher-2'] });
    expect(receiver.takeBundle(await sim.publishBundle())).toMatchObject({ code: 'DELEGATION' });
  });

  it('a leaver with an older delegation: refused once a newer one was accepted', async () => {
    const left = bundle;
    await sim.publishDelegation({
      edit: (honest) => {
        const keys = [keyRecordOf(sim.signer('publisher-3').publicRaw)];
        return { ...honest, keys, publishers: { keyIds: keys.map((key) => key.keyId), threshold: 1 } };
      },
    });
    expect(receiver.takeBundle(await sim.publishBundle({ signers: ['publisher-3'] }))).toBeUndefined();
    expect(receiver.takeBundle(left)).toMatchObject({ code: 'ROLLBACK' });
  });

  it('fast-forward: delegation numbers start anew when the registrars are replaced', async () => {
    await sim.publishDelegation({ edit: (honest) => ({ ...honest, number: Number.MAX_SAFE_INTEGER }) });
    expect(receiver.takeBundle(await sim.publishBundle())).toBeUndefined();
    const root = await sim.publishRoot({
      edit: (honest) => {
        const old = honest.roles.registrar.keyIds;
        const keys = ['registrar-3', 'registrar-4'].map((name) => keyRecordOf(sim.signer(name).publicRaw));
        return {
          ...honest,
          keys: [...honest.keys.filter((key) => !old.includes(key.keyId)), ...keys],
          roles: { ...honest.roles, registrar: { keyIds: keys.map((key) => key.keyId), threshold: 2 } },
        };
      },
    });
    expect(receiver.takeRoot(root.envelope)).toBeUndefined();
    const edit = (honest: typeof sim.delegation.payload): typeof honest => ({ ...honest, number: 1 });
    await sim.publishDelegation({ edit, signers: ['registrar-3', 'registrar-4'] });
    expect(receiver.takeBundle(await sim.publishBundle())).toBeUndefined();
  });

  it('two delegations under one number: equivocation', async () => {
    expect(receiver.takeBundle(bundle)).toBeUndefined();
    await sim.publishDelegation({ edit: (honest) => ({ ...honest, number: 1, expiresAt: addMs(honest.expiresAt, 1) }) });
    expect(receiver.takeBundle(await sim.publishBundle())).toMatchObject({ code: 'EQUIVOCATION' });
  });

  it('an expired delegation, or an expired root, accepts nothing', async () => {
    receiver.clock.wall = addMs(sim.delegation.payload.expiresAt, 1);
    expect(receiver.takeBundle(bundle)).toMatchObject({ code: 'DELEGATION' });
    receiver.clock.wall = addMs(sim.root.payload.expiresAt, 1);
    expect(receiver.takeBundle(bundle)).toMatchObject({ code: 'ROOT' });
  });

  it.each(PART_NAMES)('torn, edited or missing cache content: part %s', (name: PartName) => {
    const part = bundle.parts[name];
    expect(receiver.takeBundle({ ...bundle, parts: { ...bundle.parts, [name]: part.slice(0, -1) } })).toMatchObject({ code: 'DIGEST' });
    expect(receiver.takeBundle({ ...bundle, parts: { ...bundle.parts, [name]: flipBit(part, 3) } })).toMatchObject({ code: 'DIGEST' });
    const missing = { ...bundle.parts, [name]: undefined } as unknown as typeof bundle.parts;
    expect(receiver.takeBundle({ ...bundle, parts: missing })).toMatchObject({ code: 'DIGEST' });
  });

  it('swapped cache: two true parts under each other’s name', () => {
    const { policy, catalog } = bundle.parts;
    expect(receiver.takeBundle({ ...bundle, parts: { ...bundle.parts, policy: catalog, catalog: policy } })).toMatchObject({
      code: 'DIGEST',
    });
  });

  it('mix-and-match: a part of an older revision is not a part of this one', async () => {
    const newer = await sim.publishBundle();
    expect(receiver.takeBundle({ ...newer, parts: { ...newer.parts, policy: bundle.parts.policy } })).toMatchObject({ code: 'DIGEST' });
  });

  it('a part that nobody signed is refused, not carried along', () => {
    expect(receiver.takeBundle({ ...bundle, parts: { ...bundle.parts, extra: utf8('{}') } as typeof bundle.parts })).toMatchObject({
      code: 'DIGEST',
    });
  });

  it.each([
    ['missing', (parts: Record<string, unknown>) => delete parts['detectors']],
    ['renamed', (parts: Record<string, unknown>) => ([parts['detector'], parts['detectors']] = [parts['detectors'], undefined])],
  ])('a manifest with a part %s is refused', async (_name, edit) => {
    const signers = [sim.signer('publisher-1'), sim.signer('publisher-2')];
    const envelope = await bendPayload(
      'Bundle',
      bundle.envelope,
      (payload) => void edit(payload['parts'] as Record<string, unknown>),
      signers,
    );
    expect(['SIGNATURE', 'MIN_VERSION']).toContain(receiver.takeBundle({ ...bundle, envelope })?.code);
  });

  it('a manifest whose length and digest do not belong together is refused', async () => {
    const bent = await sim.publishBundle({
      edit: (honest) => ({
        ...honest,
        parts: { ...honest.parts, policy: { ...honest.parts.policy, bytes: honest.parts.policy.bytes + 1 } },
      }),
    });
    expect(receiver.takeBundle(bent)).toMatchObject({ code: 'DIGEST' });
  });

  it('a feature that this build does not know refuses the bundle', async () => {
    const newer = await sim.publishBundle({ edit: (honest) => ({ ...honest, features: ['cel', 'quantum-budget'] }) });
    expect(receiver.takeBundle(newer)).toMatchObject({ code: 'MIN_VERSION', detail: 'the bundle needs `quantum-budget`' });
  });

  it('wrong area: publishers of one area sign for another', async () => {
    const bent = await sim.publishBundle({ edit: (honest) => ({ ...honest, area: 'finance' as Area }) });
    expect(receiver.takeBundle(bent)).toMatchObject({ code: 'AREA' });
  });

  it('wrong area: publishers of a team sign for the whole company', async () => {
    const team = await trustSimulator({ area: 'company/team' });
    const bent = await team.publishBundle({ edit: (honest) => ({ ...honest, area: 'company' as Area }) });
    expect(trustReceiver(team).takeBundle(bent)).toMatchObject({ code: 'AREA' });
  });

  it.each([
    ['company/prod', 'company/prod', 'accepted'],
    ['company', 'company/prod', 'accepted'],
    ['company/prod', 'company', 'AREA'],
    ['company', 'company-two', 'AREA'],
    ['company/prod', 'company/prod-two', 'AREA'],
  ])('wrong area: a bundle of %s at a receiver of %s is %s', async (area, own, outcome) => {
    const other = await trustSimulator({ area });
    const at = trustReceiver(other, { receiver: { area: own as Area } });
    expect(at.takeBundle(await other.publishBundle())?.code ?? 'accepted').toBe(outcome);
  });

  it.each(['spiffe://elsewhere.test/sidecar/support/one', 'spiffe://sallyport.test.evil/sidecar/x/y', 'sallyport.test/sidecar/x'])(
    'wrong audience: identity %s',
    (identity) => {
      const stranger = trustReceiver(sim, { features: ['cel'], receiver: { identity } });
      expect(stranger.takeBundle(bundle)).toMatchObject({ code: 'AREA' });
    },
  );

  it('payload type confusion: a signed object of one kind never passes for another', async () => {
    const release = await sim.publishRelease(bundle);
    expect(receiver.takeBundle({ ...bundle, envelope: release.envelope })).toMatchObject({ code: 'SIGNATURE' });
    const relabelled = bendEnvelope(release.envelope, (outer) => (outer.payloadType = 'application/vnd.sallyport.bundle.v1+json'));
    expect(receiver.takeBundle({ ...bundle, envelope: relabelled })).toMatchObject({ code: 'SIGNATURE' });
  });

  it('a payload that contradicts its type is malformed, even well signed', async () => {
    const signers = [sim.signer('publisher-1'), sim.signer('publisher-2')];
    const envelope = await bendPayload('Bundle', bundle.envelope, (payload) => (payload['kind'] = 'Release'), signers);
    expect(receiver.takeBundle({ ...bundle, envelope })).toMatchObject({ code: 'SIGNATURE' });
  });

  it('check, then change: the verified bytes do not follow the caller’s buffer', () => {
    const root = trustRoot({ pin: sim.pin, chain: sim.chain, allowDevelopmentRoot: true });
    if (!root.ok) throw new Error(root.error.detail);
    const context = {
      root: root.value,
      highWater: EMPTY_HIGH_WATER,
      at: receiver.clock.wall,
      receiver: { area: sim.area, ring: sim.ring, identity: receiver.identity },
      features: new Set(['cel']),
    };
    const manifest = acceptManifest({ bundle: bundle.envelope, delegation: bundle.delegation }, context);
    if (!manifest.ok) throw new Error(manifest.error.detail);
    const policy = bundle.parts.policy.slice();
    const accepted = acceptParts(manifest.value, { ...bundle.parts, policy });
    if (!accepted.ok) throw new Error(accepted.error.detail);
    policy.fill(0);
    expect(accepted.value.part('policy')).toEqual(bundle.parts.policy);
    expect(describeParts({ ...bundle.parts, policy: accepted.value.part('policy') })).toEqual(accepted.value.payload.parts);
  });
});
