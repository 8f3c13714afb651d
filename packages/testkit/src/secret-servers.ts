/**
 * Places where secrets lie, as real servers: Vault's KV engine, version 2, as far as reading goes, and an OAuth token
 * endpoint for client credentials. Each answers by script where a test wants a fault.
 */

import { recordingUpstream, type RecordedRequest, type RecordingUpstream, type ScriptedAnswer } from './recording-upstream.ts';

export interface VaultServer extends RecordingUpstream {
  /** Who may read. */
  readonly token: string;
  /** A new version of a secret, as `vault kv put <mount>/<path>` makes it. */
  put(path: string, data: Readonly<Record<string, unknown>>, createdAt?: string): void;
  /** Ends faults. */
  heal(): void;
}

/** `path` begins with the mount: `secret/orders`. */
export async function vaultServer(token = 'hvs-test-token'): Promise<VaultServer> {
  const secrets = new Map<string, { readonly data: object; readonly version: number; readonly createdAt: string }>();
  const script = ({ method, target, headers }: RecordedRequest): ScriptedAnswer => {
    const match = /^\/v1\/([^/]+)\/data\/(.+)$/.exec(target);
    if (method !== 'GET' || match === null) return { kind: 'json', status: 404, body: { errors: [] } };
    if (headers['x-vault-token'] !== token) return { kind: 'json', status: 403, body: { errors: ['permission denied'] } };
    const found = secrets.get(`${match[1] ?? ''}/${match[2] ?? ''}`);
    if (found === undefined) return { kind: 'json', status: 404, body: { errors: [] } };
    const metadata = { created_time: found.createdAt, custom_metadata: null, deletion_time: '', destroyed: false, version: found.version };
    const body = { request_id: 'r', lease_id: '', renewable: false, lease_duration: 0, data: { data: found.data, metadata }, auth: null };
    return { kind: 'json', body };
  };
  const server = await recordingUpstream(script);
  return {
    ...server,
    token,
    put: (path, data, createdAt = '2026-11-20T07:31:23.123456789Z') =>
      void secrets.set(path, { data, version: (secrets.get(path)?.version ?? 0) + 1, createdAt }),
    heal: () => server.answer(script),
  };
}

export interface TokenEndpoint extends RecordingUpstream {
  /** Replaces the client's secret. */
  secret: string;
  /** What tokens are called: `<prefix>-1`, `<prefix>-2` and so on. */
  readonly issued: () => number;
  heal(): void;
}

/** RFC 6749, section 4.4, for one client that authenticates by Basic. */
export async function tokenEndpoint(client: { readonly id: string; readonly secret: string }, lifetimeS: number): Promise<TokenEndpoint> {
  // Owner: the script.
  let issued = 0;
  const script = ({ headers, body }: RecordedRequest): ScriptedAnswer => {
    const expected = `Basic ${Buffer.from(`${client.id}:${endpoint.secret}`).toString('base64')}`;
    if (headers['authorization'] !== expected) return { kind: 'json', status: 401, body: { error: 'invalid_client' } };
    if (new URLSearchParams(body).get('grant_type') !== 'client_credentials')
      return { kind: 'json', status: 400, body: { error: 'unsupported_grant_type' } };
    issued += 1;
    return { kind: 'json', body: { access_token: `token-${issued}`, token_type: 'Bearer', expires_in: lifetimeS } };
  };
  const server = await recordingUpstream(script);
  const endpoint: TokenEndpoint = { ...server, secret: client.secret, issued: () => issued, heal: () => server.answer(script) };
  return endpoint;
}
