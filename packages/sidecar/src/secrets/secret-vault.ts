/**
 * Secrets of Vault's KV engine, version 2: `GET /v1/<mount>/data/<path>`, as whoever the token file says. The token is
 * read at each asking, so that an agent of Vault's may renew it.
 */

import { invariant, parseInstant, type Destination, type Instant, type ServerName } from '@sallyport/model';
import type { Upstreams } from '@sallyport/net';
import type { CredentialSource } from '@sallyport/policy';
import { readFile } from 'node:fs/promises';
import { readConfiguredSecret } from './secret-file.ts';
import { ask } from './secret-http.ts';
import { secretOf, type Sourced } from './secret-source.ts';

type VaultSource = Extract<CredentialSource, { kind: 'vault' }>;

export type ReadVault = (source: VaultSource, signal: AbortSignal) => Promise<Sourced>;

export interface VaultOptions {
  /** An origin. */
  readonly address: string;
  readonly network: Destination['network'];
  readonly tokenFile: string;
  readonly authoritiesFile: string | undefined;
  /** Called once, when it is first asked. */
  readonly dial: (authorities: readonly string[]) => Upstreams;
}

export function vaultReader(options: VaultOptions): ReadVault {
  const destination = destinationOf(options);
  // Owner: this reader.
  let dialled: Upstreams | undefined;
  return async ({ mount, path, field }, signal) => {
    const token = await readConfiguredSecret(options.tokenFile);
    if ('failure' in token) return token;
    const authorities = dialled === undefined ? await authoritiesOf(options.authoritiesFile) : [];
    if (authorities === undefined) return { failure: 'unreadable' };
    dialled ??= options.dial(authorities);
    const told = await ask(dialled, destination, {
      method: 'GET',
      path: `/v1/${mount}/data/${path}`,
      headers: [
        ['accept', 'application/json'],
        ['x-vault-request', 'true'],
        ['x-vault-token', token.value],
      ],
      signal,
    });
    if ('failure' in told) return told;
    const value = told.json.at('data', 'data', field)?.tree;
    if (value === undefined) return { failure: 'missing' };
    if (typeof value !== 'string') return { failure: 'malformed' };
    return secretOf(new TextEncoder().encode(value), createdAt(told.json.at('data', 'metadata', 'created_time')?.tree));
  };
}

function destinationOf({ address, network }: VaultOptions): Destination {
  const { protocol, hostname, port } = new URL(address);
  const scheme = protocol === 'https:' ? 'https' : 'http';
  invariant(hostname !== '', 'the configuration holds an origin');
  return {
    server: 'vault' as ServerName,
    scheme,
    host: hostname,
    port: port === '' ? (scheme === 'https' ? 443 : 80) : Number(port),
    network,
  };
}

/** PEM, as it stands; `undefined` where it cannot be read. */
async function authoritiesOf(file: string | undefined): Promise<readonly string[] | undefined> {
  if (file === undefined) return [];
  try {
    return [await readFile(file, 'utf8')];
  } catch {
    // Whoever reads the failure knows which file: there is one.
    return undefined;
  }
}

/** RFC 3339 with up to nine decimals, of which we keep three. */
function createdAt(text: unknown): Instant | undefined {
  const match = typeof text === 'string' ? /^([0-9T:-]{19})(?:\.([0-9]{1,9}))?Z$/.exec(text) : null;
  return match === null ? undefined : parseInstant(`${match[1] ?? ''}.${(match[2] ?? '').padEnd(3, '0').slice(0, 3)}Z`);
}
