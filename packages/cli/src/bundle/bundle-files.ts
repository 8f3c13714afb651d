/**
 * A bundle outside the control plane: the manifest to sign, its parts, the report of its tests and, once signed, the
 * envelope. Either a folder, or one JSON file with everything in it. Nothing read here is trusted.
 */

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeBase64, encodeBase64, fromUtf8, utf8 } from '@sallyport/crypto';
import { PART_NAMES, fail, ok } from '@sallyport/model';
import type { Json, JsonObject, PartName, Problem, Result } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { BUNDLE_BYTES_MAX, ENVELOPE_BYTES_MAX, PART_BYTES_MAX } from '@sallyport/trust';
import { readBytes, writeFile } from '../files.ts';

export interface BundleFiles {
  /** The payload to be signed, exact bytes. */
  readonly manifest: Uint8Array;
  /** The signed envelope, where there is one. */
  readonly envelope: Uint8Array | undefined;
  readonly parts: Readonly<Record<PartName, Uint8Array>>;
  readonly testReport: Uint8Array;
}

const FORMAT = 'sallyport-bundle-v1';
const FILE_BYTES_MAX: number = BUNDLE_BYTES_MAX * 2;
const REPORT_BYTES_MAX = 16_777_216;
const NAMES = { manifest: 'manifest.json', envelope: 'bundle.dsse.json', testReport: 'test-report.json' } as const;

const partFile = (name: PartName): string => join('parts', `${name}.json`);

/** Whether a path is meant as one file: it ends so, and no folder stands there. */
function isFileForm(path: string): boolean {
  if (existsSync(path)) return statSync(path).isFile();
  return path.endsWith('.json');
}

/**
 * Writes what is not there yet; an envelope alone replaces the one before it, since signatures are added. Ends at the first
 * file that cannot be written: the others would say the same.
 */
export function writeBundleFiles(path: string, files: BundleFiles): Result<undefined, readonly Problem[]> {
  const contents: readonly (readonly [file: string, content: Uint8Array | string | undefined])[] = isFileForm(path)
    ? [[path, encodeOne(files)]]
    : [
        ...PART_NAMES.map((name) => [join(path, partFile(name)), files.parts[name]] as const),
        [join(path, NAMES.testReport), files.testReport],
        [join(path, NAMES.manifest), files.manifest],
        [join(path, NAMES.envelope), files.envelope],
      ];
  for (const [file, content] of contents) {
    const written = content === undefined ? ok(undefined) : writeFile(file, content, { mode: 0o644, as: 'replacement' });
    if (!written.ok) return fail([written.error]);
  }
  return ok(undefined);
}

/** Reads either form; every file that is missing or too large at once. `shown` is the path as it was typed. */
export function readBundleFiles(path: string, shown: string): Result<BundleFiles, readonly Problem[]> {
  if (!existsSync(path))
    return fail([{ path: '', file: shown, message: 'there is no such file or folder', remedy: 'make one with `sallyport policy build`' }]);
  return isFileForm(path) ? readOne(path, shown) : readFolder(path, shown);
}

function readFolder(path: string, shown: string): Result<BundleFiles, readonly Problem[]> {
  const problems: Problem[] = [];
  // Most often the folder of a policy, before it was built.
  if (!existsSync(join(path, NAMES.manifest)))
    return fail([
      { path: '', file: shown, message: 'holds no built bundle', remedy: `make one with \`sallyport policy build ${shown} --out PATH\`` },
    ]);
  const read = (name: string, bytesMax: number): Uint8Array => {
    const bytes = readBytes(join(path, name), { bytesMax, shown: `${shown}/${name}` });
    if (bytes.ok) return bytes.value;
    problems.push(bytes.error);
    return new Uint8Array();
  };
  const files = {
    manifest: read(NAMES.manifest, ENVELOPE_BYTES_MAX.Bundle),
    envelope: existsSync(join(path, NAMES.envelope)) ? read(NAMES.envelope, ENVELOPE_BYTES_MAX.Bundle) : undefined,
    parts: Object.fromEntries(PART_NAMES.map((name) => [name, read(partFile(name), PART_BYTES_MAX)])) as Record<PartName, Uint8Array>,
    testReport: read(NAMES.testReport, REPORT_BYTES_MAX),
  };
  return problems.length === 0 ? ok(files) : fail(problems);
}

function encodeOne({ manifest, envelope, parts, testReport }: BundleFiles): string {
  const json: Json = {
    format: FORMAT,
    manifest: encodeBase64(manifest),
    ...(envelope === undefined ? {} : { envelope: encodeBase64(envelope) }),
    parts: Object.fromEntries(PART_NAMES.map((name) => [name, encodeBase64(parts[name])])),
    test_report: encodeBase64(testReport),
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

function readOne(path: string, shown: string): Result<BundleFiles, readonly Problem[]> {
  const bytes = readBytes(path, { bytesMax: FILE_BYTES_MAX, shown });
  if (!bytes.ok) return fail([bytes.error]);
  const judged = judge(utf8(fromUtf8(bytes.value) ?? ''), { limits: { bytesMax: FILE_BYTES_MAX, depthMax: 4 } });
  const tree = judged.ok ? judged.value.tree : undefined;
  if (!isObject(tree) || tree['format'] !== FORMAT || !isObject(tree['parts']))
    return fail([
      { path: '', file: shown, message: `is not a bundle of format ${FORMAT}`, remedy: 'make one with `sallyport policy build`' },
    ]);
  const problems: Problem[] = [];
  const decode = (from: JsonObject, name: string, place: string): Uint8Array => {
    const value = from[name];
    const decoded = typeof value === 'string' ? decodeBase64(value) : undefined;
    if (decoded === undefined) problems.push({ path: place, file: shown, message: 'is missing, or is not standard base64' });
    return decoded ?? new Uint8Array();
  };
  const parts = tree['parts'];
  const files = {
    manifest: decode(tree, 'manifest', 'manifest'),
    envelope: Object.hasOwn(tree, 'envelope') ? decode(tree, 'envelope', 'envelope') : undefined,
    parts: Object.fromEntries(PART_NAMES.map((name) => [name, decode(parts, name, `parts.${name}`)])) as Record<PartName, Uint8Array>,
    testReport: decode(tree, 'test_report', 'test_report'),
  };
  return problems.length === 0 ? ok(files) : fail(problems);
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
