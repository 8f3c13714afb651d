/** Signers of bodies are proven only once their body has been read: until then they are strangers, whatever their heads say. */

import { once } from 'node:events';
import { connect, type ClientHttp2Session } from 'node:http2';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hookHeaders } from '../../support/callers.ts';
import { codeOf, startInbound, type InboundSide } from '../../support/inbound.ts';
import { eventually } from '../../support/world.ts';

const INVOKE = '/agents/support-triage/invoke';
const HOOK = 'hook-secret-Zp4t8Qx2Lm9v';
const METHOD = `kind: CallerMethod
name: shop
hmac:
  headers: { signature: x-shop-signature, timestamp: x-shop-time, key_id: x-shop-key }
  prefix: "v1="
  template: [{ take: timestamp }, { text: "." }, { take: body }]
  window: 2m
  keys: [{ id: shop-1, secret: { file: hooks/shop } }]
principals: [{ subject: shop-1, id: shop, kind: service, tenant: acme, roles: [support-rep] }]
`;

let side: InboundSide;
let nth = 0;
const sessions: ClientHttp2Session[] = [];
beforeAll(async () => {
  side = await startInbound({ documents: METHOD, secrets: { 'hooks/shop': HOOK } });
});
afterAll(async () => {
  for (const session of sessions) session.destroy();
  await side?.close();
});

it('whoever knows no secret cannot fill the account of buffered bytes with bodies that trickle', async () => {
  let refused = 0;
  // Sixteen connections of thirty-two streams, each of which may send 64 KiB before it is proven: together all that there is.
  for (let c = 0; c < 16; c++) {
    const session = connect(`https://localhost:${side.port}`, { ca: side.ca });
    sessions.push(session);
    session.on('error', () => undefined);
    await once(session, 'connect');
    for (let s = 0; s < 32; s++) {
      const forged = hookHeaders('a-secret-that-is-not-the-one', '{}', side.world.clock.wall());
      const stream = session.request({ ':method': 'POST', ':path': INVOKE, 'content-type': 'application/json', ...forged });
      stream.on('error', () => undefined);
      stream.on('response', (head) => (refused += head[':status'] === 503 ? 1 : 0));
      stream.resume();
      stream.write('{');
    }
  }
  // An eighth is theirs, which is 64 of them; the others are told to come again.
  await eventually(() => refused === 512 - 64, 'the refusals');
  expect(codeOf(await side.ask(INVOKE, { json: {} }))).toBe('200');
  const session = await side.sidecar.session();
  expect((await side.sidecar.call('orders/get_order', { order_id: 'O-000123' }, session)).status).toBe(200);
  for (const one of sessions) one.destroy();
  const genuine = async (): Promise<string> => {
    const body = `{"nth":${++nth}}`;
    return codeOf(
      await side.ask(INVOKE, { body, headers: { authorization: undefined, ...hookHeaders(HOOK, body, side.world.clock.wall()) } }),
    );
  };
  await eventually(async () => (await genuine()) === '200', 'a sender who knows the secret');
});
