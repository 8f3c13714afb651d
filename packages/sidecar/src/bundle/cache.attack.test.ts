/**
 * The state folder in an attacker's hands, or under a failing disk. Whatever a file is turned into, a start serves the
 * release that was enforced, or denies; and once honest bytes come again over the stream, it serves.
 */

import type { AgentName } from '@sallyport/model';
import { flipBit, simulatedDisk, trustSimulator, type Published, type PublishedBundle, type TrustSimulator } from '@sallyport/testkit';

import { beforeAll, describe, expect, it } from 'vitest';
import type { Snapshot } from '../pipeline/ports.ts';
import { feed, FOLDER, publishPolicy, startBundleSide, startClock, type BundleSide } from '../testing/bundle-side.ts';

type Files = ReadonlyMap<string, Uint8Array>;

const FOLDERS = [FOLDER, `${FOLDER}/roots`, `${FOLDER}/bundles`, `${FOLDER}/revocations`];
/** Every byte in the long form; otherwise this many of each file, spread over it. */
const BYTES_OF_EACH = process.env['SALLYPORT_LONG'] === undefined ? 24 : Number.POSITIVE_INFINITY;

describe('a torn, edited or swapped cache', () => {
  let sim: TrustSimulator;
  let bundle: PublishedBundle;
  let release: Published<unknown>;
  let honest: Files;
  let paths: readonly string[];
  /** What release 2 says, read. */
  let enforced: string;

  beforeAll(async () => {
    sim = await trustSimulator();
    const disk = simulatedDisk();
    const side = await startBundleSide({ simulator: sim, fs: disk.fs });
    bundle = await publishPolicy(sim);
    const older = await sim.publishRelease(bundle);
    await feed(side, sim, { bundle, release: older });
    await side.offer({ kind: 'revocation', envelope: (await sim.revoke({ selector: { type: 'principal', value: 'mallory' } })).envelope });
    bundle = await publishPolicy(sim, { version: 2 });
    release = await sim.publishRelease(bundle);
    await side.offerBundle(bundle);
    await side.offerRelease(release);
    await side.hear(sim);
    await side.run(5_000);
    expect(side.serves()).toBe('release 2');
    const held = side.holder.read();
    enforced = held.state === 'fresh' ? saidBy(held.snapshot) : '';
    expect(enforced).toContain('version 2');
    const files = new Map<string, Uint8Array>();
    for (const folder of FOLDERS)
      for (const name of disk.fs.list(folder)) {
        const bytes = disk.peek(`${folder}/${name}`);
        if (bytes !== undefined) files.set(`${folder}/${name}`, bytes);
      }
    honest = files;
    paths = [...files.keys()];
    expect(paths.map((path) => path.slice(FOLDER.length + 1).replace(/[0-9a-f]{64}/, '<digest>'))).toEqual([
      'high-water',
      'online-keys.json',
      'release.json',
      'statements.json',
      'roots/0000000000000001.json',
      'bundles/<digest>.json',
      'bundles/<digest>.json',
      'revocations/0000000000000001.json',
    ]);
  });

  /** A start on these files, under a wall clock that says that no time has passed. */
  const startOn = async (files: Files): Promise<BundleSide> => {
    const disk = simulatedDisk();
    for (const [path, bytes] of files) disk.plant(path, bytes);
    return startBundleSide({ simulator: sim, fs: disk.fs, clock: startClock() });
  };
  const withFile = (path: string, bytes: Uint8Array | undefined): Files => {
    const files = new Map(honest);
    if (bytes === undefined) files.delete(path);
    else files.set(path, bytes);
    return files;
  };
  /** Release 2 with every revocation, or nothing; and honest bytes mend it. */
  const servesTwoOrDenies = async (files: Files, what: string): Promise<string> => {
    const side = await startOn(files);
    const served = side.serves();
    expect([what, served]).toEqual([what, served === 'release 2' ? served : expect.stringMatching(/^denies/)]);
    const held = side.holder.read();
    if (held.state !== 'fresh') return served;
    // And it is that release to the letter: what was signed, and every revocation.
    expect([what, held.snapshot.revocations.seq, saidBy(held.snapshot)]).toEqual([what, 1, enforced]);
    return served;
  };
  const placesIn = (bytes: Uint8Array): readonly number[] => {
    const step = Math.max(1, Math.floor(bytes.length / BYTES_OF_EACH));
    return Array.from({ length: Math.ceil(bytes.length / step) }, (_, index) => index * step);
  };

  it('unharmed it serves', async () => {
    expect(await servesTwoOrDenies(honest, 'unharmed')).toBe('release 2');
  });

  it('edited: one bit of any byte of any file', async () => {
    let denied = 0;
    for (const path of paths) {
      const bytes = honest.get(path)!;
      for (const at of placesIn(bytes))
        if ((await servesTwoOrDenies(withFile(path, flipBit(bytes, at, at % 8)), `${path} byte ${at}`)) !== 'release 2') denied += 1;
    }
    expect(denied).toBeGreaterThan(paths.length);
  });

  it('edited: a part rewritten into another that reads and compiles as well', async () => {
    for (const path of paths.filter((name) => name.includes('/bundles/'))) {
      const file = JSON.parse(new TextDecoder().decode(honest.get(path))) as { parts: Record<string, string> };
      const catalog = Buffer.from(file.parts['catalog'] ?? '', 'base64')
        .toString()
        .replace('Reads an order', 'Sends an order');
      expect(catalog).toContain('Sends an order');
      const edited = { ...file, parts: { ...file.parts, catalog: Buffer.from(catalog).toString('base64') } };
      await servesTwoOrDenies(withFile(path, new TextEncoder().encode(JSON.stringify(edited))), `${path} rewritten`);
    }
  });

  it('edited: a high-water mark with any bit changed is as good as none, and only a live proof helps', async () => {
    const path = `${FOLDER}/high-water`;
    for (const at of placesIn(honest.get(path)!)) {
      const side = await startOn(withFile(path, flipBit(honest.get(path)!, at, at % 8)));
      expect([at, side.serves()]).toEqual([at, 'denies (never_renewed)']);
      await side.prove(sim);
      expect([at, side.serves()]).toEqual([at, 'release 2']);
    }
  });

  it('torn: any file cut anywhere', async () => {
    for (const path of paths) {
      const bytes = honest.get(path)!;
      for (const length of placesIn(bytes)) await servesTwoOrDenies(withFile(path, bytes.slice(0, length)), `${path} cut at ${length}`);
    }
  });

  it('torn: any file of zeros, or gone', async () => {
    for (const path of paths) {
      await servesTwoOrDenies(withFile(path, new Uint8Array(honest.get(path)!.length)), `${path} of zeros`);
      await servesTwoOrDenies(withFile(path, undefined), `${path} gone`);
    }
  });

  it('swapped: any file in the place of any other', async () => {
    for (const path of paths)
      for (const other of paths) if (path !== other) await servesTwoOrDenies(withFile(path, honest.get(other)), `${other} as ${path}`);
  });

  it('grown: a file longer than anything honest is not read', async () => {
    for (const path of paths) {
      const bytes = honest.get(path)!;
      const grown = new Uint8Array(40_000_000);
      grown.set(bytes);
      await servesTwoOrDenies(withFile(path, grown), `${path} grown`);
    }
  });

  it('planted: files of other names, and a release that no mark knows', async () => {
    const files = new Map(honest);
    files.set(`${FOLDER}/bundles/evil.json`, honest.get(`${FOLDER}/release.json`)!);
    files.set(`${FOLDER}/roots/0000000000000002.json`, honest.get(`${FOLDER}/roots/0000000000000001.json`)!);
    files.set(`${FOLDER}/revocations/0000000000000000.json`, new Uint8Array(3));
    files.set(`${FOLDER}/release.next.json`, honest.get(`${FOLDER}/online-keys.json`)!);
    await servesTwoOrDenies(files, 'planted');
  });

  it('whatever was done to it, honest bytes over the stream mend it', async () => {
    for (const path of paths) {
      const side = await startOn(withFile(path, honest.get(path)!.slice(1)));
      for (const envelope of sim.chain) await side.offer({ kind: 'root', envelope });
      await side.offer({ kind: 'online_keys', envelope: sim.onlineKeys.envelope });
      await side.prove(sim);
      for (const { envelope } of sim.revocations) await side.offer({ kind: 'revocation', envelope });
      await side.offerBundle(bundle);
      await side.offerRelease(release);
      await side.hear(sim);
      expect([path, side.serves()]).toEqual([path, 'release 2']);
    }
  });
});

describe('a stolen revocation key', () => {
  it('cannot lift a ban by a snapshot that leaves it out, not even over a restart from disk', async () => {
    const sim = await trustSimulator();
    const disk = simulatedDisk();
    const side = await startBundleSide({ simulator: sim, fs: disk.fs });
    const bundle = await publishPolicy(sim);
    const ban = await sim.revoke({ selector: { type: 'agent', value: 'support-triage' }, before: 'never' });
    await feed(side, sim, { bundle, release: await sim.publishRelease(bundle) });
    await side.offer({ kind: 'revocation', envelope: ban.envelope });
    const next = await sim.revoke({ selector: { type: 'token', value: 'token-1' } });
    const bent = await sim.snapshotRevocations({ edit: (honest) => ({ ...honest, entries: honest.entries.slice(1) }) });
    await side.offer({ kind: 'revocation_snapshot', envelope: bent.envelope });
    await side.hear(sim);
    expect([side.serves(), isBanned(side)]).toEqual(['release 1', true]);

    const again = await startBundleSide({ simulator: sim, fs: disk.fs, clock: startClock() });
    expect(again.serves()).not.toBe('release 1');
    await again.offer({ kind: 'revocation', envelope: next.envelope });
    await again.prove(sim);
    expect([again.serves(), isBanned(again)]).toEqual(['release 1', true]);
  });

  it('does not grow what is kept: an honest snapshot takes the place of what it carries', async () => {
    const sim = await trustSimulator();
    const disk = simulatedDisk();
    const side = await startBundleSide({ simulator: sim, fs: disk.fs });
    const bundle = await publishPolicy(sim);
    await feed(side, sim, { bundle, release: await sim.publishRelease(bundle) });
    const first = await sim.revoke({ selector: { type: 'principal', value: 'mallory' } });
    await side.offer({ kind: 'revocation', envelope: first.envelope });
    await sim.revoke({ selector: { type: 'token', value: 'token-1' } });
    await side.offer({ kind: 'revocation_snapshot', envelope: (await sim.snapshotRevocations()).envelope });
    expect(disk.fs.list(`${FOLDER}/revocations`)).toEqual(['snapshot.json']);
  });
});

function isBanned(side: BundleSide): boolean {
  const held = side.holder.read();
  return held.state === 'fresh' && held.snapshot.revocations.denies({ agent: 'support-triage' as AgentName }, side.clock.wall());
}

/** What a snapshot lets calls be judged by, as text to compare. */
function saidBy({ tools, agents, issuers, servers, destinations }: Snapshot): string {
  const pinned = [...tools.values()].map(({ tool }) => tool);
  return JSON.stringify([pinned, [...agents.values()], issuers, [...servers.values()], [...destinations.values()]]);
}
