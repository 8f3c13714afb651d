import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fakeClock } from '@sallyport/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { devSession } from './session.ts';
import type { DevSession } from './session.ts';

let asked: string[];
let answer: () => { status: number; body: string };
let sidecar: Server;
beforeEach(async () => {
  asked = [];
  answer = () => ({ status: 201, body: JSON.stringify({ session_id: `s${asked.length}`, token: `T${asked.length}` }) });
  sidecar = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    const { status, body } = answer();
    response.writeHead(status).end(body);
  }).listen(0, '127.0.0.1');
  await once(sidecar, 'listening');
});
afterEach(() => sidecar.close());

function bench(): { session: DevSession; clock: ReturnType<typeof fakeClock>; opened: [string, boolean][] } {
  const clock = fakeClock();
  const opened: [string, boolean][] = [];
  const session = devSession({
    port: (sidecar.address() as AddressInfo).port,
    operator: () => ({ subject: 'alice', roles: [], scopes: [], token: () => 'operator' }),
    io: { clock, signal: new AbortController().signal },
    onOpened: ({ id }, isFirst) => opened.push([id, isFirst]),
  });
  return { session, clock, opened };
}

describe('the session of dev', () => {
  it('is opened once for all who ask at the same time, and kept', async () => {
    const { session, opened } = bench();
    const got = await Promise.all([session.current(), session.current(), session.current()]);
    expect(got.map(({ token }) => token)).toEqual(['T1', 'T1', 'T1']);
    expect((await session.current()).token).toBe('T1');
    expect([asked, opened]).toEqual([['POST /session Bearer operator'], [['s1', true]]]);
  });

  it('is another before the token of the first ends, so that no call goes out with one that ends on its way', async () => {
    const { session, clock, opened } = bench();
    await session.current();
    await clock.advance(13 * 60_000);
    expect((await session.current()).token).toBe('T1');
    await clock.advance(60_000);
    expect((await session.current()).token).toBe('T2');
    expect(opened).toEqual([
      ['s1', true],
      ['s2', false],
    ]);
  });

  it('is another once the sidecar has refused it; a late refusal of an older one ends nothing', async () => {
    const { session } = bench();
    await session.current();
    session.isOver('T1');
    expect((await session.current()).token).toBe('T2');
    session.isOver('T1');
    expect((await session.current()).token).toBe('T2');
  });

  it.each([
    [
      'a denial',
      { status: 403, body: '{"code":"agent_not_registered","decision_id":"01X"}' },
      'while opening a session for `alice`: agent_not_registered; sallyport explain 01X says why',
    ],
    ['something else', { status: 200, body: '<html>' }, 'while opening a session for `alice`: status 200'],
  ])('that is refused by %s says so, and is asked for again by the next call', async (_, refused, message) => {
    const good = answer;
    const { session } = bench();
    answer = () => refused;
    await expect(session.current()).rejects.toThrow(message);
    answer = good;
    expect((await session.current()).token).toBe('T2');
  });
});
