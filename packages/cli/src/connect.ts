/**
 * The way to the control plane: mutual TLS as an administrator, to whoever proves to be `/control-plane` under the
 * administrator's own Root. Neither a name nor an address is believed.
 */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readCertificate } from '@sallyport/crypto';
import { loadPrivateKey } from '@sallyport/crypto/keys';
import { Audit, Directory, Fleet, PolicyPlane, Publish } from '@sallyport/contract';
import { fail, formatInstant, ok } from '@sallyport/model';
import type { Instant, Problem, Result } from '@sallyport/model';
import type { Client, GrpcStatus, TlsMaterial } from '@sallyport/net';
import { parseListenAddress, readConfigText } from '@sallyport/runtime';
import { authoritiesFor, explainRejection, judgeRootExpiry } from '@sallyport/trust';
import type { TrustedRoot } from '@sallyport/trust';
import { isDevFolder } from './dev/connection.ts';
import { readText, reasonOf } from './files.ts';
import { dirOption, homeOf, shownPath } from './home.ts';
import type { Home } from './home.ts';
import type { Exit, Io } from './io.ts';
import { text } from './option.ts';
import type { Option } from './option.ts';
import { refusal } from './output.ts';
import type { Output, Refusal } from './output.ts';
import { pemCertificates } from './pem.ts';
import { readOwnTrust } from './trust-files.ts';
import type { OwnTrust } from './trust-files.ts';

/** Options of every command that speaks with the control plane. */
export const LINK_OPTIONS: { readonly [K in keyof LinkOptions]: Option<string | undefined> } = {
  dir: dirOption,
  controlPlane: text('--control-plane HOST:PORT', 'where it listens for gRPC (default: from control-plane/config.yaml in the folder)'),
  admin: text('--admin NAME', 'whose certificate to show (default: the only one in admin/ of the folder)'),
};

export interface LinkOptions {
  readonly dir: string | undefined;
  readonly controlPlane: string | undefined;
  readonly admin: string | undefined;
}

/** Typed clients over one connection, and the trust that it stands on. */
export interface Link {
  readonly home: Home;
  readonly trust: OwnTrust;
  /** `host:port`, for messages. */
  readonly address: string;
  /** The line that starts the control plane that the folder configures; `undefined` where another one was named. */
  readonly startLine: string | undefined;
  readonly publish: Client<typeof Publish>;
  readonly policyPlane: Client<typeof PolicyPlane>;
  readonly fleet: Client<typeof Fleet>;
  readonly audit: Client<typeof Audit>;
  readonly directory: Client<typeof Directory>;
  close(): void;
}

const MESSAGE_BYTES_MAX = 8_388_608;
/** How long a call may take that does not wait for others. */
export const CALL_MS = 30_000;
const CERTIFICATE_BYTES_MAX = 65_536;

/** Runs `act` over a link and closes it, whatever happens. */
export async function withLink(
  options: LinkOptions,
  { io, out }: { readonly io: Io; readonly out: Output },
  act: (link: Link) => Promise<Exit>,
): Promise<Exit> {
  const link = await openLink(options, io);
  if (!link.ok) return out.refuse(link.error);
  try {
    return await act(link.value);
  } finally {
    link.value.close();
  }
}

/** Everything that is wrong with folder, trust, certificate and address at once; opens no connection yet. */
export async function openLink(options: LinkOptions, io: Io): Promise<Result<Link, Refusal>> {
  const home = homeOf(options.dir, io);
  const trust = readOwnTrust(home, {}, io);
  if (!trust.ok) return trust;
  const expired = judgeRootExpiry(trust.value.root, io.clock.wall());
  if (expired !== undefined) return fail(refusal(64, explainRejection(expired)));
  const material = readMaterial(home, { root: trust.value.root, admin: options.admin, now: io.clock.wall() });
  const address = readAddress(home, options.controlPlane);
  if (!material.ok || !address.ok)
    return fail({ exit: 64, problems: [...(material.ok ? [] : [material.error]), ...(address.ok ? [] : address.error)] });
  const { createClient, openChannel, tlsHolder } = await import('@sallyport/net');
  const tls = tlsHolder(material.value);
  if (!tls.ok) return fail({ exit: 64, problems: tls.error });
  const { host, port } = address.value;
  const channel = openChannel({
    host,
    port,
    trust: { kind: 'peer', tls: tls.value, trustDomain: trust.value.root.trustDomain, purpose: 'control_plane' },
    clock: io.clock,
    messageBytesMax: MESSAGE_BYTES_MAX,
  });
  return ok({
    home,
    trust: trust.value,
    address: `${host}:${port}`,
    startLine:
      options.controlPlane === undefined ? `sallyport control-plane --config ${shownPath(home.controlPlaneConfig, io)}` : undefined,
    publish: createClient(Publish, channel),
    policyPlane: createClient(PolicyPlane, channel),
    fleet: createClient(Fleet, channel),
    audit: createClient(Audit, channel),
    directory: createClient(Directory, channel),
    close: () => channel.close(),
  });
}

/** A status that is no answer, as a refusal with what to do about it. */
export function refusedBy(what: string, status: GrpcStatus, link: Refused): Refusal {
  const message = `while ${what}: ${status.message === '' ? status.code.replaceAll('_', ' ') : messageOf(status, link)}`;
  return status.code === 'cancelled' ? refusal(130, message) : refusal(1, message, remedyOf(status, link));
}

/** What of a link a refusal speaks of. */
export type Refused = Pick<Link, 'address' | 'startLine'> & { readonly home: Pick<Home, 'dir'> };

function messageOf({ code, message, failure }: GrpcStatus, { address, home }: Refused): string {
  if (failure === 'no_tls') return `${address} does not speak TLS`;
  if (failure === 'another_root') return `the control plane at ${address} belongs to another root than \`${home.dir}\``;
  if (failure === 'nobody_listens' && isDevFolder(home.dir)) return `the dev of \`${home.dir}\` has ended: ${message}`;
  return code === 'unimplemented' ? `${address} is a control plane's, but not its port for administrators` : message;
}

function remedyOf({ code, failure }: GrpcStatus, { address, startLine, home }: Refused): string | undefined {
  if (failure === 'another_root') return 'name the folder of its root with --dir, or the right address with --control-plane';
  if (failure === 'no_tls' || code === 'unimplemented')
    return 'name its gRPC port, `listen.grpc` of its configuration, with --control-plane';
  if (failure === 'nobody_listens' && startLine !== undefined)
    return `${isDevFolder(home.dir) ? 'its record is still there; to read it, start its control plane' : 'start it'}: \`${startLine}\``;
  if (code === 'unavailable' || code === 'deadline_exceeded') return `is the control plane running, and ${address} its address?`;
  return code === 'unauthenticated' || failure === 'not_admitted' ? 'the certificate in admin/ is not accepted there' : undefined;
}

interface MaterialOptions {
  readonly root: TrustedRoot;
  readonly admin: string | undefined;
  readonly now: Instant;
}

function readMaterial(home: Home, { root, admin, now }: MaterialOptions): Result<TlsMaterial, Problem> {
  const name = admin === undefined ? onlyAdmin(home) : ok(admin);
  if (!name.ok) return name;
  const file = join(home.admin, `${name.value}.crt`);
  const pem = readText(file, { bytesMax: CERTIFICATE_BYTES_MAX });
  if (!pem.ok) return pem;
  const chain = pemCertificates(pem.value);
  const leaf = chain[0] === undefined ? undefined : readCertificate(chain[0]);
  if (leaf === undefined) return fail({ path: '', file, message: 'holds no certificate in PEM' });
  if (!(now <= leaf.notAfter))
    return fail({ path: '', file, message: `this certificate ended at ${formatInstant(leaf.notAfter as Instant)}` });
  const key = loadPrivateKey(join(home.admin, `${name.value}.pem`));
  if (!key.ok) return fail({ path: '', message: key.error.message, remedy: key.error.remedy });
  return ok({ chain, privatePem: key.value, authorities: authoritiesFor(root, `spiffe://${root.trustDomain}/control-plane`) });
}

function onlyAdmin(home: Home): Result<string, Problem> {
  try {
    const names = readdirSync(home.admin).flatMap((name) => /^(.+)\.crt$/.exec(name)?.[1] ?? []);
    const [only, ...more] = names;
    if (only !== undefined && more.length === 0) return ok(only);
    return fail({
      path: '',
      file: home.admin,
      message: `holds ${names.length} certificates`,
      remedy: `say who you are: --admin ${names.toSorted().join(' | ') || 'NAME'}`,
    });
  } catch (error) {
    return fail({ path: '', file: home.admin, message: `cannot be read: ${reasonOf(error)}`, remedy: 'name another folder with --dir' });
  }
}

function readAddress(home: Home, given: string | undefined): Result<{ readonly host: string; readonly port: number }, readonly Problem[]> {
  if (given !== undefined) {
    const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9.-]{1,253})):([1-9][0-9]{0,4})$/.exec(given);
    const port = Number(match?.[3]);
    if (match !== null && port <= 65_535) return ok({ host: match[1] ?? match[2] ?? '', port });
    return fail([{ path: '--control-plane', message: `\`${given}\` is not an address and port`, remedy: 'such as 127.0.0.1:7443' }]);
  }
  const configured = readConfigText(home.controlPlaneConfig, 'listen.grpc');
  if (!configured.ok) return fail(configured.error.map((problem) => ({ ...problem, remedy: 'or name it with --control-plane' })));
  const address = parseListenAddress(configured.value ?? DEFAULT_GRPC);
  if (address?.kind !== 'tcp' || address.port === 0)
    return fail([
      {
        path: 'listen.grpc',
        file: home.controlPlaneConfig,
        message: `\`${configured.value ?? ''}\` does not say where to connect`,
        remedy: 'name it with --control-plane',
      },
    ]);
  return ok({ host: LOOPBACK[address.host] ?? address.host, port: address.port });
}

/** As the control plane's own schema has it. */
const DEFAULT_GRPC = '127.0.0.1:7443';
/** What listens everywhere is reached here. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
