import { readFileSync } from 'node:fs';
import { formatProblem } from '@sallyport/model';
import { describe, expect, test } from 'vitest';
import { runTests } from '../suites/run-tests.ts';
import { buildParts } from './build.ts';
import { parseDocuments } from './documents.ts';

const PAGE = readFileSync(new URL('../../../../docs/spec/policy-v1.md', import.meta.url), 'utf8');
const EXAMPLES = [...PAGE.matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text = '']) => text);

/** What is wrong with a policy of one file, warnings too, and what its tests say. */
function saidOf(text: string): readonly string[] {
  const source = parseDocuments([{ path: 'p.yaml', text }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) return built.error.map(formatProblem);
  return [...built.value.warnings, ...runTests(built.value.policy).problems].map(formatProblem);
}

describe('docs/spec/policy-v1.md', () => {
  test('the first example is a policy that a reader can paste: no problem, no warning, no failing test', () => {
    expect(saidOf(EXAMPLES[0] ?? '')).toEqual([]);
  });

  test('all examples together are one', () => {
    expect(EXAMPLES.length).toBeGreaterThan(2);
    expect(saidOf(EXAMPLES.join('---\n'))).toEqual([]);
  });

  // What 4.4 and 4.6 say in words alone, nobody writes right the first time.
  test.each(['task:', 'hours:', 'step_up:', 'budget:', 'sequence:', 'max:', 'once:', 'ranges:', 'touches:', 'remember:', 'with:'])(
    'shows how %s is written',
    (field) => {
      expect(EXAMPLES.join('')).toContain(field);
    },
  );
});
