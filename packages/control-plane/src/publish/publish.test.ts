import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  GetHeadsRequestSchema,
  GetObjectRequestSchema,
  ListVersionsRequestSchema,
  MissingPartsRequestSchema,
  Publish,
  PutPartRequestSchema,
  create,
} from '@sallyport/contract';
import { digestOf } from '@sallyport/crypto';
import { PART_NAMES } from '@sallyport/model';
import { describeParts } from '@sallyport/trust';
import { controlPlaneHarness, flipBit, harnessPolicy } from '@sallyport/testkit';
import type { ControlPlaneHarness } from '@sallyport/testkit';

const soon = { deadlineMs: 10_000 };
const never = { signal: new AbortController().signal };
const text = new TextDecoder();

let harness: ControlPlaneHarness;
beforeEach(async () => {
  harness = await controlPlaneHarness();
});
afterEach(async () => harness.close());

async function heads(): Promise<{ revision: bigint; bundle: string }> {
  const publish = await harness.client(Publish, '/admin/alice');
  const answer = await publish.getHeads(create(GetHeadsRequestSchema, { area: 'default', ring: 'default' }), soon);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

/** Signs and submits parts of which one was changed by hand, as no builder would write it. */
async function submitWith(
  name: 'policy' | 'tests' | 'identity',
  edit: (part: Record<string, unknown>) => void,
): ReturnType<ControlPlaneHarness['submit']> {
  const parts = harness.build(harnessPolicy());
  const part = JSON.parse(text.decode(parts[name])) as Record<string, unknown>;
  edit(part);
  const bent = { ...parts, [name]: new TextEncoder().encode(JSON.stringify(part)) };
  return harness.submit(await harness.simulator.publishBundle({ parts: bent }));
}

describe('accepting a bundle', () => {
  test('[R9.01] two bundles become two versions, both retrievable with author, time and digest', async () => {
    const first = await harness.publish(harnessPolicy(1));
    const second = await harness.publish(harnessPolicy(2));
    const publish = await harness.client(Publish, '/admin/alice');
    const listed = await publish.listVersions(create(ListVersionsRequestSchema, { area: 'default', ring: 'default' }), soon);
    expect(
      listed.ok &&
        listed.value.versions.map(({ kind, revision, digest, author, acceptedAtMs }) => ({ kind, revision, digest, author, acceptedAtMs })),
    ).toEqual(
      [second, first].map(({ bundle }, index) => ({
        kind: 'bundle',
        revision: BigInt(2 - index),
        digest: bundle.digest,
        author: 'spiffe://sallyport.test/admin/alice',
        acceptedAtMs: BigInt(harness.clock.wall()),
      })),
    );
    for (const { bundle } of [first, second]) {
      const chunks: Uint8Array[] = [];
      for await (const { data } of publish.getObject(create(GetObjectRequestSchema, { digest: bundle.digest }), never)) chunks.push(data);
      expect(Buffer.concat(chunks).equals(bundle.envelope)).toBe(true);
    }
  });

  test('[R9.20] each publish is a record with who, what, when, and from which version to which', async () => {
    const { bundle: first } = await harness.publish(harnessPolicy(1));
    const { bundle: second } = await harness.publish(harnessPolicy(2));
    expect(await harness.acts()).toMatchObject([
      {
        act: 'publish',
        actor: 'spiffe://sallyport.test/admin/alice',
        object: 'bundle default 1',
        old_digest: null,
        new_digest: first.digest,
        area: 'default',
      },
      {
        act: 'publish',
        actor: 'spiffe://sallyport.test/admin/alice',
        object: 'bundle default 2',
        old_digest: first.digest,
        new_digest: second.digest,
      },
    ]);
  });

  test('the same bundle again changes nothing and records nothing', async () => {
    const { bundle } = await harness.publish();
    expect(await harness.submit(bundle)).toMatchObject({ alreadyHeld: true, digest: bundle.digest, problems: [] });
    expect(await harness.acts()).toHaveLength(1);
  });

  test.each([
    ['one publisher below the threshold', { signers: ['publisher-1'] }, 'REJECTED(SIGNATURE)'],
    ['strangers', { signers: ['mallory-1', 'mallory-2'] }, 'REJECTED(SIGNATURE)'],
    ['release keys', { signers: ['release-1', 'release-2'] }, 'REJECTED(SIGNATURE)'],
  ])('signed by %s it is refused, and nothing is stored', async (_who, bend, code) => {
    const { answer } = await harness.publish(harnessPolicy(), bend);
    expect(answer.problems.map(({ message }) => message).join('; ')).toContain(code);
    expect(await heads()).toMatchObject({ revision: 0n, bundle: '' });
    expect(await harness.acts()).toEqual([]);
  });

  test('wrong area: publishers of one area cannot publish for another', async () => {
    const { answer } = await harness.publish(harnessPolicy(), { edit: (bundle) => ({ ...bundle, area: 'elsewhere' as never }) });
    expect(answer.problems[0]?.message).toContain('REJECTED(AREA)');
  });

  test('an unknown feature is refused rather than half understood', async () => {
    const { answer } = await harness.publish(harnessPolicy(), { edit: (bundle) => ({ ...bundle, features: ['rule.telepathy'] }) });
    expect(answer.problems[0]?.message).toContain('REJECTED(MIN_VERSION)');
  });

  test('a tampered part: other bytes than were signed do not become the bundle', async () => {
    const bundle = await harness.simulator.publishBundle({ parts: harness.build(harnessPolicy()) });
    const parts = { ...bundle.parts, policy: flipBit(bundle.parts.policy, 10) };
    expect((await harness.submit({ ...bundle, parts })).problems[0]?.message).toContain('part `policy` is missing');
  });

  test('a part sent under another part’s digest is not stored', async () => {
    const publish = await harness.client(Publish, '/admin/alice');
    const honest = new TextEncoder().encode('{"honest":true}');
    const { out, response } = publish.putPart(soon);
    out.write(create(PutPartRequestSchema, { digest: digestOf(honest), data: flipBit(honest, 2) }));
    out.end();
    expect(await response).toMatchObject({ ok: false, error: { code: 'invalid_argument' } });
    const missing = await publish.missingParts(create(MissingPartsRequestSchema, { digests: [digestOf(honest)] }), soon);
    expect(missing).toMatchObject({ ok: true, value: { digests: [digestOf(honest)] } });
  });

  test('endless data: a part beyond the bound is cut off, not kept', async () => {
    const publish = await harness.client(Publish, '/admin/alice');
    const { out, response } = publish.putPart(soon);
    const piece = new Uint8Array(900_000);
    for (let sent = 0; sent < 6; sent++) {
      out.write(create(PutPartRequestSchema, { digest: digestOf(piece), data: piece }));
      await out.drained();
    }
    out.end();
    expect(await response).toMatchObject({ ok: false, error: { code: 'invalid_argument' } });
  });

  test('[R9.21] a rule that names an unknown tool is refused with its file and line', async () => {
    const answer = await submitWith('policy', (part) => {
      const [rule] = part['rules'] as { allow: string[] }[];
      rule?.allow.splice(0, 1, 'orders/get_everything');
    });
    expect(answer.digest).toBe('');
    expect(answer.problems).toContainEqual(
      expect.objectContaining({ file: 'policy/orders.yaml', message: expect.stringContaining('orders/get_everything') as string }),
    );
    expect(answer.problems.find(({ file }) => file !== '')?.line).toBe(22);
    expect(await heads()).toMatchObject({ revision: 0n });
  });

  test('[R9.21] a policy whose own tests fail is refused with the line of the case', async () => {
    const files = harnessPolicy().map((file) => ({
      ...file,
      text: file.text.replace('args: { order_id: O-1 }, expect: allow', 'args: { order_id: O-1 }, expect: no_matching_policy'),
    }));
    const { answer } = await harness.publish(files);
    expect(answer.problems).toMatchObject([{ file: 'policy/orders.yaml', line: 27 }]);
    expect(answer.problems[0]?.message).toContain('no_matching_policy');
    expect(await heads()).toMatchObject({ revision: 0n });
  });

  test('an unknown word in a part is refused, not skipped', async () => {
    const answer = await submitWith('identity', (part) => {
      part['backdoor'] = true;
    });
    expect(answer.problems.map(({ message }) => message).join('; ')).toContain('backdoor');
  });

  test('a revision that does not rise is refused, whoever signed it', async () => {
    await harness.publish(harnessPolicy(1));
    const { answer } = await harness.publish(harnessPolicy(2), { edit: (bundle) => ({ ...bundle, revision: 1 as never }) });
    expect(answer.problems).toMatchObject([{ path: 'revision_conflict' }]);
    expect(await heads()).toMatchObject({ revision: 1n });
  });

  test('two publishers at once with one revision: exactly one wins, and the other is told', async () => {
    const bundles = await Promise.all(
      [1, 2].map(async (version) => {
        const parts = harness.build(harnessPolicy(version));
        return harness.simulator.publishBundle({
          parts,
          edit: (bundle) => ({ ...bundle, revision: 1 as never, parts: describeParts(parts) }),
        });
      }),
    );
    const answers = await Promise.all(bundles.map(async (bundle) => harness.submit(bundle)));
    expect(answers.filter(({ digest }) => digest !== '')).toHaveLength(1);
    expect(answers.find(({ digest }) => digest === '')?.problems).toMatchObject([{ path: 'revision_conflict' }]);
    expect(await harness.acts()).toHaveLength(1);
  });
});

describe('what is stored', () => {
  const objectFiles = (): string[] =>
    readdirSync(join(harness.directory, 'state', 'objects')).map((name) => join(harness.directory, 'state', 'objects', name));

  test('[R9.19] a stored part edited on disk is reported and not served, and publishing it again mends it', async () => {
    const { bundle } = await harness.publish();
    const digest = digestOf(bundle.parts.policy);
    const path = objectFiles().find((file) => file.endsWith(digest.slice('sha256:'.length))) ?? '';
    writeFileSync(path, flipBit(readFileSync(path), 5));
    const publish = await harness.client(Publish, '/admin/alice');
    const object = publish.getObject(create(GetObjectRequestSchema, { digest }), never);
    expect((await object[Symbol.asyncIterator]().next()).done).toBe(true);
    expect(await object.status).toMatchObject({ code: 'data_loss' });
    expect(harness.log.some((line) => line.includes('OBJECT_EDITED') && line.includes(digest))).toBe(true);
    expect(await publish.missingParts(create(MissingPartsRequestSchema, { digests: [digest] }), soon)).toMatchObject({
      value: { digests: [digest] },
    });
    await harness.submit(bundle);
    expect(await publish.missingParts(create(MissingPartsRequestSchema, { digests: [digest] }), soon)).toMatchObject({
      value: { digests: [] },
    });
  });

  test('a bundle whose envelope was edited on disk cannot be released', async () => {
    const { bundle } = await harness.publish();
    for (const path of objectFiles()) if (readFileSync(path).equals(bundle.envelope)) writeFileSync(path, flipBit(readFileSync(path), 40));
    const { answer } = await harness.release(bundle);
    expect(answer).toMatchObject({ refusal: 'release_rejected' });
    expect(answer.detail).toContain('edited on disk');
  });

  test('versions, parts and heads are there after a restart', async () => {
    const { bundle } = await harness.publish();
    await harness.release(bundle);
    await harness.restart();
    expect(await heads()).toMatchObject({ revision: 1n, bundle: bundle.digest, releaseSeq: 1n });
    const publish = await harness.client(Publish, '/admin/alice');
    const digests = PART_NAMES.map((name) => digestOf(bundle.parts[name]));
    expect(await publish.missingParts(create(MissingPartsRequestSchema, { digests }), soon)).toMatchObject({ value: { digests: [] } });
    expect(await harness.acts()).toHaveLength(2);
  });

  test('an unknown digest is not found, and a word that is none is refused', async () => {
    const publish = await harness.client(Publish, '/admin/alice');
    for (const [digest, code] of [
      [`sha256:${'0'.repeat(64)}`, 'not_found'],
      ['../../ca.pem', 'invalid_argument'],
    ] as const) {
      const object = publish.getObject(create(GetObjectRequestSchema, { digest }), never);
      expect((await object[Symbol.asyncIterator]().next()).done).toBe(true);
      expect(await object.status).toMatchObject({ code });
    }
  });
});
