/** Part of the composition root: how the agent is dialled, over loopback or its socket, and how it proves that it is the agent. */

import { decodeBase64, encodeBase64, fromUtf8, readCertificate } from '@sallyport/crypto';
import { Fault, type Destination, type ServerName, type ServerTls } from '@sallyport/model';
import { createUpstreams } from '@sallyport/net';
import type { FileSystem } from '@sallyport/runtime';
import type { SidecarConfig } from './config.ts';
import type { AgentSide } from './upstream/forward-options.ts';

type Agent = NonNullable<SidecarConfig['inbound']>['agent'];

const FILE_BYTES_MAX = 1_048_576;
const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** Loopback and its socket alone: configuration is refused that says otherwise. Throws a Fault for an authority that is none. */
export function agentSide(
  { agent, headers }: Pick<NonNullable<SidecarConfig['inbound']>, 'agent' | 'headers'>,
  { tokens, disk, ...options }: Parameters<typeof createUpstreams>[0] & Pick<AgentSide, 'tokens'> & { readonly disk: FileSystem },
): AgentSide {
  const { url, socket } = agent;
  const at = url === undefined ? undefined : new URL(url);
  const isSecure = at?.protocol === 'https:';
  const tls = isSecure ? tlsOf(agent, disk) : undefined;
  const destination: Destination = {
    server: 'agent' as ServerName,
    scheme: isSecure ? 'https' : 'http',
    host: at?.hostname ?? 'localhost',
    port: at === undefined || at.port === '' ? (isSecure ? 443 : 80) : Number(at.port),
    network: 'loopback',
    ...(tls === undefined ? {} : { tls }),
  };
  // An agent that says more than it was asked would have the rest taken for the answer to another caller (response queue
  // poisoning): over loopback a connection for each request costs little.
  const alone = { ...options, limits: { ...options.limits, idleConnectionsMax: 0 } };
  const upstreams = createUpstreams(socket === undefined ? alone : { ...alone, socketPath: socket });
  return { upstreams, destination, basePath: (at?.pathname ?? '').replace(/\/$/, ''), headers, tokens };
}

/** It is shown this sidecar's own certificate: an agent that asks for one answers nobody else. */
function tlsOf({ tls }: Agent, disk: FileSystem): ServerTls {
  const { authorities_file: file, identity } = tls ?? {};
  const authorities = file === undefined ? 'workload' : authoritiesIn(file, disk);
  return { authorities, client: 'workload', ...(identity === undefined ? {} : { identity }) };
}

function authoritiesIn(path: string, disk: FileSystem): readonly string[] {
  let text = '';
  try {
    text = fromUtf8(disk.readFile(path, FILE_BYTES_MAX) ?? new Uint8Array()) ?? '';
  } catch {
    // Told below, with the key that names it.
  }
  const ders = [...text.matchAll(PEM)].map(([, body = '']) => decodeBase64(body.replaceAll(/\s/g, '')));
  const authorities = ders.flatMap((der) => (der !== undefined && readCertificate(der)?.isCa === true ? encodeBase64(der) : []));
  if (authorities.length > 0 && authorities.length === ders.length) return authorities;
  throw new Fault(
    'config_invalid',
    'internal',
    `inbound.agent.tls.authorities_file: \`${path}\` does not hold certificates of authorities alone`,
  );
}
