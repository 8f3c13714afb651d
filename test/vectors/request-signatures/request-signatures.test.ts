/** Runs the published vectors of signed requests through `@sallyport/verifier`. The file is the contract; this one only reads it. */

import { REQUEST_FAILURES, replayMemory, verifyRequest, type RequestVerification } from '@sallyport/verifier';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Vector, VectorFile } from './generate.ts';

const file = JSON.parse(readFileSync(new URL('request-signatures.json', import.meta.url), 'utf8')) as VectorFile;
const { trust_domain: trustDomain, authorities, audience, tool, scheme, vectors } = file;

function judged({ now, method, target, headers, body, fields, authority }: Vector, replay = replayMemory()): RequestVerification {
  const more = { ...(fields === undefined ? {} : { fields }), ...(authority === undefined ? {} : { authority }) };
  const options = { trustDomain, authorities, audience, tool, scheme, now: Date.parse(now), replay, ...more };
  return verifyRequest({ method, target, rawHeaders: headers.flat(), body }, options);
}
const told = (verified: RequestVerification): string => (verified.ok ? 'believed' : verified.code);

describe('a request', () => {
  it.each(vectors)('$name: $expect', (vector) => {
    expect(told(judged(vector))).toBe(vector.expect);
  });

  it('is believed once by who remembers, and again by who does not', () => {
    const [first] = vectors;
    if (first === undefined) throw new Error('no vectors');
    const replay = replayMemory();
    expect([told(judged(first, replay)), told(judged(first, replay)), told(judged(first))]).toEqual([
      'believed',
      'request_replayed',
      'believed',
    ]);
  });

  it('that is not believed is not remembered either: somebody could else use up a nonce', () => {
    const [first] = vectors;
    if (first === undefined) throw new Error('no vectors');
    const replay = replayMemory();
    expect([told(judged({ ...first, body: 'x' }, replay)), told(judged(first, replay))]).toEqual(['request_digest_mismatch', 'believed']);
  });

  it('can get every code', () => {
    const shown = new Set<string>(vectors.map(({ expect: expected }) => expected));
    expect(REQUEST_FAILURES.filter((code) => !shown.has(code))).toEqual(['request_replayed']);
  });

  it('and the codes of the specification are those of the library', () => {
    const page = readFileSync(new URL('../../../docs/spec/request-signatures-v1.md', import.meta.url), 'utf8');
    const section = page.slice(page.indexOf('## 3. Verifying'), page.indexOf('\n3.1.'));
    const codes = [...section.matchAll(/\| `([a-z_]+)` \|$/gm)].map(([, code]) => code);
    expect([...new Set(codes)]).toEqual([...REQUEST_FAILURES]);
  });
});
