/** Attacks on a download: a well-signed bundle whose parts are others, never end, come a byte at a time, or blow up. */

import { existsSync, readFileSync } from 'node:fs';
import { createZstdCompress } from 'node:zlib';
import { create, PartChunkSchema, PartDeltaSchema } from '@sallyport/contract';
import { concatBytes } from '@sallyport/crypto';
import type { Area, Revision } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import { digestOfPayload, encodeBundle, signEnvelope } from '@sallyport/trust';
import type { Bundle } from '@sallyport/trust';
import { placeOf } from '../../places.ts';
import { signRelease } from '../../publish/submit-release.ts';
import type { Attack, Scene } from '../attack.ts';
import { PLACE } from '../ground.ts';
import { takeStillInForce } from '../watch.ts';
import { takeLine } from './forgery.ts';
import { named } from './statements.ts';

const KB = 1_024;
const MB = 1_024 * KB;

export const mixAndMatch: Attack = {
  name: 'mix-and-match',
  does: 'offers a well-signed bundle and sends the parts of another',
  leaves: 'nothing',
  ttl: 'long',
  async stage(scene) {
    const { ground, steps } = scene;
    const rogue = await takeLine(scene);
    const [other = new Uint8Array()] = ground.second.parts;
    rogue.serveParts(async (_, out) => {
      out.write(create(PartChunkSchema, { offset: 0n, total: BigInt(other.length), data: other }));
      await out.drained();
    });
    steps.take({ name: 'the offer', expected: 'REJECTED DIGEST', seen: await rogue.offerBundle(await nextOf(scene)) });
    await takeStillInForce(scene);
  },
};

export const wrongArea: Attack = {
  name: 'wrong-area',
  does: 'offers a bundle and a release that were signed for another area, by keys that are good here',
  leaves: 'nothing',
  ttl: 'long',
  async stage(scene) {
    const { ground, steps, io } = scene;
    const rogue = await takeLine(scene);
    const elsewhere = await nextOf(scene, { area: 'elsewhere' as Area, parts: ground.first.bundle.parts });
    const refusal = (seen: string): string => (/^REJECTED (AREA|DELEGATION)$/.test(seen) ? 'REJECTED' : seen);
    steps.take({ name: 'the bundle', expected: 'REJECTED', seen: refusal(await rogue.offerBundle(elsewhere, ground.first.parts)) });
    const { bundleDigest: digest, bundle } = ground.first;
    const release = await signRelease(
      {
        place: placeOf({ area: 'elsewhere', ring: PLACE.ring }),
        releaseSeq: ground.second.releaseSeq + 1,
        bundle: { digest, revision: bundle.revision },
        freshnessTtlMsMax: ground.ttlMs,
        fallbacks: [],
        now: io.clock.wall(),
      },
      [ground.signer('release-1')],
    );
    steps.take({ name: 'the release', expected: 'REJECTED', seen: refusal(await rogue.offerRelease(release)) });
    await takeStillInForce(scene);
  },
};

export const endlessPart: Attack = {
  name: 'endless-part',
  does: 'sends a part that does not end',
  leaves: 'use the line',
  ttl: 'long',
  async stage(scene) {
    const { steps } = scene;
    const rogue = await takeLine(scene);
    // Owner: the server below. What it came to send.
    let sent = 0;
    rogue.serveParts(async (_, out) => {
      for (let offset = 0; !out.isOver && sent < ENDLESS_BYTES; offset += 64 * KB) {
        sent += 64 * KB;
        if (!out.write(create(PartChunkSchema, { offset: BigInt(offset), total: BigInt(ENDLESS_BYTES), data: new Uint8Array(64 * KB) })))
          await out.drained();
      }
    });
    steps.take({ name: 'the offer', expected: 'REJECTED DIGEST', seen: await rogue.offerBundle(await nextOf(scene)) });
    const read = sent < ENDLESS_BYTES ? 'it hung up early' : `${sent} bytes were taken`;
    steps.take({ name: 'what was read of it', expected: 'it hung up early', seen: read });
    await takeStillInForce(scene);
  },
};

export const decompressionBomb: Attack = {
  name: 'decompression-bomb',
  does: 'sends a difference of a few kilobytes that becomes 256 MB',
  leaves: 'nothing',
  ttl: 'long',
  async stage(scene) {
    const { ground, subject, steps } = scene;
    const frame = await bomb();
    const rogue = await takeLine(scene);
    const before = peakMegabytes(subject.pid);
    const delta = create(PartDeltaSchema, { digest: UNHELD.digest, base: ground.second.bundle.parts.policy.digest, frame });
    const envelope = await nextOf(scene);
    // The real part is not to be had either: what is left is the bomb.
    steps.take({ name: 'the offer', expected: 'REJECTED DIGEST', seen: await rogue.offerBundle(envelope, [], { deltas: [delta] }) });
    const after = peakMegabytes(subject.pid);
    if (before !== undefined && after !== undefined) {
      const grown = after - before < BOMB_BYTES / MB / 2 ? 'not by the bomb' : `by ${Math.round(after - before)} MB`;
      steps.take({ name: 'its memory has grown', expected: 'not by the bomb', seen: grown });
    }
    await takeStillInForce(scene);
  },
};

export const slowDrip: Attack = {
  name: 'slow-drip',
  does: 'sends a part a byte at a time, so that the sidecar waits while policy moves on',
  leaves: 'keep that one bundle from coming, for as long as it drips',
  ttl: 'long',
  async stage(scene) {
    const { ground, subject, steps, io } = scene;
    const rogue = await takeLine(scene);
    const { promise: asked, resolve: dripping } = Promise.withResolvers<void>();
    const over = new AbortController();
    rogue.serveParts(async (_, out) => {
      dripping();
      for (let offset = 0; !out.isOver; offset += 1) {
        out.write(create(PartChunkSchema, { offset: BigInt(offset), total: 1_000_000n, data: new Uint8Array(1) }));
        if (!(await delay(io.clock, DRIP_EVERY_MS, { signal: over.signal }))) return;
      }
    });
    const verdict = rogue.offerBundle(await nextOf(scene));
    verdict.catch(() => undefined);
    await asked;
    // Statements overtake it: freshness does not wait for parts.
    const seq = Number((await rogue.hello()).freshnessSeq) + 1_000;
    const stated = await rogue.offerStatement(await rogue.sign(named(ground.second, { seq })));
    steps.take({ name: 'a statement meanwhile', expected: 'ACTIVE', seen: stated });
    steps.take({ name: 'it counts', expected: `statement ${seq}`, seen: `statement ${await subject.metric('sallyport_freshness_seq')}` });
    await takeStillInForce(scene);
    over.abort();
    await verdict.catch(() => undefined);
  },
};

const DRIP_EVERY_MS = 100;
const ENDLESS_BYTES: number = 64 * MB;
const BOMB_BYTES: number = 256 * MB;

/** A part that nobody has, so that no sidecar can have it already. */
const UNHELD = { digest: digestOfPayload(new TextEncoder().encode('a part that nobody has')), bytes: 1_000_000 };

/** The policy in force, as the next revision, well signed, but for a part that has yet to come: only what is sent for it is wrong. */
async function nextOf({ ground }: Scene, more: Partial<Bundle> = {}): Promise<Uint8Array> {
  const { second } = ground;
  const parts = { ...second.bundle.parts, policy: UNHELD };
  const next: Bundle = {
    ...second.bundle,
    parts,
    revision: (second.bundle.revision + 1) as Revision,
    previous: second.bundleDigest,
    ...more,
  };
  return signEnvelope('Bundle', encodeBundle(next), [ground.signer('publisher')]);
}

/** Zeros, made in pieces so that whoever stages it does not need the memory either. */
async function bomb(): Promise<Uint8Array> {
  const stream = createZstdCompress();
  const chunks: Uint8Array[] = [];
  stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  const zeros = new Uint8Array(4 * MB);
  for (let written = 0; written < BOMB_BYTES; written += zeros.length)
    await new Promise<void>((resolve) => stream.write(zeros, () => resolve()));
  await new Promise<void>((resolve) => stream.end(() => resolve()));
  return concatBytes(...chunks);
}

/** The most memory that the process ever had, where the system tells (Linux). */
function peakMegabytes(pid: number): number | undefined {
  const file = `/proc/${pid}/status`;
  const kilobytes = existsSync(file) ? /^VmHWM:\s+([0-9]+) kB$/m.exec(readFileSync(file, 'utf8'))?.[1] : undefined;
  return kilobytes === undefined ? undefined : Number(kilobytes) / KB;
}
