/** Attacks by a control plane in other hands that sends other policy: forged, altered, or signed once and since replaced. */

import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { Digest, Revision } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import { encodeBundle, readStatements, signEnvelope } from '@sallyport/trust';
import type { Bundle } from '@sallyport/trust';
import type { Attack, Scene } from '../attack.ts';
import type { Rogue } from '../rogue.ts';
import { cachedBytes } from '../subject.ts';
import { takeEnd, takeRecovery, takeStillInForce, watchUntilRefused } from '../watch.ts';

export const forgedBundle: Attack = {
  name: 'forged-bundle',
  does: 'offers the first policy as a new revision: unsigned, altered, under a strange key, under the keys the control plane holds',
  leaves: 'send what is refused: alerts on record, and `sallyport_rejections_total`',
  ttl: 'long',
  async stage(scene) {
    const { ground, steps } = scene;
    const { bundle, parts } = ground.first;
    const next: Bundle = { ...bundle, revision: (ground.second.bundle.revision + 1) as Revision, previous: ground.second.bundleDigest };
    const payload = encodeBundle(next);
    const signed = await signEnvelope('Bundle', payload, [ground.signer('publisher')]);
    const stranger = signerFromPem(generateKey('ed25519').privatePem);
    const rogue = await takeLine(scene);
    const take = async (name: string, envelope: Uint8Array, code: string): Promise<void> => {
      steps.take({ name, expected: `REJECTED ${code}`, seen: await rogue.offerBundle(envelope, parts) });
    };
    await take('unsigned', await signEnvelope('Bundle', payload, []), 'SIGNATURE');
    await take('under a strange key', await signEnvelope('Bundle', payload, [stranger]), 'SIGNATURE');
    await take('under the freshness key', await signEnvelope('Bundle', payload, [rogue.keys.freshness]), 'SIGNATURE');
    await take('under the revocation key', await signEnvelope('Bundle', payload, [rogue.keys.revocation]), 'SIGNATURE');
    await take('one bit altered', altered(signed), 'SIGNATURE');
    const bent = { ...next, parts: { ...next.parts, policy: { digest: `sha256:${'0'.repeat(64)}` as Digest, bytes: 3 } } };
    await take(
      'a part that is not the one signed',
      await signEnvelope('Bundle', encodeBundle(bent), [ground.signer('publisher')]),
      'DIGEST',
    );
    await takeStillInForce(scene);
    await takeRejections(scene, 6);
  },
};

export const rollback: Attack = {
  name: 'rollback',
  does: 'offers the release before, which was well signed in its time',
  leaves: 'have an old bundle held, which nothing enforces',
  ttl: 'long',
  async stage(scene) {
    const { ground, steps, subject } = scene;
    const { first } = ground;
    let rogue = await takeLine(scene);
    for (const when of ['at once', 'after a restart']) {
      const held = await rogue.offerBundle(first.envelope, first.parts);
      steps.take({ name: `its bundle, ${when}`, expected: 'held', seen: /^(STAGED|ALREADY)$/.test(held) ? 'held' : held });
      steps.take({ name: `the release, ${when}`, expected: 'REJECTED ROLLBACK', seen: await rogue.offerRelease(first.release) });
      await takeStillInForce(scene);
      if (when !== 'at once') continue;
      await subject.kill();
      await subject.restart();
      rogue = await takeLine(scene);
    }
  },
};

export const replay: Attack = {
  name: 'replay',
  does: 'starts the sidecar again at a control plane that plays the last statement over and over',
  leaves: 'nothing beyond the ttl',
  ttl: 'short',
  async stage(scene) {
    const { subject, io } = scene;
    await subject.kill();
    const since = io.clock.boot();
    const kept = readStatements(cachedBytes(subject.cached('statements.json')));
    const rogue = await takeLine(scene, { isRunning: false });
    await subject.restart();
    const over = new AbortController();
    const playing = (async (): Promise<void> => {
      do for (const { kind, offer } of kept) await rogue.play(kind === 'live_proof' ? 'liveProof' : 'freshness', offer);
      while (await delay(io.clock, REPLAY_EVERY_MS, { signal: over.signal }));
    })();
    try {
      await takeEnd(scene, await watchUntilRefused(scene, since));
    } finally {
      over.abort();
      await playing;
    }
    subject.line.leadTo(scene.ground.grpcPort);
    await takeRecovery(scene);
  },
};

const REPLAY_EVERY_MS = 250;

/** The line leads to a control plane of the attacker's from now on; resolves once the sidecar has come there. */
export async function takeLine({ ground, subject }: Scene, { isRunning = true }: { readonly isRunning?: boolean } = {}): Promise<Rogue> {
  const rogue = await ground.startRogue();
  subject.line.leadTo(rogue.port);
  if (isRunning) await rogue.hello();
  return rogue;
}

/** What was refused was counted, so that somebody can see it. */
export async function takeRejections({ steps, subject }: Scene, atLeast: number): Promise<void> {
  const count = await subject.metric('sallyport_rejections_total');
  steps.take({
    name: 'it is counted',
    expected: `${atLeast} rejections or more`,
    seen: `${count < atLeast ? count : atLeast} rejections or more`,
  });
}

/** One bit of the payload, inside its base64: the text stays one that can be read. */
function altered(envelope: Uint8Array): Uint8Array {
  const text = Buffer.from(envelope).toString('utf8');
  const at = text.indexOf('"payload":"') + 60;
  const other = text[at] === 'A' ? 'B' : 'A';
  return new Uint8Array(Buffer.from(text.slice(0, at) + other + text.slice(at + 1)));
}
