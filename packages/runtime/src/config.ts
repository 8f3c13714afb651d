/**
 * Reads a process's configuration once, completely, at start: flags over environment over file over default, every
 * problem at once with its place. The result is frozen and passed in; nothing else reads the environment.
 */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import * as z from 'zod/mini';
import { fail, nearest, ok } from '@sallyport/model';
import type { Problem, Result } from '@sallyport/model';
import type { Field, ListenAddress } from './config-fields.ts';
import { type ConfigKey, configKeys, type SchemaNode, schemaTree } from './config-keys.ts';
import { findings, unknownKey } from './config-problems.ts';
import { pathText, type Place, readYaml, type Tree, type TreeMap } from './config-yaml.ts';

/** Where values come from. */
export interface ConfigSources {
  /** The YAML file; without one there are only flags, environment and defaults. */
  readonly file?: string;
  /** Usually `processEnvironment()`, passed in by `main.ts`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Names that begin with `SALLYPORT_` and are no configuration; `SALLYPORT_REQUIRE` and `SALLYPORT_DIR` always are. */
  readonly otherEnv?: readonly string[];
  /** By path: `{ 'limits.body_bytes_max': '1048576' }`. */
  readonly flags?: Readonly<Record<string, string>>;
}

const FILE_BYTES_MAX = 262_144;
/** Variables that Kubernetes adds for each service of the namespace, such as one named `sallyport-control-plane`. */
const SERVICE_LINK = /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;
const SERVICE_LINK_URL = /^(?:tcp|udp|sctp):\/\//;

/** A layer that lies over the file: which key, which text, and what to call its source. */
interface Overlay {
  readonly key: ConfigKey;
  readonly text: string;
  readonly source: string;
}

/**
 * Reads and checks a configuration. The value is frozen all the way down and its paths are absolute, a relative one
 * counting from the folder of the file (without a file: from the working folder), also where a flag or variable gave it.
 * The problems are all there are, in the order of the file.
 */
export function readConfig<T>(schema: Field<T>, sources: ConfigSources): Result<T, readonly Problem[]> {
  const tree = schemaTree(schema);
  const keys = configKeys(tree);
  const problems: Problem[] = [];
  const file = readFile(sources.file, problems);
  // What a file that cannot be read would have said is not missing.
  if (problems.length > 0) return fail(problems);
  const overlays = [...fromEnvironment(keys, sources, problems), ...fromFlags(keys, sources, problems)];
  const over = new Map<string, string>();
  for (const overlay of overlays) {
    const value = overlayValue(overlay, problems);
    if (value !== undefined && put(file.value, overlay.key.path.split('.'), value)) over.set(overlay.key.path, overlay.source);
  }
  // No generated code: a sidecar runs with code generation switched off.
  const parsed = z.safeParse(schema, file.value, { jitless: true, reportInput: true });
  if (!parsed.success) {
    for (const finding of findings(parsed.error.issues, tree)) {
      const path = pathText(finding.path);
      problems.push({ ...finding, path, ...placeOf(finding.path, { over, places: file.places, file: sources.file }) });
    }
  }
  if (problems.length > 0 || !parsed.success) return fail(inFileOrder(problems));
  const base = sources.file === undefined ? resolve('.') : dirname(resolve(sources.file));
  return ok(finished(parsed.data, tree, base) as T);
}

/**
 * One text of a configuration file that is another process's own, `listen.grpc` say; `undefined` where the file leaves
 * it to its default. The rest of the file is read and not judged.
 */
export function readConfigText(path: string, key: string): Result<string | undefined, readonly Problem[]> {
  const problems: Problem[] = [];
  const { value, places } = readFile(path, problems);
  if (problems.length > 0) return fail(problems);
  let found: Tree | undefined = value;
  for (const step of key.split('.')) found = found !== undefined && isMap(found) ? found[step] : undefined;
  if (found === undefined || typeof found === 'string') return ok(found);
  return fail([{ path: key, message: 'expected text', file: path, ...places.get(key) }]);
}

function readFile(path: string | undefined, problems: Problem[]): { readonly value: TreeMap; readonly places: ReadonlyMap<string, Place> } {
  const nothing = { value: Object.create(null) as TreeMap, places: new Map<string, Place>() };
  if (path === undefined) return nothing;
  let text: string;
  try {
    const content = readFileSync(path);
    if (content.length > FILE_BYTES_MAX) {
      problems.push({ path: '', file: path, message: `longer than ${FILE_BYTES_MAX} bytes` });
      return nothing;
    }
    text = new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (error) {
    const why = error instanceof TypeError ? 'it is not UTF-8' : error instanceof Error ? error.message : String(error);
    problems.push({ path: '', file: path, message: `the configuration cannot be read: ${why}` });
    return nothing;
  }
  const read = readYaml(text);
  if (!read.ok) {
    problems.push(...read.error.map((problem) => ({ ...problem, file: path })));
    return nothing;
  }
  const { value, places } = read.value;
  if (isMap(value)) return { value, places };
  problems.push({ path: '', file: path, line: 1, column: 1, message: 'expected a group of keys' });
  return nothing;
}

function fromEnvironment(keys: readonly ConfigKey[], sources: ConfigSources, problems: Problem[]): Overlay[] {
  const known = new Map(keys.flatMap((key) => (key.environment === undefined ? [] : [[key.environment, key] as const])));
  const others = new Set(['SALLYPORT_REQUIRE', 'SALLYPORT_DIR', ...(sources.otherEnv ?? [])]);
  const overlays: Overlay[] = [];
  for (const [name, text] of Object.entries(sources.env ?? {})) {
    if (!name.startsWith('SALLYPORT_') || others.has(name)) continue;
    const key = known.get(name);
    if (key !== undefined) {
      overlays.push({ key, text, source: `environment variable ${name}` });
    } else if (!SERVICE_LINK.test(name) && !(name.endsWith('_PORT') && SERVICE_LINK_URL.test(text))) {
      // A setting that somebody believes in and nobody reads is how a limit goes missing.
      const near = nearest(name, known.keys());
      problems.push({
        path: '',
        message: `unknown environment variable \`${name}\``,
        remedy: near === undefined ? 'names are derived from the keys of the configuration' : `did you mean \`${near}\`?`,
      });
    }
  }
  return overlays;
}

function fromFlags(keys: readonly ConfigKey[], sources: ConfigSources, problems: Problem[]): Overlay[] {
  const known = new Map(keys.flatMap((key) => (key.environment === undefined ? [] : [[key.path, key] as const])));
  const overlays: Overlay[] = [];
  for (const [path, text] of Object.entries(sources.flags ?? {})) {
    const key = known.get(path);
    if (key === undefined) {
      const { message, remedy } = unknownKey([path], [...known.keys()]);
      problems.push({ path, message, ...(remedy === undefined ? {} : { remedy }), file: 'command line' });
    } else {
      overlays.push({ key, text, source: 'command line' });
    }
  }
  return overlays;
}

/** Text becomes what the key wants: text as it stands, anything else by the rules of the file. */
function overlayValue(overlay: Overlay, problems: Problem[]): Tree | undefined {
  if (overlay.key.node.type === 'string') return overlay.text;
  const read = readYaml(overlay.text);
  if (read.ok) return read.value.value;
  problems.push(...read.error.map(({ message }) => ({ path: overlay.key.path, message, file: overlay.source })));
  return undefined;
}

/** False where something that is no group stands on the way; the schema reports that. */
function put(root: TreeMap, path: readonly string[], value: Tree): boolean {
  let map = root;
  for (const step of path.slice(0, -1)) {
    const next = (map[step] ??= Object.create(null) as TreeMap);
    if (!isMap(next)) return false;
    map = next;
  }
  map[path.at(-1) ?? ''] = value;
  return true;
}

function isMap(value: Tree): value is TreeMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

interface Origins {
  readonly over: ReadonlyMap<string, string>;
  readonly places: ReadonlyMap<string, Place>;
  readonly file: string | undefined;
}

/** The source of the nearest thing that stands somewhere: the key itself, else the group that misses it. */
function placeOf(path: readonly PropertyKey[], origins: Origins): Pick<Problem, 'file' | 'line' | 'column'> {
  for (let length = path.length; length >= 0; length--) {
    const text = pathText(path.slice(0, length));
    const source = origins.over.get(text);
    if (source !== undefined) return { file: source };
    const place = origins.places.get(text);
    if (place !== undefined && origins.file !== undefined) return { file: origins.file, ...place };
  }
  return origins.file === undefined ? {} : { file: origins.file };
}

function inFileOrder(problems: readonly Problem[]): readonly Problem[] {
  const line = (problem: Problem): number => problem.line ?? Infinity;
  return problems.toSorted((a, b) => (line(a) === line(b) ? (a.column ?? 0) - (b.column ?? 0) : line(a) - line(b)));
}

/** Frozen, with absolute paths. */
function finished(value: unknown, node: SchemaNode | undefined, base: string): unknown {
  if (node?.['x-kind'] === 'path' && typeof value === 'string') return resolve(base, value);
  if (node?.['x-kind'] === 'listen') return Object.freeze(absolute(value as ListenAddress, base));
  if (Array.isArray(value)) return Object.freeze(value.map((item) => finished(item, node?.items, base)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, finished(item, node?.properties?.[key], base)] as const);
  return Object.freeze(Object.fromEntries(entries));
}

function absolute(address: ListenAddress, base: string): ListenAddress {
  return address.kind === 'unix' ? { kind: 'unix', path: resolve(base, address.path) } : address;
}
