/** Every rule about text finds its bad sample, and the good one beside it passes. */

import { expect, test } from 'vitest';
import { checkText, RULES } from './text.ts';

const found = (path: string, text: string): readonly string[] => checkText([{ path, text }]).map(({ what }) => what);

/** What is found, where it stands, and the same thing said rightly. Samples are whole lines. */
const SAMPLES: readonly (readonly [what: string, path: string, bad: string, good: string])[] = [
  ['FIXME', 'packages/net/src/a.ts', '// FIXME: leaks', '// The socket is closed by drain().'],
  ['TODO without an issue number', 'packages/net/src/a.ts', '// TODO: close', '// TODO(#12): close'],
  ['module mocking', 'packages/net/src/a.test.ts', "vi.mock('./dial.ts');", 'const port = fakePort();'],
  ['export *', 'packages/net/src/index.ts', "export * from './dial.ts';", "export { dial } from './dial.ts';"],
  ['export default', 'packages/net/src/a.ts', 'export default dial;', 'export { dial };'],
  ['enum', 'packages/net/src/a.ts', 'export const enum State { open }', "export type State = 'open';"],
  ['as any', 'packages/net/src/a.ts', 'const x = y as any;', 'const x: unknown = y;'],
  ['the wall clock', 'packages/net/src/a.ts', 'const now = Date.now();', 'const now = clock.wall();'],
  ['the wall clock', 'packages/net/src/a.ts', 'const now = new Date();', 'const now = new Date(0);'],
  ['a recursive mkdir', 'packages/net/src/a.ts', 'mkdirSync(path, { recursive: true });', 'makeFolders(path, 0o700);'],
  ['Math.random', 'packages/net/src/a.ts', 'const jitter = Math.random();', 'const jitter = random.bytes(8);'],
  ['process.env', 'packages/net/src/a.ts', "const host = process.env['HOST'];", 'const host = config.host;'],
  ['a timer of its own', 'packages/net/src/a.ts', 'setTimeout(retry, 100);', 'clock.timer(100, retry, { signal });'],
  ['global fetch', 'packages/net/src/a.ts', 'await fetch(url);', 'await dialler.fetch(url);'],
  ['a library that the sidecar may not carry', 'packages/net/src/a.ts', "import * as z from 'zod';", "import * as z from 'zod/mini';"],
  ['an import of the own index', 'packages/net/src/a.ts', "import { dial } from './index.ts';", "import { dial } from './dial.ts';"],
  [
    'a lint rule switched off without a reason',
    'packages/net/src/a.ts',
    '// oxlint-disable-next-line no-control-regex',
    '// oxlint-disable-next-line no-control-regex -- control characters are what it looks for',
  ],
  ['the compiler switched off', 'packages/net/src/a.ts', '// @ts-ignore', '// @ts-expect-error a string is no Revision'],
  ['a test that keeps the others from running', 'packages/net/src/a.test.ts', "test.only('x', run);", "test('x', run);"],
  ['a skipped test without an issue number', 'packages/net/src/a.test.ts', "test.skip('x', run);", "test.skip('x (#12)', run);"],
  ['a requirement row on a test that must fail', 'test/faults/a.test.ts', "test.fails('[R9.08] x', run);", "test.fails('x', run);"],
  ['a path of one machine', 'docs/guide.md', 'Open /home/alice/sallyport.', 'Open `docs/home/index.md`.'],
  ['a path of one machine', 'scripts/a.ts', "const root = '/home/dev/sallyport';", 'const root = import.meta.dirname;'],
  ['the address of a package registry', 'package-lock.json', '"resolved": "https://host/x.tgz"', '"resolved": "packages/net"'],
];

test.each(SAMPLES)('%s, in %s', (what, path, bad, good) => {
  expect(found(path, bad)).toEqual([what]);
  expect(found(path, good)).toEqual([]);
});

test('no rule is without a bad sample', () => {
  expect(RULES.map(({ what }) => what).filter((what) => !SAMPLES.some(([sampled]) => sampled === what))).toEqual([]);
});

test.each([
  ['the clock itself', 'packages/runtime/src/clock.ts', 'const now = Date.now();'],
  ['the environment in runtime', 'packages/runtime/src/environment.ts', 'const all = process.env;'],
  ['a default export of a tool configuration', 'vitest.config.ts', 'export default defineConfig({});'],
  ['a comment that names what it avoids', 'packages/net/src/a.ts', ' * Never Date.now(): the port is asked.'],
  ['a fake clock set by the real one', 'packages/net/src/a.test.ts', 'const clock = fakeClock({ wall: Date.now() });'],
  ['a method of the name', 'packages/net/src/a.ts', '  fetch(digest: Digest): Promise<Part>;'],
  ['a timer in a test', 'packages/net/src/a.test.ts', 'setTimeout(reject, 1000);'],
  ['generated code', 'packages/contract/src/gen/a_pb.ts', 'export enum State { open }'],
  ['a parameter of the name', 'packages/net/src/a.ts', 'async take({ envelope, fetch }: Candidate) {\n  await fetch(missing);'],
  ['a method that happens to have the name', 'packages/net/src/a.ts', 'this.setTimeout(5); cache.fetch(key);'],
])('%s is not found fault with', (_, path, text) => {
  expect(found(path, text)).toEqual([]);
});

test('a finding names file and line, the reason and the way out', () => {
  const [finding] = checkText([{ path: 'packages/net/src/a.ts', text: 'const a = 1;\nconst b = a as any;\n' }]);
  expect(finding).toMatchObject({
    where: 'packages/net/src/a.ts:2',
    why: expect.stringContaining('compiler'),
    instead: expect.any(String),
  });
});
