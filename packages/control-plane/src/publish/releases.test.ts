import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  GetHeadsRequestSchema,
  ListVersionsRequestSchema,
  Publish,
  RevokeRequestSchema,
  SubmitReleaseRequestSchema,
  create,
} from '@sallyport/contract';
import type { SubmitReleaseResponse } from '@sallyport/contract';
import type { ReleaseSeq } from '@sallyport/model';
import type { Release } from '@sallyport/trust';
import { controlPlaneHarness, harnessPolicy, policyStream } from '@sallyport/testkit';
import type { Bend, ControlPlaneHarness, PolicyStream, PublishedBundle } from '@sallyport/testkit';

const soon = { deadlineMs: 20_000 };

let harness: ControlPlaneHarness;
const streams: PolicyStream[] = [];
beforeEach(async () => {
  harness = await controlPlaneHarness();
});
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await harness.close();
});

async function bundles(count: number): Promise<readonly PublishedBundle[]> {
  const published: PublishedBundle[] = [];
  for (let version = 1; version <= count; version++) published.push((await harness.publish(harnessPolicy(version))).bundle);
  return published;
}

/** Signs a release with this number, whatever the simulator's own count says. */
function numbered(releaseSeq: number, bend: Partial<Release> = {}, signers?: readonly string[]): Bend<Release> {
  const edit = (release: Release): Release => ({ ...release, releaseSeq: releaseSeq as ReleaseSeq, ...bend });
  return signers === undefined ? { edit } : { edit, signers };
}

async function connected(instance: string): Promise<PolicyStream> {
  const stream = policyStream((await harness.enrol({ instance })).channel);
  streams.push(stream);
  stream.hello();
  await stream.next('liveProof');
  return stream;
}

const refused = ({ answer }: { answer: SubmitReleaseResponse }): string => answer.refusal;

describe('accepting a release', () => {
  test('going back is a new release with a higher number that names the old bundle, with its author', async () => {
    const [first, second] = await bundles(2);
    await harness.release(first as PublishedBundle);
    await harness.release(second as PublishedBundle);
    const back = await harness.release(
      first as PublishedBundle,
      numbered(3, { rollback: true, reason: 'refunds fail' }, ['release-1', 'release-2']),
    );
    expect(back.answer).toMatchObject({ refusal: '', releaseSeq: 3n });
    const publish = await harness.client(Publish, '/admin/alice');
    const listed = await publish.listVersions(create(ListVersionsRequestSchema, { area: 'default', ring: 'default' }), soon);
    expect(listed.ok && listed.value.versions.find(({ kind }) => kind === 'release')).toMatchObject({
      releaseSeq: 3n,
      rollback: true,
      reason: 'refunds fail',
      bundles: [first?.digest],
      author: 'spiffe://sallyport.test/admin/alice',
    });
  });

  test.each([
    ['a lower number', numbered(1), 'bundle_rollback_refused'],
    ['a lower revision that does not say so', numbered(3), 'bundle_rollback_refused'],
    ['a return under one key', numbered(3, { rollback: true, reason: 'why not' }, ['release-1']), 'bundle_rollback_refused'],
    ['a return without a reason', numbered(3, { rollback: true }, ['release-1', 'release-2']), 'bundle_rollback_refused'],
    ['a number that is taken', numbered(2), 'release_conflict'],
    ['a number ahead of its turn', numbered(9, { rollback: true, reason: 'x' }, ['release-1', 'release-2']), 'release_conflict'],
  ])('rollback: %s is refused, and the head stays', async (_what, bend, refusal) => {
    const [first, second] = await bundles(2);
    await harness.release(first as PublishedBundle);
    await harness.release(second as PublishedBundle);
    const signed = await harness.release(first as PublishedBundle, bend);
    expect(refused(signed)).toBe(refusal);
    const publish = await harness.client(Publish, '/admin/alice');
    expect(await publish.getHeads(create(GetHeadsRequestSchema, { area: 'default', ring: 'default' }), soon)).toMatchObject({
      value: { releaseSeq: 2n },
    });
  });

  test('a release that went back does not let the next one forget what was highest', async () => {
    const [first, second] = await bundles(2);
    await harness.release(first as PublishedBundle);
    await harness.release(second as PublishedBundle);
    await harness.release(first as PublishedBundle, numbered(3, { rollback: true, reason: 'x' }, ['release-1', 'release-2']));
    expect(refused(await harness.release(first as PublishedBundle, numbered(4)))).toBe('bundle_rollback_refused');
  });

  test.each([
    ['publishers', ['publisher-1', 'publisher-2']],
    ['a stranger', ['mallory']],
    ['nobody of the role', ['root-1', 'root-2', 'registrar-1']],
  ])('signed by %s it is refused', async (_who, signers) => {
    const [bundle] = await bundles(1);
    expect((await harness.release(bundle as PublishedBundle, { signers })).answer).toMatchObject({
      refusal: 'release_rejected',
      detail: expect.stringContaining('SIGNATURE') as string,
    });
  });

  test('mix-and-match: it can only name bundles that are held here, as they are', async () => {
    const [bundle] = await bundles(1);
    const wrong = (edit: Partial<Release['bundles'][number]>): Bend<Release> => ({
      edit: (release) => ({ ...release, bundles: release.bundles.map((named) => ({ ...named, ...edit })) }),
    });
    const unknown = `sha256:${'0'.repeat(64)}` as never;
    expect((await harness.release(bundle as PublishedBundle, wrong({ digest: unknown }))).answer.detail).toContain('DIGEST');
    expect((await harness.release(bundle as PublishedBundle, wrong({ revision: 7 as never }))).answer.detail).toContain('DIGEST');
  });

  test('a revoked bundle cannot be released', async () => {
    const [bundle] = await bundles(1);
    const publish = await harness.client(Publish, '/admin/alice');
    const revoked = await publish.revoke(
      create(RevokeRequestSchema, { selector: 'bundle', value: bundle?.digest ?? '', reason: 'leaks' }),
      soon,
    );
    expect(revoked).toMatchObject({ ok: true, value: { seq: 1n } });
    expect(refused(await harness.release(bundle as PublishedBundle))).toBe('bundle_revoked');
  });

  test('signing everybody out does not stop releases', async () => {
    const [bundle] = await bundles(1);
    const publish = await harness.client(Publish, '/admin/alice');
    const everything = { selector: 'everything', value: '*', beforeMs: BigInt(harness.clock.wall()), reason: 'breach' };
    expect(await publish.revoke(create(RevokeRequestSchema, everything), soon)).toMatchObject({ ok: true });
    expect(refused(await harness.release(bundle as PublishedBundle))).toBe('');
  });

  test('a release that stretches freshness beyond what Root allows is refused', async () => {
    const [bundle] = await bundles(1);
    const stretched = await harness.release(bundle as PublishedBundle, {
      edit: (release) => ({ ...release, freshnessTtlMsMax: 86_400_000 }),
    });
    expect(stretched.answer.detail).toContain('ROOT');
  });

  test('the same release again changes nothing', async () => {
    const [bundle] = await bundles(1);
    const { release } = await harness.release(bundle as PublishedBundle);
    const publish = await harness.client(Publish, '/admin/alice');
    const again = await publish.submitRelease(create(SubmitReleaseRequestSchema, { envelope: release.envelope }), soon);
    expect(again).toMatchObject({ ok: true, value: { refusal: '', digest: release.digest, releaseSeq: 1n } });
  });

  test('two publishers at once with one number: exactly one wins, and the other is told', async () => {
    const [first, second] = await bundles(2);
    const releases = await Promise.all(
      [first, second].map(async (bundle) => harness.simulator.publishRelease(bundle as PublishedBundle, numbered(1))),
    );
    const publish = await harness.client(Publish, '/admin/alice');
    const answers = await Promise.all(
      releases.map(async ({ envelope }) => publish.submitRelease(create(SubmitReleaseRequestSchema, { envelope }), soon)),
    );
    const refusals = answers.map((answer) => (answer.ok ? answer.value.refusal : answer.error.code));
    expect(refusals.toSorted()).toEqual(['', 'release_conflict']);
  });
});

describe('nobody is left behind', () => {
  test('a release waits for a connected sidecar to stage it, and is refused by name when it does not', async () => {
    const [bundle] = await bundles(1);
    await connected('slow');
    const submitting = harness.release(bundle as PublishedBundle);
    await harness.passTime(submitting);
    expect((await submitting).answer).toMatchObject({
      refusal: 'not_staged',
      notStaged: ['spiffe://sallyport.test/sidecar/support-triage/slow'],
    });
  });

  test('it goes on as soon as the last one has staged it', async () => {
    const [bundle] = await bundles(1);
    const [one, two] = [await connected('one'), await connected('two')];
    one.obey();
    const submitting = harness.release(bundle as PublishedBundle);
    two.obey();
    expect((await submitting).answer).toMatchObject({ refusal: '', notStaged: [] });
  });

  test('a sidecar that refuses the bundle is named at once', async () => {
    const [bundle] = await bundles(1);
    const stream = await connected('picky');
    await stream.next('bundle');
    stream.answer('REJECTED', { code: 'SELFTEST', detail: 'another answer here' });
    expect((await harness.release(bundle as PublishedBundle)).answer).toMatchObject({
      refusal: 'not_staged',
      notStaged: [expect.stringContaining('picky') as string],
    });
  });

  test('`leave_behind` releases without them, and says whom', async () => {
    const [bundle] = await bundles(1);
    await connected('slow');
    const { answer } = await harness.release(bundle as PublishedBundle, { leaveBehind: true });
    expect(answer).toMatchObject({ refusal: '', releaseSeq: 1n, notStaged: [expect.stringContaining('slow') as string] });
  });

  test('an older bundle is offered for staging by the release that wants to go back to it', async () => {
    const [first, second] = await bundles(2);
    await harness.release(first as PublishedBundle);
    await harness.release(second as PublishedBundle);
    const stream = await connected('new');
    stream.obey();
    const back = await harness.release(first as PublishedBundle, numbered(3, { rollback: true, reason: 'x' }, ['release-1', 'release-2']));
    expect(back.answer).toMatchObject({ refusal: '', releaseSeq: 3n });
  });

  test('sidecars of another ring are not waited for', async () => {
    const [bundle] = await bundles(1);
    const other = policyStream((await harness.enrol({ instance: 'other', ring: 'canary' })).channel);
    streams.push(other);
    other.hello();
    await other.next('liveProof');
    expect((await harness.release(bundle as PublishedBundle)).answer.refusal).toBe('');
  });
});
