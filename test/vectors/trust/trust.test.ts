import { readFileSync } from 'node:fs';
import { decodeBase64 } from '@sallyport/crypto';
import { parseInstant } from '@sallyport/model';
import type { BootMs, Digest, Instant, PartName, Result, Revision } from '@sallyport/model';
import {
  EMPTY_HIGH_WATER,
  NO_MEMORY,
  acceptDirectory,
  acceptManifest,
  acceptParts,
  admitStatement,
  applyRevocation,
  applySnapshot,
  beginRevocations,
  followRoot,
  openChallenge,
  trustDelegation,
  trustOnlineKeys,
  trustRoot,
  verifyDirectory,
  verifyExtension,
  verifyFreshness,
  verifyLiveProof,
  verifyRelease,
} from '@sallyport/trust';
import type {
  AcceptanceContext,
  FreshnessEntry,
  HighWater,
  Receiver,
  Rejection,
  RevocationState,
  TrustedRoot,
  VerifiedBundle,
} from '@sallyport/trust';
import { describe, expect, it } from 'vitest';
import { makeVectors, vectorText } from './generate.ts';
import type { VectorCase, VectorFile } from './generate.ts';

const FILES = [
  'root',
  'area-delegation',
  'bundle',
  'release',
  'online-keys',
  'freshness',
  'live-proof',
  'extension',
  'revocation',
  'revocation-snapshot',
  'directory',
];
const load = (name: string): string => readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8');
const utf8 = (text: unknown): Uint8Array => new TextEncoder().encode(text as string);
const base64 = (text: unknown): Uint8Array => decodeBase64(text as string) ?? new Uint8Array();

type Fields = Readonly<Record<string, unknown>>;
/** What an implementation answers: a digest, `gap`, or a rejection. */
type Answer = Result<string, Rejection>;

function must<T>(result: Result<T, Rejection>): T {
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

const rootOf = (given: Fields): TrustedRoot =>
  must(trustRoot({ pin: given['pin'] as Digest, chain: (given['chain'] as string[]).map(utf8), allowDevelopmentRoot: true }));
const instantOf = (fields: Fields): Instant => parseInstant(fields['at'] as string) ?? (Number.NaN as Instant);
const envelopeOf = (one: VectorCase): Uint8Array =>
  one['envelope_bytes'] === undefined ? utf8(one['envelope']) : new Uint8Array(one['envelope_bytes'] as number);
const digestOf = (result: Result<{ readonly digest: string }, Rejection>): Answer =>
  result.ok ? { ok: true, value: result.value.digest } : result;

function contextOf(given: Fields, one: Fields): AcceptanceContext {
  return {
    root: rootOf(given),
    highWater: EMPTY_HIGH_WATER,
    at: instantOf({ ...given, ...one }),
    receiver: (one['receiver'] ?? given['receiver']) as Receiver,
    features: new Set(given['features'] as string[]),
  };
}

function acceptOne(context: AcceptanceContext, one: Fields, envelope: Uint8Array): Result<VerifiedBundle, Rejection> {
  const manifest = acceptManifest({ bundle: envelope, delegation: utf8(one['delegation']) }, context);
  if (!manifest.ok) return manifest;
  const parts = Object.entries(one['parts'] as Record<string, string>).map(([name, part]) => [name, base64(part)]);
  return acceptParts(manifest.value, Object.fromEntries(parts) as Record<PartName, Uint8Array>);
}

function entriesOf(one: VectorCase): FreshnessEntry[] {
  return (one['entries'] as Fields[]).map((entry) => ({
    area: entry['area'],
    ring: entry['ring'],
    release: entry['release'],
    releaseSeq: entry['release_seq'],
    leafIndex: entry['leaf_index'],
    treeSize: entry['tree_size'],
    proof: (entry['proof'] as string[]).map(base64),
  })) as FreshnessEntry[];
}

function logOf(given: Fields, one: VectorCase): { state: RevocationState; root: TrustedRoot; at: Instant } {
  const [root, at] = [rootOf(given), instantOf(given)];
  let state = beginRevocations({ seq: 0, head: null });
  for (const entry of one['log'] as string[]) state = must(applyRevocation(state, utf8(entry), { root, at })).state;
  return { state, root, at };
}

const RUN: Readonly<Record<VectorFile['kind'], (given: Fields, one: VectorCase) => Answer>> = {
  Root: (given, one) => digestOf(followRoot(rootOf(given), envelopeOf(one))),
  AreaDelegation: (given, one) => {
    const highWater = {
      ...EMPTY_HIGH_WATER,
      delegations: one['mark'] === undefined ? [] : [one['mark'] as HighWater['delegations'][number]],
    };
    return digestOf(trustDelegation(envelopeOf(one), { root: rootOf(given), highWater, at: instantOf(given) }));
  },
  Bundle: (given, one) => digestOf(acceptOne(contextOf(given, one), one, envelopeOf(one))),
  Release: (given, one) => {
    const context = contextOf(given, {});
    const bundles = new Map(
      (given['bundles'] as Fields[])
        .map((bundle) => must(acceptOne(context, bundle, utf8(bundle['envelope']))))
        .map((bundle) => [bundle.digest, bundle]),
    );
    const mark = one['mark'] as { release_seq: number; digest: Digest; revision: Revision } | undefined;
    const { area, ring } = context.receiver;
    const highWater: HighWater =
      mark === undefined
        ? EMPTY_HIGH_WATER
        : {
            ...EMPTY_HIGH_WATER,
            releases: [{ area, ring, number: mark.release_seq, digest: mark.digest }],
            revisions: [{ area, revision: mark.revision }],
          };
    const verdict = verifyRelease(envelopeOf(one), {
      ...context,
      highWater,
      bundles,
      revocations: beginRevocations({ seq: 0, head: null }),
    });
    return verdict.ok ? digestOf({ ok: true, value: verdict.value.release }) : verdict;
  },
  OnlineKeys: (given, one) => {
    const highWater = { ...EMPTY_HIGH_WATER, onlineKeys: one['mark'] as HighWater['onlineKeys'] };
    return digestOf(trustOnlineKeys(envelopeOf(one), { root: rootOf(given), highWater }));
  },
  Freshness: (given, one) => {
    const keys = must(trustOnlineKeys(utf8(given['online_keys']), { root: rootOf(given), highWater: EMPTY_HIGH_WATER }));
    return digestOf(verifyFreshness({ envelope: envelopeOf(one), entries: entriesOf(one) }, keys));
  },
  Extension: (given, one) => digestOf(verifyExtension(envelopeOf(one), rootOf(given))),
  LiveProof: (given, one) => {
    const root = rootOf(given);
    const keys = must(trustOnlineKeys(utf8(given['online_keys']), { root, highWater: EMPTY_HIGH_WATER }));
    const verified = verifyLiveProof({ envelope: envelopeOf(one), entries: entriesOf(one) }, keys);
    if (!verified.ok) return verified;
    const question = given['question'] as { nonce: string; identity: string };
    const memory = openChallenge(NO_MEMORY, {
      way: 'sent',
      nonce: base64(question.nonce),
      identity: question.identity,
      sentAt: 0 as BootMs,
    });
    const now = { wall: instantOf(given), boot: 0 as BootMs };
    const admitted = admitStatement(memory, verified.value, {
      root,
      highWater: EMPTY_HIGH_WATER,
      revocations: beginRevocations({ seq: 0, head: null }),
      now,
    });
    return admitted.ok ? digestOf(verified) : admitted;
  },
  Revocation: (given, one) => {
    const { state, root, at } = logOf(given, one);
    const step = applyRevocation(state, envelopeOf(one), { root, at });
    if (!step.ok) return step;
    return { ok: true, value: step.value.kind === 'gap' ? 'gap' : (step.value.state.heads.get(readSeq(one)) ?? '') };
  },
  RevocationSnapshot: (given, one) => {
    const { state, root, at } = logOf(given, one);
    const step = applySnapshot(state, envelopeOf(one), { root, at });
    return step.ok ? { ok: true, value: 'accepted' in one.expect ? one.expect.accepted : '' } : step;
  },
  Directory: (given, one) => {
    const mark = one['mark'] as HighWater['directory'];
    const highWater = mark === undefined ? EMPTY_HIGH_WATER : { ...EMPTY_HIGH_WATER, directory: mark };
    const signed = verifyDirectory(envelopeOf(one), { root: rootOf(given), highWater, at: instantOf(given) });
    if (!signed.ok) return signed;
    const taken = acceptDirectory(signed.value, base64(one['content']));
    return taken.ok ? digestOf(signed) : taken;
  },
};

/** The seq of a revocation that was accepted. */
function readSeq(one: VectorCase): number {
  const { payload } = JSON.parse(one['envelope'] as string) as { payload: string };
  return (JSON.parse(new TextDecoder().decode(base64(payload))) as { seq: number }).seq;
}

describe.each(FILES)('trust vectors: %s', (name) => {
  const vectors = JSON.parse(load(name)) as VectorFile;

  it.each(vectors.cases)('$name', (one) => {
    const answer = RUN[vectors.kind](vectors.given, one);
    expect(answer.ok ? { accepted: answer.value } : { rejected: answer.error.code }).toEqual(one.expect);
  });
});

describe('trust vectors', () => {
  it('are what the generator makes: run `node --conditions=sallyport-src test/vectors/trust/generate.ts` and look at the difference', async () => {
    const made = await makeVectors();
    expect([...made.keys()]).toEqual(FILES.map((name) => `${name}.json`));
    for (const [name, vectors] of made) expect([name, load(name.replace('.json', '')) === vectorText(vectors)]).toEqual([name, true]);
  });
});
