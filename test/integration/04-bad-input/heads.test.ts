import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { allCalls, callsOfSession, recordOf } from '../../support/audit.ts';
import { ordersPolicy, READ_ORDERS } from '../../support/policies.ts';
import { rawConnection, rawRequest, rawText } from '../../support/raw-http.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

let world: World;
let sidecar: RunningSidecar;
let up: RecordingUpstream;
let session: string;
/** Requests of earlier tests. */
let before = 0;

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(ordersPolicy(up.url, READ_ORDERS, world.idp));
  sidecar = await world.startSidecar();
  await eventually(() => sidecar.ready(), 'readiness');
  session = await sidecar.session();
});
beforeEach(() => {
  before = up.requests.length;
});
afterAll(async () => {
  await world?.close();
  await up?.close();
});

const BODY = '{"order_id":"O-000123"}';
const HOST = 'Host: 127.0.0.1';
const TYPE = 'Content-Type: application/json';
const LENGTH = `Content-Length: ${BODY.length}`;
const mine = (): string => `Sallyport-Session: ${session}`;
/** A good request but for what a test does to it. */
const post = (fields: readonly string[], { start = 'POST /tools/orders/get_order HTTP/1.1', body = BODY } = {}): string =>
  rawText([start, ...fields], body);
const good = (): readonly string[] => [HOST, TYPE, LENGTH, mine()];

it('the request that all others here are made from is a good one', async () => {
  const answer = await rawRequest(sidecar.port, post(good()));
  expect([answer.status, answer.text]).toEqual([200, '{"ok":true}']);
  expect(up.requests).toHaveLength(before + 1);
});

interface Refusal {
  readonly status: number;
  readonly code: string;
}
const MALFORMED: Refusal = { status: 400, code: 'malformed_request' };
const METHOD: Refusal = { status: 405, code: 'method_not_allowed' };

async function expectRefused(answer: HttpAnswer, { status, code }: Refusal): Promise<void> {
  expect([answer.status, answer.json()['code']]).toEqual([status, code]);
  expect(answer.json()).toMatchObject({ effect: 'none', retryable: false });
  expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', code });
  expect(up.requests).toHaveLength(before);
}

describe('[R5.19] a head with two meanings, or none, is refused, recorded, and reaches nobody', () => {
  const CASES: Readonly<Record<string, readonly [() => string, Refusal]>> = {
    'Host twice': [() => post([...good(), 'Host: other']), MALFORMED],
    'Host twice alike': [() => post([...good(), HOST]), MALFORMED],
    'no Host': [() => post(good().slice(1)), MALFORMED],
    'an empty Host': [() => post(['Host:', ...good().slice(1)]), MALFORMED],
    'the Host of a page that was rebound to loopback': [() => post(['Host: evil.example', ...good().slice(1)]), MALFORMED],
    'an Origin': [() => post([...good(), 'Origin: http://127.0.0.1']), MALFORMED],
    'a fetch from another site': [() => post([...good(), 'Sec-Fetch-Site: cross-site']), MALFORMED],
    'Authorization twice': [
      () =>
        rawText(['POST /session HTTP/1.1', HOST, `Authorization: Bearer ${world.idp.mint(world.clock.wall())}`, 'Authorization: Bearer x']),
      MALFORMED,
    ],
    'Sallyport-Session twice': [() => post([...good(), mine()]), MALFORMED],
    'Sallyport-Session twice in two cases': [() => post([...good(), mine().toUpperCase()]), MALFORMED],
    'Content-Type twice': [() => post([...good(), 'Content-Type: text/plain']), MALFORMED],
    'Content-Length twice alike': [() => post([...good(), LENGTH]), MALFORMED],
    'two lengths': [() => post([...good(), 'Content-Length: 5']), MALFORMED],
    'a list of lengths': [() => post([HOST, TYPE, mine(), `Content-Length: ${BODY.length}, ${BODY.length}`]), MALFORMED],
    'a signed length': [() => post([HOST, TYPE, mine(), `Content-Length: +${BODY.length}`]), MALFORMED],
    'a length beside chunks': [() => post([...good(), 'Transfer-Encoding: chunked']), MALFORMED],
    'another transfer coding': [() => post([HOST, TYPE, mine(), 'Transfer-Encoding: gzip, chunked']), MALFORMED],
    'a transfer coding with a blemish': [() => post([HOST, TYPE, mine(), 'Transfer-Encoding: xchunked']), MALFORMED],
    'chunks in HTTP/1.0': [
      () => post([HOST, TYPE, mine(), 'Transfer-Encoding: chunked'], { start: 'POST /tools/orders/get_order HTTP/1.0' }),
      MALFORMED,
    ],
    'a space before the colon': [() => post([...good(), 'X-A : b']), MALFORMED],
    'a folded field': [() => post([...good(), 'X-A: b', ' c']), MALFORMED],
    'a name that is no token': [() => post([...good(), 'X(A): b']), MALFORMED],
    'a zero byte in a value': [() => post([...good(), 'X-A: b\0c']), MALFORMED],
    'a value beyond ASCII': [() => post([...good(), 'X-A: ä']), MALFORMED],
    'Connection that strips a credential': [() => post([...good(), 'Connection: Sallyport-Session']), MALFORMED],
    'a target of another host': [() => post(good(), { start: 'POST http://evil.example/tools/orders/get_order HTTP/1.1' }), MALFORMED],
    'an address where a name belongs': [
      () => post(good(), { start: 'POST http://127.0.0.1/tools/orders/get_order HTTP/1.1' }),
      { status: 400, code: 'direct_address_rejected' },
    ],
    'a climbing path': [() => post(good(), { start: 'POST /tools/orders/../orders/get_order HTTP/1.1' }), MALFORMED],
    'an escaped climbing path': [() => post(good(), { start: 'POST /tools/orders/%2e%2e/get_order HTTP/1.1' }), MALFORMED],
    'a hidden slash': [() => post(good(), { start: 'POST /tools/orders%2Fget_order/x HTTP/1.1' }), MALFORMED],
    'a twice escaped path': [() => post(good(), { start: 'POST /tools/orders/get%255Forder HTTP/1.1' }), MALFORMED],
    'an empty segment': [() => post(good(), { start: 'POST /tools//orders/get_order HTTP/1.1' }), MALFORMED],
    'path parameters': [() => post(good(), { start: 'POST /tools/..;x/get_order HTTP/1.1' }), MALFORMED],
    'a fragment': [() => post(good(), { start: 'POST /tools/orders/get_order#x HTTP/1.1' }), MALFORMED],
    'a query': [() => post(good(), { start: 'POST /tools/orders/get_order?order_id=O-000999 HTTP/1.1' }), MALFORMED],
    'a path of no table': [() => post(good(), { start: 'POST /admin HTTP/1.1' }), { status: 403, code: 'egress_denied' }],
    GET: [() => rawText(['GET /tools/orders/get_order HTTP/1.1', HOST, mine()]), METHOD],
    CONNECT: [() => rawText(['CONNECT 127.0.0.1:443 HTTP/1.1', 'Host: 127.0.0.1:443', mine()]), METHOD],
    TRACE: [() => rawText(['TRACE /session HTTP/1.1', HOST, mine()]), METHOD],
    'a preflight': [() => rawText(['OPTIONS /session HTTP/1.1', HOST, 'Access-Control-Request-Method: POST']), METHOD],
    'an upgrade': [() => post([...good(), 'Connection: Upgrade', 'Upgrade: websocket']), METHOD],
    'the preface of HTTP/2': [() => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', MALFORMED],
    'HTTP/0.9': [() => 'GET /\r\n\r\n', MALFORMED],
    TLS: [() => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n\r\n', MALFORMED],
    'a head larger than is read': [() => post([...good(), `X-A: ${'a'.repeat(20_000)}`]), { status: 431, code: 'headers_too_large' }],
    'a value larger than is read': [() => post([...good(), `X-A: ${'a'.repeat(9_000)}`]), { status: 431, code: 'headers_too_large' }],
    'more fields than are read': [
      () => post([...good(), ...Array.from({ length: 200 }, (_, i) => `X-${i}: a`)]),
      { status: 431, code: 'headers_too_large' },
    ],
    'a target longer than is read': [
      () => post(good(), { start: `POST /tools/orders/${'a'.repeat(9_000)} HTTP/1.1` }),
      { status: 431, code: 'headers_too_large' },
    ],
    'an expectation that nobody can meet': [() => post([...good(), 'Expect: 200-ok']), { status: 417, code: 'malformed_request' }],
  };

  it.each(Object.entries(CASES))('%s', async (_, [bytes, refusal]) => {
    await expectRefused(await rawRequest(sidecar.port, bytes()), refusal);
  });
});

describe('what follows a request on its connection', () => {
  it('a second one before the first was answered ends the connection: nobody gets another’s answer', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    up.answer({ kind: 'parts', parts: ['{"ok":1}'], headers: { 'content-type': 'application/json' }, between: () => promise });
    const connection = await rawConnection(sidecar.port);
    connection.write(post(good()));
    await up.arrived(before + 1);
    connection.write(post(good()));
    await eventually(() => world.log.some((line) => line.includes('pipelined')), 'the refusal');
    resolve();
    expect(await connection.answer()).toMatchObject({ status: 200, text: '{"ok":1}' });
    await expect(connection.answer()).rejects.toThrow('no answer');
    connection.close();
    expect(up.requests).toHaveLength(before + 1);
    up.answer({ kind: 'json', body: { ok: true } });
  });

  it('bytes after its body are a request of their own, and refused as one', async () => {
    const connection = await rawConnection(sidecar.port);
    connection.write(post(good()));
    expect((await connection.answer()).status).toBe(200);
    before += 1;
    connection.write('smuggled\r\n\r\n');
    await expectRefused(await connection.answer(), MALFORMED);
    connection.close();
  });

  it('chunks that are none: one refusal, and one record of it', async () => {
    const own = await sidecar.session();
    const malformed = async (): Promise<number> => (await allCalls(world)).filter(({ code }) => code === 'malformed_request').length;
    await sidecar.call('orders/get_order', { order_id: 'O-000001' }, own);
    await callsOfSession(world, own, 1);
    const recorded = await malformed();
    before += 1;
    const head = ['POST /tools/orders/get_order HTTP/1.1', HOST, TYPE, `Sallyport-Session: ${own}`, 'Transfer-Encoding: chunked'];
    const answer = await rawRequest(sidecar.port, rawText(head, 'zz\r\n{}\r\n0\r\n\r\n'));
    expect([answer.status, answer.json()['code']]).toEqual([400, 'malformed_request']);
    expect(up.requests).toHaveLength(before);
    // Records come in order: once a later call is in the log, so is everything that was recorded before it.
    await sidecar.call('orders/get_order', { order_id: 'O-000002' }, own);
    const calls = await callsOfSession(world, own, 3);
    expect(calls.map(({ code, gate }) => [code, gate])).toEqual([
      ['-', 'authorization'],
      ['malformed_request', 'content'],
      ['-', 'authorization'],
    ]);
    expect(await malformed()).toBe(recorded + 1);
  });
});
