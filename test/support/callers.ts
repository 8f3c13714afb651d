/** Callers that prove themselves as real ones do: signed by hand, with nothing of what verifies them. */

import { createHash, createHmac, sign, type KeyObject } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type Headers = Record<string, string>;

/** Secrets as an administrator lays them down: files that only this user can read. */
export function layDown(folder: string, secrets: Readonly<Record<string, string>>): string {
  for (const [path, value] of Object.entries(secrets)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, value, { mode: 0o600 });
  }
  chmodSync(folder, 0o700);
  return folder;
}

const seconds = (now: number): string => String(Math.floor(now / 1000));

/** A body as Slack signs it (https://api.slack.com/authentication/verifying-requests-from-slack). */
export function slackHeaders(secret: string, body: string, now: number): Headers {
  const timestamp = seconds(now);
  const mac = createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex');
  return { 'x-slack-signature': `v0=${mac}`, 'x-slack-request-timestamp': timestamp, 'content-type': 'application/json' };
}

/** What Slack posts when somebody writes to the app. */
export function slackEvent(user: string, text = 'Where is my order?'): string {
  return JSON.stringify({ type: 'event_callback', team_id: 'T0123ABCD', event: { type: 'message', user, text } });
}

/** A webhook signed over `<timestamp>.<body>`. */
export function hookHeaders(secret: string, body: string | Uint8Array, now: number, key = 'shop-1'): Headers {
  const timestamp = seconds(now);
  const mac = createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex');
  return { 'x-shop-signature': `v1=${mac}`, 'x-shop-time': timestamp, 'x-shop-key': key, 'content-type': 'application/json' };
}

export interface Signing {
  readonly key: KeyObject;
  readonly authority: string;
  readonly path: string;
  readonly nonce: string;
  readonly now: number;
  readonly lifetimeMs?: number;
}

/** RFC 9421 over method, authority, path, query and content digest, with Ed25519. */
export function signatureHeaders(body: string, { key, authority, path, nonce, now, lifetimeMs = 60_000 }: Signing): Headers {
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
  const created = Math.floor(now / 1000);
  const expires = created + lifetimeMs / 1000;
  const covered = '("@method" "@authority" "@path" "@query" "content-digest")';
  const input = `${covered};created=${created};expires=${expires};nonce="${nonce}";keyid="desk-1";tag="acme-agents"`;
  const base = [
    '"@method": POST',
    `"@authority": ${authority}`,
    `"@path": ${path}`,
    '"@query": ?',
    `"content-digest": ${digest}`,
    `"@signature-params": ${input}`,
  ].join('\n');
  const signature = sign(null, Buffer.from(base), key).toString('base64');
  return {
    'content-digest': digest,
    'signature-input': `sig=${input}`,
    signature: `sig=:${signature}:`,
    'content-type': 'application/json',
  };
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export interface PodToken {
  readonly key: KeyObject;
  readonly now: number;
  readonly audience?: string;
  readonly issuer?: string;
  readonly lifetimeMs?: number;
  readonly account?: string;
}

/** A projected service-account token as a kubelet hands it to a pod. */
export function podToken({
  key,
  now,
  audience = 'sallyport',
  issuer = 'https://cluster.example',
  lifetimeMs = 600_000,
  account = 'worker',
}: PodToken): string {
  const iat = Math.floor(now / 1000);
  const claims = {
    iss: issuer,
    aud: [audience],
    iat,
    nbf: iat,
    exp: iat + lifetimeMs / 1000,
    sub: `system:serviceaccount:shop:${account}`,
    'kubernetes.io': {
      namespace: 'shop',
      pod: { name: 'worker-1', uid: '11111111-2222-3333-4444-555555555555' },
      serviceaccount: { name: account, uid: '66666666-7777-8888-9999-aaaaaaaaaaaa' },
    },
  };
  const signed = `${part({ alg: 'ES256', kid: 'cluster-1' })}.${part(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
