/** Attacks with a stolen freshness key: statements that are hoarded, numbered, doubled, or that hide what was revoked. */

import type { Digest } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import type { StatementOffer } from '@sallyport/trust';
import type { Attack, Scene } from '../attack.ts';
import type { Forged, Rogue } from '../rogue.ts';
import { leafOf } from '../rogue.ts';
import type { Stored } from '../ground.ts';
import { PLACE } from '../ground.ts';
import { ALLOWED, takeEnd, takeStillInForce, watchUntilRefused } from '../watch.ts';
import { takeLine } from './forgery.ts';

export const hoard: Attack = {
  name: 'hoard',
  does: 'signs a handful of statements at once with the stolen freshness key, and plays them one by one when the last lapses',
  leaves: 'nothing beyond the ttl: a statement is as old as its signing',
  ttl: 'short',
  async stage(scene) {
    const { ground, io } = scene;
    const rogue = await takeLine(scene);
    const [since, issuedAt] = [io.clock.boot(), io.clock.wall()];
    const hoarded: StatementOffer[] = [];
    for (let count = 0; count < HOARDED; count += 1)
      hoarded.push(await rogue.sign(named(ground.second, { ttlMs: ground.ttlMs, issuedAt })));
    await whilePlaying(scene, hoarded, rogue, async () => takeEnd(scene, await watchUntilRefused(scene, since)));
  },
};

export const fastForward: Attack = {
  name: 'fast-forward',
  does: 'signs statements with the highest numbers that it can, so that no honest one can follow',
  leaves: 'deny until honest numbers are above its own, for which there is always room: not ready, alerts on record',
  ttl: 'long',
  async stage(scene) {
    const { ground, steps, io } = scene;
    const { second } = ground;
    const rogue = await takeLine(scene);
    const highest = await rogue.sign(named(second, { seq: Number.MAX_SAFE_INTEGER }));
    steps.take({ name: 'the highest number there is', expected: 'REJECTED ROLLBACK', seen: await rogue.offerStatement(highest) });
    const issuedAt = io.clock.wall();
    const high = await rogue.sign(named(second, { seq: issuedAt, issuedAt }));
    steps.take({ name: 'the highest that any signer can have come to', expected: 'ACTIVE', seen: await rogue.offerStatement(high) });
    await delay(io.clock, 1, { signal: io.signal });
    const later = io.clock.wall();
    const next = await rogue.sign(named(second, { seq: later, issuedAt: later }));
    steps.take({ name: 'room for the next one', expected: 'ACTIVE', seen: await rogue.offerStatement(next) });
    await takeStillInForce(scene);
  },
};

export const equivocation: Attack = {
  name: 'equivocation',
  does: 'signs two statements under one number, names another release under the number of the one in force, and the one before as current',
  leaves: 'deny, where it states nothing else: alerts on record',
  ttl: 'long',
  async stage(scene) {
    const { ground, steps } = scene;
    const { first, second } = ground;
    const rogue = await takeLine(scene);
    const seq = Number((await rogue.hello()).freshnessSeq) + 1_000;
    const [one, other] = [await rogue.sign(named(second, { seq })), await rogue.sign(named(second, { seq, ttlMs: 30_000 }))];
    steps.take({ name: 'the first of two', expected: 'ACTIVE', seen: await rogue.offerStatement(one) });
    steps.take({ name: 'another of the same number', expected: 'REJECTED EQUIVOCATION', seen: await rogue.offerStatement(other) });
    const swapped = await rogue.sign({ leaves: [leafOf({ ...PLACE, digest: first.digest, releaseSeq: second.releaseSeq })], seq: seq + 1 });
    steps.take({
      name: 'the release before, under the number of this one',
      expected: 'REJECTED EQUIVOCATION',
      seen: await rogue.offerStatement(swapped),
    });
    const before = await rogue.sign(named(first, { seq: seq + 2 }));
    steps.take({ name: 'the release before as the current one', expected: 'REJECTED ROLLBACK', seen: await rogue.offerStatement(before) });
    await takeStillInForce(scene);
  },
};

export const revocationGap: Attack = {
  name: 'revocation-gap',
  does: 'states that policy is fresh, and that something was revoked, and keeps the revocation back',
  leaves: 'nothing beyond the ttl: with a gap nothing is renewed',
  ttl: 'short',
  async stage(scene) {
    const { ground, io } = scene;
    const rogue = await takeLine(scene);
    const seq = Number((await rogue.hello()).revocationSeq) + 1;
    const head = `sha256:${'1'.repeat(64)}` as Digest;
    const since = io.clock.boot();
    const stated = async (): Promise<StatementOffer> =>
      rogue.sign(named(ground.second, { ttlMs: ground.ttlMs, revocation: { seq, head } }));
    const statements = [await stated(), await stated(), await stated(), await stated()];
    await whilePlaying(scene, statements, rogue, async () => takeEnd(scene, await watchUntilRefused(scene, since)));
  },
};

export const stolenFreshness: Attack = {
  name: 'stolen-freshness',
  does: 'withholds every update, and goes on stating that this release is the current one',
  leaves: 'freeze: for as long as the stolen key is certified, and not beyond; seen as a sidecar that is not connected',
  ttl: 'short',
  async stage(scene) {
    const { ground, steps, io } = scene;
    const rogue = await takeLine(scene);
    const since = io.clock.boot();
    const until = since + ground.ttlMs * 2;
    let answers = new Set<string>();
    while (io.clock.boot() < until) {
      await rogue.offerStatement(await rogue.sign(named(ground.second, { ttlMs: ground.ttlMs })));
      answers = answers.add(await scene.subject.read());
      await delay(io.clock, PLAY_EVERY_MS, { signal: io.signal });
    }
    steps.take({ name: 'it can freeze: calls go on under the release in force', expected: ALLOWED, seen: [...answers].join(', ') });
    await takeStillInForce(scene);
    const fleet = await ground.type(['fleet', 'status', '--json']);
    const { sidecars } = JSON.parse(Buffer.from(fleet.bytes).toString('utf8')) as {
      readonly sidecars: readonly { readonly sidecar: string; readonly connected: boolean }[];
    };
    const row = sidecars.find(({ sidecar }) => sidecar === scene.subject.identity);
    steps.take({
      name: 'and it is seen',
      expected: 'not connected',
      seen: row?.connected === false ? 'not connected' : JSON.stringify(row),
    });
  },
};

const HOARDED = 6;
const PLAY_EVERY_MS = 500;

/** A statement that names this release. */
export function named({ digest, releaseSeq }: Stored, more: Omit<Forged, 'leaves'>): Forged {
  return { ...more, leaves: [leafOf({ ...PLACE, digest, releaseSeq })] };
}

/** Plays one after another, half a second apart, while `act` looks at what comes of it. */
async function whilePlaying({ io }: Scene, statements: readonly StatementOffer[], rogue: Rogue, act: () => Promise<void>): Promise<void> {
  const over = new AbortController();
  const playing = (async (): Promise<void> => {
    for (const statement of statements) {
      await rogue.play('freshness', statement);
      if (!(await delay(io.clock, PLAY_EVERY_MS, { signal: over.signal }))) return;
    }
  })();
  try {
    await act();
  } finally {
    over.abort();
    await playing;
  }
}
