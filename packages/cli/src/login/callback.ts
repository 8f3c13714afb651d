/**
 * Where the identity provider sends the browser back to: a port of this machine, open for one answer (RFC 8252, section
 * 7.3). Any page can call it, so only an answer with the state of this sign-in is taken; others change nothing.
 */

import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Callback {
  /** `http://127.0.0.1:PORT/callback`, for the authorization request. */
  readonly redirectUri: string;
  /** The whole address that the browser came back with. Rejects when the signal aborts. */
  answered(state: string, options: { readonly signal: AbortSignal }): Promise<URL>;
  close(): void;
}

const PATH = '/callback';
const PAGE = '<!doctype html><meta charset="utf-8"><title>Sallyport</title><p>You can close this page and go back to the terminal.</p>';

/** Listens on 127.0.0.1; `port` 0 takes a free one, which providers allow for native applications. */
export async function openCallback(port: number): Promise<Callback> {
  // Owner: this callback. Who waits for an answer with which state.
  let waiting: { readonly state: string; readonly resolve: (url: URL) => void } | undefined;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', origin());
    const states = url.searchParams.getAll('state');
    const isOurs = request.method === 'GET' && request.headers.host === hostOf(server.address()) && url.pathname === PATH;
    if (!isOurs || states.length !== 1 || waiting === undefined || states[0] !== waiting.state) {
      say(response, 400, 'nobody here waits for this');
      return;
    }
    say(response, 200, PAGE);
    waiting.resolve(url);
    waiting = undefined;
  });
  const origin = (): string => `http://${hostOf(server.address())}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    redirectUri: `${origin()}${PATH}`,
    answered: (state, { signal }) =>
      new Promise((resolve, reject) => {
        const stop = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
        if (signal.aborted) stop();
        else signal.addEventListener('abort', stop, { once: true });
        waiting = { state, resolve };
      }),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function hostOf(address: AddressInfo | string | null): string {
  return address === null || typeof address === 'string' ? '' : `127.0.0.1:${address.port}`;
}

/** Without scripts, frames or anything from elsewhere: the address bar holds a code. */
function say(response: ServerResponse, status: number, text: string): void {
  const isPage = text.startsWith('<');
  response.writeHead(status, {
    'content-type': isPage ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(text);
}
