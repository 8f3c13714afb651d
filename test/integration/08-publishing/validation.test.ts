import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { versionOf } from '../../support/versions.ts';
import { startWorld, type World } from '../../support/world.ts';
import { deskOf, type Desk } from '../12-command-line/desk.ts';

describe('a bundle is validated before anything is released', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let good: string;
  let versions: number;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    good = versionOf(world, up.url, { number: 1 });
    await world.admin.publish(good);
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });
  beforeEach(async () => {
    versions = (await world.admin.versions()).versions.length;
  });
  const nothingChanged = async (): Promise<void> => {
    expect((await world.admin.versions()).versions).toHaveLength(versions);
  };
  /** The line of the good policy that holds this text. */
  const lineOf = (text: string): number => good.split('\n').findIndex((line) => line.includes(text)) + 1;

  it('[R3.68] rules are tested before they are published: one failing case, and the command says no', async () => {
    desk.write('failing/policy.yaml', good.replace('expect: allow', 'expect: insufficient_scope'));
    const where = `failing/policy.yaml:${lineOf('expect: allow')}: \`orders/get_order\`: expected insufficient_scope, seen allow`;
    const tested = await desk.type('policy', 'test', 'failing');
    expect([tested.exit, tested.out + tested.err]).toEqual([1, expect.stringContaining(where)]);
    const published = await desk.admin('policy', 'publish', 'failing');
    expect([published.exit, published.err]).toEqual([1, expect.stringContaining(where)]);
    await nothingChanged();
  });

  it('[R3.68] and a publisher who does not test, or whose tools do not, is refused by the control plane with the line', async () => {
    const { problems } = await world.admin.submitBundle(good.replace('expect: allow', 'expect: insufficient_scope'));
    expect(problems.map(({ file, line, message }) => [file, line, message.split('\n')[0]])).toEqual([
      ['policy.yaml', lineOf('expect: allow'), '`orders/get_order`: expected insufficient_scope, seen allow'],
    ]);
    await nothingChanged();
  });

  it.each([
    ['a rule that names an unknown tool', 'allow: [orders/get_order]', 'allow: [orders/get_ordr]', /`orders\/get_ordr`/],
    ['a word that no document has', 'effect: read', 'efect: read', /efect/],
    ['a test of a tool that is not there', 'call: orders/get_order,', 'call: orders/lose_order,', /`orders\/lose_order`/],
    ['a role of nobody’s schema', 'effect: read', 'effect: reed', /reed/],
  ])('[R9.21] %s: refused with the line', async (_, text, instead, message) => {
    desk.write('wrong/policy.yaml', good.replace(text, instead));
    const { exit, err } = await desk.admin('policy', 'publish', 'wrong');
    expect(exit).toBe(1);
    const said = err.split('\n').find((line) => message.test(line)) ?? '';
    expect([said, said.startsWith(`wrong/policy.yaml:${lineOf(text)}:`)]).toEqual([said, true]);
    await nothingChanged();
  });

  it('[R9.21] references that were bent after the build are found by the control plane itself', async () => {
    const bent = await world.admin.submitParts(good, (name, part) =>
      name === 'policy' ? part.replaceAll('orders/get_order', 'orders/drop_order') : part,
    );
    expect(bent.problems.length).toBeGreaterThan(0);
    expect(bent.problems.map(({ message }) => message).join('\n')).toContain('orders/drop_order');
    await nothingChanged();
  });
});
