/** Runs the published assertion vectors through `@sallyport/verifier`. The file is the contract; this one only reads it. */

import { ASSERTION_FAILURES, verifyAssertion } from '@sallyport/verifier';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { VectorFile } from './generate.ts';

const file = JSON.parse(readFileSync(new URL('assertions.json', import.meta.url), 'utf8')) as VectorFile;
const { trust_domain: trustDomain, authorities, vectors } = file;

describe('assertions', () => {
  it.each(vectors)(
    '$name: $expect',
    ({ token, now, arguments: args, expect: expected, hops_max: hopsMax = 0, audience = file.audience, tool = file.tool }) => {
      const asked = args === undefined ? {} : { arguments: args };
      const verified = verifyAssertion(token, { trustDomain, authorities, audience, tool, hopsMax, now: Date.parse(now), ...asked });
      expect(verified.ok ? 'believed' : verified.code).toBe(expected);
    },
  );

  it('show every code that a token can get', () => {
    const shown = new Set(vectors.map(({ expect: expected }) => expected));
    // No token at all, and a second use, are not of one token.
    expect(ASSERTION_FAILURES.filter((code) => !shown.has(code))).toEqual(['assertion_missing', 'replayed']);
  });

  it('and the steps of the specification are those of the library, in its order', () => {
    const page = readFileSync(new URL('../../../docs/spec/assertions-v1.md', import.meta.url), 'utf8');
    const section = page.slice(page.indexOf('## 4. Verifying'), page.indexOf('\n4.1.'));
    expect([...section.matchAll(/\| `([a-z_]+)` \|$/gm)].map(([, code]) => code)).toEqual([...ASSERTION_FAILURES]);
  });
});
