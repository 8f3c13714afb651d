import { deny, type Denial, type Instant, type ServerName, type SessionId } from '@sallyport/model';
import { fakeClock, type FakeClock } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from '../pipeline/gate.ts';
import type { McpStreamOf, McpStreamView, McpStreams } from '../pipeline/ports.ts';
import { mcpStreams } from './mcp-streams.ts';

const LOOK_MS = 1_000;

describe('a stream that a client holds open', () => {
  let clock: FakeClock;
  let view: Denial | McpStreamView;
  let isDraining: boolean;
  let seq: number;
  let streams: McpStreams;
  beforeEach(() => {
    clock = fakeClock();
    view = { generation: 1, revocationSeq: 0, listing: () => 'a' };
    isDraining = false;
    seq = 0;
    streams = mcpStreams({ clock, streamsMax: 2, judge: () => view, revocationSeq: () => seq, isDraining: () => isDraining });
  });
  const of = (mcpSession: string, signal = new AbortController().signal): McpStreamOf => ({
    session: 's' as SessionId,
    server: 'files' as ServerName,
    mcpSession,
    expiresAt: 0 as Instant,
    signal,
  });
  const open = (mcpSession: string, signal?: AbortSignal): Answer => {
    const answer = streams.open(of(mcpSession, signal));
    if (answer === undefined || 'code' in answer) throw new Error('not opened');
    return answer;
  };
  /** What it says until it is over. */
  const heard = async (answer: Answer): Promise<string[]> => {
    const said: string[] = [];
    for await (const { bytes } of answer.units) said.push(new TextDecoder().decode(bytes));
    await answer.close();
    return said;
  };
  const CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}';

  it('says that the listing has changed, and says nothing of a switch that changes nothing for its caller', async () => {
    const stream = open('m');
    view = { generation: 2, revocationSeq: 0, listing: () => 'a' };
    await clock.advance(LOOK_MS);
    view = { generation: 3, revocationSeq: 0, listing: () => 'b' };
    await clock.advance(LOOK_MS);
    await clock.advance(LOOK_MS);
    streams.end('m');
    expect(await heard(stream)).toEqual([]);
    expect(stream.outcome()).toEqual({ result: 'local' });
    const next = open('m');
    const told = heard(next);
    view = { generation: 4, revocationSeq: 0, listing: () => 'c' };
    await clock.advance(LOOK_MS);
    view = { generation: 5, revocationSeq: 0, listing: () => 'd' };
    await clock.advance(LOOK_MS);
    streams.end('m');
    expect(await told).toEqual([CHANGED, CHANGED]);
  });

  it('many changes that nobody has read are one', async () => {
    const stream = open('m');
    const first = stream.units[Symbol.asyncIterator]();
    for (const generation of [2, 3, 4]) {
      view = { generation, revocationSeq: 0, listing: () => String(generation) };
      await clock.advance(LOOK_MS);
    }
    expect(new TextDecoder().decode((await first.next()).value?.bytes)).toBe(CHANGED);
    const next = first.next();
    streams.end('m');
    expect(await next).toMatchObject({ done: true });
  });

  it.each<[string, Denial]>([
    ['its policy turns stale', deny('policy_stale', 'x')],
    ['its credential or person is revoked', deny('token_revoked', 'x')],
    ['its session is over', deny('session_expired', 'x')],
  ])('ends within one look when %s, and its record says why', async (_, denial) => {
    const stream = open('m');
    const told = heard(stream);
    view = denial;
    await clock.advance(LOOK_MS);
    expect([await told, stream.outcome()]).toEqual([[], { result: 'cut', code: denial.code }]);
  });

  it('is judged anew within a quarter of a look after a revocation', async () => {
    const stream = open('m');
    const told = heard(stream);
    view = deny('token_revoked', 'revoked');
    await clock.advance(LOOK_MS / 4);
    expect(stream.outcome()).toEqual({ result: 'local' });
    seq = 1;
    await clock.advance(LOOK_MS / 4);
    expect([await told, stream.outcome()]).toEqual([[], { result: 'cut', code: 'token_revoked' }]);
  });

  it('ends where it cannot be judged, and no other with it', async () => {
    let looks = 0;
    const picky = mcpStreams({
      clock,
      streamsMax: 2,
      judge: ({ mcpSession }) => {
        if (looks++ > 1 && mcpSession === 'a') throw new Error('broken');
        return view;
      },
      revocationSeq: () => seq,
      isDraining: () => false,
    });
    const [a, b] = ['a', 'b'].map((mcpSession) => picky.open(of(mcpSession)));
    await clock.advance(LOOK_MS);
    expect([a, b].map((stream) => stream !== undefined && !('code' in stream) && stream.outcome())).toEqual([
      { result: 'cut', code: 'internal' },
      { result: 'local' },
    ]);
  });

  it('is not opened for whom it would end', () => {
    view = deny('policy_stale', 'x');
    expect(streams.open(of('m'))).toMatchObject({ code: 'policy_stale' });
  });

  it('ends with the drain, with its client, and for the next one of its session', async () => {
    const gone = new AbortController();
    const [replaced, left] = [open('m'), open('n', gone.signal)];
    const told = [heard(replaced), heard(left)];
    const last = open('m');
    gone.abort();
    await Promise.all(told);
    isDraining = true;
    const toldLast = heard(last);
    await clock.advance(LOOK_MS);
    await toldLast;
    expect([replaced, left, last].map((stream) => stream.outcome().result)).toEqual(['local', 'local', 'local']);
  });

  it('beyond the bound is not opened, and one that was closed makes room', async () => {
    const one = open('a');
    open('b');
    expect(streams.open(of('c'))).toBeUndefined();
    await one.close();
    expect(streams.open(of('c'))).toBeDefined();
  });
});
