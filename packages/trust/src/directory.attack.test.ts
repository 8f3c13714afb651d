import { bendPayload, flipBit, trustSimulator, type PublishedDirectory, type TrustSimulator } from '@sallyport/testkit';
import type { Digest, DirectoryEntry, Instant, PrincipalId, TenantId } from '@sallyport/model';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  EMPTY_HIGH_WATER,
  SIGNER_SKEW_MS,
  acceptDirectory,
  decodeHighWater,
  directoryAgeMs,
  encodeDirectoryContent,
  encodeHighWater,
  followRoot,
  raiseDirectory,
  trustRoot,
  verifyDirectory,
} from './index.ts';
import type { HighWater, Rejection, Root, TrustedRoot, VerifiedDirectory } from './index.ts';
import { DIRECTORY_ATTRIBUTES_MAX, DIRECTORY_BYTES_MAX, DIRECTORY_ENTRIES_MAX } from './limits.ts';
import { raiseRoot } from './high-water.ts';

const AT = Date.UTC(2026, 10, 20, 9) as Instant;
const ISSUER = 'https://idp.test';
const row = (principal: string, attributes: DirectoryEntry['attributes'], tenant = 'acme', issuer = ISSUER): DirectoryEntry => ({
  issuer,
  tenant,
  principal,
  attributes,
});
const ALICE = row('alice', { groups: ['support'] });

let sim: TrustSimulator;
let root: TrustedRoot;

beforeAll(async () => {
  sim = await trustSimulator({ directoryAttributes: ['groups', 'level'] });
  root = rootOf(sim);
});

function rootOf(of: TrustSimulator): TrustedRoot {
  const trusted = trustRoot({ pin: of.pin, chain: of.chain, allowDevelopmentRoot: true });
  if (!trusted.ok) throw new Error(trusted.error.detail);
  return trusted.value;
}

interface Given {
  readonly highWater?: HighWater;
  readonly at?: Instant;
  readonly under?: TrustedRoot;
  readonly content?: Uint8Array;
}

/** The directory as a receiver would hold it, or the rejection. */
function take(
  published: Pick<PublishedDirectory, 'envelope' | 'content'>,
  { highWater = EMPTY_HIGH_WATER, at = AT, under = root, content = published.content }: Given = {},
): VerifiedDirectory | Rejection {
  const signed = verifyDirectory(published.envelope, { root: under, highWater, at });
  if (!signed.ok) return signed.error;
  const accepted = acceptDirectory(signed.value, content);
  return accepted.ok ? accepted.value : accepted.error;
}

const codeOf = (taken: VerifiedDirectory | Rejection): string => ('code' in taken ? taken.code : 'accepted');
const marked = ({ payload, digest }: PublishedDirectory): HighWater => raiseDirectory(EMPTY_HIGH_WATER, { number: payload.seq, digest });

describe('who may say it', () => {
  test('the directory key, and exactly what it signed', async () => {
    const taken = take(await sim.publishDirectory(AT, [ALICE, row('bob', { level: 3 })]));
    if ('code' in taken) throw new Error(taken.detail);
    expect(taken.size).toBe(2);
    expect(taken.find({ issuer: ISSUER, tenant: 'acme' as TenantId, id: 'alice' as PrincipalId })?.attributes).toEqual({
      groups: ['support'],
    });
  });

  test.each(['release-1', 'revocation-1', 'freshness-1', 'registrar-1', 'root-1', 'publisher-1', 'a-stranger'])(
    'a key of another role: %s signs no directory',
    async (name) => {
      expect(codeOf(take(await sim.publishDirectory(AT, [ALICE], { signers: [name] })))).toBe('SIGNATURE');
    },
  );

  test('unsigned, or signed as something else', async () => {
    const published = await sim.publishDirectory(AT, [ALICE]);
    const bent = await bendPayload('Directory', published.envelope, (payload) => (payload['seq'] = 99));
    expect(codeOf(take({ ...published, envelope: bent }))).toBe('SIGNATURE');
    const statement = await sim.stateFreshness(AT);
    expect(codeOf(take({ ...published, envelope: statement.envelope }))).toBe('SIGNATURE');
  });

  test('a root without the role lets nobody say anything, whoever signed', async () => {
    const plain = await trustSimulator();
    const published = await plain.publishDirectory(AT, [ALICE], { signers: ['release-1'] });
    expect(take(published, { under: rootOf(plain) })).toMatchObject({
      code: 'ROOT',
      detail: expect.stringContaining('no role `directory`'),
    });
  });

  test.each<[string, (root: Root) => Root]>([
    ['a role without a ceiling', ({ ceilings: { freshnessTtlMsMax }, ...rest }) => ({ ...rest, ceilings: { freshnessTtlMsMax } })],
    [
      'a ceiling without a role',
      ({ roles: { root: first, registrar, release, revocation }, ...rest }) => ({
        ...rest,
        roles: { root: first, registrar, release, revocation },
      }),
    ],
    [
      'a directory key that is a release key as well',
      (honest) => ({ ...honest, roles: { ...honest.roles, directory: { keyIds: honest.roles.release.keyIds, threshold: 1 } } }),
    ],
  ])('a root with %s is unsound', async (_, edit) => {
    const published = await sim.publishRoot({ edit: (honest) => edit({ ...honest, number: 2 }) });
    expect(followRoot(root, published.envelope)).toMatchObject({ ok: false, error: { code: 'ROOT' } });
  });

  test('an expired root', async () => {
    expect(codeOf(take(await sim.publishDirectory(AT, [ALICE]), { at: (root.expiresAt + 1) as Instant }))).toBe('ROOT');
  });
});

describe('what it may say', () => {
  test('a stolen directory key cannot set an attribute that Root never left to it', async () => {
    for (const name of ['roles', 'admin', 'department', 'constructor'])
      expect(take(await sim.publishDirectory(AT, [row('alice', { [name]: 'x' })]))).toMatchObject({ code: 'ROOT' });
  });

  test('another content than the signed one: edited, torn, longer, another directory’s', async () => {
    const published = await sim.publishDirectory(AT, [ALICE]);
    const other = encodeDirectoryContent([row('alice', { groups: ['finance'] })]);
    for (const content of [flipBit(published.content, 90), published.content.slice(1), new Uint8Array(0), other])
      expect(codeOf(take(published, { content }))).toBe('DIGEST');
  });

  const text = (json: unknown): Uint8Array => new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json));
  const whole = (...entries: unknown[]): object => ({ api_version: 'sallyport.dev/v1', kind: 'DirectoryContent', entries });
  const one = { issuer: ISSUER, tenant: 'acme', principal: 'alice', attributes: {} };
  test.each<[string, unknown, string]>([
    ['two rows for one principal', whole(one, { ...one, attributes: { level: 1 } }), 'SIGNATURE'],
    ['rows out of order', whole({ ...one, principal: 'b' }, { ...one, principal: 'a' }), 'SIGNATURE'],
    ['an unknown field of a row', whole({ ...one, roles: ['admin'] }), 'MIN_VERSION'],
    ['an unknown field beside the rows', { ...whole(one), more: [] }, 'MIN_VERSION'],
    ['another kind', { ...whole(one), kind: 'IdentityPart' }, 'SIGNATURE'],
    ['a row without a tenant', whole({ issuer: ISSUER, principal: 'alice', attributes: {} }), 'SIGNATURE'],
    ['a principal without a name', whole({ ...one, principal: '' }), 'SIGNATURE'],
    ['a principal that records could not tell from none', whole({ ...one, principal: '-' }), 'SIGNATURE'],
    ['a line break in a name', whole({ ...one, principal: 'alice\nroot' }), 'SIGNATURE'],
    ['an object as a value', whole({ ...one, attributes: { level: { is: 1 } } }), 'SIGNATURE'],
    ['null as a value', whole({ ...one, attributes: { level: null } }), 'SIGNATURE'],
    ['a list of numbers', whole({ ...one, attributes: { groups: [1] } }), 'SIGNATURE'],
    ['a text that forges a look', whole({ ...one, attributes: { groups: ['a\u202Eb'] } }), 'SIGNATURE'],
    ['a list that is too long', whole({ ...one, attributes: { groups: Array.from({ length: 257 }, () => 'a') } }), 'SIGNATURE'],
    [
      'too many attributes',
      whole({ ...one, attributes: Object.fromEntries(Array.from({ length: DIRECTORY_ATTRIBUTES_MAX + 1 }, (_, at) => [`a${at}`, 1])) }),
      'SIGNATURE',
    ],
    [
      'an attribute of a prototype',
      `{"api_version":"sallyport.dev/v1","kind":"DirectoryContent","entries":[{"issuer":"i","tenant":"t","principal":"p","attributes":{"__proto__":"x"}}]}`,
      'SIGNATURE',
    ],
    [
      'one attribute twice',
      `{"api_version":"sallyport.dev/v1","kind":"DirectoryContent","entries":[{"issuer":"i","tenant":"t","principal":"p","attributes":{"level":1,"level":2}}]}`,
      'SIGNATURE',
    ],
    [
      'a number that a double does not hold',
      `{"api_version":"sallyport.dev/v1","kind":"DirectoryContent","entries":[{"issuer":"i","tenant":"t","principal":"p","attributes":{"level":9007199254740993}}]}`,
      'SIGNATURE',
    ],
    ['white space between', `${JSON.stringify(whole(one))} `, 'SIGNATURE'],
    [
      'a number in another spelling',
      JSON.stringify(whole({ ...one, attributes: { level: 1 } })).replace('"level":1', '"level":1.0'),
      'SIGNATURE',
    ],
    ['no JSON', 'groups: [support]', 'SIGNATURE'],
  ])('content that is signed and malformed is refused: %s', async (_, json, code) => {
    const content = text(json);
    const published = await sim.publishDirectory(AT, [], { content });
    expect(codeOf(take(published))).toBe(code);
  });

  test('a principal whose id is a prototype’s name is somebody of that name, and nobody else', async () => {
    const ids = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    const taken = take(await sim.publishDirectory(AT, [row('__proto__', { level: 1 })]));
    if ('code' in taken) throw new Error(taken.detail);
    const find = (id: string): unknown => taken.find({ issuer: ISSUER, tenant: 'acme' as TenantId, id: id as PrincipalId })?.attributes;
    expect(ids.map(find)).toEqual([{ level: 1 }, undefined, undefined, undefined]);
    expect(taken.find({ issuer: '__proto__', tenant: 'acme' as TenantId, id: 'x' as PrincipalId })).toBeUndefined();
  });

  test('another tenant’s, or another issuer’s, principal of the same id is another', async () => {
    const taken = take(await sim.publishDirectory(AT, [ALICE]));
    if ('code' in taken) throw new Error(taken.detail);
    const alice = { issuer: ISSUER, tenant: 'acme' as TenantId, id: 'alice' as PrincipalId };
    expect(taken.find(alice)).toBeDefined();
    expect(taken.find({ ...alice, tenant: 'other' as TenantId })).toBeUndefined();
    expect(taken.find({ ...alice, issuer: 'https://evil.test' })).toBeUndefined();
  });
});

describe('how much', () => {
  test('endless data: an envelope, and content, beyond the bound are refused before they are read', async () => {
    expect(verifyDirectory(new Uint8Array(4_097), { root, highWater: EMPTY_HIGH_WATER, at: AT })).toMatchObject({
      error: { code: 'SIZE' },
    });
    const content = { digest: `sha256:${'0'.repeat(64)}` as Digest, bytes: DIRECTORY_BYTES_MAX + 1 };
    expect(codeOf(take(await sim.publishDirectory(AT, [ALICE], { edit: (honest) => ({ ...honest, content }) })))).toBe('SIZE');
  });

  test('more principals than are read', async () => {
    const many = Array.from({ length: DIRECTORY_ENTRIES_MAX + 1 }, (_, at) => row(`p${at}`, {}));
    expect(codeOf(take(await sim.publishDirectory(AT, many)))).toBe('SIGNATURE');
    expect(codeOf(take(await sim.publishDirectory(AT, many.slice(1))))).toBe('accepted');
  });
});

describe('when', () => {
  test('rollback: a replayed older directory is refused', async () => {
    const [old, next] = [await sim.publishDirectory(AT, [ALICE]), await sim.publishDirectory(AT, [])];
    expect(codeOf(take(old, { highWater: marked(next) }))).toBe('ROLLBACK');
    expect(codeOf(take(next, { highWater: marked(old) }))).toBe('accepted');
    expect(codeOf(take(next, { highWater: marked(next) }))).toBe('accepted');
  });

  test('replay after a restart: the mark is in the high-water file, and a file of before has none', async () => {
    const [old, next] = [await sim.publishDirectory(AT, [ALICE]), await sim.publishDirectory(AT, [])];
    const decoded = decodeHighWater(encodeHighWater(marked(next), AT));
    expect(decoded.ok && codeOf(take(old, { highWater: decoded.value }))).toBe('ROLLBACK');
    expect(decodeHighWater(encodeHighWater(EMPTY_HIGH_WATER, AT))).toEqual({ ok: true, value: EMPTY_HIGH_WATER });
  });

  test('equivocation: two directories under one seq', async () => {
    const one = await sim.publishDirectory(AT, [ALICE]);
    const two = await sim.publishDirectory(AT, [], { edit: (honest) => ({ ...honest, seq: one.payload.seq }) });
    expect(codeOf(take(two, { highWater: marked(one) }))).toBe('EQUIVOCATION');
  });

  test('fast-forward: a stolen key uses up no numbers', async () => {
    const far = await sim.publishDirectory(AT, [ALICE], { edit: (honest) => ({ ...honest, seq: AT + 1 }) });
    expect(codeOf(take(far))).toBe('ROLLBACK');
  });

  test('a directory that is dated ahead is refused, so that nobody can make one that stays young', async () => {
    const ahead = await sim.publishDirectory((AT + SIGNER_SKEW_MS + 1) as Instant, [ALICE]);
    expect(codeOf(take(ahead))).toBe('ROLLBACK');
    expect(codeOf(take(ahead, { at: (AT + 1) as Instant }))).toBe('accepted');
  });

  test('its age runs from when it was signed, by the later of two clocks, and never backwards', async () => {
    const taken = take(await sim.publishDirectory(AT, [ALICE]));
    if ('code' in taken) throw new Error(taken.detail);
    const age = (signer: number, wall: number): number => directoryAgeMs(taken.signed, (AT + signer) as Instant, (AT + wall) as Instant);
    expect([age(0, 0), age(5_000, 0), age(0, 7_000), age(5_000, -86_400_000), age(-1_000, -1_000)]).toEqual([0, 5_000, 7_000, 5_000, 0]);
  });

  test('fast-forward recovery: a root that replaces the directory’s keys starts its numbers anew, and no other root does', async () => {
    const own = await trustSimulator({ directoryAttributes: ['groups'] });
    const first = rootOf(own);
    const highWater = raiseRoot(marked(await own.publishDirectory(AT, [ALICE])), undefined, first);
    const same = followRoot(first, (await own.publishRoot()).envelope);
    if (!same.ok) throw new Error(same.error.detail);
    expect(raiseRoot(highWater, first, same.value).directory).toEqual(highWater.directory);
    const { publicRaw, keyId } = own.signer('directory-2');
    const replaced = await own.publishRoot({
      edit: (honest) => ({
        ...honest,
        keys: [
          ...honest.keys.filter((key) => honest.roles.directory?.keyIds.includes(key.keyId) === false),
          { keyId: keyId as Root['keys'][number]['keyId'], alg: 'ed25519', publicRaw },
        ],
        roles: { ...honest.roles, directory: { keyIds: [keyId as Root['keys'][number]['keyId']], threshold: 1 } },
      }),
    });
    const next = followRoot(same.value, replaced.envelope);
    if (!next.ok) throw new Error(next.error.detail);
    expect(raiseRoot(highWater, same.value, next.value)).not.toHaveProperty('directory');
    expect(codeOf(take(await own.publishDirectory(AT, [ALICE]), { under: next.value }))).toBe('SIGNATURE');
  });
});
