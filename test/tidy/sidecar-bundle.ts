/**
 * The fence around what ships in every pod: which packages the sidecar's bundle holds and how large each may be. A package
 * that is not in the table is refused, whatever brought it; the best known ones with the reason. docs/adr/0019-the-shipped-artefact.md.
 */

import type { Metafile } from 'esbuild';
import type { Finding } from './finding.ts';

/** What a bundle holds of one package. */
export interface Share {
  /** `pino`, or `packages/policy`. */
  readonly name: string;
  readonly bytes: number;
}

/** Third-party code, in bytes after tree shaking: what it is today and a little. Raising one is a decision; say why beside it. */
const ALLOWED: Readonly<Record<string, number>> = {
  // The control plane's stream; with http2 below it the dearest, weighed in ADR 0007.
  '@grpc/grpc-js': 400_000,
  '@js-sdsl/ordered-map': 9_000,
  // The configuration alone is YAML: its reader says line and column of every problem, which no smaller one does.
  yaml: 170_000,
  '@marcbachmann/cel-js': 120_000,
  '@bufbuild/protobuf': 102_000,
  // zod/mini; the large entry is refused below.
  zod: 72_000,
  // Only in credentials, for what identity providers sign.
  jose: 24_000,
  pino: 40_000,
  'pino-std-serializers': 8_000,
  '@pinojs/redact': 9_500,
  'safe-stable-stringify': 14_000,
  'sonic-boom': 12_000,
  'thread-stream': 15_500,
  'quick-format-unescaped': 2_000,
  'on-exit-leak-free': 2_000,
  'atomic-sleep': 1_000,
};

const REFUSED: readonly { readonly is: RegExp; readonly why: string }[] = [
  { is: /(^|\/)ajv/, why: '11 MB of memory, and it makes code from strings, which the sidecar is started without' },
  { is: /^prom-client$/, why: '14 MB of memory for text that telemetry writes in a page' },
  { is: /^@opentelemetry\//, why: '11 MB of memory; traces are made by telemetry' },
  { is: /^undici$/, why: '17 MB of memory; upstreams are dialled by net' },
  { is: /^protobufjs$|^@protobufjs\//, why: 'it makes code from strings; messages are those of contract' },
  { is: /^commander$/, why: 'the command line is not part of what stands beside an agent' },
  { is: /^packages\/(cli|control-plane|testkit)$/, why: 'no app is inside another, and no test inside a product' },
];

/**
 * All code together, in bytes. Source text is held in memory as long as the process lives. 250 kB of it for identity:
 * fetched keys, assertions, the leg of callers with their methods and HTTP/2, hops, signatures, and sources of secrets; 50 kB for how policy
 * is distributed, what the directory says, and for the alert that a client without a certificate is told.
 */
export const SIDECAR_BYTES_MAX = 2_000_000;

/** Our own packages that a sidecar is made of; the arrows of arrows.ts say the same, this holds what was really drawn in. */
const OWN =
  /^packages\/(audit|contract|credentials|crypto|dialects|identity|model|net|policy|runtime|sidecar|store|strict|telemetry|trust)$/;
/** Node's own modules, and the stubs for what is left out: a few lines each. */
const GLUE = /^(node|scripts\/artefact)$/;

/** Of each package what is in the outputs, largest first. */
export function sharesOf({ outputs }: Pick<Metafile, 'outputs'>): readonly Share[] {
  const bytes = new Map<string, number>();
  for (const { inputs } of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      if (bytesInOutput > 0) bytes.set(packageOf(path), (bytes.get(packageOf(path)) ?? 0) + bytesInOutput);
    }
  }
  return [...bytes].map(([name, sum]) => ({ name, bytes: sum })).toSorted((a, b) => b.bytes - a.bytes);
}

function packageOf(path: string): string {
  if (path.startsWith('node:')) return 'node';
  return /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? path.split('/').slice(0, 2).join('/');
}

/** Packages against the table, and the whole against its budget. */
export function checkShares(shares: readonly Share[], bytesTotal: number): readonly Finding[] {
  const whole = {
    where: 'sidecar.mjs',
    what: `${bytesTotal} bytes, of ${SIDECAR_BYTES_MAX}`,
    why: 'the source of a process stays in its memory, and this process is beside every agent',
    instead: 'load less, or raise the budget and say why',
  };
  return [...shares.flatMap(checkShare), ...(bytesTotal > SIDECAR_BYTES_MAX ? [whole] : [])];
}

function checkShare({ name, bytes }: Share): readonly Finding[] {
  const where = `sidecar.mjs: ${name}`;
  const refused = REFUSED.find(({ is }) => is.test(name));
  const instead = 'find the import that brought it: `esbuild --analyze=verbose` on dist/metafiles/sidecar.json';
  if (refused !== undefined) return [{ where, what: `${bytes} bytes of a package that is refused`, why: refused.why, instead }];
  if (OWN.test(name) || GLUE.test(name)) return [];
  const max = ALLOWED[name];
  const why = 'every package costs memory beside every agent, and runs with the rights of the gate';
  if (max === undefined) return [{ where, what: `${bytes} bytes of a package that nobody weighed`, why, instead }];
  return bytes > max
    ? [{ where, what: `${bytes} bytes, of ${max}`, why, instead: 'load less of it, or raise its budget and say why' }]
    : [];
}

/** Paths that are refused although their package is not. */
export function checkInputs(paths: readonly string[]): readonly Finding[] {
  return paths
    .filter((path) => /node_modules\/zod\/v4\/(classic|locales)\/|node_modules\/zod\/v3\/|jose\/dist\/webapi\/jwks\/remote/.test(path))
    .map((path) => ({
      where: path,
      what: 'is in the sidecar’s bundle',
      why: 'zod beyond mini costs memory; a key set that is fetched is not pinned by the bundle',
      instead: "zod/mini; keys from the bundle's identity part",
    }));
}

/** What a global is called in a build that looks for its use, so that a method or a variable of that name is not taken for it. */
export const WATCHED: Readonly<Record<string, string>> = {
  eval: '__global_eval',
  Function: '__global_Function',
  fetch: '__global_fetch',
  XMLHttpRequest: '__global_XMLHttpRequest',
  WebSocket: '__global_WebSocket',
};

/** Uses of globals, in a bundle built with WATCHED. `Function` may be named (`instanceof`), not called. */
export function checkGlobals(text: string): readonly Finding[] {
  const uses = [
    ...text.matchAll(
      /new __global_Function\b|__global_Function\(|__global_(?!Function)\w+|\bglobalThis\.(?:eval|Function|fetch|WebSocket)\b/g,
    ),
  ];
  return uses.map(({ 0: found, index }) => ({
    where: `sidecar.mjs: …${text.slice(Math.max(0, index - 50), index + 70)}…`,
    what: `uses ${found.replace('__global_', '')}`,
    why: 'code from strings is switched off at launch, and global fetch loads undici: 18 MB beside every agent',
    instead: 'net for what is dialled; nothing for code from strings',
  }));
}

/** A single character beyond ASCII doubles the memory that the source takes. */
export function checkAscii(text: string): readonly Finding[] {
  const at = /[^\0-\x7F]/.exec(text);
  if (at === null) return [];
  return [
    {
      where: `sidecar.mjs: …${text.slice(Math.max(0, at.index - 50), at.index + 20)}…`,
      what: `holds \`${at[0]}\``,
      why: 'V8 then keeps the whole source with two bytes a character',
      instead: 'an escape; for a regular expression of a package see ascii-in-patterns in scripts/artefact/bundles.ts',
    },
  ];
}

/** For a reader: what is inside. */
export function tableOf(shares: readonly Share[], bytesTotal: number): string {
  const rows = shares.map(({ name, bytes }) => `${String(bytes).padStart(9)}  ${name}`);
  return [`${String(bytesTotal).padStart(9)}  sidecar.mjs, of ${SIDECAR_BYTES_MAX}`, ...rows].join('\n');
}
