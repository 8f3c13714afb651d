/** Access tokens that the sidecar fetches for itself: the client credentials grant (RFC 6749, section 4.4). */

import type { Destination } from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import type { CredentialSource } from '@sallyport/policy';
import { ask } from './secret-http.ts';
import { secretOf, type Sourced } from './secret-source.ts';

type OAuthSource = Extract<CredentialSource, { kind: 'oauth_client_credentials' }>;

export interface FetchToken {
  readonly endpoint: { readonly destination: Destination; readonly path: string };
  readonly upstreams: Upstreams;
  readonly secret: () => Promise<Sourced>;
  readonly signal: AbortSignal;
}

/** Where the server does not say, which it should (section 5.1). */
const LIFETIME_MS_DEFAULT = 60_000;
/** However long the server says: a withdrawn client must not live on in our memory. */
const LIFETIME_MS_MAX = 3_600_000;

/** Never rejects. A token of another type than `Bearer` is refused: we could not use it as it is meant. */
export async function fetchToken(source: OAuthSource, { endpoint, upstreams, secret, signal }: FetchToken): Promise<Sourced> {
  const own = await secret();
  if ('failure' in own) return own;
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (source.scopes.length > 0) form.set('scope', source.scopes.join(' '));
  const told = await ask(upstreams, endpoint.destination, {
    method: 'POST',
    path: endpoint.path,
    headers: [
      ['accept', 'application/json'],
      ['authorization', `Basic ${basic(source.clientId, own.value)}`],
      ['content-type', 'application/x-www-form-urlencoded'],
    ],
    body: new TextEncoder().encode(form.toString()),
    signal,
  });
  if ('failure' in told) return told;
  const [token, type, seconds] = ['access_token', 'token_type', 'expires_in'].map((name) => told.json.at(name)?.tree);
  if (typeof token !== 'string' || typeof type !== 'string' || type.toLowerCase() !== 'bearer') return { failure: 'malformed' };
  const lifetimeMs = lifetimeOf(seconds);
  if (lifetimeMs === undefined) return { failure: 'malformed' };
  const sourced = secretOf(new TextEncoder().encode(token), undefined);
  return 'failure' in sourced ? sourced : { ...sourced, lifetimeMs };
}

function lifetimeOf(seconds: unknown): number | undefined {
  if (seconds === undefined) return LIFETIME_MS_DEFAULT;
  if (typeof seconds !== 'number' || !Number.isFinite(seconds) || seconds <= 0) return undefined;
  return Math.min(seconds * 1_000, LIFETIME_MS_MAX);
}

/** RFC 6749, section 2.3.1: both halves are form-encoded first. */
function basic(id: string, secret: string): string {
  const encoded = (text: string): string => new URLSearchParams({ x: text }).toString().slice(2);
  return Buffer.from(`${encoded(id)}:${encoded(secret)}`).toString('base64');
}
