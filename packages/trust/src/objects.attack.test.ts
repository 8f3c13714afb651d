import { bendPayload, trustSimulator } from '@sallyport/testkit';
import type { TrustSimulator } from '@sallyport/testkit';
import type { Result } from '@sallyport/model';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseEnvelope } from './envelope.ts';
import { SIGNED_KINDS, refusalCodeOf } from './kinds.ts';
import type { SignedKind } from './kinds.ts';
import { readAreaDelegation } from './objects/area-delegation.ts';
import { readBundle } from './objects/bundle.ts';
import { readDirectory } from './objects/directory.ts';
import { readExtension } from './objects/extension.ts';
import { readFreshness, readLiveProof } from './objects/freshness.ts';
import { readOnlineKeys } from './objects/online-keys.ts';
import { readRelease } from './objects/release.ts';
import { readRevocation, readRevocationSnapshot } from './objects/revocation.ts';
import { readRoot } from './objects/root.ts';
import type { Rejection } from './rejection.ts';

const READERS: Readonly<Record<SignedKind, (payload: Uint8Array) => Result<unknown, Rejection>>> = {
  Root: readRoot,
  AreaDelegation: readAreaDelegation,
  Bundle: readBundle,
  Release: readRelease,
  OnlineKeys: readOnlineKeys,
  Freshness: readFreshness,
  LiveProof: readLiveProof,
  Extension: readExtension,
  Revocation: readRevocation,
  RevocationSnapshot: readRevocationSnapshot,
  Directory: readDirectory,
};

type Tree = Record<string, unknown>;

/** The path of every object in a payload, the payload itself first. */
function objectPaths(value: unknown, path: readonly string[] = []): string[][] {
  if (value === null || typeof value !== 'object') return [];
  const inner = Object.entries(value).flatMap(([key, child]) => objectPaths(child, [...path, key]));
  return Array.isArray(value) ? inner : [[...path], ...inner];
}

function objectAt(tree: Tree, path: readonly string[]): Tree {
  let here = tree;
  for (const key of path) here = here[key] as Tree;
  return here;
}

describe('unknown words in signed objects', () => {
  let sim: TrustSimulator;
  const envelopes = new Map<SignedKind, Uint8Array>();
  beforeAll(async () => {
    sim = await trustSimulator();
    await sim.publishRoot({
      edit: (honest) => ({ ...honest, certificateAuthorities: [{ certificate: Uint8Array.of(48, 0), prefixes: ['/sidecar/'] }] }),
    });
    const bundle = await sim.publishBundle({ edit: (honest) => ({ ...honest, features: ['cel'] }) });
    const release = await sim.publishRelease(bundle, { edit: (honest) => ({ ...honest, fallbacks: [bundle.digest] }) });
    const at = sim.root.payload.expiresAt;
    const question = { nonce: new Uint8Array(32), identity: 'spiffe://sallyport.test/sidecar/support/one' };
    const revocation = await sim.revoke({});
    envelopes.set('Root', sim.root.envelope);
    envelopes.set('AreaDelegation', sim.delegation.envelope);
    envelopes.set('Bundle', bundle.envelope);
    envelopes.set('Release', release.envelope);
    envelopes.set('OnlineKeys', sim.onlineKeys.envelope);
    envelopes.set('Freshness', (await sim.stateFreshness(at)).envelope);
    envelopes.set('LiveProof', (await sim.proveLive(at, question)).envelope);
    envelopes.set('Extension', (await sim.extend(at)).envelope);
    envelopes.set('Revocation', revocation.envelope);
    envelopes.set('RevocationSnapshot', (await sim.snapshotRevocations()).envelope);
    envelopes.set('Directory', (await sim.publishDirectory(at, [])).envelope);
  });

  async function bent(kind: SignedKind, edit: (payload: Tree) => void): Promise<string> {
    const envelope = await bendPayload(kind, envelopes.get(kind) ?? new Uint8Array(), edit);
    const parsed = parseEnvelope(kind, envelope);
    if (!parsed.ok) return parsed.error.code;
    const read = READERS[kind](parsed.value.payload);
    return read.ok ? 'accepted' : read.error.code;
  }

  async function payloadOf(kind: SignedKind): Promise<Tree> {
    let tree: Tree = {};
    await bendPayload(kind, envelopes.get(kind) ?? new Uint8Array(), (payload) => (tree = structuredClone(payload)));
    return tree;
  }

  it.each(SIGNED_KINDS)('%s: reads as it was written', async (kind) => {
    expect(await bent(kind, () => undefined)).toBe('accepted');
  });

  it.each(SIGNED_KINDS)('%s: an unknown field at any depth is MIN_VERSION', async (kind) => {
    const paths = objectPaths(await payloadOf(kind));
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths)
      expect([path, await bent(kind, (payload) => (objectAt(payload, path)['restricts'] = true))]).toEqual([path, 'MIN_VERSION']);
  });

  it.each(SIGNED_KINDS)('%s: every field is needed', async (kind) => {
    for (const path of objectPaths(await payloadOf(kind)))
      for (const field of Object.keys(objectAt(await payloadOf(kind), path))) {
        const code = await bent(kind, (payload) => delete objectAt(payload, path)[field]);
        expect([path, field, code]).toEqual([path, field, refusalCodeOf(kind)]);
      }
  });

  it.each(SIGNED_KINDS)('%s: no field takes a value of another type', async (kind) => {
    for (const path of objectPaths(await payloadOf(kind)))
      for (const field of Object.keys(objectAt(await payloadOf(kind), path)))
        for (const value of [{ a: 1 }, [[]], 1.5, -1]) {
          const code = await bent(kind, (payload) => (objectAt(payload, path)[field] = value));
          expect([path, field, ['MIN_VERSION', refusalCodeOf(kind)].includes(code)]).toEqual([path, field, true]);
        }
  });

  it('an unknown field outranks a wrong type: the writer is newer', async () => {
    const code = await bent('Release', (payload) => Object.assign(payload, { quorum: 3, rollback: 'yes' }));
    expect(code).toBe('MIN_VERSION');
  });

  it.each([
    ['Root', 'profile', 'staging'],
    ['Release', 'api_version', 'sallyport.dev/v2'],
  ] as const)('%s: an unknown word in `%s` is MIN_VERSION', async (kind, field, word) => {
    expect(await bent(kind, (payload) => (payload[field] = word))).toBe('MIN_VERSION');
  });

  it('unknown words in lists and below are MIN_VERSION: algorithm, prefix, role, selector', async () => {
    const first = (list: unknown): Tree => objectAt({ list }, ['list', '0']);
    expect(await bent('Root', (payload) => (first(payload['keys'])['alg'] = 'ml-dsa-65'))).toBe('MIN_VERSION');
    expect(await bent('Root', (payload) => (first(payload['certificate_authorities'])['prefixes'] = ['/everything/']))).toBe('MIN_VERSION');
    expect(await bent('OnlineKeys', (payload) => (first(payload['keys'])['role'] = 'revocation'))).toBe('MIN_VERSION');
    const select = (type: string) => (payload: Tree) => (objectAt(payload, ['entry', 'selector'])['type'] = type);
    expect(await bent('Revocation', select('planet'))).toBe('MIN_VERSION');
  });

  it.each(['2026-11-20T07:31:23Z', '2026-11-20T07:31:23.000+01:00', '2026-02-30T07:31:23.000Z', '1700000000000', ''])(
    'an instant has one spelling: %j is refused',
    async (text) => {
      expect(await bent('Freshness', (payload) => (payload['issued_at'] = text))).toBe('SIGNATURE');
    },
  );

  it('`everything` selects everything: no other value passes for it', async () => {
    const entry = (payload: Tree): Tree => objectAt(payload, ['entry', 'selector']);
    expect(await bent('Revocation', (payload) => Object.assign(entry(payload), { type: 'everything', value: 'all' }))).toBe('SIGNATURE');
    expect(await bent('Revocation', (payload) => Object.assign(entry(payload), { type: 'everything', value: '*' }))).toBe('accepted');
  });

  it.each([
    ['a duplicate field', (text: string) => text.replace('"seq":', '"seq":1,"seq":')],
    ['a field that differs by case', (text: string) => text.replace('"seq":', '"SEQ":1,"seq":')],
    ['an exponent', (text: string) => text.replace(/"ttl_ms":\d+/, '"ttl_ms":3e5')],
    ['a number that no double holds', (text: string) => text.replace(/"seq":\d+/, '"seq":9007199254740993')],
    ['a fraction lost in a double', (text: string) => text.replace(/"seq":\d+/, '"seq":1.00000000000000000001')],
    ['text after the object', (text: string) => `${text}{}`],
    ['a byte order mark', (text: string) => `\uFEFF${text}`],
  ])('two readings: %s is refused', (_name, edit) => {
    const parsed = parseEnvelope('Freshness', envelopes.get('Freshness') ?? new Uint8Array());
    if (!parsed.ok) throw new Error(parsed.error.detail);
    const text = new TextDecoder().decode(parsed.value.payload);
    const bytes = new TextEncoder().encode(edit(text));
    expect(bytes).not.toEqual(parsed.value.payload);
    const read = readFreshness(bytes);
    expect(read.ok ? 'accepted' : read.error.code).toMatch(/^(SIGNATURE|MIN_VERSION)$/);
  });

  it('reports every problem of a payload with its path', async () => {
    const envelope = await bendPayload('Release', envelopes.get('Release') ?? new Uint8Array(), (payload) =>
      Object.assign(payload, { release_seq: 0, rollback: 'no', extra: 1, bundles: [{ area: 'A', digest: 'x', revision: 1 }] }),
    );
    const parsed = parseEnvelope('Release', envelope);
    if (!parsed.ok) throw new Error(parsed.error.detail);
    const read = readRelease(parsed.value.payload);
    const paths = read.ok ? [] : read.error.problems.map(({ path, message }) => `${path}: ${message}`);
    expect(paths.toSorted()).toEqual(
      [
        ': unknown field `extra`',
        'bundles[0].area: expected an area',
        'bundles[0].digest: expected `sha256:` and 64 hex digits',
        'release_seq: less than 1',
        'rollback: expected boolean',
      ].toSorted(),
    );
  });
});
