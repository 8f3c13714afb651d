/** What an agent does to send a call in an envelope, written by hand from RFC 9421. */

import { createHash, randomUUID, sign, type KeyObject } from 'node:crypto';

export interface Sealing {
  readonly key: KeyObject;
  readonly keyId: string;
  readonly authority: string;
  readonly target: string;
  readonly now: number;
  readonly method?: string;
  readonly nonce?: string;
  readonly lifetimeMs?: number;
  readonly tag?: string;
  /** Left out of what is covered. */
  readonly uncovered?: readonly string[];
}

/** The headers with those of the envelope; all of them are covered. */
export function sealed(
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
  { key, keyId, authority, target, now, method = 'POST', nonce = randomUUID(), lifetimeMs = 60_000, ...more }: Sealing,
): Record<string, string> {
  const { tag = 'sallyport-envelope', uncovered = [] } = more;
  const all: Record<string, string> = {
    ...headers,
    'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:`,
  };
  const [path = '', query] = target.split('?');
  const derived: Record<string, string> = {
    '@method': method,
    '@authority': authority,
    '@path': path,
    '@query': `?${query ?? ''}`,
  };
  const names = [...Object.keys(derived), ...Object.keys(all)].filter((name) => !uncovered.includes(name));
  const created = Math.floor(now / 1_000);
  const times = `created=${created};expires=${created + lifetimeMs / 1_000}`;
  const input = `(${names.map((name) => `"${name}"`).join(' ')});${times};nonce="${nonce}";keyid="${keyId}";tag="${tag}"`;
  const base = [...names.map((name) => `"${name}": ${derived[name] ?? all[name] ?? ''}`), `"@signature-params": ${input}`].join('\n');
  const signature = sign('sha256', Buffer.from(base), { key, dsaEncoding: 'ieee-p1363' }).toString('base64');
  return { ...all, 'signature-input': `e=${input}`, signature: `e=:${signature}:` };
}
