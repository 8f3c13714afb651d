/**
 * Which package may import which. The table is the architecture in a form that a machine can hold up: package.json
 * dependencies, tsconfig references and import statements must all equal it. ARCHITECTURE.md tells it in words.
 */

import { type Check, type Finding, isGenerated, isTest, linesOf, type SourceFile } from './finding.ts';

type Layer = 'PURE' | 'LEAF' | 'GEN' | 'SHELL' | 'LIB' | 'APP' | 'TEST';

interface Place {
  readonly layer: Layer;
  readonly may: readonly string[];
}

/** Everything an app may use; apps do not use each other. */
const BELOW_APPS = [
  'audit',
  'contract',
  'credentials',
  'crypto',
  'dialects',
  'identity',
  'model',
  'net',
  'policy',
  'runtime',
  'store',
  'strict',
  'telemetry',
  'trust',
] as const;

export const ARROWS: Readonly<Record<string, Place>> = {
  model: { layer: 'PURE', may: [] },
  crypto: { layer: 'LEAF', may: [] },
  contract: { layer: 'GEN', may: [] },
  strict: { layer: 'PURE', may: ['crypto', 'model'] },
  dialects: { layer: 'PURE', may: ['model', 'strict'] },
  policy: { layer: 'PURE', may: ['crypto', 'model', 'strict'] },
  trust: { layer: 'PURE', may: ['crypto', 'model', 'strict'] },
  audit: { layer: 'PURE', may: ['crypto', 'model', 'strict'] },
  identity: { layer: 'PURE', may: ['crypto', 'model', 'strict'] },
  runtime: { layer: 'SHELL', may: ['model'] },
  net: { layer: 'SHELL', may: ['contract', 'crypto', 'model', 'runtime', 'strict'] },
  store: { layer: 'SHELL', may: ['crypto', 'model', 'runtime'] },
  telemetry: { layer: 'SHELL', may: ['model', 'runtime'] },
  credentials: { layer: 'SHELL', may: ['crypto', 'identity', 'model', 'net', 'runtime', 'strict'] },
  // What a tool's owner installs: it judges, and holds no key.
  verifier: { layer: 'LIB', may: ['crypto', 'identity', 'model', 'strict'] },
  sidecar: { layer: 'APP', may: BELOW_APPS },
  'control-plane': { layer: 'APP', may: BELOW_APPS },
  cli: { layer: 'APP', may: [...BELOW_APPS, 'control-plane', 'sidecar'].toSorted() },
  testkit: { layer: 'TEST', may: [...BELOW_APPS, 'cli', 'control-plane', 'sidecar'].toSorted() },
};

/** Entry points besides the package's own name, and the layers that may use them. */
const ENTRIES: Readonly<Record<string, { readonly layers: readonly Layer[]; readonly why: string }>> = {
  'crypto/keys': {
    layers: ['SHELL', 'APP', 'TEST'],
    why: 'private keys and randomness belong to shells and apps; a pure package that signs cannot be replayed',
  },
  'policy/editor': {
    layers: ['APP', 'TEST'],
    why: 'words for editors and for a reference page serve whoever writes policy; what decides calls must not carry them',
  },
  'policy/lab': {
    layers: ['APP', 'TEST'],
    why: 'the lab compares policies on a desk; what decides calls must not carry it',
  },
  'cli/mcp-servers': {
    layers: ['TEST'],
    why: 'the tool servers of the demo serve tests as well; whatever else the command knows stays behind it',
  },
};

/** Why an arrow that the table lacks is not there; the first sentence that fits is the one to read. */
const REASONS: readonly { readonly fits: (from: string, to: string) => boolean; readonly why: string }[] = [
  {
    fits: (from, to) => isPair(from, to, 'sidecar', 'control-plane'),
    why: 'the two apps fail apart and are released apart; what they share is a message in proto/, a pure package or a shell',
  },
  { fits: (_, to) => to === 'cli', why: 'the command stands on top; what it knows and others need belongs in a package below' },
  {
    fits: (_, to) => layerOf(to) === 'APP',
    why: 'an app is composed and run, not used; the cli alone starts apps, each by one lazy import',
  },
  {
    fits: (from, to) => from === 'verifier' || to === 'verifier',
    why: 'the verifier is installed beside tools: it carries what judging an assertion takes, and the product does not verify its own',
  },
  { fits: (_, to) => to === 'testkit', why: 'fakes and attack tools must not be reachable from code that ships' },
  { fits: (from) => from === 'model', why: 'model names things for everyone, so it can depend on nobody' },
  { fits: (from) => from === 'crypto', why: 'crypto is a leaf, so that anyone may verify and its browser build stays small' },
  {
    fits: (from) => from === 'contract',
    why: 'generated code knows the wire alone; wire.ts of the user turns messages into domain values',
  },
  {
    fits: (from, to) => layerOf(from) === 'PURE' && layerOf(to) !== 'PURE' && to !== 'crypto',
    why: 'a pure package does no I/O and decodes no wire; ask for a fact as an argument, or for a port',
  },
  {
    fits: (from, to) => layerOf(from) === 'PURE' && layerOf(to) === 'PURE',
    why: 'policy, trust, audit and identity are proven apart; an app puts them together',
  },
  {
    fits: (from) => layerOf(from) === 'SHELL',
    why: 'shells stay thin: an arrow between them, or to a judging package, moves decisions out of sight',
  },
];

const FALLBACK = 'an arrow is added in the table, in tsconfig and in package.json at once, with an ADR that says why';

/** Import statements of packages against the table. */
export const checkImports: Check = (files) => files.filter(isJudged).flatMap((file) => importsOf(file).flatMap((one) => judge(file, one)));

/** package.json dependencies and tsconfig references of each package against the table. */
export const checkDeclarations: Check = (files) =>
  files.flatMap(({ path, text }) => {
    const [, name = '', file = ''] = /^packages\/([^/]+)\/(package\.json|tsconfig\.json)$/.exec(path) ?? [];
    if (file === '') return [];
    const place = ARROWS[name];
    if (place === undefined) return [unknownPackage(path, name)];
    const declared = file === 'package.json' ? dependenciesOf(text) : referencesOf(text);
    return [...difference(path, name, declared, place.may), ...(file === 'tsconfig.json' ? pureTypes(path, place, text) : [])];
  });

interface Import {
  readonly specifier: string;
  readonly number: number;
  readonly kind: 'static' | 'type' | 'dynamic';
}

/** Every import and re-export of a file. Statements may span lines; the line of the `from` is reported. */
function importsOf({ text }: SourceFile): readonly Import[] {
  return linesOf(text).flatMap(({ line, number }): Import[] => {
    const dynamic = [...line.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)].map((match) => match[1] ?? '');
    const from = /(?:^|\s|\})from\s+['"]([^'"]+)['"]/.exec(line)?.[1] ?? /^import\s+['"]([^'"]+)['"]/.exec(line)?.[1];
    const isType = /^\s*(?:import|export)\s+type\b/.test(statementStart(text, number));
    return [
      ...dynamic.map((specifier) => ({ specifier, number, kind: 'dynamic' as const })),
      ...(from === undefined ? [] : [{ specifier: from, number, kind: isType ? ('type' as const) : ('static' as const) }]),
    ];
  });
}

/** The line on which the import statement that ends on line `number` begins. */
function statementStart(text: string, number: number): string {
  const before = text.split('\n').slice(0, number);
  return before.findLast((line) => /^\s*(?:import|export)\b/.test(line)) ?? '';
}

function isJudged({ path }: SourceFile): boolean {
  return /^packages\/[^/]+\/(src|bench)\/.*\.ts$/.test(path) && !isGenerated(path);
}

function judge({ path }: SourceFile, { specifier, number, kind }: Import): readonly Finding[] {
  const from = path.split('/')[1] ?? '';
  const where = `${path}:${number}`;
  if (leavesPackage(path, specifier)) {
    const why = 'a relative path into another package goes around its index and the table';
    return [{ where, what: `imports \`${specifier}\``, why, instead: 'import the package by name' }];
  }
  const [, to = '', entry] = /^@sallyport\/([^/]+)(?:\/(.+))?$/.exec(specifier) ?? [];
  if (to === '') return [];
  const isFree = isTest(path) || path.includes('/bench/');
  if (to === from) return isFree ? [] : [ownName(where, specifier)];
  return [...judgeArrow(where, { from, to, kind, isFree }), ...judgeEntry(where, { from, to, entry, isFree })];
}

function judgeArrow(where: string, arrow: { from: string; to: string; kind: Import['kind']; isFree: boolean }): readonly Finding[] {
  const { from, to, kind } = arrow;
  if (arrow.isFree && (to === 'testkit' || from === 'testkit')) return [];
  if (!(ARROWS[from]?.may.includes(to) ?? false)) {
    const why = REASONS.find((reason) => reason.fits(from, to))?.why ?? FALLBACK;
    return [{ where, what: `${from} imports ${to}`, why, instead: `${from} may import: ${ARROWS[from]?.may.join(', ') || 'nothing'}` }];
  }
  if (from === 'cli' && layerOf(to) === 'APP' && kind === 'static' && !arrow.isFree) {
    const why = 'one command must not load both apps; start-up and memory of each are promised';
    return [{ where, what: `cli imports ${to} at start`, why, instead: `const { run } = await import('@sallyport/${to}')` }];
  }
  return [];
}

function judgeEntry(where: string, arrow: { from: string; to: string; entry: string | undefined; isFree: boolean }): readonly Finding[] {
  const { from, to, entry } = arrow;
  if (entry === undefined) return [];
  const known = ENTRIES[`${to}/${entry}`];
  const what = `imports \`@sallyport/${to}/${entry}\``;
  if (known === undefined) {
    return [{ where, what, why: 'a deep import goes around what the package promises', instead: `import from @sallyport/${to}` }];
  }
  return arrow.isFree || known.layers.includes(layerOf(from))
    ? []
    : [{ where, what, why: known.why, instead: 'take the key or the value as an argument' }];
}

function ownName(where: string, specifier: string): Finding {
  const why = 'inside a package the file says more than the index, and an index import makes cycles';
  return { where, what: `imports its own package \`${specifier}\``, why, instead: 'import the file by its relative path' };
}

function unknownPackage(where: string, name: string): Finding {
  const why = 'a package without a row has no place in the architecture';
  return {
    where,
    what: `package ${name} is not in the table`,
    why,
    instead: 'add its layer and arrows to test/tidy/arrows.ts and ARCHITECTURE.md',
  };
}

function difference(where: string, name: string, declared: readonly string[], may: readonly string[]): readonly Finding[] {
  const extra = declared.filter((to) => !may.includes(to));
  const absent = may.filter((to) => !declared.includes(to));
  return [
    ...extra.map((to) => {
      const why = REASONS.find((reason) => reason.fits(name, to))?.why ?? FALLBACK;
      return { where, what: `${name} declares ${to}, which the table does not allow`, why, instead: 'take it out' };
    }),
    ...absent.map((to) => ({
      where,
      what: `${name} does not declare ${to}, which the table allows`,
      why: 'the table and the compiler must know the same arrows, or one of them is not believed',
      instead: 'declare it, or take it out of the table',
    })),
  ];
}

function pureTypes(where: string, { layer }: Place, text: string): readonly Finding[] {
  const { compilerOptions } = JSON.parse(text) as { compilerOptions?: { types?: readonly string[] } };
  if (layer !== 'PURE' || compilerOptions?.types?.length === 0) return [];
  const why = 'without `"types": []` files, sockets, clocks and the environment compile in a pure package';
  return [{ where, what: 'a pure package sees platform types', why, instead: 'set `"types": []`' }];
}

function dependenciesOf(text: string): readonly string[] {
  const { dependencies } = JSON.parse(text) as { dependencies?: Record<string, string> };
  return Object.keys(dependencies ?? {}).flatMap((name) => (name.startsWith('@sallyport/') ? [name.slice('@sallyport/'.length)] : []));
}

function referencesOf(text: string): readonly string[] {
  const { references } = JSON.parse(text) as { references?: readonly { path: string }[] };
  return (references ?? []).map(({ path }) => path.replace(/^\.\.\//, ''));
}

function leavesPackage(path: string, specifier: string): boolean {
  if (!specifier.startsWith('.')) return false;
  const folders = path.split('/').slice(2, -1);
  const ups = specifier.split('/').filter((part) => part === '..').length;
  return ups > folders.length && !isTest(path);
}

function layerOf(name: string): Layer {
  return ARROWS[name]?.layer ?? 'TEST';
}

function isPair(from: string, to: string, one: string, other: string): boolean {
  return (from === one && to === other) || (from === other && to === one);
}
