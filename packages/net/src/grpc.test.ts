import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  Audit,
  create,
  Enrolment,
  PolicyPlane,
  Publish,
  ServerMessageSchema,
  TailBatchSchema,
  TailRequestSchema,
  toBinary,
} from '@sallyport/contract';
import type { DescService } from '@sallyport/contract';
import { sha256 } from '@sallyport/crypto';
import { certificatePem } from '@sallyport/crypto/keys';
import { addMs, ok } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import { fakeClock, type FakeClock, testAuthority, type TestAuthority } from '@sallyport/testkit';
import { systemClock } from '@sallyport/runtime';
import { type Channel, type ChannelOptions, createClient, openChannel } from './grpc-client.ts';
import { encode } from './grpc-encoded.ts';
import { methodDefinition } from './grpc-method.ts';
import {
  type GrpcServer,
  type GrpcServerOptions,
  type Handlers,
  serve,
  type ServedService,
  type ServerCall,
  startGrpcServer,
} from './grpc-server.ts';
import { grpcFault, grpcStatus } from './grpc-status.ts';
import type { StreamWriter } from './grpc-writer.ts';
import { type TlsHolder, tlsHolder, type TlsMaterial } from './tls.ts';

/** OpenSSL reads the machine's clock, so certificates are made for it. */
const realNow = (): Instant => systemClock().wall();

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

let authority: TestAuthority;
let plane: TlsMaterial;
let sidecar: TlsMaterial;
let admin: TlsMaterial;
beforeAll(async () => {
  authority = await testAuthority();
  plane = await authority.issue('/control-plane');
  sidecar = await authority.issue('/sidecar/support/1', { usage: 'tls-client' });
  admin = await authority.issue('/admin/ada', { usage: 'tls-client' });
});

let clock: FakeClock;
let bugs: string[];
beforeEach(() => {
  clock = fakeClock({ wall: realNow() });
  bugs = [];
});

function holding(material: TlsMaterial): TlsHolder {
  const holder = tlsHolder(material);
  if (!holder.ok) throw new Error(JSON.stringify(holder.error));
  return holder.value;
}
async function server(services: readonly ServedService[], more: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
  const running = await startGrpcServer({
    host: '127.0.0.1',
    port: 0,
    tls: holding(plane),
    trustDomain: authority.trustDomain,
    clients: 'verified',
    services,
    clock,
    onBug: (error, method) => bugs.push(`${method}: ${String(error)}`),
    ...more,
  });
  cleanups.push(async () => {
    const drained = running.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
  });
  return running;
}
function channel(to: GrpcServer, material: TlsMaterial | TlsHolder, more: Partial<ChannelOptions> = {}): Channel {
  const tls = 'current' in material ? material : holding(material);
  const opened = openChannel({
    host: to.host,
    port: to.port,
    trust: { kind: 'peer', tls, trustDomain: authority.trustDomain, purpose: 'control_plane' },
    clock,
    ...more,
  });
  cleanups.push(() => opened.close());
  return opened;
}
const never = new AbortController().signal;
const soon = { deadlineMs: 20_000 };
async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

const refuse = (): Promise<never> => Promise.reject(new Error('not in this test'));
const publish = (more: Partial<Handlers<typeof Publish>>): ServedService =>
  serve(Publish, {
    purposes: ['admin'],
    handlers: {
      getHeads: refuse,
      missingParts: refuse,
      putPart: refuse,
      submitBundle: refuse,
      submitRelease: refuse,
      revoke: refuse,
      listVersions: refuse,
      listReleased: refuse,
      getObject: refuse,
      ...more,
    },
  });
const audit = (more: Partial<Handlers<typeof Audit>>): ServedService =>
  serve(Audit, { purposes: ['sidecar', 'collector'], handlers: { ship: refuse, tail: refuse, ...more } });

describe('the four kinds of call', () => {
  test('unary: message in, message out, and the handler knows who asks', async () => {
    let seen: ServerCall | undefined;
    const running = await server([
      publish({
        getHeads: async (request, call) => {
          seen = call;
          return ok({ ...create(Publish.method.getHeads.output, { release: `${request.area}/${request.ring}`, revision: 7n }) });
        },
      }),
    ]);
    const request = create(Publish.method.getHeads.input, { area: 'default', ring: 'all' });
    const answer = await createClient(Publish, channel(running, admin)).getHeads(request, soon);
    expect(answer).toMatchObject({ ok: true, value: { release: 'default/all', revision: 7n } });
    expect(seen?.peer).toMatchObject({ spiffeId: `spiffe://${authority.trustDomain}/admin/ada`, purpose: 'admin' });
    expect(seen?.address).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  test('client streaming: many in, one out', async () => {
    const running = await server([
      publish({
        putPart: async (incoming) => {
          const parts = await all(incoming);
          return parts.length === 3
            ? ok(create(Publish.method.putPart.output))
            : { ok: false, error: grpcStatus('data_loss', `${parts.length}`) };
        },
      }),
    ]);
    const { out, response } = createClient(Publish, channel(running, admin)).putPart(soon);
    for (const digest of ['a', 'b', 'c']) out.write(create(Publish.method.putPart.input, { digest, data: new Uint8Array(1_000) }));
    out.end();
    expect(await response).toMatchObject({ ok: true });
  });

  test('server streaming: one in, many out, then how it ended', async () => {
    const running = await server([
      audit({
        tail: async (request, out) => {
          for (const cursor of ['1', '2', '3']) out.write(create(TailBatchSchema, { cursor: `${request.agent}${cursor}` }));
          return { ok: false, error: grpcStatus('out_of_range', 'that was all') };
        },
      }),
    ]);
    const stream = createClient(Audit, channel(running, sidecar)).tail(create(TailRequestSchema, { agent: 'a' }), { signal: never });
    expect((await all(stream)).map((batch) => batch.cursor)).toEqual(['a1', 'a2', 'a3']);
    expect(await stream.status).toEqual({ code: 'out_of_range', message: 'that was all' });
  });

  test('bidi: both at once, and a clean end', async () => {
    const running = await server([
      audit({
        ship: async (incoming, out) => {
          for await (const message of incoming) {
            if (message.message.case === 'batch') {
              const { stream, firstSeq } = message.message.value;
              out.write(create(Audit.method.ship.output, { answer: { case: 'ack', value: { stream, durableThrough: firstSeq } } }));
            }
          }
          return ok(undefined);
        },
      }),
    ]);
    const { out, incoming } = createClient(Audit, channel(running, sidecar)).ship({ signal: never });
    const acked: bigint[] = [];
    out.write(create(Audit.method.ship.input, { message: { case: 'batch', value: { stream: 's', firstSeq: 1n } } }));
    for await (const { answer } of incoming) {
      if (answer.case !== 'ack') continue;
      acked.push(answer.value.durableThrough);
      if (acked.length === 3) out.end();
      else
        out.write(
          create(Audit.method.ship.input, {
            message: { case: 'batch', value: { stream: 's', firstSeq: answer.value.durableThrough + 1n } },
          }),
        );
    }
    expect(acked).toEqual([1n, 2n, 3n]);
    expect(await incoming.status).toMatchObject({ code: 'ok' });
  });
});

describe('encoded once', () => {
  /** A message that counts how often it is encoded. */
  function counted(): { message: { cursor: string; lines: Uint8Array[] }; encodings: () => number } {
    let reads = 0;
    const message = create(TailBatchSchema, { cursor: 'c' });
    Object.defineProperty(message, 'lines', { enumerable: true, get: () => [Buffer.from(`${(reads += 1)}`)] });
    return { message, encodings: () => reads };
  }

  test('the serialiser hands grpc-js the very memory of an encoded message, and encodes a plain one itself', () => {
    const encoded = encode(TailBatchSchema, { cursor: 'c' });
    const { responseSerialize, requestSerialize } = methodDefinition(Audit.method.tail);
    const written = responseSerialize(encoded);
    expect([written.buffer, written.byteOffset, written.byteLength]).toEqual([encoded.buffer, encoded.byteOffset, encoded.byteLength]);
    expect(responseSerialize(encoded).buffer).toBe(encoded.buffer);
    expect(responseSerialize(create(TailBatchSchema, { cursor: 'c' }))).toEqual(Buffer.from(encoded));
    expect(requestSerialize(create(TailRequestSchema, { agent: 'a' }))).toEqual(
      Buffer.from(toBinary(TailRequestSchema, create(TailRequestSchema, { agent: 'a' }))),
    );
  });

  test('a message for many receivers is encoded for none of them again', async () => {
    const { message, encodings } = counted();
    const shared = encode(TailBatchSchema, message);
    const before = encodings();
    const copy = shared.slice();
    const running = await server([
      audit({
        tail: async (_request, out) => {
          out.write(shared);
          return ok(undefined);
        },
      }),
    ]);
    const clients = Array.from({ length: 5 }, () => createClient(Audit, channel(running, sidecar)));
    const received = await Promise.all(clients.map((client) => all(client.tail(create(TailRequestSchema), { signal: never }))));
    const [first] = received;
    expect(received).toEqual(Array.from({ length: 5 }, () => first));
    expect(first?.[0]?.cursor).toBe('c');
    expect(encodings()).toBe(before);
    expect(Buffer.from(shared).equals(copy)).toBe(true);
  });

  test('on the wire both ways are the same bytes', async () => {
    const batch = { cursor: 'c', lines: [Buffer.from('{"seq":1}')] };
    const running = await server([
      audit({
        tail: async (request, out) => {
          out.write(request.agent === 'encoded' ? encode(TailBatchSchema, batch) : create(TailBatchSchema, batch));
          return ok(undefined);
        },
      }),
    ]);
    const [plain, encoded] = [await rawCall(running, 'plain'), await rawCall(running, 'encoded')];
    expect(encoded.equals(plain)).toBe(true);
    expect(plain.subarray(5).equals(encode(TailBatchSchema, batch))).toBe(true);
  });
});

/** A client that speaks HTTP/2 itself, so that the test sees what is on the wire. */
function rawSession(to: GrpcServer, more: object = {}): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${to.port}`, {
    cert: sidecar.chain.map(certificatePem).join(''),
    key: sidecar.privatePem,
    ca: sidecar.authorities.map(certificatePem),
    checkServerIdentity: () => undefined,
    ...more,
  });
  session.on('error', () => undefined);
  cleanups.push(() => session.destroy());
  return session;
}
const frame = (bytes: Uint8Array, flag = 0): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
};
const grpcHeaders = (path: string): Record<string, string> => ({
  ':method': 'POST',
  ':path': path,
  'content-type': 'application/grpc',
  te: 'trailers',
});
async function rawCall(to: GrpcServer, agent: string): Promise<Buffer> {
  const stream = rawSession(to).request(grpcHeaders('/sallyport.audit.v1.Audit/Tail'));
  stream.end(frame(toBinary(TailRequestSchema, create(TailRequestSchema, { agent }))));
  return Buffer.concat(await all(stream as AsyncIterable<Buffer>));
}

describe('a slow reader', () => {
  async function stuck(): Promise<{
    out: StreamWriter<unknown>;
    session: ClientHttp2Session;
    body: { resume(): unknown };
    end: () => void;
  }> {
    const started = Promise.withResolvers<StreamWriter<unknown>>();
    const finish = Promise.withResolvers<void>();
    const running = await server([
      audit({
        tail: async (_request, out) => {
          started.resolve(out);
          await finish.promise;
          return ok(undefined);
        },
      }),
    ]);
    const session = rawSession(running, { settings: { initialWindowSize: 16_384 } });
    const body = session.request(grpcHeaders('/sallyport.audit.v1.Audit/Tail'));
    body.on('error', () => undefined);
    body.pause();
    body.end(frame(toBinary(TailRequestSchema, create(TailRequestSchema))));
    return { out: await started.promise, session, body, end: finish.resolve };
  }
  const batch = encode(TailBatchSchema, { lines: [new Uint8Array(50_000)] });

  test('is sent no more than 256 KB ahead, but what has priority', async () => {
    const { out, end } = await stuck();
    let taken = 0;
    while (out.write(batch)) taken += 1;
    expect(taken).toBe(5);
    expect(out.unsentBytes).toBeGreaterThan(200_000);
    expect([out.write(batch), out.write(batch, { priority: true })]).toEqual([false, true]);
    let urgent = 1;
    while (out.write(batch, { priority: true })) urgent += 1;
    expect(urgent).toBeLessThan(20);
    end();
  });

  test('hears when nothing waits any more, and may go on', async () => {
    const { out, body, end } = await stuck();
    while (out.write(batch)) continue;
    let isDrained = false;
    const drained = out.drained().then(() => (isDrained = true));
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(isDrained).toBe(false);
    body.resume();
    await drained;
    expect([out.unsentBytes, out.write(batch)]).toEqual([0, true]);
    end();
  });

  test('that goes away frees whoever waits for it', async () => {
    const { out, session, end } = await stuck();
    while (out.write(batch)) continue;
    const drained = out.drained();
    session.destroy();
    await drained;
    expect([out.isOver, out.write(batch)]).toEqual([true, false]);
    end();
  });
});

describe('bounds', () => {
  test('a message longer than allowed ends the call, either way', async () => {
    const running = await server(
      [publish({ getHeads: async () => ok(create(Publish.method.getHeads.output, { release: 'x'.repeat(3_000) })) })],
      {
        limits: { messageBytesMax: 2_000 },
      },
    );
    const client = createClient(Publish, channel(running, admin));
    const long = create(Publish.method.getHeads.input, { area: 'a'.repeat(3_000) });
    expect(await client.getHeads(long, soon)).toMatchObject({ ok: false, error: { code: 'resource_exhausted' } });
    expect(await client.getHeads(create(Publish.method.getHeads.input), soon)).toMatchObject({
      ok: false,
      error: { code: 'resource_exhausted' },
    });
  });

  test('a message that unfolds beyond the bound (decompression bomb) ends the call', async () => {
    const running = await server([audit({ tail: async () => ok(undefined) })]);
    const stream = rawSession(running).request({ ...grpcHeaders('/sallyport.audit.v1.Audit/Tail'), 'grpc-encoding': 'gzip' });
    let status: unknown;
    stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
    stream.on('response', (headers) => (status ??= headers['grpc-status']));
    stream.end(frame(gzipSync(Buffer.alloc(50_000_000)), 1));
    stream.resume();
    // 8 is RESOURCE_EXHAUSTED.
    await expect.poll(() => status).toBe('8');
  });

  test('bytes that are no message never reach a handler', async () => {
    let reached = false;
    const running = await server([
      audit({
        tail: async () => {
          reached = true;
          return ok(undefined);
        },
      }),
    ]);
    const stream = rawSession(running).request(grpcHeaders('/sallyport.audit.v1.Audit/Tail'));
    let status: unknown;
    stream.on('response', (headers) => (status = headers['grpc-status']));
    stream.end(frame(Buffer.from([0xff, 0xff, 0xff])));
    stream.resume();
    await expect.poll(() => status).toBe('13');
    expect(reached).toBe(false);
  });

  test('more connections than allowed are closed', async () => {
    const running = await server([audit({ tail: async () => ok(undefined) })], { limits: { connectionsMax: 1 } });
    const first = createClient(Audit, channel(running, sidecar)).tail(create(TailRequestSchema), { signal: never });
    expect(await first.status).toMatchObject({ code: 'ok' });
    const second = createClient(Audit, channel(running, sidecar)).tail(create(TailRequestSchema), { signal: never });
    expect(await second.status).toMatchObject({ code: 'unavailable' });
  });
});

describe('deadlines and ends', () => {
  test('a call that is not answered in time is over for its caller, and its handler hears it', async () => {
    const aborted = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const running = await server([
      publish({
        getHeads: (_request, call) => {
          call.signal.addEventListener('abort', () => aborted.resolve());
          asked.resolve();
          return new Promise(() => undefined);
        },
      }),
    ]);
    const call = createClient(Publish, channel(running, admin)).getHeads(create(Publish.method.getHeads.input), { deadlineMs: 5_000 });
    await asked.promise;
    await clock.advance(5_000);
    expect(await call).toMatchObject({ ok: false, error: { code: 'deadline_exceeded' } });
    await aborted.promise;
  });

  test('a handler that takes too long is answered for', async () => {
    const asked = Promise.withResolvers<ServerCall>();
    const running = await server([
      publish({
        getHeads: (_request, call) => {
          asked.resolve(call);
          return new Promise(() => undefined);
        },
      }),
    ]);
    const call = createClient(Publish, channel(running, admin)).getHeads(create(Publish.method.getHeads.input), { deadlineMs: 600_000 });
    const { signal } = await asked.promise;
    await clock.advance(30_000);
    expect(await call).toEqual({ ok: false, error: { code: 'deadline_exceeded', message: 'the call took too long' } });
    expect(signal.aborted).toBe(true);
  });

  test('a caller that gives up is answered at once, and the handler hears it', async () => {
    const asked = Promise.withResolvers<ServerCall>();
    const running = await server([
      publish({
        getHeads: (_request, call) => {
          asked.resolve(call);
          return new Promise(() => undefined);
        },
      }),
    ]);
    const client = createClient(Publish, channel(running, admin));
    const stop = new AbortController();
    const call = client.getHeads(create(Publish.method.getHeads.input), { ...soon, signal: stop.signal });
    const { signal } = await asked.promise;
    stop.abort();
    expect(await call).toMatchObject({ ok: false, error: { code: 'cancelled' } });
    await expect.poll(() => signal.aborted).toBe(true);
    expect(await client.getHeads(create(Publish.method.getHeads.input), { ...soon, signal: stop.signal })).toMatchObject({
      ok: false,
      error: { code: 'cancelled' },
    });
  });

  test('leaving the loop of a stream cancels it, and aborting its signal ends the loop', async () => {
    const calls: ServerCall[] = [];
    const running = await server([
      audit({
        tail: async (_request, out, call) => {
          calls.push(call);
          out.write(create(TailBatchSchema, { cursor: '1' }));
          await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()));
          return ok(undefined);
        },
      }),
    ]);
    const client = createClient(Audit, channel(running, sidecar));
    for await (const first of client.tail(create(TailRequestSchema), { signal: never })) if (first.cursor === '1') break;
    await expect.poll(() => calls[0]?.signal.aborted).toBe(true);
    const stop = new AbortController();
    const stream = client.tail(create(TailRequestSchema), { signal: stop.signal });
    for await (const first of stream) if (first.cursor === '1') stop.abort();
    expect(await stream.status).toMatchObject({ code: 'cancelled' });
  });

  test('what a handler throws is reported, and told to nobody', async () => {
    const running = await server([
      publish({ getHeads: () => Promise.reject(new Error('the password is hunter2')) }),
      audit({ tail: () => Promise.reject(new Error('secret')) }),
    ]);
    const answer = await createClient(Publish, channel(running, admin)).getHeads(create(Publish.method.getHeads.input), soon);
    expect(answer).toEqual({ ok: false, error: { code: 'internal', message: 'internal error' } });
    const stream = createClient(Audit, channel(running, sidecar)).tail(create(TailRequestSchema), { signal: never });
    expect([await all(stream), await stream.status]).toEqual([[], { code: 'internal', message: 'internal error' }]);
    expect(bugs).toEqual([
      'sallyport.publish.v1.Publish/GetHeads: Error: the password is hunter2',
      'sallyport.audit.v1.Audit/Tail: Error: secret',
    ]);
  });

  test('a server that is not there is unavailable, and a fault says so', async () => {
    const running = await server([]);
    const drained = running.drain({ graceMs: 0 });
    await clock.advance(0);
    await drained;
    const answer = await createClient(Publish, channel(running, admin)).getHeads(create(Publish.method.getHeads.input), soon);
    expect(answer).toMatchObject({ ok: false, error: { code: 'unavailable' } });
    if (!answer.ok)
      expect(grpcFault('asking for heads', answer.error)).toMatchObject({ code: 'control_plane_unreachable', source: 'control_plane' });
  });

  test('a drain lets running calls end, and cuts streams when the grace is over', async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const running = await server([
      publish({
        getHeads: async () => {
          asked.resolve();
          await answer.promise;
          return ok(create(Publish.method.getHeads.output, { release: 'late' }));
        },
      }),
      audit({
        tail: async (_request, out, call) => {
          out.write(create(TailBatchSchema));
          await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()));
          return ok(undefined);
        },
      }),
    ]);
    const unary = createClient(Publish, channel(running, admin)).getHeads(create(Publish.method.getHeads.input), soon);
    const stream = createClient(Audit, channel(running, sidecar)).tail(create(TailRequestSchema), { signal: never });
    await asked.promise;
    const batches = all(stream);
    await clock.advance(1);
    const drained = running.drain({ graceMs: 5_000 });
    await clock.advance(1_000);
    answer.resolve();
    expect(await unary).toMatchObject({ ok: true, value: { release: 'late' } });
    await clock.advance(4_000);
    await drained;
    expect((await batches).length).toBeLessThanOrEqual(1);
    expect((await stream.status).code).not.toBe('ok');
  });

  test('a port that is taken is a fault', async () => {
    const running = await server([]);
    await expect(server([], { port: running.port })).rejects.toMatchObject({ code: 'listen_failed' });
  });
});

describe('who may call', () => {
  const asks = async (material: TlsMaterial, more: Partial<GrpcServerOptions> = {}): Promise<string> => {
    const running = await server([publish({ getHeads: async () => ok(create(Publish.method.getHeads.output)) })], more);
    const answer = await createClient(Publish, channel(running, material)).getHeads(create(Publish.method.getHeads.input), soon);
    return answer.ok ? 'ok' : answer.error.code;
  };

  test('a peer of the right purpose', async () => expect(await asks(admin)).toBe('ok'));
  test('not one of another purpose', async () => expect(await asks(sidecar)).toBe('permission_denied'));
  test('not one whose path has no purpose', async () =>
    expect(await asks(await authority.issue('/admin/ada/extra', { usage: 'tls-client' }))).toBe('unauthenticated'));
  test('not one under another CA', async () => {
    const other = await testAuthority();
    expect(await asks(await other.issue('/admin/ada', { authorities: [authority.ca.certificate] }))).toBe('unavailable');
  });
  test('not one with a certificate for servers', async () =>
    expect(await asks(await authority.issue('/admin/ada', { usage: 'tls-server' }))).toBe('unavailable'));
  test('not one of another trust domain, though our CA signed it', async () =>
    expect(await asks(admin, { trustDomain: 'other.dev' })).toBe('unauthenticated'));
  test('not one whose certificate has expired by our clock, though the handshake was fine', async () => {
    const short = await authority.issue('/admin/ada', {
      usage: 'tls-client',
      notAfter: Math.floor(realNow() / 1_000) * 1_000 + 3_600_000,
    });
    expect(await asks(short)).toBe('ok');
    clock.setWall(addMs(clock.wall(), 3_700_000));
    expect(await asks(short)).toBe('unauthenticated');
  });
  test('not one whose authority was replaced since its handshake', async () => {
    const holder = holding(plane);
    const running = await server([publish({ getHeads: async () => ok(create(Publish.method.getHeads.output)) })], { tls: holder });
    const client = createClient(Publish, channel(running, admin));
    expect(await client.getHeads(create(Publish.method.getHeads.input), soon)).toMatchObject({ ok: true });
    const other = await testAuthority();
    expect(holder.replace({ ...plane, authorities: [other.ca.certificate] }).ok).toBe(true);
    expect(await client.getHeads(create(Publish.method.getHeads.input), soon)).toMatchObject({
      ok: false,
      error: { code: 'unauthenticated' },
    });
  });
  test('nobody without a certificate, and nobody below TLS 1.3', async () => {
    const running = await server([]);
    const ended = (options: object): Promise<string> =>
      new Promise((resolve) => {
        const socket = connectTls({ host: '127.0.0.1', port: running.port, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...options });
        cleanups.push(() => void socket.destroy());
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
        socket.on('close', () => resolve('closed'));
        socket.resume();
      });
    expect(await ended({})).toMatch(/CERTIFICATE_REQUIRED|closed|ECONNRESET/);
    const [cert, key] = [certificatePem(sidecar.chain[0] ?? new Uint8Array()), sidecar.privatePem];
    expect(await ended({ cert, key, maxVersion: 'TLSv1.2' })).toMatch(/PROTOCOL_VERSION/);
  });
});

describe('whom a client believes', () => {
  const reached = async (material: TlsMaterial, more: Partial<ChannelOptions> = {}): Promise<string> => {
    const running = await server([publish({ getHeads: async () => ok(create(Publish.method.getHeads.output)) })], {
      tls: holding(material),
    });
    const answer = await createClient(Publish, channel(running, admin, more)).getHeads(create(Publish.method.getHeads.input), soon);
    return answer.ok ? 'ok' : answer.error.message;
  };
  test('the control plane, by its SPIFFE id and by no DNS name', async () => expect(await reached(plane)).toBe('ok'));
  test('not a sidecar that poses as one', async () =>
    expect(await reached(await authority.issue('/sidecar/evil/1'))).toContain('/sidecar/evil/1`, not a control_plane'));
  test('not one with a certificate for clients', async () =>
    expect(await reached(await authority.issue('/control-plane', { usage: 'tls-client' }))).not.toBe('ok'));
  test('not one under another CA', async () => {
    const other = await testAuthority();
    expect(await reached(await other.issue('/control-plane', { authorities: [authority.ca.certificate] }))).not.toBe('ok');
  });
  test('not one of another trust domain', async () => {
    const trust = { kind: 'peer', tls: holding(admin), trustDomain: 'other.dev', purpose: 'control_plane' } as const;
    expect(await reached(plane, { trust })).toContain('it belongs to the trust domain');
  });
  test('not one whose certificate has expired by the machine, though our clock was turned back', async () => {
    const passed = Math.floor(realNow() / 1_000) * 1_000 - 3_600_000;
    const old = await authority.issue('/control-plane', { notAfter: passed });
    clock.setWall(addMs(clock.wall(), -7_200_000));
    expect(await reached(old)).toContain('expired');
  });
  test('not one whose certificate has expired by our clock', async () => {
    const short = await authority.issue('/control-plane', { notAfter: Math.floor(realNow() / 1_000) * 1_000 + 3_600_000 });
    clock.setWall(addMs(clock.wall(), 3_700_000));
    expect(await reached(short)).toContain('expired');
  });
});

describe('enrolment: no trust but the digest of a CA', () => {
  const enrolment = (): ServedService =>
    serve(Enrolment, {
      purposes: [],
      handlers: {
        enrol: async (_request, call) => ok(create(Enrolment.method.enrol.output, { counter: call.peer === undefined ? 1n : 2n })),
        renew: refuse,
      },
    });
  const enrols = async (material: TlsMaterial, digest: Uint8Array): Promise<string> => {
    const running = await server([enrolment()], { tls: holding(material), clients: 'anyone' });
    const opened = channel(running, admin, {
      trust: { kind: 'ca_digest', digest, trustDomain: authority.trustDomain, purpose: 'control_plane' },
    });
    const answer = await createClient(Enrolment, opened).enrol(create(Enrolment.method.enrol.input), soon);
    return answer.ok ? String(answer.value.counter) : answer.error.message;
  };

  test('a server whose chain ends in that CA is believed, and serves a stranger', async () =>
    expect(await enrols(plane, sha256(authority.ca.certificate))).toBe('1'));
  test('not one under another CA', async () => expect(await enrols(plane, sha256(new Uint8Array([1])))).toContain('pinned digest'));
  test('not one that does not send its CA', async () =>
    expect(
      await enrols(
        { ...plane, chain: plane.chain.slice(0, 1), authorities: [(await testAuthority()).ca.certificate] },
        sha256(authority.ca.certificate),
      ),
    ).toContain('pinned digest'));
  test('not one that only appends the pinned CA to a chain of its own (man in the middle)', async () => {
    const evil = await testAuthority();
    const forged = await evil.issue('/control-plane');
    const chain = [...forged.chain, authority.ca.certificate];
    expect(await enrols({ ...forged, chain }, sha256(authority.ca.certificate))).toMatch(/pinned digest|untrusted/);
    const spliced = [forged.chain[0] ?? new Uint8Array(), authority.ca.certificate];
    expect(await enrols({ ...forged, chain: spliced }, sha256(authority.ca.certificate))).toMatch(/pinned digest|untrusted/);
  });
  test('not the digest of a leaf', async () => expect(await enrols(plane, sha256(plane.chain[0] ?? new Uint8Array()))).not.toBe('1'));
  test('not one with a certificate for clients', async () =>
    expect(await enrols(await authority.issue('/control-plane', { usage: 'tls-client' }), sha256(authority.ca.certificate))).not.toBe('1'));
  test('not a sidecar with a certificate of that CA', async () =>
    expect(await enrols(await authority.issue('/sidecar/evil/1'), sha256(authority.ca.certificate))).toContain('not a control_plane'));
});

describe('hot reload', () => {
  test('a new server certificate is used by the next connection, and a running stream goes on', async () => {
    const holder = holding(plane);
    const next = Promise.withResolvers<void>();
    const running = await server(
      [
        audit({
          tail: async (_request, out) => {
            out.write(create(TailBatchSchema, { cursor: 'before' }));
            await next.promise;
            out.write(create(TailBatchSchema, { cursor: 'after' }));
            return ok(undefined);
          },
        }),
      ],
      { tls: holder },
    );
    const [old, fresh] = [channel(running, sidecar), channel(running, sidecar)];
    const cursors: string[] = [];
    const renewed = await authority.issue('/control-plane');
    for await (const { cursor } of createClient(Audit, old).tail(create(TailRequestSchema), { signal: never })) {
      cursors.push(cursor);
      if (cursor === 'before') {
        expect(holder.replace(renewed).ok).toBe(true);
        next.resolve();
      }
    }
    expect(cursors).toEqual(['before', 'after']);
    await all(createClient(Audit, fresh).tail(create(TailRequestSchema), { signal: never }));
    expect([old.peer?.certificate, fresh.peer?.certificate]).toEqual([plane.chain[0], renewed.chain[0]]);
  });

  test('a new client certificate is presented by the next connection', async () => {
    const seen: (Uint8Array | undefined)[] = [];
    const tail: Handlers<typeof Audit>['tail'] = async (_request, _out, call) => {
      seen.push(call.peer?.certificate);
      return ok(undefined);
    };
    const holder = holding(sidecar);
    const first = await server([audit({ tail })]);
    await createClient(Audit, channel(first, holder)).tail(create(TailRequestSchema), { signal: never }).status;
    const renewed = await authority.issue('/sidecar/support/1', { usage: 'tls-client' });
    holder.replace(renewed);
    await createClient(Audit, channel(first, holder)).tail(create(TailRequestSchema), { signal: never }).status;
    expect(seen).toEqual([sidecar.chain[0], renewed.chain[0]]);
  });

  test('a channel whose certificate was renewed makes its next call under the new one, and what runs under the old one goes on', async () => {
    const seen: (Uint8Array | undefined)[] = [];
    const next = Promise.withResolvers<void>();
    const tail: Handlers<typeof Audit>['tail'] = async ({ cursor }, out, call) => {
      seen.push(call.peer?.certificate);
      out.write(create(TailBatchSchema, { cursor: 'before' }));
      if (cursor === 'long') await next.promise;
      out.write(create(TailBatchSchema, { cursor: 'after' }));
      return ok(undefined);
    };
    const holder = holding(sidecar);
    const client = createClient(Audit, channel(await server([audit({ tail })]), holder));
    const cursors: string[] = [];
    const renewed = await authority.issue('/sidecar/support/1', { usage: 'tls-client' });
    for await (const { cursor } of client.tail(create(TailRequestSchema, { cursor: 'long' }), { signal: never })) {
      cursors.push(cursor);
      if (cursor !== 'before') continue;
      expect(holder.replace(renewed).ok).toBe(true);
      // Were it made over the connection of the old certificate, nothing would be accepted there once that has ended.
      await all(client.tail(create(TailRequestSchema), { signal: never }));
      next.resolve();
    }
    expect(cursors).toEqual(['before', 'after']);
    expect(seen).toEqual([sidecar.chain[0], renewed.chain[0]]);
  });

  test.each([
    ['a key that does not fit', () => ({ ...plane, privatePem: sidecar.privatePem }), 'privatePem'],
    ['no key at all', () => ({ ...plane, privatePem: 'secret' }), 'privatePem'],
    ['no certificate', () => ({ ...plane, chain: [] }), 'chain'],
    ['bytes that are none', () => ({ ...plane, chain: [new Uint8Array([1, 2, 3])] }), 'chain[0]'],
    ['nobody to believe', () => ({ ...plane, authorities: [] }), 'authorities'],
    ['a leaf to believe', () => ({ ...plane, authorities: [plane.chain[0] ?? new Uint8Array()] }), 'authorities[0]'],
  ])('%s is refused, and what is held stays', async (_what, bent, path) => {
    const holder = holding(plane);
    const result = holder.replace(bent());
    expect(result.ok ? [] : result.error.map((problem) => problem.path)).toEqual([path]);
    expect(JSON.stringify(result)).not.toContain('secret');
    expect(holder.current).toBe(plane);
  });

  test.each(['audit', 'assertion'] as const)('a certificate for %s is none for TLS', async (usage) => {
    const result = holding(plane).replace(await authority.issue('/sidecar/support/1', { usage }));
    expect(result.ok ? [] : result.error).toMatchObject([{ path: 'chain[0]', message: 'not a certificate for TLS' }]);
  });
});

test('every service of the contract has a method definition with its full path', () => {
  const services: readonly DescService[] = [Audit, Enrolment, PolicyPlane, Publish];
  for (const service of services) {
    for (const method of service.methods) {
      expect(methodDefinition(method).path).toBe(`/${service.typeName}/${method.name}`);
    }
  }
  expect(methodDefinition(PolicyPlane.method.subscribe)).toMatchObject({ requestStream: true, responseStream: true });
  expect(methodDefinition(PolicyPlane.method.getPart)).toMatchObject({ requestStream: false, responseStream: true });
  expect(methodDefinition(Publish.method.putPart)).toMatchObject({ requestStream: true, responseStream: false });
  expect(toBinary(ServerMessageSchema, create(ServerMessageSchema))).toHaveLength(0);
});
