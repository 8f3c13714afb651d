/** What whoever can write to the watched folder, or stands behind whoever does, can reach: nothing but denial. */

import type { Area, Digest, Instant, Ring } from '@sallyport/model';
import {
  projectedVolume,
  simulatedDisk,
  trustSimulator,
  type PublishedBundle,
  type SimulatedDisk,
  type TrustSimulator,
} from '@sallyport/testkit';
import {
  bundleFileName,
  DIRECTORY_FILE,
  EXTENSION_FILE,
  FRESHNESS_FILE,
  ONLINE_KEYS_FILE,
  proofFileName,
  readChallenge,
  RELEASE_FILE,
  REVOCATION_SNAPSHOT_FILE,
  rootFileName,
  writeBundleFile,
  writeDirectoryFile,
  writeStatements,
  type StatementOffer,
  type WrittenChallenge,
} from '@sallyport/trust';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FOLDER, nextBoot, publishPolicy, startBundleSide, type BundleSide, type BundleSideOptions } from '../testing/bundle-side.ts';
import { carriedFolder } from './carried-folder.ts';
import { directoryLook } from './directory-source.ts';

const CHALLENGE = `${FOLDER}/challenge`;
const TTL_MS = 300_000;

let simulator: TrustSimulator;
let folder: string;
let disk: SimulatedDisk;
let site: Site;

beforeEach(async () => {
  simulator = await trustSimulator({ freshnessTtlMs: TTL_MS });
  folder = mkdtempSync(join(tmpdir(), 'sallyport-watched-'));
  disk = simulatedDisk();
  site = await startSite({});
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A sidecar with a folder and no stream. */
interface Site {
  readonly side: BundleSide;
  /** What operators were told of the folder. */
  readonly problems: readonly string[];
  /** One look. */
  look(): Promise<void>;
  /** So many that everything that lies there has settled and been tried. */
  settle(): Promise<void>;
  /** The question on disk. */
  challenge(): WrittenChallenge | undefined;
}

async function startSite({ from = folder, ...options }: Partial<BundleSideOptions> & { readonly from?: string }): Promise<Site> {
  const side = await startBundleSide({ simulator, fs: disk.fs, ...options });
  const problems: string[] = [];
  const lookAt = directoryLook({
    directory: from,
    lookMs: 1_000,
    challengeFile: CHALLENGE,
    place: { area: 'default' as Area, ring: 'default' as Ring },
    activator: side.activator,
    clock: side.clock,
    disk: disk.fs,
    onProblem: (detail) => void problems.push(detail),
    onAsked: () => undefined,
  });
  const look = (): Promise<void> => lookAt(new AbortController().signal);
  return {
    side,
    problems,
    look,
    async settle() {
      for (let looks = 0; looks < 4; looks++) await look();
    },
    challenge() {
      const bytes = disk.fs.readFile(CHALLENGE, 4_096);
      return bytes === undefined ? undefined : readChallenge(bytes);
    },
  };
}

/** As `bundle export` does: beside its name, then renamed. */
function put(name: string, bytes: Uint8Array): void {
  writeFileSync(join(folder, `.${name}.tmp`), bytes, { mode: 0o644 });
  renameSync(join(folder, `.${name}.tmp`), join(folder, name));
}

const statement = (offer: StatementOffer, kind: 'freshness' | 'live_proof' = 'freshness'): Uint8Array => writeStatements([{ kind, offer }]);

function putBundle(bundle: PublishedBundle): void {
  put(bundleFileName(bundle.digest), writeBundleFile(bundle));
}

async function putFreshness(at: Instant = site.side.clock.wall()): Promise<void> {
  put(FRESHNESS_FILE, statement((await simulator.stateFreshness(at)).offer));
}

async function putProof(question: WrittenChallenge, identity = question.identity): Promise<void> {
  const { offer } = await simulator.proveLive(site.side.clock.wall(), { nonce: question.nonce, identity });
  put(proofFileName(question.nonce), statement(offer, 'live_proof'));
}

/** Everything that a sidecar needs, but a proof. */
async function putPolicy(version = 1): Promise<PublishedBundle> {
  for (const [index, envelope] of simulator.chain.entries()) put(rootFileName(index + 1), envelope);
  put(ONLINE_KEYS_FILE, simulator.onlineKeys.envelope);
  const bundle = await publishPolicy(simulator, { version });
  putBundle(bundle);
  put(RELEASE_FILE, (await simulator.publishRelease(bundle)).envelope);
  await putFreshness();
  return bundle;
}

/** A sidecar that serves release 1 from the folder alone. */
async function serving(): Promise<PublishedBundle> {
  const bundle = await putPolicy();
  await site.settle();
  const question = site.challenge();
  if (question === undefined) throw new Error('no question');
  await putProof(question);
  await site.settle();
  expect(site.side.serves()).toBe('release 1');
  return bundle;
}

describe('a first start without a stream', () => {
  it('denies until a live proof over its own question lies there, and takes the question away then', async () => {
    await putPolicy();
    await site.settle();
    expect(site.side.serves()).toMatch(/^denies/);
    const question = site.challenge();
    expect(question).toMatchObject({ identity: 'spiffe://sallyport.test/sidecar/support-triage/one', area: 'default', ring: 'default' });
    await putProof(question as WrittenChallenge);
    await site.settle();
    expect(site.side.serves()).toBe('release 1');
    expect(disk.fs.readFile(CHALLENGE, 4_096)).toBeUndefined();
    expect(site.side.refusals).toEqual([]);
  });

  it('the age of a proof runs from the writing of its question, however late it comes', async () => {
    await putPolicy();
    await site.settle();
    const question = site.challenge() as WrittenChallenge;
    const { offer } = await simulator.proveLive(site.side.clock.wall(), question);
    await site.side.run(TTL_MS - 2_000);
    put(proofFileName(question.nonce), statement(offer, 'live_proof'));
    await site.settle();
    expect(site.side.serves()).toBe('release 1');
    await site.side.run(2_000);
    expect(site.side.serves()).toBe('denies (expired)');
  });

  it('a question that no proof can answer in time any more is asked anew', async () => {
    await putPolicy();
    await site.settle();
    const question = site.challenge() as WrittenChallenge;
    await site.side.run(TTL_MS);
    await site.look();
    expect(site.challenge()?.nonce).not.toEqual(question.nonce);
  });

  it('a stream that is tried again and again does not void the question that is on its way', async () => {
    await putPolicy();
    await site.settle();
    const question = site.challenge() as WrittenChallenge;
    const sent = site.side.activator.ask('sent');
    site.side.activator.ask('sent');
    await putProof(question);
    await site.settle();
    expect(site.side.serves()).toBe('release 1');
    const late = await simulator.proveLive(site.side.clock.wall(), sent);
    expect(await site.side.offer({ kind: 'live_proof', offer: late.offer })).toMatchObject({ ok: false, error: { code: 'ROLLBACK' } });
  });

  it('challenge answered by another’s proof: a proof for another sidecar over the same question', async () => {
    await putPolicy();
    await site.settle();
    await putProof(site.challenge() as WrittenChallenge, 'spiffe://sallyport.test/sidecar/support-triage/two');
    await site.settle();
    expect(site.side.serves()).toMatch(/^denies/);
    expect(site.side.refusals).toEqual(['live_proof AREA']);
  });

  it('replayed proof: one over an earlier question, under the name of this one', async () => {
    await putPolicy();
    await site.settle();
    const first = site.challenge() as WrittenChallenge;
    const { offer } = await simulator.proveLive(site.side.clock.wall(), first);
    site = await startSite({ clock: site.side.clock });
    await site.settle();
    const second = site.challenge() as WrittenChallenge;
    expect(second.nonce).not.toEqual(first.nonce);
    put(proofFileName(second.nonce), statement(offer, 'live_proof'));
    await site.settle();
    expect(site.side.serves()).toMatch(/^denies/);
    expect(site.side.refusals).toEqual(['live_proof ROLLBACK']);
  });

  it('restart between question and answer: the answer is nobody’s any more', async () => {
    await putPolicy();
    await site.settle();
    await putProof(site.challenge() as WrittenChallenge);
    site = await startSite({ clock: site.side.clock });
    await site.settle();
    expect(site.side.serves()).toMatch(/^denies/);
  });

  it('a proof put there as freshness, and freshness put there as a proof, are neither', async () => {
    await putPolicy();
    await site.settle();
    const question = site.challenge() as WrittenChallenge;
    const { offer } = await simulator.stateFreshness(site.side.clock.wall());
    put(proofFileName(question.nonce), writeStatements([{ kind: 'live_proof', offer }]));
    await site.settle();
    expect(site.side.refusals).toEqual(['live_proof SIGNATURE']);
    expect(site.side.serves()).toMatch(/^denies/);
  });
});

describe('a wiped high-water file', () => {
  it('wiped disk: the old files prove nothing, and a new question lies there', async () => {
    await serving();
    disk.fs.unlink(`${FOLDER}/high-water`);
    site = await startSite({ clock: nextBoot(site.side.clock) });
    await putFreshness();
    await site.settle();
    expect(site.side.serves()).toMatch(/^denies/);
    await putProof(site.challenge() as WrittenChallenge);
    await site.settle();
    expect(site.side.serves()).toBe('release 1');
  });
});

describe('a folder whose files are replaced', () => {
  it('a newer signed release is active once its bundle and freshness lie there, in whatever order they come', async () => {
    await serving();
    const bundle = await publishPolicy(simulator, { version: 2 });
    put(RELEASE_FILE, (await simulator.publishRelease(bundle)).envelope);
    await site.settle();
    expect(site.side.serves()).toBe('release 1');
    await putFreshness();
    putBundle(bundle);
    await site.settle();
    expect(site.side.serves()).toBe('release 2');
  });

  it('rollback by file: an older release is refused, also after a restart', async () => {
    const first = await serving();
    const old = await simulator.publishRelease(first, {
      edit: (release) => ({ ...release, releaseSeq: 1 as never, freshnessTtlMsMax: 15_000 }),
    });
    const second = await publishPolicy(simulator, { version: 2 });
    putBundle(second);
    put(RELEASE_FILE, (await simulator.publishRelease(second)).envelope);
    await putFreshness();
    await site.settle();
    expect(site.side.serves()).toBe('release 3');
    put(RELEASE_FILE, old.envelope);
    await site.settle();
    expect([site.side.serves(), site.side.refusals]).toEqual(['release 3', ['release ROLLBACK']]);
    site = await startSite({ clock: nextBoot(site.side.clock) });
    await site.settle();
    expect(site.side.serves()).toBe('release 3');
  });

  it.each<[string, () => Promise<void> | void, string]>([
    [
      'a release of somebody else’s',
      async () =>
        put(RELEASE_FILE, (await (await trustSimulator({ seed: 'mallory' })).publishRelease(await publishPolicy(simulator))).envelope),
      'release SIGNATURE',
    ],
    [
      'a bundle below the threshold of its publishers',
      async () => putBundle(await publishPolicy(simulator, { version: 9, signers: ['publisher-1'] })),
      'bundle SIGNATURE',
    ],
    [
      'freshness of a stranger’s key',
      async () => put(FRESHNESS_FILE, statement((await simulator.stateFreshness(site.side.clock.wall(), { signers: ['stranger'] })).offer)),
      'freshness SIGNATURE',
    ],
    [
      'online keys of a stranger',
      async () => put(ONLINE_KEYS_FILE, (await simulator.publishOnlineKeys({ signers: ['stranger'] })).envelope),
      'online_keys SIGNATURE',
    ],
    [
      'a root of somebody else’s',
      async () => put(rootFileName(2), (await simulator.publishRoot({ signers: ['stranger', 'another'] })).envelope),
      'root ROOT',
    ],
    [
      'a revocation snapshot of a stranger',
      async () => put(REVOCATION_SNAPSHOT_FILE, (await simulator.snapshotRevocations({ signers: ['stranger'] })).envelope),
      'revocation_snapshot SIGNATURE',
    ],
  ])('unsigned: %s is refused, and what is in force stays', async (_, change, refusal) => {
    await serving();
    await change();
    await site.settle();
    expect([site.side.serves(), site.side.refusals]).toEqual(['release 1', [refusal]]);
  });

  it('freeze: old files that are put back renew nothing, and it denies at the end of the ttl', async () => {
    await serving();
    const { offer } = await simulator.stateFreshness(site.side.clock.wall());
    put(FRESHNESS_FILE, statement(offer));
    await site.settle();
    for (let left = TTL_MS; left > 0; left -= 60_000) {
      await site.side.run(60_000);
      put(FRESHNESS_FILE, statement(offer));
      await site.settle();
    }
    expect(site.side.serves()).toBe('denies (expired)');
    expect(site.side.refusals).toEqual([]);
  });

  it('touched mtime: a file that is touched every minute, ahead or behind, is no younger', async () => {
    await serving();
    for (let minute = 1; minute <= 5; minute++) {
      await site.side.run(60_000);
      utimesSync(join(folder, FRESHNESS_FILE), minute * 1_000, minute * 1_000);
      await site.settle();
    }
    expect(site.side.serves()).toBe('denies (expired)');
  });

  it('hoarded statements played one per ttl are as old as they are', async () => {
    await serving();
    const hoard: StatementOffer[] = [];
    for (let count = 0; count < 5; count++) hoard.push((await simulator.stateFreshness(site.side.clock.wall())).offer);
    for (const offer of hoard) {
      await site.side.run(TTL_MS - 60_000);
      put(FRESHNESS_FILE, statement(offer));
      await site.settle();
    }
    expect(site.side.serves()).toBe('denies (expired)');
  });

  it('restart between: the same file after every restart goes on ageing', async () => {
    await serving();
    for (let minute = 1; minute <= 5; minute++) {
      await site.side.run(60_000);
      site = await startSite({ clock: nextBoot(site.side.clock) });
      await site.settle();
    }
    expect(site.side.serves()).toBe('denies (expired)');
  });

  it('a revocation comes by file, before the statement that attests it counts', async () => {
    await serving();
    await simulator.revoke({ selector: { type: 'principal', value: 'bob' } });
    await putFreshness();
    await site.settle();
    put(REVOCATION_SNAPSHOT_FILE, (await simulator.snapshotRevocations()).envelope);
    await site.settle();
    expect(site.side.activator.position.revocationSeq).toBe(1);
    expect(site.side.serves()).toBe('release 1');
  });

  it('what the directory says comes by file, and an older file gives nobody back what was taken', async () => {
    simulator = await trustSimulator({ freshnessTtlMs: TTL_MS, directoryAttributes: ['groups'] });
    disk = simulatedDisk();
    site = await startSite({});
    await serving();
    const row = { issuer: 'https://idp.test', tenant: 'acme', principal: 'alice', attributes: { groups: ['support'] } };
    const [old, next] = [
      await simulator.publishDirectory(site.side.clock.wall(), [row]),
      await simulator.publishDirectory(site.side.clock.wall(), []),
    ];
    put(DIRECTORY_FILE, writeDirectoryFile(next));
    await site.settle();
    expect(site.side.activator.position.directorySeq).toBe(2);
    put(DIRECTORY_FILE, writeDirectoryFile(old));
    await site.settle();
    expect(site.side.refusals).toContain('directory ROLLBACK');
    put(DIRECTORY_FILE, writeDirectoryFile({ ...next, content: old.content }));
    await site.settle();
    put(DIRECTORY_FILE, new TextEncoder().encode('{'));
    await site.settle();
    expect(site.side.activator.position.directorySeq).toBe(2);
    expect(site.side.serves()).toBe('release 1');
  });

  it('a bundle that was let go since it was staged is read again when a release names it', async () => {
    const first = await serving();
    for (let version = 2; version <= 6; version++) {
      const bundle = await publishPolicy(simulator, { version });
      await site.side.offerBundle(bundle);
      await site.side.offerRelease(await simulator.publishRelease(bundle));
    }
    await putFreshness();
    await site.settle();
    expect(site.side.serves()).toBe('release 6');
    const back = await simulator.publishRelease(first, {
      edit: (release) => ({ ...release, rollback: true, reason: '6 refuses refunds' }),
      signers: ['release-1', 'release-2'],
    });
    put(RELEASE_FILE, back.envelope);
    await putFreshness();
    await site.settle();
    await site.settle();
    expect(site.side.serves()).toBe('release 7');
  });
});

describe('an extension by file', () => {
  it('serves on what is in force when nobody else can say so, through a restart, and ends', async () => {
    await serving();
    await site.side.run(TTL_MS);
    expect(site.side.serves()).toBe('denies (expired)');
    put(EXTENSION_FILE, (await simulator.extend(site.side.clock.wall())).envelope);
    await site.settle();
    expect(site.side.serves()).toBe('release 1');
    await site.side.run(TTL_MS / 2);
    site = await startSite({ clock: nextBoot(site.side.clock) });
    await site.settle();
    // The statement of before the outage is still there, and is not heard a second time; the extension goes on.
    expect([site.side.serves(), site.side.refusals]).toEqual(['release 1', ['freshness ROLLBACK']]);
    await site.side.run(TTL_MS / 2);
    expect(site.side.serves()).toBe('denies (expired)');
  });

  it('freeze: put back after freshness has come again, it is refused', async () => {
    await serving();
    const old = (await simulator.extend(site.side.clock.wall())).envelope;
    await site.side.run(10_000);
    await putFreshness();
    await site.settle();
    await site.side.run(TTL_MS);
    put(EXTENSION_FILE, old);
    await site.settle();
    expect([site.side.serves(), site.side.refusals]).toEqual(['denies (expired)', ['extension ROLLBACK']]);
  });

  it('of a freshness key it is refused', async () => {
    await serving();
    await site.side.run(TTL_MS);
    put(EXTENSION_FILE, (await simulator.extend(site.side.clock.wall(), { signers: ['freshness-1'] })).envelope);
    await site.settle();
    expect([site.side.serves(), site.side.refusals]).toEqual(['denies (expired)', ['extension SIGNATURE']]);
  });

  it('answers no question: without memory it is not even tried', async () => {
    await putPolicy();
    put(EXTENSION_FILE, (await simulator.extend(site.side.clock.wall())).envelope);
    await site.settle();
    expect([site.side.serves(), site.side.refusals]).toEqual(['denies (never_renewed)', []]);
  });
});

describe('files that are not what they should be', () => {
  it('half-copied bundle: it counts when the copy is whole, and nothing is refused before', async () => {
    await serving();
    const bundle = await publishPolicy(simulator, { version: 2 });
    const bytes = writeBundleFile(bundle);
    put(RELEASE_FILE, (await simulator.publishRelease(bundle)).envelope);
    await putFreshness();
    const path = join(folder, bundleFileName(bundle.digest));
    writeFileSync(path, new Uint8Array(), { mode: 0o644 });
    for (let at = 0; at < bytes.length; at += Math.ceil(bytes.length / 7)) {
      await site.look();
      appendFileSync(path, bytes.subarray(at, at + Math.ceil(bytes.length / 7)));
      expect(site.side.serves()).toBe('release 1');
    }
    await site.settle();
    expect(site.side.serves()).toBe('release 2');
    // The release came before its bundle; the bundle itself was never refused.
    expect(site.side.refusals.filter((refusal) => refusal.startsWith('bundle'))).toEqual([]);
    expect(site.problems).toEqual([]);
  });

  it('a copy that stays torn is reported once, and nothing of it is applied', async () => {
    await serving();
    const bundle = await publishPolicy(simulator, { version: 2 });
    const bytes = writeBundleFile(bundle);
    put(bundleFileName(bundle.digest), bytes.subarray(0, bytes.length / 2));
    await site.settle();
    await site.settle();
    expect(site.problems).toEqual([`${bundleFileName(bundle.digest)}: it does not read as what its name says`]);
    expect([site.side.serves(), site.side.refusals]).toEqual(['release 1', []]);
  });

  it('file swapped between check and use: what is read is what was looked at, or nothing', async () => {
    put('release.json', new TextEncoder().encode('one'));
    const carried = carriedFolder(folder);
    const mark = await carried.mark('release.json', 16);
    const seen = mark.ok ? (mark.value ?? '') : '';
    expect(await carried.read('release.json', 16, seen)).toEqual({ ok: true, value: new TextEncoder().encode('one') });
    put('release.json', new TextEncoder().encode('two'));
    expect(await carried.read('release.json', 16, seen)).toEqual({ ok: true, value: undefined });
  });

  it('endless file: one beyond the bound of its kind is not read', async () => {
    await serving();
    truncateSync(join(folder, FRESHNESS_FILE), 1_000_000_000);
    await site.settle();
    expect(site.problems).toEqual([`${FRESHNESS_FILE}: it is longer than 131072 bytes`]);
    expect([site.side.serves(), site.side.refusals]).toEqual(['release 1', []]);
  });

  it('a pipe in the place of a file is not waited for', async () => {
    await serving();
    rmSync(join(folder, RELEASE_FILE));
    execFileSync('mkfifo', [join(folder, RELEASE_FILE)]);
    await site.settle();
    expect(site.problems).toEqual([`${RELEASE_FILE}: it is not a file`]);
  });

  it('symlink out of the directory is not followed', async () => {
    await serving();
    const elsewhere = mkdtempSync(join(tmpdir(), 'sallyport-elsewhere-'));
    writeFileSync(join(elsewhere, 'release.json'), 'x', { mode: 0o644 });
    rmSync(join(folder, RELEASE_FILE));
    symlinkSync(join(elsewhere, 'release.json'), join(folder, RELEASE_FILE));
    await site.settle();
    rmSync(elsewhere, { recursive: true });
    expect(site.problems[0]).toBe(`${RELEASE_FILE}: it is a link that leads out of the folder`);
    expect([site.side.serves(), site.side.refusals]).toEqual(['release 1', []]);
  });

  it('directory writable by the agent: nothing is read from it, and what is in force ages out', async () => {
    await serving();
    chmodSync(folder, 0o777);
    await putFreshness();
    await site.settle();
    await site.side.run(TTL_MS);
    await putFreshness();
    await site.settle();
    expect(site.problems).toEqual([`${folder}: others than its owner may write to it`]);
    expect(site.side.serves()).toBe('denies (expired)');
  });

  it('a file that others may write is not read', async () => {
    await serving();
    chmodSync(join(folder, FRESHNESS_FILE), 0o666);
    await site.settle();
    expect(site.problems).toEqual([`${FRESHNESS_FILE}: others than its owner may write to it`]);
  });

  it('more bundles than a release can join are left out, all of them', async () => {
    await serving();
    for (let index = 0; index < 9; index++) put(bundleFileName(`sha256:${String(index).repeat(64)}` as Digest), new Uint8Array());
    await site.settle();
    expect(site.problems).toEqual(['files: too many of kind bundle; none of them is read']);
    expect(site.side.serves()).toBe('release 1');
  });

  it('a folder that is not there is reported, and looked for again', async () => {
    rmSync(folder, { recursive: true });
    await site.settle();
    expect(site.problems).toEqual([`${folder}: it cannot be read: ENOENT`]);
    mkdirSync(folder, { mode: 0o755 });
    await serving();
  });
});

describe('a projected volume', () => {
  it('is read through its links, and again after they all changed at once', async () => {
    const bundle = await publishPolicy(simulator);
    const release = await simulator.publishRelease(bundle);
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
    const files = async (more: Record<string, string> = {}): Promise<Record<string, string>> => ({
      [rootFileName(1)]: text(simulator.root.envelope),
      [ONLINE_KEYS_FILE]: text(simulator.onlineKeys.envelope),
      [bundleFileName(bundle.digest)]: text(writeBundleFile(bundle)),
      [RELEASE_FILE]: text(release.envelope),
      [FRESHNESS_FILE]: text(statement((await simulator.stateFreshness(site.side.clock.wall())).offer)),
      ...more,
    });
    const volume = projectedVolume(await files());
    site = await startSite({ from: volume.folder });
    await site.settle();
    const question = site.challenge() as WrittenChallenge;
    const { offer } = await simulator.proveLive(site.side.clock.wall(), question);
    volume.write(await files({ [proofFileName(question.nonce)]: text(statement(offer, 'live_proof')) }), 0o440);
    await site.settle();
    volume.close();
    expect([site.side.serves(), site.problems]).toEqual(['release 1', []]);
  });
});
