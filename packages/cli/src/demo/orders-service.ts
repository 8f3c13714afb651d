/** A plain HTTP service for the demo: it answers whoever asks, which is why somebody has to stand before it. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface OrdersService {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string;
  /** What has been asked of it: `GET /orders/O-000123`. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export async function startOrders(): Promise<OrdersService> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ''} ${request.url ?? ''}`);
    const order = /^\/orders\/(O-[0-9]{6})(\/refunds)?$/.exec(request.url ?? '');
    request.resume();
    response.writeHead(order === null ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(order === null ? {} : { order_id: order[1], status: 'paid', total: '19.90' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}
