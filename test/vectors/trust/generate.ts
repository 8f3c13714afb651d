/**
 * Makes the trust vectors: `node --conditions=sallyport-src test/vectors/trust/generate.ts`. Keys come from a fixed seed
 * and Ed25519 is deterministic, so the same sources make the same bytes; the test beside this file compares them.
 * The vectors are for any implementation of docs/spec/trust-v1.md; this script is only how ours were made.
 */

import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { encodeBase64 } from '@sallyport/crypto';
import { PART_NAMES, addMs, formatInstant } from '@sallyport/model';
import type { Area, KeyId, Ring } from '@sallyport/model';
import { SIMULATED_START, bendEnvelope, bendPayload, trustSimulator } from '@sallyport/testkit';
import type { PublishedBundle, TrustSimulator } from '@sallyport/testkit';
import { ENVELOPE_BYTES_MAX, digestOfPayload, keyRecordOf, parseEnvelope, payloadTypeOf, signEnvelope } from '@sallyport/trust';
import type { FreshnessEntry, RejectCode, SignedKind } from '@sallyport/trust';

export interface VectorCase {
  readonly name: string;
  readonly [input: string]: unknown;
  readonly expect: { readonly accepted: string } | { readonly rejected: RejectCode };
}

export interface VectorFile {
  readonly $schema: string;
  readonly description: string;
  readonly kind: SignedKind;
  readonly given: Readonly<Record<string, unknown>>;
  readonly cases: readonly VectorCase[];
}

const SEED = 'sallyport trust vectors v1';
const AT = SIMULATED_START;
const IDENTITY = 'spiffe://sallyport.test/sidecar/support/one';
const RECEIVER = { area: 'default', ring: 'default', identity: IDENTITY };

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const accepted = (envelope: Uint8Array, kind: SignedKind): { accepted: string } => {
  const parsed = parseEnvelope(kind, envelope);
  if (!parsed.ok) throw new Error(parsed.error.detail);
  return { accepted: digestOfPayload(parsed.value.payload) };
};

function file(kind: SignedKind, description: string, given: VectorFile['given'], cases: readonly VectorCase[]): VectorFile {
  return { $schema: './vectors.schema.json', description, kind, given, cases };
}

interface Good {
  readonly kind: SignedKind;
  readonly envelope: Uint8Array;
  /** Names of the keys that signed it. */
  readonly signers: readonly string[];
  /** What a malformed object of this kind is refused with. */
  readonly malformed: RejectCode;
  /** A number that every object of this kind has. */
  readonly field: string;
}

type Bent = Pick<VectorCase, 'name' | 'expect'> & { readonly envelope: string };

/** What can be done to every kind alike. */
async function bends(sim: TrustSimulator, { kind, envelope, signers, malformed, field }: Good): Promise<Bent[]> {
  const keys = signers.map((name) => sim.signer(name));
  const resigned = (edit: (payload: Record<string, unknown>) => void): Promise<Uint8Array> => bendPayload(kind, envelope, edit, keys);
  const parsed = parseEnvelope(kind, envelope);
  if (!parsed.ok) throw new Error(parsed.error.detail);
  const payload = text(parsed.value.payload);
  const spelled = (json: string): Promise<Uint8Array> => signEnvelope(kind, new TextEncoder().encode(json), keys);
  const other = kind === 'Release' ? 'Bundle' : 'Release';
  const refused = (name: string, bent: Uint8Array, rejected: RejectCode = malformed): Bent => ({
    name,
    envelope: text(bent),
    expect: { rejected },
  });
  return [
    refused('a bent byte in the payload', await bendPayload(kind, envelope, (fields) => (fields[field] = (fields[field] as number) + 1))),
    refused(
      'a bent byte in the first signature',
      bendEnvelope(envelope, (outer) => bendSignature(outer.signatures[0])),
    ),
    refused('signed by strangers', await signEnvelope(kind, parsed.value.payload, [sim.signer('stranger-1'), sim.signer('stranger-2')])),
    refused(
      'signed as another kind and relabelled',
      bendEnvelope(await signEnvelope(other, parsed.value.payload, keys), (outer) => (outer.payloadType = payloadTypeOf(kind))),
    ),
    refused(
      'labelled as another kind',
      bendEnvelope(envelope, (outer) => (outer.payloadType = payloadTypeOf(other))),
    ),
    refused('a payload that names another kind', await resigned((fields) => (fields['kind'] = other))),
    refused('an unknown field', await resigned((fields) => (fields['restricts'] = true)), 'MIN_VERSION'),
    refused('an unknown api_version', await resigned((fields) => (fields['api_version'] = 'sallyport.dev/v2')), 'MIN_VERSION'),
    refused(`\`${field}\` is missing`, await resigned((fields) => delete fields[field])),
    refused(`\`${field}\` is a text`, await resigned((fields) => (fields[field] = String(fields[field])))),
    refused(`\`${field}\` stands twice`, await spelled(payload.replace(`"${field}":`, `"${field}":1,"${field}":`))),
    refused(
      `\`${field}\` is more than a double holds`,
      await spelled(payload.replace(new RegExp(`"${field}":\\d+`), `"${field}":9007199254740993`)),
    ),
    refused('text after the payload', await spelled(`${payload} {}`)),
    refused(
      'an unknown member of the envelope',
      bendEnvelope(envelope, (outer) => (outer['hint'] = '')),
    ),
    refused(
      'white space in the base64 of the payload',
      bendEnvelope(envelope, (outer) => (outer.payload = ` ${outer.payload}`)),
    ),
    refused('not JSON', envelope.slice(0, -1)),
  ];
}

function bendSignature(signature: { sig: string } | undefined): void {
  if (signature !== undefined) signature.sig = `${signature.sig.startsWith('A') ? 'B' : 'A'}${signature.sig.slice(1)}`;
}

/** Longer than the bound of its kind, written as a length so that no vector file is huge. */
const tooLong = (kind: SignedKind): VectorCase => ({
  name: 'one byte longer than the bound of its kind',
  envelope_bytes: ENVELOPE_BYTES_MAX[kind] + 1,
  expect: { rejected: 'SIZE' },
});

const held = (sim: TrustSimulator): Record<string, unknown> => ({ pin: sim.pin, chain: sim.chain.map(text), at: formatInstant(AT) });

async function rootVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const [first] = sim.chain;
  if (first === undefined) throw new Error('no root');
  const signers = ['root-1', 'root-2'];
  const next = await sim.publishRoot();
  const link = async (name: string, bend: Parameters<TrustSimulator['publishRoot']>[0], rejected: RejectCode): Promise<VectorCase> => {
    const branch = await trustSimulator({ seed: SEED });
    return { name, envelope: text((await branch.publishRoot(bend)).envelope), expect: { rejected } };
  };
  const alias = 'f'.repeat(32) as KeyId;
  const cases: VectorCase[] = [
    { name: 'root 2 after root 1', envelope: text(next.envelope), expect: accepted(next.envelope, 'Root') },
    { name: 'root 1 again is a no-op', envelope: text(first), expect: accepted(first, 'Root') },
    await link('threshold short: one of two root keys', { signers: ['root-1'] }, 'ROOT'),
    await link('one key signing twice', { signers: ['root-1', 'root-1'] }, 'ROOT'),
    await link('a gap: root 3 after root 1', { edit: (honest) => ({ ...honest, number: 3 }) }, 'ROOT'),
    await link(
      'another root under number 1',
      { edit: (honest) => ({ ...honest, number: 1, expiresAt: addMs(honest.expiresAt, 1) }) },
      'EQUIVOCATION',
    ),
    await link(
      'a production root after a development root',
      {
        edit: (honest) => ({
          ...honest,
          profile: 'production',
          roles: { ...honest.roles, release: { ...honest.roles.release, threshold: 2 } },
        }),
      },
      'ROOT',
    ),
    await link('another trust domain', { edit: (honest) => ({ ...honest, trustDomain: 'elsewhere.test' }) }, 'ROOT'),
    await link(
      'one key under two ids fills a threshold of two',
      {
        edit: (honest) => {
          const [kept, dropped] = [honest.roles.root.keyIds.slice(0, 1), honest.roles.root.keyIds.slice(1)];
          const keys = [
            ...honest.keys.filter((key) => !dropped.includes(key.keyId)),
            { ...keyRecordOf(sim.signer('root-1').publicRaw), keyId: alias },
          ];
          return { ...honest, keys, roles: { ...honest.roles, root: { keyIds: [...kept, alias], threshold: 2 } } };
        },
      },
      'ROOT',
    ),
    await link(
      'one key in two roles',
      {
        edit: (honest) => ({
          ...honest,
          roles: {
            ...honest.roles,
            revocation: { keyIds: [...honest.roles.revocation.keyIds, ...honest.roles.release.keyIds.slice(0, 1)], threshold: 1 },
          },
        }),
      },
      'ROOT',
    ),
    ...(await bends(sim, { kind: 'Root', envelope: next.envelope, signers, malformed: 'ROOT', field: 'number' })),
    tooLong('Root'),
  ];
  return file(
    'Root',
    'A receiver that holds root 1 is shown another root (section 5).',
    { pin: sim.pin, chain: [text(first)], allow_development_root: true },
    cases,
  );
}

async function delegationVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const good = await sim.publishDelegation();
  const signers = ['registrar-1', 'registrar-2'];
  const mark = { area: 'default', number: good.payload.number, digest: good.digest };
  const older = { ...good.payload, number: 1 };
  const cases: VectorCase[] = [
    { name: 'signed by both registrars', envelope: text(good.envelope), expect: accepted(good.envelope, 'AreaDelegation') },
    { name: 'the delegation held already', envelope: text(good.envelope), mark, expect: accepted(good.envelope, 'AreaDelegation') },
    {
      name: 'threshold short',
      envelope: text((await sim.publishDelegation({ signers: ['registrar-1'] })).envelope),
      expect: { rejected: 'DELEGATION' },
    },
    {
      name: 'one key signing twice',
      envelope: text((await sim.publishDelegation({ signers: ['registrar-1', 'registrar-1'] })).envelope),
      expect: { rejected: 'DELEGATION' },
    },
    {
      name: 'an older number',
      envelope: text((await sim.publishDelegation({ edit: () => older })).envelope),
      mark,
      expect: { rejected: 'ROLLBACK' },
    },
    {
      name: 'another delegation under the same number',
      envelope: text(
        (await sim.publishDelegation({ edit: () => ({ ...good.payload, expiresAt: addMs(good.payload.expiresAt, 1) }) })).envelope,
      ),
      mark,
      expect: { rejected: 'EQUIVOCATION' },
    },
    {
      name: 'expired',
      envelope: text((await sim.publishDelegation({ edit: () => ({ ...good.payload, expiresAt: addMs(AT, -1) }) })).envelope),
      expect: { rejected: 'DELEGATION' },
    },
    {
      name: 'a release key named as publisher',
      envelope: text(
        (
          await sim.publishDelegation({
            edit: (honest) => {
              const shared = keyRecordOf(sim.signer('release-1').publicRaw);
              return { ...honest, keys: [shared], publishers: { keyIds: [shared.keyId], threshold: 1 } };
            },
          })
        ).envelope,
      ),
      expect: { rejected: 'DELEGATION' },
    },
    ...(await bends(sim, { kind: 'AreaDelegation', envelope: good.envelope, signers, malformed: 'DELEGATION', field: 'number' })),
    tooLong('AreaDelegation'),
  ];
  return file('AreaDelegation', 'The registrar names the publishers of an area (section 6.2).', held(sim), cases);
}

const bundleInputs = (bundle: PublishedBundle): Record<string, unknown> => ({
  envelope: text(bundle.envelope),
  delegation: text(bundle.delegation),
  parts: Object.fromEntries(PART_NAMES.map((name) => [name, encodeBase64(bundle.parts[name])])),
});

async function bundleVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const signers = ['publisher-1', 'publisher-2'];
  const good = await sim.publishBundle({ edit: (honest) => ({ ...honest, features: ['cel'] }) });
  const inputs = bundleInputs(good);
  const parts = inputs['parts'] as Record<string, string>;
  const signed = async (name: string, bend: Parameters<TrustSimulator['publishBundle']>[0], rejected: RejectCode): Promise<VectorCase> => ({
    name,
    ...bundleInputs(await sim.publishBundle(bend)),
    expect: { rejected },
  });
  const cases: VectorCase[] = [
    { name: 'an honest bundle', ...inputs, expect: accepted(good.envelope, 'Bundle') },
    {
      name: 'key ids are hints: both are empty',
      ...inputs,
      envelope: text(bendEnvelope(good.envelope, (outer) => outer.signatures.forEach((signature) => (signature.keyid = '')))),
      expect: accepted(good.envelope, 'Bundle'),
    },
    await signed('threshold short: a stolen publisher key', { signers: ['publisher-1'] }, 'SIGNATURE'),
    await signed('one key signing twice', { signers: ['publisher-1', 'publisher-1'] }, 'SIGNATURE'),
    await signed(
      'for an area that its publishers were not named for',
      { edit: (honest) => ({ ...honest, area: 'finance' as Area }) },
      'AREA',
    ),
    await signed(
      'a feature that the receiver does not know',
      { edit: (honest) => ({ ...honest, features: ['cel', 'later'] }) },
      'MIN_VERSION',
    ),
    { name: 'for another area than the receiver’s', ...inputs, receiver: { ...RECEIVER, area: 'finance' }, expect: { rejected: 'AREA' } },
    {
      name: 'a receiver of another trust domain',
      ...inputs,
      receiver: { ...RECEIVER, identity: 'spiffe://elsewhere.test/sidecar/support/one' },
      expect: { rejected: 'AREA' },
    },
    { name: 'a missing part', ...inputs, parts: { ...parts, detectors: undefined }, expect: { rejected: 'DIGEST' } },
    { name: 'a part that nobody signed', ...inputs, parts: { ...parts, extra: 'e30=' }, expect: { rejected: 'DIGEST' } },
    {
      name: 'two parts under each other’s name',
      ...inputs,
      parts: { ...parts, policy: parts['catalog'], catalog: parts['policy'] },
      expect: { rejected: 'DIGEST' },
    },
    {
      name: 'a bent byte in a part',
      ...inputs,
      parts: { ...parts, policy: encodeBase64(good.parts.policy.with(2, 0x41)) },
      expect: { rejected: 'DIGEST' },
    },
    {
      name: 'an expired delegation',
      ...inputs,
      at: formatInstant(addMs(sim.delegation.payload.expiresAt, 1)),
      expect: { rejected: 'DELEGATION' },
    },
    { name: 'an expired root', ...inputs, at: formatInstant(addMs(sim.root.payload.expiresAt, 1)), expect: { rejected: 'ROOT' } },
    ...(await bends(sim, { kind: 'Bundle', envelope: good.envelope, signers, malformed: 'SIGNATURE', field: 'revision' })).map((bent) => ({
      ...inputs,
      ...bent,
    })),
    { ...inputs, envelope: undefined, ...tooLong('Bundle') },
  ];
  return file(
    'Bundle',
    'Acceptance of a bundle with its delegation and parts (section 7).',
    { ...held(sim), receiver: RECEIVER, features: ['cel'] },
    cases,
  );
}

async function releaseVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const [older, newer] = [await sim.publishBundle(), await sim.publishBundle()];
  const good = await sim.publishRelease(newer);
  const both = ['release-1', 'release-2'];
  const mark = { release_seq: good.payload.releaseSeq, digest: good.digest, revision: 2 };
  const made = async (
    name: string,
    bundle: PublishedBundle,
    bend: Parameters<TrustSimulator['publishRelease']>[1],
    expect?: RejectCode,
    more = {},
  ): Promise<VectorCase> => {
    const { envelope } = await sim.publishRelease(bundle, bend);
    return { name, envelope: text(envelope), ...more, expect: expect === undefined ? accepted(envelope, 'Release') : { rejected: expect } };
  };
  const back = { edit: (honest: typeof good.payload) => ({ ...honest, rollback: true, reason: 'refunds were too wide' }) };
  const cases: VectorCase[] = [
    { name: 'an honest release', envelope: text(good.envelope), expect: accepted(good.envelope, 'Release') },
    { name: 'the release held already', envelope: text(good.envelope), mark, expect: accepted(good.envelope, 'Release') },
    await made('the next release', newer, {}, undefined, { mark }),
    await made(
      'rollback: a lower release_seq',
      newer,
      { edit: (honest) => ({ ...honest, releaseSeq: 1 as typeof honest.releaseSeq }) },
      'ROLLBACK',
      { mark: { ...mark, release_seq: 5 } },
    ),
    await made(
      'equivocation: another release under the same release_seq',
      older,
      { edit: (honest) => ({ ...honest, releaseSeq: good.payload.releaseSeq }) },
      'EQUIVOCATION',
      { mark },
    ),
    await made('a lower revision without saying so', older, { signers: both }, 'ROLLBACK', { mark }),
    await made('going back, signed by one key', older, back, 'SIGNATURE', { mark }),
    await made('going back, signed by one key twice', older, { ...back, signers: ['release-1', 'release-1'] }, 'SIGNATURE', { mark }),
    await made('going back without a reason', older, { edit: (honest) => ({ ...honest, rollback: true }), signers: both }, 'ROLLBACK', {
      mark,
    }),
    await made('going back, signed by the rollback threshold', older, { ...back, signers: both }, undefined, { mark }),
    await made('wrong area', newer, { edit: (honest) => ({ ...honest, area: 'finance' as Area }) }, 'AREA'),
    await made('wrong ring', newer, { edit: (honest) => ({ ...honest, ring: 'canary' as Ring }) }, 'AREA'),
    await made('mix-and-match: a bundle that is not held', { ...newer, digest: good.digest }, {}, 'DIGEST'),
    await made(
      'mix-and-match: another revision than the bundle’s',
      newer,
      { edit: (honest) => ({ ...honest, bundles: honest.bundles.map((one) => ({ ...one, revision: 9 as typeof one.revision })) }) },
      'DIGEST',
    ),
    await made('a ttl above the ceiling of the root', newer, { edit: (honest) => ({ ...honest, freshnessTtlMsMax: 300_001 }) }, 'ROOT'),
    await made('signed by the publishers', newer, { signers: ['publisher-1', 'publisher-2'] }, 'SIGNATURE'),
    await made('signed by the online keys', newer, { signers: ['freshness-1', 'revocation-1'] }, 'SIGNATURE'),
    ...(await bends(sim, {
      kind: 'Release',
      envelope: good.envelope,
      signers: ['release-1'],
      malformed: 'SIGNATURE',
      field: 'release_seq',
    })),
    tooLong('Release'),
  ];
  const given = { ...held(sim), receiver: RECEIVER, features: [], bundles: [bundleInputs(older), bundleInputs(newer)] };
  return file('Release', 'A release for this receiver; `mark` is its high-water mark, where it has one (section 6.4).', given, cases);
}

async function onlineKeysVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const good = await sim.publishOnlineKeys();
  const mark = { number: good.payload.number, digest: good.digest };
  const made = async (
    name: string,
    bend: Parameters<TrustSimulator['publishOnlineKeys']>[0],
    rejected: RejectCode,
    more = {},
  ): Promise<VectorCase> => ({
    name,
    envelope: text((await sim.publishOnlineKeys(bend)).envelope),
    ...more,
    expect: { rejected },
  });
  const withKey = (signer: string) => ({
    edit: (honest: typeof good.payload) => ({
      ...honest,
      keys: honest.keys.map((key) => ({ ...key, publicRaw: sim.signer(signer).publicRaw })),
    }),
  });
  const cases: VectorCase[] = [
    { name: 'signed by the release role', envelope: text(good.envelope), expect: accepted(good.envelope, 'OnlineKeys') },
    { name: 'the object held already', envelope: text(good.envelope), mark, expect: accepted(good.envelope, 'OnlineKeys') },
    await made('signed by the freshness key that it certifies', { signers: ['freshness-1'] }, 'SIGNATURE'),
    await made('certifying a key of the root', withKey('revocation-1'), 'SIGNATURE'),
    await made('an older number', { edit: () => ({ ...good.payload, number: 1 }) }, 'ROLLBACK', { mark }),
    await made(
      'another object under the same number',
      { edit: (honest) => ({ ...honest, number: good.payload.number, keys: withKey('freshness-2').edit(honest).keys }) },
      'EQUIVOCATION',
      { mark },
    ),
    ...(await bends(sim, { kind: 'OnlineKeys', envelope: good.envelope, signers: ['release-1'], malformed: 'SIGNATURE', field: 'number' })),
    tooLong('OnlineKeys'),
  ];
  return file('OnlineKeys', 'The release role certifies the freshness keys (section 6.3).', held(sim), cases);
}

const wireEntry = ({ area, ring, release, releaseSeq, leafIndex, treeSize, proof }: FreshnessEntry): Record<string, unknown> => ({
  area,
  ring,
  release,
  release_seq: releaseSeq,
  leaf_index: leafIndex,
  tree_size: treeSize,
  proof: proof.map(encodeBase64),
});

async function freshnessVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  await sim.publishRelease(await sim.publishBundle());
  const good = await sim.stateFreshness(AT);
  const entries = good.offer.entries.map(wireEntry);
  const [entry] = entries;
  const signed = async (
    name: string,
    bend: Parameters<TrustSimulator['stateFreshness']>[1],
    rejected: RejectCode,
    at = AT,
  ): Promise<VectorCase> => {
    const made = await sim.stateFreshness(at, bend);
    return { name, envelope: text(made.envelope), entries: made.offer.entries.map(wireEntry), expect: { rejected } };
  };
  const beside = (name: string, changed: readonly unknown[], rejected: RejectCode): VectorCase => ({
    name,
    envelope: text(good.envelope),
    entries: changed,
    expect: { rejected },
  });
  const notAfter = sim.onlineKeys.payload.keys[0]?.notAfter ?? AT;
  const cases: VectorCase[] = [
    { name: 'an honest statement', envelope: text(good.envelope), entries, expect: accepted(good.envelope, 'Freshness') },
    { name: 'no entry for this receiver', envelope: text(good.envelope), entries: [], expect: accepted(good.envelope, 'Freshness') },
    await signed('signed by a release key', { signers: ['release-1'] }, 'SIGNATURE'),
    await signed('issued after the key’s not_after', {}, 'SIGNATURE', addMs(notAfter, 1)),
    await signed(
      'fast-forward: a seq above the milliseconds since 1970',
      { edit: (honest) => ({ ...honest, seq: honest.issuedAt + 1 }) },
      'ROLLBACK',
    ),
    await signed('a ttl above a day', { edit: (honest) => ({ ...honest, ttlMs: 86_400_001 }) }, 'ROOT'),
    beside('an entry with another release_seq', [{ ...entry, release_seq: 2 }], 'DIGEST'),
    beside('an entry for another ring', [{ ...entry, ring: 'canary' }], 'DIGEST'),
    beside('an entry at another index', [{ ...entry, leaf_index: 1 }], 'DIGEST'),
    beside('an entry without its proof', [{ ...entry, tree_size: 1, proof: [] }], 'DIGEST'),
    beside('one entry twice', [entry, entry], 'EQUIVOCATION'),
    ...(
      await bends(sim, { kind: 'Freshness', envelope: good.envelope, signers: ['freshness-1'], malformed: 'SIGNATURE', field: 'seq' })
    ).map((bent) => ({ ...bent, entries })),
    { ...tooLong('Freshness'), entries },
  ];
  return file(
    'Freshness',
    'A statement with the entries that travel beside it (section 6.5).',
    { ...held(sim), online_keys: text(sim.onlineKeys.envelope) },
    cases,
  );
}

async function liveProofVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  await sim.publishRelease(await sim.publishBundle());
  const question = { nonce: new Uint8Array(32).fill(7), identity: IDENTITY };
  const good = await sim.proveLive(AT, question);
  const entries = good.offer.entries.map(wireEntry);
  const signed = async (name: string, asked: typeof question, rejected: RejectCode, signers = ['freshness-1']): Promise<VectorCase> => {
    const made = await sim.proveLive(AT, asked, { signers });
    return { name, envelope: text(made.envelope), entries: made.offer.entries.map(wireEntry), expect: { rejected } };
  };
  const cases: VectorCase[] = [
    { name: 'an honest proof', envelope: text(good.envelope), entries, expect: accepted(good.envelope, 'LiveProof') },
    await signed('the answer to another nonce', { ...question, nonce: new Uint8Array(32).fill(8) }, 'ROLLBACK'),
    await signed('the answer to another receiver', { ...question, identity: `${IDENTITY}-two` }, 'AREA'),
    await signed('signed by a revocation key', question, 'SIGNATURE', ['revocation-1']),
    ...(
      await bends(sim, { kind: 'LiveProof', envelope: good.envelope, signers: ['freshness-1'], malformed: 'SIGNATURE', field: 'seq' })
    ).map((bent) => ({ ...bent, entries })),
    { ...tooLong('LiveProof'), entries },
  ];
  const given = {
    ...held(sim),
    online_keys: text(sim.onlineKeys.envelope),
    question: { nonce: encodeBase64(question.nonce), identity: IDENTITY },
  };
  return file('LiveProof', 'The answer to `question`, asked by a receiver without memory (section 8.4).', given, cases);
}

async function extensionVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  await sim.publishRelease(await sim.publishBundle());
  const good = await sim.extend(AT);
  const made = async (name: string, bend: Parameters<TrustSimulator['extend']>[1], rejected: RejectCode): Promise<VectorCase> => ({
    name,
    envelope: text((await sim.extend(AT, bend)).envelope),
    expect: { rejected },
  });
  const cases: VectorCase[] = [
    { name: 'an honest extension', envelope: text(good.envelope), expect: accepted(good.envelope, 'Extension') },
    await made('signed by a freshness key', { signers: ['freshness-1'] }, 'SIGNATURE'),
    await made('a ttl above a day', { edit: (honest) => ({ ...honest, ttlMs: 86_400_001 }) }, 'ROOT'),
    ...(await bends(sim, { kind: 'Extension', envelope: good.envelope, signers: ['release-1'], malformed: 'SIGNATURE', field: 'ttl_ms' })),
    tooLong('Extension'),
  ];
  return file('Extension', 'The release role says that a release is still the one (section 6.7).', held(sim), cases);
}

async function revocationVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const [first, second, third] = [
    await sim.revoke({}),
    await sim.revoke({ selector: { type: 'principal', value: 'alice@company.com' }, before: AT }),
    await sim.revoke({}),
  ];
  const log = [text(first.envelope)];
  const made = async (name: string, bend: Parameters<TrustSimulator['revoke']>[1], rejected: RejectCode): Promise<VectorCase> => {
    const branch = await trustSimulator({ seed: SEED });
    await branch.revoke({});
    return { name, log, envelope: text((await branch.revoke({ reason: 'other' }, bend)).envelope), expect: { rejected } };
  };
  const cases: VectorCase[] = [
    { name: 'the first entry', log: [], envelope: text(first.envelope), expect: accepted(first.envelope, 'Revocation') },
    { name: 'the second entry', log, envelope: text(second.envelope), expect: accepted(second.envelope, 'Revocation') },
    { name: 'the first entry again is a no-op', log, envelope: text(first.envelope), expect: accepted(first.envelope, 'Revocation') },
    { name: 'a gap: accepted as known to exist, and nothing is fresh', log, envelope: text(third.envelope), expect: { accepted: 'gap' } },
    await made('signed by a release key', { signers: ['release-1'] }, 'SIGNATURE'),
    await made('after another entry than the one held', { edit: (honest) => ({ ...honest, previous: null }) }, 'EQUIVOCATION'),
    await made('another entry under a seq that is held', { edit: (honest) => ({ ...honest, seq: 1, previous: null }) }, 'EQUIVOCATION'),
    ...(
      await bends(sim, { kind: 'Revocation', envelope: second.envelope, signers: ['revocation-1'], malformed: 'SIGNATURE', field: 'seq' })
    ).map((bent) => ({ ...bent, log })),
    { ...tooLong('Revocation'), log },
  ];
  return file('Revocation', 'An entry after the entries of `log` (section 11).', held(sim), cases);
}

async function snapshotVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED });
  const early = await sim.snapshotRevocations();
  const entries = [await sim.revoke({}), await sim.revoke({ selector: { type: 'agent', value: 'support' } })];
  const good = await sim.snapshotRevocations();
  const log = entries.map((one) => text(one.envelope));
  const forked = await sim.snapshotRevocations({ edit: (honest) => ({ ...honest, head: sim.pin }) });
  const stranger = await sim.snapshotRevocations({ signers: ['publisher-1'] });
  const cases: VectorCase[] = [
    {
      name: 'a snapshot for a receiver that has nothing',
      log: [],
      envelope: text(good.envelope),
      expect: accepted(good.envelope, 'RevocationSnapshot'),
    },
    {
      name: 'a snapshot of what is held is a no-op',
      log,
      envelope: text(good.envelope),
      expect: accepted(good.envelope, 'RevocationSnapshot'),
    },
    { name: 'older than what is held', log, envelope: text(early.envelope), expect: { rejected: 'ROLLBACK' } },
    { name: 'another log up to the same seq', log, envelope: text(forked.envelope), expect: { rejected: 'EQUIVOCATION' } },
    { name: 'signed by a publisher', log: [], envelope: text(stranger.envelope), expect: { rejected: 'SIGNATURE' } },
    ...(
      await bends(sim, {
        kind: 'RevocationSnapshot',
        envelope: good.envelope,
        signers: ['revocation-1'],
        malformed: 'SIGNATURE',
        field: 'seq',
      })
    ).map((bent) => ({ ...bent, log: [] })),
  ];
  return file('RevocationSnapshot', 'A snapshot of the log, for a receiver that holds `log` (section 11).', held(sim), cases);
}

async function directoryVectors(): Promise<VectorFile> {
  const sim = await trustSimulator({ seed: SEED, directoryAttributes: ['department', 'groups'] });
  const row = { issuer: 'https://idp.example', tenant: 'acme', principal: 'alice@example.com', attributes: { groups: ['support'] } };
  const first = await sim.publishDirectory(AT, []);
  const good = await sim.publishDirectory(AT, [row, { ...row, principal: 'bob@example.com', attributes: { department: 'sales' } }]);
  const mark = { number: good.payload.seq, digest: good.digest };
  const content = encodeBase64(good.content);
  type Made = Parameters<TrustSimulator['publishDirectory']>[2] & { readonly entries?: Parameters<TrustSimulator['publishDirectory']>[1] };
  const made = async (name: string, { entries = [row], ...bend }: Made, rejected: RejectCode, more = {}): Promise<VectorCase> => {
    const published = await sim.publishDirectory(AT, entries, bend);
    return { name, envelope: text(published.envelope), content: encodeBase64(published.content), ...more, expect: { rejected } };
  };
  const spelled = (json: string): { content: Uint8Array } => ({ content: new TextEncoder().encode(json) });
  const plain = text(good.content);
  const ahead = { edit: (honest: typeof good.payload) => ({ ...honest, issuedAt: addMs(AT, 30_001) }) };
  const cases: VectorCase[] = [
    { name: 'signed by the directory role', envelope: text(good.envelope), content, expect: accepted(good.envelope, 'Directory') },
    { name: 'the one held already', envelope: text(good.envelope), content, mark, expect: accepted(good.envelope, 'Directory') },
    { name: 'an older one', envelope: text(first.envelope), content: encodeBase64(first.content), mark, expect: { rejected: 'ROLLBACK' } },
    await made('another one under the same seq', { edit: (honest) => ({ ...honest, seq: good.payload.seq }) }, 'EQUIVOCATION', { mark }),
    await made('signed by the revocation key', { signers: ['revocation-1'] }, 'SIGNATURE'),
    await made(
      'fast-forward: a seq above the milliseconds since 1970',
      { edit: (honest) => ({ ...honest, seq: honest.issuedAt + 1 }) },
      'ROLLBACK',
    ),
    await made('dated ahead of the signers by more than the skew', ahead, 'ROLLBACK'),
    await made('an attribute that Root does not leave to it', { entries: [{ ...row, attributes: { clearance: 'secret' } }] }, 'ROOT'),
    { name: 'another content', envelope: text(good.envelope), content: encodeBase64(first.content), expect: { rejected: 'DIGEST' } },
    await made('entries out of order', spelled(plain.replace('alice@', 'zoe@')), 'SIGNATURE'),
    await made('one principal twice', spelled(plain.replace('bob@', 'alice@')), 'SIGNATURE'),
    await made('an unknown field of an entry', spelled(plain.replace('"attributes"', '"roles":["admin"],"attributes"')), 'MIN_VERSION'),
    await made('white space', spelled(`${plain}\n`), 'SIGNATURE'),
    ...(
      await bends(sim, { kind: 'Directory', envelope: good.envelope, signers: ['directory-1'], malformed: 'SIGNATURE', field: 'seq' })
    ).map((bent) => ({ ...bent, content })),
    { ...tooLong('Directory'), content },
  ];
  return file('Directory', 'What the directory says of principals, with the content that it names (section 6.6).', held(sim), cases);
}

/** Every vector file by name, in full. */
export async function makeVectors(): Promise<ReadonlyMap<string, VectorFile>> {
  return new Map([
    ['root.json', await rootVectors()],
    ['area-delegation.json', await delegationVectors()],
    ['bundle.json', await bundleVectors()],
    ['release.json', await releaseVectors()],
    ['online-keys.json', await onlineKeysVectors()],
    ['freshness.json', await freshnessVectors()],
    ['live-proof.json', await liveProofVectors()],
    ['extension.json', await extensionVectors()],
    ['revocation.json', await revocationVectors()],
    ['revocation-snapshot.json', await snapshotVectors()],
    ['directory.json', await directoryVectors()],
  ]);
}

/** A vector file as it is committed. */
export const vectorText = (vectors: VectorFile): string => `${JSON.stringify(vectors, null, 2)}\n`;

if (argv[1] === fileURLToPath(import.meta.url))
  for (const [name, vectors] of await makeVectors()) writeFileSync(new URL(name, import.meta.url), vectorText(vectors));
