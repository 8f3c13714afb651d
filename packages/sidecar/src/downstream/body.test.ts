import { Fault, type Denial, type Result } from '@sallyport/model';
import { bytesAccount, type BytesAccount } from '@sallyport/runtime';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { requestBody, type OwnedBody } from './body.ts';

const MAX = 1_000;

/** A body in these pieces; an error among them is thrown in its place. Counts how often it was begun and how much was taken. */
function bench(
  pieces: readonly (Uint8Array | string | Error)[],
  { contentLength, account = bytesAccount(10_000) }: { contentLength?: number; account?: BytesAccount } = {},
): { body: OwnedBody; account: BytesAccount; taken: () => number; begun: () => number } {
  let taken = 0;
  let begun = 0;
  const bytes = async function* read(): AsyncGenerator<Uint8Array, void, void> {
    begun += 1;
    for (const piece of pieces) {
      if (piece instanceof Error) throw piece;
      taken += 1;
      yield typeof piece === 'string' ? Buffer.from(piece) : piece;
    }
  };
  return { body: requestBody({ contentLength, bytes }, account), account, taken: () => taken, begun: () => begun };
}
const read = (body: OwnedBody, coding: 'identity' | 'gzip' = 'identity'): Promise<Result<Uint8Array, Denial>> =>
  body.read({ bytesMax: MAX, coding });
const textOf = (result: Result<Uint8Array, Denial>): string => (result.ok ? Buffer.from(result.value).toString() : result.error.code);

describe('a request body', () => {
  it('is not read before it is asked for, and once however often it is', async () => {
    const { body, begun } = bench(['one ', 'two'], { contentLength: 7 });
    expect(begun()).toBe(0);
    const both = await Promise.all([read(body), read(body)]);
    expect([both.map(textOf), begun()]).toEqual([['one two', 'one two'], 1]);
    expect(textOf(await read(body))).toBe('one two');
  });

  it('is charged for what it is, and given back', async () => {
    const { body, account } = bench(['x'.repeat(100)]);
    const reading = read(body);
    // Before the first byte the most that could come is taken.
    expect(account.inFlight).toBe(MAX);
    await reading;
    expect(account.inFlight).toBe(100);
    body.release();
    body.release();
    expect(account.inFlight).toBe(0);
  });

  it.each<[what: string, pieces: readonly (Uint8Array | string | Error)[], contentLength: number | undefined, code: string, taken: number]>(
    [
      ['announced as too large', ['x'], MAX + 1, 'payload_too_large', 0],
      ['too large without a word', ['x'.repeat(MAX), 'x', 'never asked for'], undefined, 'payload_too_large', 2],
      ['larger than announced', ['xxxx', 'xxxx'], 5, 'payload_too_large', 2],
      ['that breaks off', ['x', new Fault('aborted', 'downstream', 'gone')], 10, 'malformed_request', 1],
    ],
  )('%s is refused', async (_, pieces, contentLength, code, taken) => {
    const { body, account, taken: seen } = bench(pieces, contentLength === undefined ? {} : { contentLength });
    expect([textOf(await read(body)), seen()]).toEqual([code, taken]);
    body.release();
    expect(account.inFlight).toBe(0);
  });

  it('that fails as nothing should is no denial of the caller’s', async () => {
    const { body, account } = bench([new Error('a defect')], { contentLength: 10 });
    await expect(read(body)).rejects.toThrow('a defect');
    body.release();
    expect(account.inFlight).toBe(0);
  });

  it('for which there is no room is refused before it is read', async () => {
    const account = bytesAccount(MAX + 10);
    const first = bench(['x'], { account });
    const held = read(first.body);
    const second = bench(['x'], { account });
    expect([textOf(await read(second.body)), second.begun()]).toEqual(['overloaded', 0]);
    // Once its length is known it holds no more than that.
    await held;
    expect(textOf(await read(bench(['x'], { account }).body))).toBe('x');
  });

  it('of nothing takes no room at all', async () => {
    const account = bytesAccount(1);
    expect(textOf(await read(bench([], { account, contentLength: 0 }).body))).toBe('');
  });
});

describe('a compressed body', () => {
  it('is what it says, within the same bound', async () => {
    const { body, account } = bench([gzipSync('x'.repeat(MAX))]);
    expect(textOf(await read(body, 'gzip'))).toHaveLength(MAX);
    body.release();
    expect(account.inFlight).toBe(0);
  });

  it.each<[what: string, bytes: Uint8Array, code: string]>([
    ['a bomb', gzipSync('x'.repeat(1_000_000)), 'payload_too_large'],
    ['one byte more than allowed', gzipSync('x'.repeat(MAX + 1)), 'payload_too_large'],
    ['a bomb in two members', Buffer.concat([gzipSync('x'.repeat(600)), gzipSync('x'.repeat(600))]), 'payload_too_large'],
    ['no gzip at all', Buffer.from('{}'), 'malformed_request'],
    ['half of one', gzipSync('hello').subarray(0, 12), 'malformed_request'],
    ['one with a wrong checksum', Buffer.concat([gzipSync('hello').subarray(0, -8), Buffer.alloc(8)]), 'malformed_request'],
  ])('that is %s is refused', async (_, bytes, code) => {
    const { body, account } = bench([bytes]);
    expect(textOf(await read(body, 'gzip'))).toBe(code);
    body.release();
    expect(account.inFlight).toBe(0);
  });

  it('needs room for what it may become', async () => {
    const account = bytesAccount(MAX + 10);
    const { body } = bench([gzipSync('x'.repeat(500))], { account, contentLength: 30 });
    expect(textOf(await read(body, 'gzip'))).toBe('overloaded');
    body.release();
    expect(account.inFlight).toBe(0);
  });
});
