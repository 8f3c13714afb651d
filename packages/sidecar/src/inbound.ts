/**
 * Part of the composition root: the port by which callers reach the agent. Its certificate is read again while it runs, so
 * that it can be renewed without a restart.
 */

import { fromUtf8 } from '@sallyport/crypto';
import { Fault, type Clock } from '@sallyport/model';
import { startHttpListener, type HttpListener, type HttpListenerOptions, type ListenerTls } from '@sallyport/net';
import { delay, type FileSystem } from '@sallyport/runtime';
import type { Log } from '@sallyport/telemetry';
import type { SidecarConfig } from './config.ts';

type Inbound = NonNullable<SidecarConfig['inbound']>;

const FILE_BYTES_MAX = 1_048_576;
const READ_AGAIN_MS = 10_000;

export interface InboundOptions extends Omit<HttpListenerOptions, 'tls' | 'listen'> {
  readonly disk: FileSystem;
  readonly log: Log;
}

/** Opens the port. Rejects with a Fault `listen_failed` that names the key at fault. */
export async function listenForCallers(inbound: Inbound, { disk, ...options }: InboundOptions): Promise<HttpListener> {
  const tls = materialOf(inbound, disk);
  try {
    return await startHttpListener({ ...options, listen: inbound.listen, tls });
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('listen_failed', 'internal', 'inbound.key_file: the key does not fit the certificate, or is none', { cause });
  }
}

/** Looks for another certificate until the signal aborts. One that cannot be used is told once, and the one in use stays. */
export async function renewCertificate(
  listener: Pick<HttpListener, 'secure'>,
  inbound: Inbound,
  { disk, clock, log, signal }: { disk: FileSystem; clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  // Owner: this loop. What was read last, fit or not.
  let seen = JSON.stringify(materialOf(inbound, disk));
  while (await delay(clock, READ_AGAIN_MS, { signal })) {
    try {
      const next = materialOf(inbound, disk);
      const text = JSON.stringify(next);
      if (text === seen) continue;
      seen = text;
      listener.secure(next);
      log.info('certificate_renewed', { name: 'inbound' });
    } catch (thrown) {
      // Between two writes of a renewal the pair does not fit; the next look finds it whole.
      log.warn('certificate_unfit', { name: 'inbound' }, thrown);
    }
  }
}

function materialOf(inbound: Inbound, disk: FileSystem): ListenerTls {
  const read = (key: 'certificate_file' | 'key_file' | 'client_ca_file', path: string): string => {
    let text: string | undefined;
    try {
      const bytes = disk.readFile(path, FILE_BYTES_MAX);
      text = bytes === undefined ? undefined : fromUtf8(bytes);
    } catch {
      text = undefined;
    }
    if (text === undefined) throw new Fault('listen_failed', 'internal', `inbound.${key}: cannot read \`${path}\``);
    return text;
  };
  const { client_ca_file: authorities } = inbound;
  return {
    certificate: read('certificate_file', inbound.certificate_file),
    key: read('key_file', inbound.key_file),
    ...(authorities === undefined ? {} : { clientAuthorities: read('client_ca_file', authorities) }),
  };
}
