/** Somebody between the gateway and the one behind it, who reads everything and changes what they like. */

import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as it is on its way. */
export interface InTransit {
  readonly method: string;
  readonly target: string;
  /** Names and values in turn. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

export interface AlteringProxy {
  readonly url: string;
  /** `127.0.0.1:<port>`: what the gateway believes to speak to. */
  readonly authority: string;
  /** What was sent last, as it came in. */
  readonly seen: InTransit | undefined;
  /** From now on, until told otherwise. */
  alter(change: (request: InTransit) => Partial<InTransit>): void;
  /** Sends what was seen last once more, as it was. Gives the status. */
  replay(): Promise<number>;
  close(): Promise<void>;
}

/** Stands before `port` of this machine, and changes nothing until told. */
export async function alteringProxy(port: () => number): Promise<AlteringProxy> {
  let change: (request: InTransit) => Partial<InTransit> = () => ({});
  let seen: InTransit | undefined;
  const pass = async ({ method, target, rawHeaders, body }: InTransit): Promise<{ status: number; type: string; body: Buffer }> => {
    const kept = rawHeaders.flatMap((name, at) =>
      at % 2 === 0 && name.toLowerCase() !== 'content-length' ? [name, rawHeaders[at + 1] ?? ''] : [],
    );
    const headers = body.byteLength === 0 ? kept : [...kept, 'Content-Length', String(body.byteLength)];
    const sent = httpRequest({ host: '127.0.0.1', port: port(), method, path: target, headers, agent: false });
    sent.end(body);
    const [answer] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    return { status: answer.statusCode ?? 0, type: answer.headers['content-type'] ?? '', body: Buffer.concat(chunks) };
  };
  const server = createServer((incoming, response) => {
    const relay = async (): Promise<void> => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const { method = '', url: target = '', rawHeaders } = incoming;
      seen = { method, target, rawHeaders, body: Buffer.concat(chunks) };
      const answer = await pass({ ...seen, ...change(seen) });
      response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
    };
    relay().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${authority}`,
    authority,
    get seen() {
      return seen;
    },
    alter: (next) => {
      change = next;
    },
    replay: async () => {
      if (seen === undefined) throw new Error('nothing was sent yet');
      return (await pass(seen)).status;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
