/** Runs the vectors of docs/spec/arguments-v1.md through `@sallyport/strict`. The JSON files are the contract; this file only reads them. */

import { readFileSync } from 'node:fs';
import { decodeHex, fromUtf8, utf8 } from '@sallyport/crypto';
import type { JsonObject } from '@sallyport/model';
import { argumentDigest, canonicalArguments, compileSchema, judge, serializeArguments } from '@sallyport/strict';
import type { ArgumentSchema, Judged } from '@sallyport/strict';
import { describe, expect, test } from 'vitest';

function load(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8'));
}

function compiled(schema: JsonObject): ArgumentSchema {
  const result = compileSchema(schema, '');
  if (!result.ok) throw new Error(`schema refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

function judged(source: string): Judged {
  const result = judge(utf8(source));
  if (!result.ok) throw new Error(`source refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

describe('arguments that fit', () => {
  const { cases } = load('accepted') as {
    cases: { name: string; schema: JsonObject; source: string; forwarded: string; canonical: string; digest: string }[];
  };

  test.each(cases)('$name', ({ schema, source, forwarded, canonical, digest }) => {
    const result = compiled(schema).validate(judged(source));
    if (!result.ok) throw new Error(`violations: ${JSON.stringify(result.error)}`);
    expect(fromUtf8(serializeArguments(result.value))).toBe(forwarded);
    expect(fromUtf8(canonicalArguments(result.value))).toBe(canonical);
    expect(argumentDigest(result.value)).toBe(digest);
  });
});

describe('arguments that do not fit', () => {
  const { cases } = load('violations') as {
    cases: { name: string; schema: JsonObject; source: string; violations: { code: string; path: string }[] }[];
  };

  test.each(cases)('$name', ({ schema, source, violations }) => {
    const result = compiled(schema).validate(judged(source));
    expect(result.ok ? [] : result.error.map(({ code, path }) => ({ code, path }))).toEqual(violations);
  });
});

describe('documents that are refused', () => {
  const { cases } = load('refused-documents') as { cases: { name: string; source_hex: string; problems: string[] }[] };

  test.each(cases)('$name', ({ source_hex, problems }) => {
    const result = judge(decodeHex(source_hex) ?? new Uint8Array());
    expect(result.ok ? [] : result.error.map((problem) => problem.code)).toEqual(problems);
  });
});

describe('schemas that do not compile', () => {
  const { cases } = load('refused-schemas') as { cases: { name: string; schema: JsonObject; problems: string[] }[] };

  test.each(cases)('$name', ({ schema, problems }) => {
    const result = compileSchema(schema, '');
    expect(result.ok ? [] : result.error.map((problem) => problem.path)).toEqual(problems);
  });
});
