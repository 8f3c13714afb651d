/** Part of the composition root: how its ports are opened. */

import { Fault } from '@sallyport/model';
import { startHttpListener, type HttpListener, type HttpListenerOptions } from '@sallyport/net';
import type { ListenAddress } from '@sallyport/runtime';

/** A port that cannot be opened is named by the key that sets it. */
export async function listenAs(key: string, options: HttpListenerOptions): Promise<HttpListener> {
  try {
    return await startHttpListener(options);
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    throw new Fault(thrown.code, thrown.source, `${key}: ${thrown.message}`, { cause: thrown });
  }
}

/** Whether no other machine reaches it. */
export function isLoopback(listen: ListenAddress): boolean {
  return listen.kind === 'unix' || listen.host === 'localhost' || listen.host === '::1' || listen.host.startsWith('127.');
}
