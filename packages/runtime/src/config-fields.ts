/**
 * The vocabulary in which an app writes its configuration schema. Each field carries one sentence, its unit, default and
 * range, so that the type, the checks, the JSON Schema and the reference page come from one place. Secrets have no field:
 * a secret is a file, and the field is its path.
 */

import * as z from 'zod/mini';

/** A field or section of a configuration whose read value is a `T`. */
export type Field<T> = z.ZodMiniType<T>;
/** Fields by key, in the order in which the reference lists them. */
export type Shape = Readonly<Record<string, Field<unknown>>>;
/** What a section with this shape reads to. */
export type Read<S extends Shape> = {
  readonly [K in keyof S as undefined extends z.output<S[K]> ? never : K]: z.output<S[K]>;
} & { readonly [K in keyof S as undefined extends z.output<S[K]> ? K : never]?: Exclude<z.output<S[K]>, undefined> };

/** What the reference says of a field; kept beside the schema. */
export interface FieldNotes {
  readonly description: string;
  readonly 'x-unit'?: string;
  /** What somebody who can write this path could do. */
  readonly 'x-trusted'?: string;
  /** `path` values are made absolute against the folder of the configuration file. */
  readonly 'x-kind'?: 'path' | 'listen' | 'dial' | 'origin' | 'section';
}

/** The notes of every field, by schema. */
export const fieldNotes: z.core.$ZodRegistry<FieldNotes> = z.registry<FieldNotes>();

interface Says {
  /** One sentence for the reference, without a full stop. */
  readonly says: string;
}

/** `tcp` with port 0 asks for any free port; `unix` names a socket file. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Somebody else's address; unlike one to listen on it may be a name, and its port is known. */
export interface DialAddress {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

/** A group of keys. Unknown ones are refused; one that is left out altogether is read as an empty group. */
export function section<S extends Shape>(says: string, shape: S): Field<Read<S>> {
  const object = z.strictObject(shape);
  return noted(z.prefault(object, {} as never), { description: says, 'x-kind': 'section' }) as unknown as Field<Read<S>>;
}

/** A field or section that may be left out, and is then not there. */
export function optional<T>(field: Field<T>): Field<T | undefined> {
  // A section's own stand-in (an empty group) would otherwise be read in its place.
  const inner = field instanceof z.ZodMiniPrefault ? (field.def.innerType as unknown as Field<T>) : field;
  const notes = fieldNotes.get(field);
  return noted(z.optional(inner), notes ?? { description: '' });
}

/** A list with at most `itemsMax` items, empty unless given. */
export function listOf<T>(item: Field<T>, options: Says & { readonly itemsMax: number; readonly itemsMin?: number }): Field<readonly T[]> {
  const list = z.array(item).check(z.maxLength(options.itemsMax), z.minLength(options.itemsMin ?? 0));
  return noted(z.prefault(list, []), { description: options.says });
}

/** Text of 1 to `charactersMax` characters. `pattern` is anchored by its author; `form` says in words what it asks for. */
export function text(
  options: Says & { readonly charactersMax: number; readonly pattern?: RegExp; readonly form?: string; readonly default?: string },
): Field<string> {
  const { pattern, charactersMax } = options;
  const isFine = (value: string): boolean => pattern === undefined || pattern.test(value);
  const field = z
    .string()
    .check(z.minLength(1), z.maxLength(charactersMax), z.refine(isFine, { error: `expected ${options.form ?? 'another form'}` }));
  return withDefault(field, options.default, { description: options.says });
}

/** One word of a closed list. */
export function choice<const W extends string>(options: Says & { readonly of: readonly W[]; readonly default?: W }): Field<W> {
  return withDefault(z.enum(options.of as readonly [W, ...W[]]), options.default, { description: options.says });
}

/** `true` or `false`. */
export function flag(options: Says & { readonly default?: boolean }): Field<boolean> {
  return withDefault(z.boolean(), options.default, { description: options.says });
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly default?: number;
}

/** A whole number with a range; `unit` is what it counts, and the last part of the key should say so too. */
export function count(options: Says & Range & { readonly unit: string }): Field<number> {
  const field = z.int().check(z.minimum(options.min), z.maximum(options.max));
  return withDefault(field, options.default, { description: options.says, 'x-unit': options.unit });
}

/** A span of time in whole milliseconds. */
export function durationMs(options: Says & Range): Field<number> {
  return count({ ...options, unit: 'ms' });
}

/** A size in bytes. */
export function bytes(options: Says & Range): Field<number> {
  return count({ ...options, unit: 'bytes' });
}

/** The path of a file or folder. A relative one counts from the folder of the configuration file; the read value is absolute. */
export function filePath(options: Says & { readonly trusted?: string; readonly default?: string }): Field<string> {
  const field = z
    .string()
    // A pasted key or certificate in place of its file's name; it must not be echoed.
    .check(z.minLength(1), z.maxLength(4_096), z.refine(isOneLine, { error: 'expected the path of a file, not its content' }));
  return withDefault(field, options.default, {
    description: options.says,
    'x-kind': 'path',
    ...(options.trusted === undefined ? {} : { 'x-trusted': options.trusted }),
  });
}

/** Where to listen: `127.0.0.1:15001`, `[::1]:0`, `unix:/run/sallyport/agent.sock` (a relative path as in `filePath`). */
export function listenAddress(options: Says & { readonly default?: string }): Field<ListenAddress> {
  const field = z.pipe(
    z.string().check(z.maxLength(4_096)),
    z.transform((value: string, context): ListenAddress => {
      const address = parseListenAddress(value);
      if (address !== undefined) return address;
      const message = `expected an address to listen on, not \`${shortened(value)}\``;
      const params = { remedy: 'write `127.0.0.1:15001`, `[::1]:0` or `unix:/path/to.sock`; names are not resolved' };
      context.issues.push({ code: 'custom', message, params, input: value });
      return z.NEVER;
    }),
  );
  const notes: FieldNotes = { description: options.says, 'x-kind': 'listen' };
  if (options.default === undefined) return noted(field, notes);
  return noted(z.prefault(field, options.default), notes);
}

/** Whom to dial: `control-plane.sallyport.svc:7443`, `127.0.0.1:7443`, `[::1]:7443`. A name is resolved when it is dialled. */
export function dialAddress(options: Says & { readonly default?: string }): Field<DialAddress> {
  const field = z.pipe(
    z.string().check(z.maxLength(512)),
    z.transform((value: string, context): DialAddress => {
      const address = parseDialAddress(value);
      if (address !== undefined) return address;
      const message = `expected an address to dial, not \`${shortened(value)}\``;
      const params = { remedy: 'write `name:7443`, `127.0.0.1:7443` or `[::1]:7443`' };
      context.issues.push({ code: 'custom', message, params, input: value });
      return z.NEVER;
    }),
  );
  const notes: FieldNotes = { description: options.says, 'x-kind': 'dial' };
  return noted(options.default === undefined ? field : z.prefault(field, options.default), notes);
}

/** An `http:` or `https:` origin in its one canonical spelling: lower case, no default port, no path. */
export function origin(options: Says & { readonly default?: string; readonly httpsOnly?: boolean }): Field<string> {
  const isFine = (value: string): boolean => isOrigin(value) && (options.httpsOnly !== true || value.startsWith('https:'));
  const wanted = options.httpsOnly === true ? '`https://host[:port]`' : '`http[s]://host[:port]`';
  const error = `expected an origin in its canonical spelling, ${wanted}, without path or default port`;
  const field = z.string().check(z.maxLength(512), z.refine(isFine, { error }));
  return withDefault(field, options.default, { description: options.says, 'x-kind': 'origin' });
}

/** Reads what `listenAddress` accepts; `undefined` for anything else (a name, a missing port, a leading zero). */
export function parseListenAddress(value: string): ListenAddress | undefined {
  if (value.startsWith('unix:')) {
    const path = value.slice('unix:'.length);
    return path === '' || !isOneLine(path) ? undefined : { kind: 'unix', path };
  }
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|((?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3})):(0|[1-9][0-9]{0,4})$/.exec(value);
  if (match === null) return undefined;
  const [, six, four, portText] = match;
  const port = Number(portText);
  const isHost = six === undefined ? four?.split('.').every((part) => Number(part) <= 255) : URL.canParse(`http://[${six}]/`);
  return isHost === true && port <= 65_535 ? { kind: 'tcp', host: six ?? four ?? '', port } : undefined;
}

/** A host name in lower case: labels of letters, digits and hyphens, the last no number (the whole would be read as one). */
const HOST_NAME = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?!(?:[0-9]+|0x[0-9a-f]*)$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Reads what `dialAddress` accepts; `undefined` for anything else (no port, port 0, a scheme, a path). */
export function parseDialAddress(value: string): DialAddress | undefined {
  const literal = parseListenAddress(value);
  if (literal !== undefined) return literal.kind === 'tcp' && literal.port > 0 ? { host: literal.host, port: literal.port } : undefined;
  const match = /^([a-z0-9.-]{1,253}):([1-9][0-9]{0,4})$/.exec(value);
  if (match === null) return undefined;
  const [, host = '', portText] = match;
  const port = Number(portText);
  return HOST_NAME.test(host) && port <= 65_535 ? { host, port } : undefined;
}

/** `127.0.0.1:15001`, `[::1]:0`, `unix:/path`. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function isOrigin(value: string): boolean {
  if (!/^https?:\/\//.test(value) || !URL.canParse(value)) return false;
  return new URL(value).origin === value;
}

function isOneLine(value: string): boolean {
  return Array.from(value).every((character) => character >= ' ' && character !== '\u007f');
}

/** What somebody wrote, cut to a length that fits in a message. */
export function shortened(value: string): string {
  return value.length > 60 ? `${value.slice(0, 57)}...` : value;
}

function withDefault<T>(field: z.ZodMiniType<T>, value: T | undefined, notes: FieldNotes): Field<T> {
  // A default goes through the same checks as a value: a wrong one is found by the first test that reads it.
  return noted(value === undefined ? field : (z.prefault(field, value as never) as unknown as z.ZodMiniType<T>), notes);
}

function noted<T>(field: z.ZodMiniType<T>, notes: FieldNotes): Field<T> {
  fieldNotes.add(field, notes);
  return field;
}
