import { describe, expect, test } from 'vitest';
import { formatProblem } from '@sallyport/model';
import { LIMITS } from './limits.ts';
import { Problems, jsonTextOfNode } from './node.ts';
import { readYaml } from './yaml.ts';

function read(text: string): { documents: readonly string[]; problems: readonly string[] } {
  const problems = new Problems();
  const documents = readYaml('f.yaml', text, problems).map(({ root }) => jsonTextOfNode(root));
  return { documents, problems: problems.sorted().map(formatProblem) };
}

describe('readYaml', () => {
  test.each([
    ['one document', 'a: 1\nb: [x, "y z"]\n', ['{"a":1,"b":["x","y z"]}']],
    ['several documents', 'a: 1\n---\nb: 2\n', ['{"a":1}', '{"b":2}']],
    ['a trailing separator makes no document', 'a: 1\n---\n', ['{"a":1}']],
    ['an empty file holds no document', '', []],
    ['numbers keep every digit', 'a: 500.010\nb: 12345678901234567890123\n', ['{"a":500.010,"b":12345678901234567890123}']],
    ['block and folded scalars', 'a: |\n  x\n  y\nb: >\n  x\n  y\n', ['{"a":"x\\ny\\n","b":"x y\\n"}']],
    ['null in its three spellings', 'a:\nb: ~\nc: null\n', ['{"a":null,"b":null,"c":null}']],
    ['quoted words are text', 'a: "true"\nb: \'5\'\nc: "null"\n', ['{"a":"true","b":"5","c":"null"}']],
    ['carriage returns and a byte order mark', '\uFEFFa: 1\r\nb: 2\r\n', ['{"a":1,"b":2}']],
    ['a key that names a prototype is a plain key', '__proto__: 1\n', ['{"__proto__":1}']],
  ])('reads %s', (_, text, documents) => {
    expect(read(text)).toEqual({ documents, problems: [] });
  });

  test.each([
    ['a duplicate key', 'a: 1\na: 2\n', 'f.yaml:2:1: a: `a` stands here twice (two readers could take either)'],
    ['a duplicate key in a flow map', '{a: 1, "a": 2}', 'f.yaml:1:8: a: `a` stands here twice (two readers could take either)'],
    ['an anchor', 'a: &x 1\n', 'f.yaml:1:4: anchors are not part of this language (write it out)'],
    ['an alias', 'a: *x\n', 'f.yaml:1:4: aliases are not part of this language (write it out)'],
    ['a tag', 'a: !!str 1\n', 'f.yaml:1:4: tags are not part of this language (write it out)'],
    ['a local tag', 'a: !env x\n', 'f.yaml:1:4: tags are not part of this language (write it out)'],
    ['a directive', '%YAML 1.1\n---\na: 1\n', 'f.yaml:1:1: directives are not part of this language (write it out)'],
    ['a merge key', '<<: {a: 1}\nb: 2\n', 'f.yaml:1:1: "<<": merge keys are not part of this language (write the entries out)'],
    ['a list as a key', '? [a]\n: 1\n', 'f.yaml:1:1: keys must be text that is not empty'],
    ['an empty key', '"": 1\n', 'f.yaml:1:1: keys must be text that is not empty'],
    [
      'an unclosed list',
      'a: [1\n',
      'f.yaml:2:1: not YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ])('refuses %s', (_, text, problem) => {
    expect(read(text).problems[0]).toBe(problem);
  });

  test.each(['yes', 'No', 'on', 'OFF', 'True', 'NULL', '0o17', '0x1F', '012', '+5', '.5', '5.', '.inf', '.NaN', '1_000'])(
    'refuses %s unquoted, because readers differ about it',
    (word) => {
      expect(read(`a: ${word}\n`).problems).toEqual([expect.stringContaining(`\`${word}\` means different things to different readers`)]);
      expect(read(`a: "${word}"\n`).problems).toEqual([]);
    },
  );

  test.each([
    ['a billion laughs', 'a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n', 'anchors are not part of this language'],
    ['brackets without end', '['.repeat(50_000), `nested deeper than ${LIMITS.nestingMax}`],
    ['nested dashes', `${'- '.repeat(25_000)}x`, `nested deeper than ${LIMITS.nestingMax}`],
    ['nested questions', `${'? '.repeat(25_000)}x`, `nested deeper than ${LIMITS.nestingMax}`],
    [
      'indentation without end',
      Array.from({ length: 200 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      `nested deeper than ${LIMITS.nestingMax}`,
    ],
    ['a flood of tokens', '- a\n'.repeat(60_000), `more than ${LIMITS.fileTokensMax} tokens`],
    ['a flood of errors', '"'.repeat(59_000), 'not YAML'],
    ['a file too large', `a: "${'x'.repeat(LIMITS.fileCharsMax)}"`, `longer than ${LIMITS.fileCharsMax} characters`],
    ['a flood of exclamation marks', '!'.repeat(200_000), 'tags are not part of this language'],
  ])('YAML bomb: %s is refused before it costs anything', (_, text, message) => {
    const { documents, problems } = read(text);
    expect(problems[0]).toContain(message);
    expect(documents).toEqual([]);
    expect(problems.length).toBeLessThanOrEqual(LIMITS.problemsMax + 1);
  });

  test('says how many problems it did not list', () => {
    const { problems } = read(Array.from({ length: 300 }, (_, index) => `k${index}: yes`).join('\n'));
    expect(problems.at(-1)).toBe('and 100 more problems (mend these first)');
  });
});
