/** Attacks by whoever can write what the sidecar has on its disk, while the control plane is out of reach. */

import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Fault } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import { readBundleFile, writeBundleFile } from '@sallyport/trust';
import type { BundleFile } from '@sallyport/trust';
import type { Attack, Scene } from '../attack.ts';
import type { Ground, Stored } from '../ground.ts';
import { cachedBytes } from '../subject.ts';
import type { Subject } from '../subject.ts';
import { ALLOWED, STALE, takeRecovery, takeStillInForce } from '../watch.ts';

export const tamperedCache: Attack = {
  name: 'tampered-cache',
  does: 'stops the sidecar, cuts its line, edits, tears or swaps a file of its cache, and starts it',
  leaves: 'deny, until the control plane is in reach: not ready',
  ttl: 'long',
  async stage(scene) {
    const { subject, steps, ground } = scene;
    // Without this the refusals below would prove nothing.
    await offline(scene, () => undefined);
    steps.take({ name: 'an untouched cache', expected: ALLOWED, seen: await subject.read() });
    for (const [name, edit] of EDITS) {
      // It has back what it lost; then the next file is touched.
      subject.line.leadTo(ground.grpcPort);
      await subject.enforces(ground.second.releaseSeq);
      await offline(scene, () => edit(subject, ground));
      const seen = await subject.read();
      steps.take({ name, expected: '503', seen: seen.startsWith('503 policy_') ? '503' : seen });
    }
    subject.line.leadTo(ground.grpcPort);
    await takeRecovery(scene);
    await takeStillInForce(scene);
  },
};

const EDITS: readonly (readonly [name: string, edit: (subject: Subject, ground: Ground) => void])[] = [
  ['one byte of the policy part', (subject) => editBundles(subject, (parts) => ({ ...parts, policy: altered(parts.policy) }))],
  ['the parts of the release before', (subject, { first }) => editBundles(subject, () => partsOf(first))],
  ['a torn release', (subject) => tear(subject.cached('release.json'))],
  ['another file as the release', (subject) => cpSync(subject.cached('statements.json'), subject.cached('release.json'))],
  ['one bit of the high-water mark', (subject) => flip(subject.cached('high-water'))],
];

export const wipedDisk: Attack = {
  name: 'wiped-disk',
  does: 'takes the high-water mark away, so that the sidecar forgets how far it had come, and starts it',
  leaves: 'deny, until a live proof: not ready',
  ttl: 'long',
  async stage(scene) {
    const { subject, steps, ground } = scene;
    await offline(scene, () => rmSync(subject.cached('high-water')));
    const seen = await subject.read();
    steps.take({
      name: 'without memory, and without the control plane',
      expected: '503',
      seen: seen.startsWith('503 policy_') ? '503' : seen,
    });
    subject.line.leadTo(ground.grpcPort);
    await takeRecovery(scene);
  },
};

export const restoredDisk: Attack = {
  name: 'restored-disk',
  does: 'puts a copy of the whole cache back once its ttl is over, and starts the sidecar without a line',
  leaves: 'nothing beyond the ttl',
  ttl: 'short',
  async stage(scene) {
    const { subject, steps, ground, io } = scene;
    const [cache, copy] = [subject.cached(), `${subject.cached()}.copy`];
    await subject.kill();
    subject.line.cut();
    cpSync(cache, copy, { recursive: true });
    await delay(io.clock, ground.ttlMs, { signal: io.signal });
    rmSync(cache, { recursive: true });
    cpSync(copy, cache, { recursive: true });
    await subject.restart();
    steps.take({ name: 'the copy is as old as it is', expected: STALE, seen: await subject.read() });
    subject.line.leadTo(ground.grpcPort);
    await takeRecovery(scene);
  },
};

/** Kills it, does what is to be done, and starts it where nobody answers it. */
async function offline({ subject }: Scene, act: () => void): Promise<void> {
  await subject.kill();
  subject.line.cut();
  act();
  await subject.restart();
}

type Parts = BundleFile['parts'];

/** Every bundle of the cache, since one that is not in force would be edited in vain. */
function editBundles(subject: Subject, edit: (parts: Parts) => Parts): void {
  for (const name of readdirSync(subject.cached('bundles'))) {
    const file = subject.cached('bundles', name);
    const bundle = readBundleFile(cachedBytes(file));
    if (bundle === undefined) throw new Fault('store_failed', 'internal', `\`${file}\` holds no bundle`);
    writeFileSync(file, writeBundleFile({ ...bundle, parts: edit(bundle.parts) }));
  }
}

function partsOf({ bundle, parts }: Stored): Parts {
  return Object.fromEntries(Object.keys(bundle.parts).map((name, index) => [name, parts[index]])) as Parts;
}

function altered(part: Uint8Array | undefined): Uint8Array {
  return Uint8Array.from(part ?? [], (byte, at) => (at === 20 ? byte ^ 1 : byte));
}

/** In the middle of a file, where there is nothing but what counts. */
function flip(file: string): void {
  const bytes = cachedBytes(file);
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

function tear(file: string): void {
  const bytes = cachedBytes(file);
  writeFileSync(file, bytes.subarray(0, bytes.length >> 1));
}
