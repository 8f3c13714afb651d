/** The control plane with everything that it holds, in other hands: each key, and all of them together, tried for what none may do. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey, signerFromPem } from '@sallyport/crypto/keys';
import type { LocalSigner } from '@sallyport/crypto/keys';
import { Fault, addMs } from '@sallyport/model';
import type { Digest, Revision } from '@sallyport/model';
import {
  encodeAreaDelegation,
  encodeBundle,
  encodeOnlineKeys,
  encodeRevocationSnapshot,
  encodeRoot,
  keyRecordOf,
  parseEnvelope,
  readRoot,
  signEnvelope,
} from '@sallyport/trust';
import type { Root } from '@sallyport/trust';
import { waitUntil } from '../../demo/scratch.ts';
import { operatorToken, passingIssuer } from '../../onboard/dev-issuer.ts';
import { signRelease } from '../../publish/submit-release.ts';
import type { Attack, Scene } from '../attack.ts';
import { PLACE } from '../ground.ts';
import { CHAOS_ISSUER } from '../policy.ts';
import type { Rogue } from '../rogue.ts';
import { clerk } from '../subject.ts';
import { ALLOWED, takeStillInForce } from '../watch.ts';
import { takeLine } from './forgery.ts';
import { named } from './statements.ts';

const MALLORY = clerk('mallory');
const REVOKED = '401 token_revoked';
const DAY_MS = 86_400_000;
const POLL_MS = 100;

export const takeover: Attack = {
  name: 'takeover',
  does: 'takes the control plane with every key that it holds (freshness, revocation, workload CA, audit), and uses them together',
  leaves:
    'freeze, for as long as the freshness key is certified; deny, by a revocation or by silence: alerts on record, `not_forwarded` and 401 at the callers',
  ttl: 'long',
  async stage(scene) {
    const { ground, subject, steps, io } = scene;
    steps.take({ name: 'before', expected: ALLOWED, seen: await subject.read(MALLORY) });
    await ground.type(['revoke', 'principal', 'mallory', '--ban', '--reason', 'chaos']);
    await waitUntil(async () => (await subject.read(MALLORY)) === REVOKED, POLL_MS, io);
    const record = await exportRecord(scene);
    const rogue = await takeLine(scene);
    const keys = [rogue.keys.freshness, rogue.keys.revocation, auditKey(scene)];
    await otherPolicy(scene, rogue, keys);
    await otherRoles(scene, rogue, keys);
    await foreignToken(scene);
    await takeStillInForce(scene);
    await hiddenRevocation(scene, rogue);
    await rewrittenRecord(scene, record);
  },
};

/** Policy, and the release of it, under all stolen keys at once. */
async function otherPolicy({ ground, steps, io }: Scene, rogue: Rogue, keys: readonly LocalSigner[]): Promise<void> {
  const { first, second } = ground;
  const next = encodeBundle({ ...first.bundle, revision: (second.bundle.revision + 1) as Revision, previous: second.bundleDigest });
  const bundle = await signEnvelope('Bundle', next, keys);
  steps.take({ name: 'a bundle under all its keys', expected: 'REJECTED SIGNATURE', seen: await rogue.offerBundle(bundle, first.parts) });
  const release = await signRelease(
    {
      place: PLACE,
      releaseSeq: second.releaseSeq + 1,
      bundle: { digest: first.bundleDigest, revision: first.bundle.revision },
      freshnessTtlMsMax: ground.ttlMs,
      fallbacks: [],
      now: io.clock.wall(),
    },
    keys,
  );
  steps.take({ name: 'a release under all its keys', expected: 'REJECTED SIGNATURE', seen: await rogue.offerRelease(release) });
  const back = await rogue.sign(named(first, {}));
  steps.take({ name: 'the release before, as the current one', expected: 'REJECTED ROLLBACK', seen: await rogue.offerStatement(back) });
}

/** Whoever may not make policy might make somebody who may. */
async function otherRoles({ ground, steps, io }: Scene, rogue: Rogue, keys: readonly LocalSigner[]): Promise<void> {
  const own = signerFromPem(generateKey('ed25519').privatePem);
  const record = keyRecordOf(own.publicRaw);
  const until = addMs(io.clock.wall(), DAY_MS);
  const delegation = await signEnvelope(
    'AreaDelegation',
    encodeAreaDelegation({
      number: 2,
      area: PLACE.area,
      keys: [record],
      publishers: { keyIds: [record.keyId], threshold: 1 },
      expiresAt: until,
    }),
    keys,
  );
  const { first, second } = ground;
  const next = encodeBundle({ ...first.bundle, revision: (second.bundle.revision + 1) as Revision, previous: second.bundleDigest });
  const delegated = await rogue.offerBundle(await signEnvelope('Bundle', next, [own]), first.parts, { delegation });
  steps.take({ name: 'a publisher of its own', expected: 'REJECTED', seen: withoutCode(delegated) });
  const root = await signEnvelope('Root', encodeRoot({ ...rootOf(ground.home), number: 2 }), keys);
  steps.take({ name: 'a root of its own', expected: 'REJECTED', seen: withoutCode(await rogue.offer({ case: 'root', value: root })) });
  const keysOfItsOwn = encodeOnlineKeys({
    number: 2,
    keys: [{ ...record, role: 'freshness', replica: 'evil', notBefore: addMs(until, -2 * DAY_MS), notAfter: until }],
  });
  const stated = await rogue.sign(named(second, {}), own);
  const certified = await rogue.offerStatement(stated, await signEnvelope('OnlineKeys', keysOfItsOwn, keys));
  steps.take({ name: 'a freshness key of its own', expected: 'REJECTED', seen: withoutCode(certified) });
}

/** A ban that is in force is stated not to be, and left out of a snapshot. */
async function hiddenRevocation({ subject, steps, ground }: Scene, rogue: Rogue): Promise<void> {
  const seq = Number((await rogue.hello()).revocationSeq) + 1;
  const head = `sha256:${'2'.repeat(64)}` as Digest;
  const snapshot = encodeRevocationSnapshot({ seq, head, entries: [] });
  await rogue.offer({ case: 'revocationSnapshot', value: await signEnvelope('RevocationSnapshot', snapshot, [rogue.keys.revocation]) });
  await rogue.offerStatement(await rogue.sign(named(ground.second, { revocation: { seq, head } })));
  steps.take({ name: 'a ban, left out of a signed snapshot', expected: REVOKED, seen: await subject.read(MALLORY) });
  await subject.kill();
  await subject.restart();
  await rogue.offerStatement(await rogue.sign(named(ground.second, { revocation: { seq, head } })));
  const seen = await subject.read(MALLORY);
  steps.take({ name: 'and after a restart', expected: 'refused', seen: seen === ALLOWED ? seen : 'refused' });
}

/** The control plane is in nobody's chain of identity: whose tokens count stands in the bundle. */
async function foreignToken({ subject, steps, io }: Scene): Promise<void> {
  const token = operatorToken(passingIssuer(CHAOS_ISSUER), clerk('eve'), { now: io.clock.wall(), random: io.random });
  const seen = await subject.open(token);
  steps.take({ name: "an operator's token of its own", expected: '401', seen: seen.startsWith('401 ') ? '401' : seen });
}

/** What the collector holds, once it holds the decision on somebody who was refused. */
async function exportRecord({ ground, io }: Scene): Promise<string> {
  // Owner: the wait below.
  let record = '';
  const isThere = await waitUntil(
    async () => {
      const { bytes } = await ground.type(['audit', 'tail', '--view', 'records']);
      record = Buffer.from(bytes).toString('utf8');
      return record.includes('"code":"token_revoked"');
    },
    POLL_MS,
    io,
  );
  if (!isThere) throw new Fault('store_failed', 'internal', 'the record of the refusal has not come to the control plane');
  return record;
}

/** It keeps the record, and cannot change it: each sidecar signs its own. */
async function rewrittenRecord({ ground, steps }: Scene, record: string): Promise<void> {
  const lines = record.trimEnd().split('\n');
  const at = lines.findIndex((line) => line.includes('"code":"token_revoked"'));
  const verify = async (name: string, edited: readonly string[]): Promise<string> => {
    writeFileSync(join(ground.dir, name), `${edited.join('\n')}\n`);
    const { exit } = await ground.type(['audit', 'verify', name]);
    return exit === 0 ? 'verified' : 'refused';
  };
  const edited = lines.map((line, index) => (index === at ? line.replace('"code":"token_revoked"', '"code":"token_expired"') : line));
  steps.take({ name: 'the record as it was written', expected: 'verified', seen: await verify('record.ndjson', lines) });
  steps.take({ name: 'the record with another reason', expected: 'refused', seen: await verify('edited.ndjson', edited) });
  steps.take({ name: 'the record without the refusal', expected: 'refused', seen: await verify('cut.ndjson', lines.toSpliced(at, 1)) });
}

function rootOf(home: string): Root {
  const parsed = parseEnvelope('Root', readFileSync(join(home, 'root', '1.json')));
  const read = parsed.ok ? readRoot(parsed.value.payload) : parsed;
  if (read.ok) return read.value;
  throw new Fault('config_invalid', 'internal', `Root 1 does not read: ${read.error.detail}`);
}

function auditKey({ ground }: Scene): LocalSigner {
  return signerFromPem(readFileSync(join(ground.home, 'control-plane', 'audit.pem'), 'utf8'));
}

/** Which of several checks comes first is not promised. */
function withoutCode(verdict: string): string {
  return verdict.replace(/^REJECTED .*$/, 'REJECTED');
}
