/**
 * Part of the composition root: a port under TLS, callers' or the agent's own. Its certificate and the authorities of its
 * clients are read again while it runs, so that they can be renewed without a restart.
 */

import { fromUtf8 } from '@sallyport/crypto';
import { Fault, fail, formatProblem, ok, type Clock, type Problem, type Result } from '@sallyport/model';
import { isUsablePair, startHttpListener, type HttpListener, type HttpListenerOptions, type ListenerTls } from '@sallyport/net';
import { delay, type Drain, type FileSystem, type ListenAddress } from '@sallyport/runtime';
import type { Log } from '@sallyport/telemetry';
import type { SidecarConfig } from './config.ts';
import type { Leg } from './pipeline/gate.ts';

const FILE_BYTES_MAX = 1_048_576;
const READ_AGAIN_MS = 10_000;

/** Where a port under TLS is, and what it shows. */
export interface TlsPort {
  /** The section of the configuration that names the files, for whoever has to mend them. */
  readonly section: string;
  readonly listen: ListenAddress;
  readonly files: {
    readonly certificate_file: string;
    readonly key_file: string;
    readonly client_ca_file?: string;
  };
}

export interface TlsPortOptions extends Omit<HttpListenerOptions, 'tls' | 'listen'> {
  readonly disk: FileSystem;
}

/** The ports that a configuration puts under TLS. */
export function tlsPortsOf({ inbound, outbound }: Pick<SidecarConfig, 'inbound' | 'outbound'>): Partial<Record<Leg, TlsPort>> {
  const { agent_certificate: files, listen } = outbound;
  return {
    ...(files === undefined ? {} : { outbound: { section: 'outbound.agent_certificate', listen, files } }),
    ...(inbound === undefined ? {} : { inbound: { section: 'inbound', listen: inbound.listen, files: inbound } }),
  };
}

/** What stands against opening them, as far as their files tell. */
export function judgeTlsPorts(config: Pick<SidecarConfig, 'inbound' | 'outbound'>, disk: FileSystem): readonly Problem[] {
  return Object.values(tlsPortsOf(config)).flatMap((port) => {
    const read = readMaterial(port, disk);
    if (!read.ok) return read.error;
    return isUsablePair(read.value) ? [] : [{ path: `${port.section}.key_file`, message: UNFIT }];
  });
}

const UNFIT = 'the key does not fit the certificate, or is none';

/** Opens the port. Rejects with a Fault `listen_failed` that names the key at fault. */
export async function listenUnderTls(port: TlsPort, { disk, ...options }: TlsPortOptions): Promise<HttpListener> {
  const tls = materialOf(port, disk);
  try {
    return await startHttpListener({ ...options, listen: port.listen, tls });
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('listen_failed', 'internal', `${port.section}.key_file: ${UNFIT}`, { cause });
  }
}

/** Opens the port, and has its certificate renewed until the drain. */
export async function keepListening(port: TlsPort, options: TlsPortOptions & { log: Log; drain: Drain }): Promise<HttpListener> {
  const { log, drain, ...rest } = options;
  const listener = await listenUnderTls(port, rest);
  drain.track('certificate', renewCertificate(listener, port, { ...rest, log, signal: drain.draining }));
  return listener;
}

/** Looks for another certificate until the signal aborts. One that cannot be used is told once, and the one in use stays. */
export async function renewCertificate(
  listener: Pick<HttpListener, 'secure'>,
  port: TlsPort,
  { disk, clock, log, signal }: { disk: FileSystem; clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  const name = port.section;
  // Owner: this loop. What was read last, fit or not.
  let seen = JSON.stringify(materialOf(port, disk));
  while (await delay(clock, READ_AGAIN_MS, { signal })) {
    try {
      const next = materialOf(port, disk);
      const text = JSON.stringify(next);
      if (text === seen) continue;
      seen = text;
      listener.secure(next);
      log.info('certificate_renewed', { name });
    } catch (thrown) {
      // Between two writes of a renewal the pair does not fit; the next look finds it whole.
      log.warn('certificate_unfit', { name }, thrown);
    }
  }
}

function materialOf(port: TlsPort, disk: FileSystem): ListenerTls {
  const read = readMaterial(port, disk);
  if (!read.ok) throw new Fault('listen_failed', 'internal', read.error.map(formatProblem).join('; '));
  return read.value;
}

/** Every file that cannot be read. */
function readMaterial({ section, files }: TlsPort, disk: FileSystem): Result<ListenerTls, readonly Problem[]> {
  const problems: Problem[] = [];
  const read = (key: keyof TlsPort['files'], path: string): string => {
    let text: string | undefined;
    try {
      const bytes = disk.readFile(path, FILE_BYTES_MAX);
      text = bytes === undefined ? undefined : fromUtf8(bytes);
    } catch {
      text = undefined;
    }
    if (text === undefined) problems.push({ path: `${section}.${key}`, message: `cannot read \`${path}\`` });
    return text ?? '';
  };
  const { client_ca_file: authorities } = files;
  const material = {
    certificate: read('certificate_file', files.certificate_file),
    key: read('key_file', files.key_file),
    ...(authorities === undefined ? {} : { clientAuthorities: read('client_ca_file', authorities) }),
  };
  return problems.length > 0 ? fail(problems) : ok(material);
}
