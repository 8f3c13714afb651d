import { describe, expect, test } from 'vitest';
import { denyJson, judge } from './judged.ts';
import type { JudgeOptions, JsonProblem, Judged } from './judged.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function problemsOf(source: string | Uint8Array, options?: JudgeOptions): readonly JsonProblem[] {
  const result = judge(typeof source === 'string' ? bytes(source) : source, options);
  return result.ok ? [] : result.error;
}

function judged(text: string): Judged {
  const result = judge(bytes(text));
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

describe('duplicate keys are found at any depth and in any spelling', () => {
  test.each([
    ['side by side', '{"a":1,"a":2}', 'a'],
    ['with equal values', '{"a":1,"a":1}', 'a'],
    ['an escape for a letter', String.raw`{"\u0061":1,"a":2}`, 'a'],
    ['two escapes, of either case', String.raw`{"\u00e9":1,"\u00E9":2}`, '["é"]'],
    ['an escaped slash', String.raw`{"a\/b":1,"a/b":2}`, '["a/b"]'],
    ['a surrogate pair and its character', String.raw`{"\ud83d\ude00":1,"😀":2}`, '["😀"]'],
    ['deep inside', '{"x":[{},{"y":{"a":1,"b":[{"a":0}],"a":2}}]}', 'x[1].y.a'],
    ['the prototype’s name', '{"__proto__":1,"__proto__":2}', '__proto__'],
    ['an empty key', '{"":1,"":2}', '[""]'],
    ['a numeric key', '{"1":1,"1":2}', '1'],
    ['a key that hides what it holds', '{"a":{"b":1},"a":{"c":1}}', 'a'],
    ['with colons and quotes in strings', String.raw`{"a:\":":":","a:\":":"\\"}`, String.raw`["a:\":"]`],
  ])('%s', (_, source, path) => {
    expect(problemsOf(source)).toEqual([{ code: 'duplicate_key', path, message: 'the key stands twice' }]);
  });

  test('all of them are named, up to a bound', () => {
    expect(problemsOf('{"a":1,"b":2,"a":3,"b":4}').map((problem) => problem.path)).toEqual(['a', 'b']);
    const many = Array.from({ length: 100 }, (_, i) => `"k${i}":1,"k${i}":2`).join(',');
    expect(problemsOf(`{${many}}`)).toHaveLength(16);
  });

  test.each([
    ['the same key in two objects', '[{"a":1},{"a":2}]'],
    ['keys that differ by case', '{"a":1,"A":2}'],
    ['a colon in a string', '{"a":"b:c","d":":"}'],
    ['a quote in a string', String.raw`{"a":"\"","b":"\\\":"}`],
    ['a composed and a decomposed letter', '{"é":1,"e\u0301":2}'],
  ])('not where there is none: %s', (_, source) => {
    expect(problemsOf(source)).toEqual([]);
  });
});

describe('what is not one JSON document in UTF-8 is refused', () => {
  test.each([
    ['nothing', ''],
    ['white space alone', '  \n'],
    ['trailing garbage', '{}x'],
    ['a second document', '{} {}'],
    ['a trailing comma', '[1,]'],
    ['a comment', '{/**/}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '{"a":NaN}'],
    ['Infinity', '[-Infinity]'],
    ['a leading zero', '[01]'],
    ['a leading plus', '[+1]'],
    ['a point without digits', '[1.]'],
    ['a hexadecimal number', '[0x10]'],
    ['a raw line break in a string', '["a\nb"]'],
    ['a raw NUL in a string', '["\u0000"]'],
    ['an unknown escape', String.raw`["\x41"]`],
    ['a no-break space between values', '[1,\u00a02]'],
    ['an unfinished string', '{"a'],
    ['an unfinished escape', '{"a\\'],
    ['a byte order mark', '\ufeff{}'],
  ])('%s', (_, source) => {
    expect(problemsOf(source).map((problem) => problem.code)).toEqual(['invalid_json']);
  });

  test.each([
    ['UTF-16 with its mark', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00], 'invalid_utf8'],
    ['UTF-16 without a mark', [0x7b, 0x00, 0x7d, 0x00], 'invalid_json'],
    ['an overlong quote', [0x22, 0xc0, 0xa2, 0x22], 'invalid_utf8'],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22], 'invalid_utf8'],
    ['Latin-1', [0x22, 0xe9, 0x22], 'invalid_utf8'],
  ])('%s', (_, source, code) => {
    expect(problemsOf(Uint8Array.from(source)).map((problem) => problem.code)).toEqual([code]);
  });

  test('a refusal quotes nothing of the document', () => {
    expect(JSON.stringify(problemsOf('{"password": hunter2}'))).not.toContain('hunter2');
  });
});

describe('half a surrogate pair is refused wherever it stands', () => {
  test.each([
    ['a high one in a value', String.raw`{"a":"\ud800"}`, 'a'],
    ['a low one in a value', String.raw`["\uDC00x"]`, '[0]'],
    ['two in the wrong order', String.raw`["\udc00\ud800"]`, '[0]'],
    ['in a key', String.raw`{"\ud800":1}`, '["�"]'],
    ['in the document itself', String.raw`"\uD8FF"`, ''],
  ])('%s', (_, source, path) => {
    expect(problemsOf(source)).toMatchObject([{ code: 'lone_surrogate', path }]);
  });

  test.each([
    ['a pair', String.raw`["\ud83d\ude00"]`],
    ['an escaped backslash before the letters', String.raw`["\\ud800"]`],
  ])('%s is not one', (_, source) => {
    expect(problemsOf(source)).toEqual([]);
  });
});

describe('prototype pollution', () => {
  test('__proto__, constructor and prototype are keys like any other', () => {
    const { tree } = judged('{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}');
    expect(Object.keys(tree as object)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['isAdmin']).toBeUndefined();
  });

  test('no step leads to what an object inherits', () => {
    const document = judged('{"a":{},"list":[1]}');
    expect(document.at('a', 'constructor')).toBeUndefined();
    expect(document.at('__proto__')).toBeUndefined();
    expect(document.at('toString')).toBeUndefined();
    expect(document.at('list', 'length')).toBeUndefined();
    expect(document.at('list', 1)).toBeUndefined();
    expect(document.at('list', 0)?.tree).toBe(1);
    expect(document.at('list', 0, 0)).toBeUndefined();
  });

  test('a polluted prototype adds nothing to a document', () => {
    const prototype = Object.prototype as Record<string, unknown>;
    Object.defineProperty(prototype, 'injected', { value: 1, enumerable: true, configurable: true, writable: true });
    try {
      expect(judged('{"a":1}').at('injected')).toBeUndefined();
      expect(problemsOf('{"injected":1,"injected":2}')).toHaveLength(1);
    } finally {
      delete prototype['injected'];
    }
  });
});

describe('bounds', () => {
  test.each([
    ['100,000 arrays', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
    ['100,000 objects', `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
    ['100,000 openings and no end', '['.repeat(100_000)],
    ['one more than is allowed', `${'['.repeat(65)}${']'.repeat(65)}`],
  ])('depth bomb: %s', (_, source) => {
    expect(problemsOf(source)).toEqual([{ code: 'too_deep', path: '', message: 'nested more than 64 deep' }]);
  });

  test('depth up to the limit is accepted, brackets in strings do not count, and no setting lifts the ceiling', () => {
    expect(problemsOf(`${'['.repeat(64)}${']'.repeat(64)}`)).toEqual([]);
    expect(problemsOf(JSON.stringify('['.repeat(100)))).toEqual([]);
    const deep = `${'['.repeat(600)}${']'.repeat(600)}`;
    expect(problemsOf(deep, { limits: { depthMax: 1e9 } })).toMatchObject([{ code: 'too_deep' }]);
  });

  test('members and elements are counted together, exactly at the limit', () => {
    const limits = { membersMax: 4 };
    expect(problemsOf('{"a":[1,2],"b":3}', { limits })).toEqual([]);
    expect(problemsOf('{"a":[1,2],"b":3,"c":4}', { limits })).toMatchObject([{ code: 'too_many_members' }]);
    expect(problemsOf('[[],[],[],[],[]]', { limits })).toMatchObject([{ code: 'too_many_members' }]);
  });

  test('bytes are counted before anything is read', () => {
    expect(problemsOf('"äö"', { limits: { bytesMax: 6 } })).toEqual([]);
    expect(problemsOf('"äö"', { limits: { bytesMax: 5 } })).toMatchObject([{ code: 'too_large' }]);
    const invalid = Uint8Array.of(0xff, 0xff, 0xff);
    expect(problemsOf(invalid, { limits: { bytesMax: 2 } })).toMatchObject([{ code: 'too_large' }]);
  });
});

describe('keys that differ by case alone', () => {
  test.each([
    ['at the root', '{"method":1,"Method":2}', 1, ['Method']],
    ['one level down', '{"params":{"name":1,"NAME":2}}', 2, ['params.NAME']],
    ['below the depth that is asked for', '{"params":{"name":1,"NAME":2}}', 1, []],
    ['not asked for', '{"method":1,"Method":2}', 0, []],
    ['in two objects', '[{"a":1},{"A":1}]', 9, []],
    ['a long s', '{"session":1,"ſession":2}', 1, ['["ſession"]']],
    ['a Kelvin sign', '{"key":1,"\u212aey":2}', 1, ['["\u212aey"]']],
    ['a sharp s', '{"ss":1,"ß":2}', 1, ['["ß"]']],
    ['other letters', '{"ÄB":1,"äb":2}', 1, ['["äb"]']],
  ])('%s', (_, source, caseDistinctDepth, paths) => {
    const problems = problemsOf(source, { caseDistinctDepth });
    expect(problems.map((problem) => problem.path)).toEqual(paths);
    expect(problems.every((problem) => problem.code === 'colliding_key')).toBe(true);
  });
});

describe('numbers', () => {
  test.each([
    ['0.1', undefined],
    ['127.50', undefined],
    ['-0', undefined],
    ['9007199254740991', undefined],
    ['9007199254740993', '9007199254740993'],
    ['0.1000000000000000055511151231257827', '0.1000000000000000055511151231257827'],
    ['100000000000000000000000', undefined],
    ['123456789012345678', '123456789012345678'],
    ['1e999', '1e999'],
    ['1E400', '1E400'],
    ['-1e-999', '-1e-999'],
    ['1e2', '1e2'],
    ['0e0', '0e0'],
  ])('%s keeps its text as %s', (source, text) => {
    expect(judged(source).numberText(undefined, '')).toBe(text);
    const list = judged(`[7,${source}]`);
    expect(list.numberText(list.tree as object, 1)).toBe(text);
    expect(list.numberText(list.tree as object, 0)).toBeUndefined();
  });

  test('texts are found by holder and key, in parts as well', () => {
    const document = judged('{"a":{"big":9007199254740993},"list":[1,9007199254740995,{"big":1e400}],"big":3}');
    const a = document.at('a');
    expect(a?.numberText(a.tree as object, 'big')).toBe('9007199254740993');
    expect(document.numberText(document.tree as object, 'big')).toBeUndefined();
    expect(document.at('list', 1)?.numberText(undefined, '')).toBe('9007199254740995');
    expect(document.at('list', 0)?.numberText(undefined, '')).toBeUndefined();
    const inner = document.at('list', 2);
    expect(inner?.numberText(inner.tree as object, 'big')).toBe('1e400');
  });

  test('a text is found under a key that is spelled with escapes, and under __proto__', () => {
    const document = judged(String.raw`{"\u0062ig":1e3,"__proto__":{"x":9007199254740993}}`);
    expect(document.numberText(document.tree as object, 'big')).toBe('1e3');
    const inner = document.at('__proto__');
    expect(inner?.numberText(inner.tree as object, 'x')).toBe('9007199254740993');
  });

  test('digits in strings are no numbers', () => {
    const document = judged('{"a":"1e999","b":"-9007199254740993"}');
    expect(document.numberText(document.tree as object, 'a')).toBeUndefined();
  });

  test('a number of a million digits takes no time', () => {
    const document = judged(`[0.${'0'.repeat(500_000)}1${'0'.repeat(400_000)}]`);
    expect(document.numberText(document.tree as object, 0)).toHaveLength(900_003);
  });
});

test('a document that is too large is refused as such, every other as malformed', () => {
  const at = (code: JsonProblem['code']): JsonProblem => ({ code, path: 'a', message: 'why' });
  expect(denyJson([at('too_large')]).code).toBe('payload_too_large');
  expect(denyJson([at('duplicate_key'), at('lone_surrogate')])).toEqual({
    code: 'malformed_request',
    detail: 'duplicate_key at a: why; lone_surrogate at a: why',
  });
});

test('a long key is cut in a path', () => {
  const key = 'k'.repeat(1_000);
  expect(problemsOf(`{"${key}":1,"${key}":2}`)[0]?.path).toHaveLength(64 + '["…"]'.length);
});
