/** `sallyport api-key create`: what it writes is a key, what it prints recognises exactly that key. */

import { statSync } from 'node:fs';
import { callerMethod, replayMemory } from '@sallyport/credentials';
import type { Digest, Instant } from '@sallyport/model';
import { parseDocuments } from '@sallyport/policy';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { terminal, type Terminal } from '../testing/terminal.ts';

let at: Terminal;
beforeAll(() => {
  at = terminal();
});
afterAll(() => at.close());

/** A CallerMethod with the printed line pasted below `keys:`. */
const documentOf = (line: string): string => `apiVersion: sallyport.dev/v1
kind: CallerMethod
name: desk-keys
api_key:
  keys:
    ${line}
principals: [{ subject: ${/id: "([a-z0-9]+)"/.exec(line)?.[1] ?? ''}, id: desk, kind: service, tenant: acme }]
`;

function methodOf(line: string) {
  const parsed = parseDocuments([{ path: 'callers.yaml', text: documentOf(line) }]);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  const [document] = parsed.value.callerMethods ?? [];
  if (document === undefined) throw new Error('no method');
  const made = callerMethod(document.config, { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant }) });
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  return made.value;
}

async function verdict(line: string, key: string, now: Instant): Promise<string> {
  const rawHeaders = ['authorization', `Bearer ${key}`];
  const request = { method: 'POST', target: '/', authority: 'a', rawHeaders, body: undefined, peerCertificate: undefined };
  const proof = await methodOf(line).verify(request, { now, bundle: `sha256:${'0'.repeat(64)}` as Digest });
  return proof.ok ? proof.value.principal.id : proof.error.code;
}

describe('api-key create', () => {
  it('writes the key for its owner alone, and prints what a policy takes as it is', async () => {
    const { exit, out, err } = await at.type('api-key', 'create', '--out', 'desk.key', '--ttl', '7d');
    expect([exit, out.trimEnd().split('\n').length]).toEqual([0, 1]);
    expect(statSync(at.path('desk.key')).mode & 0o777).toBe(0o600);
    const key = at.read('desk.key').trim();
    expect(out + err).not.toContain(key.slice(-43));
    const issued = Date.parse(/issued_at: "([^"]+)"/.exec(out)?.[1] ?? '') as Instant;
    expect(await verdict(out.trim(), key, issued)).toBe('desk');
    expect(await verdict(out.trim(), `${key.slice(0, -2)}${key.at(-2) === 'A' ? 'B' : 'A'}${key.at(-1)}`, issued)).toBe('unauthenticated');
    expect(await verdict(out.trim(), key, (issued + 7 * 86_400_000) as Instant)).toBe('token_expired');
  });

  it('makes another one each time, and none for longer than a year', async () => {
    const made = [
      await at.type('api-key', 'create', '--out', 'one', '--json'),
      await at.type('api-key', 'create', '--out', 'two', '--json'),
    ];
    const entries = made.map(({ json }) => json()['entry'] as { id: string; salt: string; hash: string });
    expect(new Set(entries.flatMap(({ id, salt, hash }) => [id, salt, hash])).size).toBe(6);
    expect(await at.type('api-key', 'create', '--out', 'three', '--ttl', '400d')).toMatchObject({ exit: 2, out: '' });
  });
});
