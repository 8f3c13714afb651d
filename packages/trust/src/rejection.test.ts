import { describe, expect, it } from 'vitest';
import { REJECT_CODES, explainRejection, reject } from './rejection.ts';

describe('explainRejection', () => {
  it.each(REJECT_CODES)('%s: says what it means and what to do, without a full stop', (code) => {
    const lines = explainRejection(reject(code, 'detail')).split('\n');
    expect(lines[0]).toBe(`REJECTED(${code}): detail`);
    expect(lines[1]).toMatch(/^ {2}means: [a-z].*[^.]$/);
    expect(lines.at(-1)).toMatch(/^ {2}remedy: [a-z].*[^.]$/);
  });

  it('lists every problem with its path', () => {
    const text = explainRejection(
      reject('MIN_VERSION', 'the Bundle uses words that this build does not know', [
        { path: 'parts', message: 'unknown field `quotas`' },
        { path: 'source', message: 'unknown field `branch`' },
      ]),
    );
    expect(text).toContain('  at: parts: unknown field `quotas`\n  at: source: unknown field `branch`\n');
  });
});
