/** Text that may not stand in the tree, each with the reason and what to write instead. */

import { type Check, isComment, isGenerated, isProduct, isTest, linesOf } from './finding.ts';

interface Rule {
  readonly what: string;
  readonly pattern: RegExp;
  readonly why: string;
  readonly instead: string;
  readonly applies: (path: string) => boolean;
  /** Code rules pass over comment lines; the others read everything. */
  readonly isCode: boolean;
  /** A file that has this means something else by the same words. */
  readonly unless?: RegExp;
}

const isSource = (path: string): boolean => /\.(ts|mjs)$/.test(path) && !isGenerated(path) && !isTidy(path);
/** This folder and its samples must be able to name what they look for. */
const isTidy = (path: string): boolean => path.startsWith('test/tidy/');
const isJudgedTest = (path: string): boolean => isTest(path) && !isTidy(path);
/** The verifier is a library in another's process: there is no composition root to hand it a Clock, only a default. */
const isClock = (path: string): boolean => path === 'packages/runtime/src/clock.ts' || path === 'packages/verifier/src/now.ts';
/** Tests may set a fake clock by the real one: OpenSSL reads that whatever we do, and judges certificates by it. */
const isTestSide = (path: string): boolean => isTest(path) || path.startsWith('packages/testkit/') || path.startsWith('test/');
const isConfig = (path: string): boolean => path.endsWith('.config.ts');
const inRuntime = (path: string): boolean => path.startsWith('packages/runtime/');
/** An issue number beside an unfinished mark is what makes it a plan. */
const NUMBER = String.raw`\(#\d+\)`;

export const RULES: readonly Rule[] = [
  {
    what: 'FIXME',
    pattern: /\bFIXME\b/,
    why: 'a known fault is mended or recorded, never merged as a note',
    instead: 'mend it, or open an issue and write TODO(#n)',
    applies: isSource,
    isCode: false,
  },
  {
    what: 'TODO without an issue number',
    pattern: new RegExp(String.raw`\bTODO\b(?!${NUMBER})`),
    why: 'nobody finds an unnumbered plan again',
    instead: 'TODO(#n), or do it now',
    applies: isSource,
    isCode: false,
  },
  {
    what: 'module mocking',
    pattern: /\bvi\.(mock|doMock|hoisted|spyOn|stubGlobal)\(/,
    why: 'a mock proves that the code calls what the test thinks it calls, and nothing else',
    instead: 'a fake behind a port, in packages/testkit',
    applies: isSource,
    isCode: true,
  },
  {
    what: 'export *',
    pattern: /\bexport \*/,
    why: 'the index is the list of what a package promises; a star promises everything',
    instead: 'export by name',
    applies: isSource,
    isCode: true,
  },
  {
    what: 'export default',
    pattern: /\bexport default\b/,
    why: 'a thing has one name, the same where it is made and where it is used',
    instead: 'a named export',
    applies: (path) => isSource(path) && !isConfig(path),
    isCode: true,
  },
  {
    what: 'enum',
    pattern: /^\s*(export\s+)?(declare\s+)?(const\s+)?enum\s+\w/,
    why: 'Node runs our sources by stripping types, and an enum needs a transform',
    instead: 'a union of literals, or a constant list with a derived type',
    applies: isSource,
    isCode: true,
  },
  {
    what: 'as any',
    pattern: /\bas any(?!\s+\w)/,
    why: 'it switches the compiler off just where something unexpected arrives',
    instead: 'parse it, or narrow from unknown',
    applies: isSource,
    isCode: true,
  },
  {
    what: 'the wall clock',
    pattern: /\bDate\.now\(|\bnew Date\(\)/,
    why: 'freshness, expiry and tests hang on one clock that can be held',
    instead: 'take `now: Instant` as an argument, or ask the Clock port',
    applies: (path) => isSource(path) && !isClock(path) && !isTestSide(path),
    isCode: true,
  },
  {
    what: 'a recursive mkdir',
    pattern: /\bmkdir(Sync)?\(.*\brecursive: true/,
    why: 'Node repeats it for ever where a file system answers "no such file" below a folder that is there, and hears no signal',
    instead: '`makeFolders` of @sallyport/runtime',
    applies: isProduct,
    isCode: true,
  },
  {
    what: 'Math.random',
    pattern: /\bMath\.random\(/,
    why: 'it is neither secret nor repeatable',
    instead: 'the Random port of runtime',
    applies: isSource,
    isCode: true,
  },
  {
    what: 'process.env',
    pattern: /\bprocess\.env\b/,
    why: 'a setting that is not in the configuration schema is documented and validated by nobody',
    instead: 'a key of the config schema; runtime reads the environment',
    applies: (path) => isProduct(path) && !inRuntime(path),
    isCode: true,
  },
  {
    what: 'a timer of its own',
    pattern: /(?<![.\w])set(Timeout|Interval)\(/,
    why: 'a timer that no Clock owns cannot be held by a test or ended by drain()',
    instead: 'clock.timer(ms, fn, { signal })',
    applies: (path) => isProduct(path) && !isClock(path),
    isCode: true,
  },
  {
    what: 'global fetch',
    pattern: /(await|return|=|=>)\s+fetch\(|\bglobalThis\.fetch\b/,
    why: 'it follows redirects, resolves names again after the check and costs the sidecar 18 MB',
    instead: 'dial through @sallyport/net',
    applies: isProduct,
    isCode: true,
    // A parameter or member of that name; the linter, which knows scopes, still sees the global one.
    unless: /[{(,]\s*fetch\s*[,:})]/,
  },
  {
    what: 'a library that the sidecar may not carry',
    pattern: /from '(zod|ajv|prom-client|undici|@opentelemetry\/[^']+)'/,
    why: 'each costs 10 MB or more of memory, for every agent of the fleet',
    instead: '`zod/mini`, node:http, our own metrics text (DEPENDENCY_POLICY.md)',
    applies: isProduct,
    isCode: true,
  },
  {
    what: 'an import of the own index',
    pattern: /from '(\.\.?\/)+index\.ts'/,
    why: 'inside a package the file says more than the index, and an index import makes cycles',
    instead: 'import the file',
    applies: isProduct,
    isCode: true,
  },
  {
    what: 'a lint rule switched off without a reason',
    pattern: /\b(oxlint|eslint)-disable(?!.*--\s*\S)/,
    why: 'the next reader cannot tell a considered exception from a hurried one',
    instead: '`oxlint-disable-next-line rule -- reason`',
    applies: isSource,
    isCode: false,
  },
  {
    what: 'the compiler switched off',
    pattern: /@ts-(ignore|nocheck)|@ts-expect-error\s*$/,
    why: 'it hides every later error on the line as well',
    instead: 'mend the type; in a test of types, `@ts-expect-error reason`',
    applies: isSource,
    isCode: false,
  },
  {
    what: 'a test that keeps the others from running',
    pattern: /\b(test|it|describe)\.only\(/,
    why: 'the run is green because nothing else ran',
    instead: 'take it out before committing',
    applies: isJudgedTest,
    isCode: true,
  },
  {
    what: 'a skipped test without an issue number',
    pattern: /\b(test|it|describe)\.(skip|todo)\((?!.*#\d+)/,
    why: 'a test that never runs is a claim without proof',
    instead: 'name the issue (#n) on the line, or `needs(engine)` of test/engines.ts',
    applies: isJudgedTest,
    isCode: true,
  },
  {
    what: 'a requirement row on a test that must fail',
    pattern: /\.fails\(.*\[R\d/,
    why: 'a known wrong behaviour would count as proof of the row',
    instead: 'take the id out of the title',
    applies: isJudgedTest,
    isCode: true,
  },
  {
    what: 'a path of one machine',
    pattern: /(?<![\w.$}-])\/(home|Users|root|work)\/\w/,
    why: 'the repository must work from any folder and on any machine',
    instead: 'a path relative to the file, or a temporary directory',
    applies: (path) => !isTidy(path) && path !== 'package-lock.json',
    isCode: false,
  },
  {
    what: 'the address of a package registry',
    pattern: /registry\.(npmjs\.org|yarnpkg\.com|npmmirror\.com)|"resolved":\s*"https?:/,
    why: 'it sends every clone to one host, past the registry that its owner configured',
    instead: 'leave it to npm: `omit-lockfile-registry-resolved` in .npmrc, then npm install',
    applies: (path) => !isTidy(path),
    isCode: false,
  },
];

/** Every rule over every line it applies to. */
export const checkText: Check = (files) =>
  files.flatMap(({ path, text }) => {
    const rules = RULES.filter((rule) => rule.applies(path) && rule.unless?.test(text) !== true);
    return linesOf(text).flatMap(({ line, number }) =>
      rules
        .filter((rule) => rule.pattern.test(line) && !(rule.isCode && isComment(line)))
        .map(({ what, why, instead }) => ({ where: `${path}:${number}`, what, why, instead })),
    );
  });
