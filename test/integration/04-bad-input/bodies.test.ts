import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordOf } from '../../support/audit.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { rawConnection, type RawConnection } from '../../support/raw-http.ts';
import { eventually, request, startWorld, type HttpAnswer, type RunningSidecar, type World } from '../../support/world.ts';

const DOCUMENTS = `
kind: Tool
name: orders/put
effect: write
route: { method: POST, path: /put }
arguments:
  properties:
    text: { type: string }
    count: { type: integer }
    amount: { type: number, format: decimal }
    ratio: { type: number }
    line: { type: object, properties: { sku: { type: string } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: put, allow: [orders/put], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/put, expect: allow }
`;

const BODY_BYTES_MAX = 65_536;
const BYTES_IN_FLIGHT_MAX = 1_048_576;

let world: World;
let sidecar: RunningSidecar;
let up: RecordingUpstream;
let session: string;
/** Requests of earlier tests. */
let before = 0;

beforeAll(async () => {
  up = await recordingUpstream();
  world = await startWorld();
  await world.admin.publish(ordersPolicy(up.url, DOCUMENTS, world.idp));
  const limits = { bytes_in_flight_max: BYTES_IN_FLIGHT_MAX, request_body_bytes_max: BODY_BYTES_MAX };
  sidecar = await world.startSidecar({ config: { limits } });
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

const post = (
  body: string | Uint8Array,
  headers: Record<string, string | undefined> = {},
  path = '/tools/orders/put',
): Promise<HttpAnswer> => {
  const all = Object.entries({ 'content-type': 'application/json', 'sallyport-session': session, ...headers });
  const given = all.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return sidecar.request(path, { body, headers: Object.fromEntries(given) });
};
const forwarded = (): readonly string[] => up.requests.slice(before).map(({ body }) => body);
const inFlight = async (): Promise<number> => {
  const metrics = await request(sidecar.healthPort, '/metrics', { method: 'GET' });
  return Number(/^sallyport_bytes_in_flight (\d+)$/m.exec(metrics.text)?.[1]);
};

async function expectRefused(answer: HttpAnswer, status: number, code: string): Promise<void> {
  expect([answer.status, answer.json()['code']]).toEqual([status, code]);
  expect(await recordOf(world, answer)).toMatchObject({ decision: 'deny', code });
  expect(forwarded()).toEqual([]);
  expect(await inFlight()).toBe(0);
}

/** A JSON text of exactly so many bytes. */
const textOf = (bytes: number): string => `{"text":"${'x'.repeat(bytes - 11)}"}`;

describe('[R5.19] a body that is not one JSON text with one meaning is refused, recorded, and reaches nobody', () => {
  const bytes = (...values: readonly (string | readonly number[])[]): Uint8Array =>
    Buffer.concat(values.map((value) => (typeof value === 'string' ? Buffer.from(value) : Buffer.from(value))));
  const MALFORMED: Readonly<Record<string, string | Uint8Array>> = {
    'cut off': '{"text":"a"',
    'a trailing comma': '{"text":"a",}',
    'single quotes': "{'text':'a'}",
    'a comment': '{"text":"a"/* b */}',
    'a bare word': '{"ratio":NaN}',
    'a leading zero': '{"count":01}',
    'two values': '{"text":"a"}{"text":"b"}',
    'text after the value': '{"text":"a"} x',
    'white space alone': '  ',
    'a byte order mark': bytes([0xef, 0xbb, 0xbf], '{"text":"a"}'),
    'no UTF-8': bytes('{"text":"', [0xff], '"}'),
    'overlong UTF-8': bytes('{"text":"', [0xc0, 0xaf], '"}'),
    'UTF-16': Buffer.from('{"text":"a"}', 'utf16le'),
    'half of a surrogate pair': String.raw`{"text":"\ud83d"}`,
    'a control character in a text': '{"text":"a\u0001b"}',
    'the same key twice': '{"text":"a","text":"b"}',
    'the same key twice, once escaped': String.raw`{"text":"a","te\u0078t":"b"}`,
    'the same key twice, deep inside': '{"line":{"sku":"a","sku":"b"}}',
    '__proto__ twice': '{"__proto__":1,"__proto__":2}',
    'two keys that differ by case': '{"text":"a","Text":"b"}',
    'two keys that differ by case in another script': '{"sku":"a","s\u212Au":"b"}',
    'nested beyond measure': `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
    'a list': '["a"]',
    'a text': '"a"',
    null: 'null',
  };
  it.each(Object.entries(MALFORMED))('%s', async (_, body) => {
    await expectRefused(await post(body), 400, 'malformed_request');
  });

  it.each([
    '{"tool":"put","Tool":"erase"}',
    '{"tool":"put","tool":"erase"}',
    '{"tool":["put"]}',
    '{}',
    '{"tool":"put","arguments":{},"text":"a"}',
  ])('an envelope of two tools or none: %s', async (body) => {
    await expectRefused(await post(body, {}, '/tools/orders/invoke'), 400, 'malformed_request');
  });

  it.each([
    ['an integer with a fraction', '{"count":1.5}'],
    ['an integer with an exponent', '{"count":1e2}'],
    ['an integer as text', '{"count":"1"}'],
    ['an integer of too many digits', `{"count":${'9'.repeat(5_000)}}`],
    ['a decimal with an exponent', '{"amount":1e2}'],
    ['a decimal of 39 digits', `{"amount":0.${'1'.repeat(39)}}`],
    ['a number that no double is', '{"ratio":0.10000000000000001}'],
    ['a number beyond every double', '{"ratio":1e400}'],
    ['an integer that a double bends', '{"ratio":9007199254740993}'],
    ['a number in an object for a text', '{"text":{"n":9007199254740993}}'],
  ])('a number that would be bent: %s', async (_, body) => {
    await expectRefused(await post(body), 422, 'schema_violation');
  });

  it('a key that differs by case from the one that the schema names', async () => {
    await expectRefused(await post('{"Text":"a"}'), 422, 'field_not_allowed');
    await expectRefused(await post('{"line":{"SKU":"a"}}'), 422, 'field_not_allowed');
    await expectRefused(await post('{"__proto__":{"text":"a"}}'), 422, 'field_not_allowed');
  });

  it('exact numbers reach the tool digit for digit', async () => {
    expect((await post('{"count":12345678901234567890,"amount":0.10000000000000000001,"ratio":0.1}')).status).toBe(200);
    expect(forwarded()).toEqual(['{"count":12345678901234567890,"amount":0.10000000000000000001,"ratio":0.1}']);
  });
});

describe('[R5.19] a body of another kind', () => {
  const TYPES = [
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'text/json',
    'application/json-patch+json',
    'application/json; charset=latin1',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json, text/plain',
    'application/json text/plain',
  ];
  it.each(TYPES)('content type %s', async (type) => {
    await expectRefused(await post('{"text":"a"}', { 'content-type': type }), 415, 'unsupported_content_type');
  });

  it.each(['application/json;charset=utf-8', 'APPLICATION/JSON; charset="UTF-8"'])('content type %s is JSON', async (type) => {
    expect((await post('{"text":"a"}', { 'content-type': type })).status).toBe(200);
  });

  it.each(['deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'gzip, identity', 'x-custom', 'GZIP,br'])(
    'content coding %s',
    async (coding) => {
      const body = coding === 'deflate' ? deflateSync('{"text":"a"}') : gzipSync(gzipSync('{"text":"a"}'));
      await expectRefused(await post(body, { 'content-encoding': coding }), 415, 'unsupported_content_type');
    },
  );

  it.each<readonly [string, Uint8Array]>([
    ['not gzip at all', Buffer.from('{"text":"a"}')],
    ['gzip, cut off', gzipSync('{"text":"a"}').subarray(0, 20)],
    ['gzip with a wrong checksum', damaged(gzipSync('{"text":"a"}'))],
    ['gzip of something else', gzipSync('text=a')],
    ['gzip of nothing, twice compressed', gzipSync(gzipSync('{"text":"a"}'))],
  ])('%s', async (_, body) => {
    await expectRefused(await post(body, { 'content-encoding': 'gzip' }), 400, 'malformed_request');
  });

  it('gzip is read, and what is forwarded is what was read', async () => {
    expect((await post(gzipSync('{ "text" : "a" }'), { 'content-encoding': 'gzip' })).status).toBe(200);
    expect(forwarded()).toEqual(['{"text":"a"}']);
    expect(await inFlight()).toBe(0);
  });
});

/** The length of the plain text, in the trailer, is not what it was. */
function damaged(zipped: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(zipped);
  bytes[bytes.length - 8] = (bytes[bytes.length - 8] ?? 0) ^ 1;
  return bytes;
}

describe('[R5.03 R12.11] a body of one byte too many', () => {
  it('with a length: refused before a byte of it is read', async () => {
    const connection = await rawConnection(sidecar.port);
    connection.write(head(`Content-Length: ${BODY_BYTES_MAX + 1}`));
    // Nothing of the body was sent, so nothing of it can have been waited for.
    await expectRefused(await connection.answer(), 413, 'payload_too_large');
    connection.close();
  });

  it('with a length, and sent', async () => {
    await expectRefused(await post(textOf(BODY_BYTES_MAX + 1)), 413, 'payload_too_large');
  });

  it('without a length', async () => {
    await expectRefused(await chunked(Buffer.from(textOf(BODY_BYTES_MAX + 1))), 413, 'payload_too_large');
  });

  it('without a length, and without an end: refused at the bound', async () => {
    const connection = await rawConnection(sidecar.port);
    connection.write(head('Transfer-Encoding: chunked'));
    const piece = `4000\r\n${'x'.repeat(0x40_00)}\r\n`;
    for (let sent = 0; sent <= BODY_BYTES_MAX; sent += 0x40_00) connection.write(piece);
    await expectRefused(await connection.answer(), 413, 'payload_too_large');
    connection.close();
  });

  it('[R5.19] compressed: what counts is what it grows to', async () => {
    const bombs = [gzipSync(textOf(BODY_BYTES_MAX + 1)), gzipSync('x'.repeat(50_000_000))];
    // Members in a row are one text: a reader that stops after the first would judge less than it forwards.
    bombs.push(Buffer.concat([gzipSync(textOf(BODY_BYTES_MAX)), gzipSync(' ')]));
    for (const bomb of bombs) {
      expect(bomb.length).toBeLessThan(BODY_BYTES_MAX);
      await expectRefused(await post(bomb, { 'content-encoding': 'gzip' }), 413, 'payload_too_large');
    }
  });

  it('[R5.19] compressed and sent in chunks', async () => {
    await expectRefused(await chunked(gzipSync(textOf(BODY_BYTES_MAX + 1)), 'Content-Encoding: gzip'), 413, 'payload_too_large');
  });

  it('and one that is just not too large goes through, either way', async () => {
    expect((await post(textOf(BODY_BYTES_MAX))).status).toBe(200);
    expect((await chunked(Buffer.from(textOf(BODY_BYTES_MAX)))).status).toBe(200);
    expect((await post(gzipSync(textOf(BODY_BYTES_MAX)), { 'content-encoding': 'gzip' })).status).toBe(200);
    expect(forwarded().map(({ length }) => length)).toEqual([BODY_BYTES_MAX, BODY_BYTES_MAX, BODY_BYTES_MAX]);
    expect(await inFlight()).toBe(0);
  });
});

const head = (...fields: readonly string[]): string =>
  [
    'POST /tools/orders/put HTTP/1.1',
    'Host: 127.0.0.1',
    'Content-Type: application/json',
    `Sallyport-Session: ${session}`,
    ...fields,
    '',
    '',
  ].join('\r\n');

async function chunked(body: Uint8Array, ...fields: readonly string[]): Promise<HttpAnswer> {
  const connection = await rawConnection(sidecar.port);
  try {
    connection.write(head('Transfer-Encoding: chunked', ...fields));
    connection.write(Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]));
    return await connection.answer();
  } finally {
    connection.close();
  }
}

describe('[R5.03] memory is bounded whatever is sent at once', () => {
  /** Bodies without a length hold the most that they may become. */
  const HOLDING = BYTES_IN_FLIGHT_MAX / BODY_BYTES_MAX;

  it('a body that no room is left for is refused before it is read, and room comes back', async () => {
    const holding: RawConnection[] = [];
    for (let i = 0; i < HOLDING; i++) {
      const connection = await rawConnection(sidecar.port);
      connection.write(`${head('Transfer-Encoding: chunked')}1\r\n`);
      holding.push(connection);
    }
    await eventually(async () => (await inFlight()) === BYTES_IN_FLIGHT_MAX, 'the account to be full');
    const refused = await sidecar.call('orders/put', { text: 'a' }, session);
    expect([refused.status, refused.json()['code'], refused.headers['retry-after']]).toEqual([503, 'overloaded', '1']);
    expect(await recordOf(world, refused)).toMatchObject({ decision: 'deny', code: 'overloaded', gate: 'admission' });
    for (const connection of holding) connection.close();
    await eventually(async () => (await inFlight()) === 0, 'the account to be empty');
    expect((await sidecar.call('orders/put', { text: 'a' }, session)).status).toBe(200);
    expect(forwarded()).toEqual(['{"text":"a"}']);
  });

  it('one that does not fit into what is left is refused by the account, and what is held stays as it was', async () => {
    const held = await Promise.all(Array.from({ length: HOLDING - 1 }, () => rawConnection(sidecar.port)));
    for (const connection of held) connection.write(`${head('Transfer-Encoding: chunked')}1\r\n`);
    const partly = await rawConnection(sidecar.port);
    partly.write(head('Content-Length: 40000'));
    const full = (HOLDING - 1) * BODY_BYTES_MAX + 40_000;
    await eventually(async () => (await inFlight()) === full, 'the account to be nearly full');
    const refused = await chunked(Buffer.from('{"text":"a"}'));
    expect([refused.status, refused.json()['code']]).toEqual([503, 'overloaded']);
    expect(await recordOf(world, refused)).toMatchObject({ code: 'overloaded', gate: 'content' });
    expect(await inFlight()).toBe(full);
    for (const connection of [...held, partly]) connection.close();
    await eventually(async () => (await inFlight()) === 0, 'the account to be empty');
    expect(forwarded()).toEqual([]);
  });

  it('forty bodies of four times the bound at once: the account never passes its bound, and all are refused', async () => {
    const over = new AbortController();
    let most = 0;
    const watch = (async () => {
      while (!over.signal.aborted) most = Math.max(most, await inFlight());
    })();
    const large = Buffer.from(textOf(4 * BODY_BYTES_MAX));
    const answers = await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? chunked(large) : post(large))));
    over.abort();
    await watch;
    const codes = answers.map((answer) => `${answer.status} ${String(answer.json()['code'])}`);
    expect(codes.filter((code) => code !== '413 payload_too_large' && code !== '503 overloaded')).toEqual([]);
    expect(codes).toContain('413 payload_too_large');
    expect(most).toBeLessThanOrEqual(BYTES_IN_FLIGHT_MAX);
    expect(forwarded()).toEqual([]);
    expect(await inFlight()).toBe(0);
  });
});
