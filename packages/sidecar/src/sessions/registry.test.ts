import type { SessionEpoch } from '@sallyport/identity';
import { addMs, type Agent, type Instant, type Principal, type SessionId, type ToolName } from '@sallyport/model';
import { fakeClock } from '@sallyport/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import type { OpenSession } from '../pipeline/ports.ts';
import { sessionRegistry } from './registry.ts';

const EPOCH = '00aa11bb' as SessionEpoch;
const agent = {
  name: 'triage',
  owner: 'team',
  uses: [],
  sessions: { roots: ['operator'], idleMs: 60_000, maxMs: 300_000 },
} as unknown as Agent;
const principal = { id: 'alice@company.com', tenant: 't1' } as unknown as Principal;
const origin = { rootKind: 'human', method: 'access_token', hops: [] } as const;
const opening = { principal, agent, case: 'T-7', purpose: {}, tokenId: 'j1', tokenExpiresAt: 0 as never, origin };
const TOOL = 'zendesk/get_ticket' as ToolName;

describe('session registry', () => {
  let clock: ReturnType<typeof fakeClock>;
  let over: SessionId[];
  let counter = 0;
  const registry = (sessionsMax = 10, perPrincipalMax = sessionsMax): ReturnType<typeof sessionRegistry> =>
    sessionRegistry({
      clock,
      random: () => Uint8Array.from({ length: 16 }, () => ++counter & 255),
      epoch: EPOCH,
      sessionsMax,
      perPrincipalMax,
      onOver: (id) => over.push(id),
    });

  const openIn = (sessions: ReturnType<typeof sessionRegistry>): OpenSession => {
    const open = sessions.open(opening);
    if (open === undefined) throw new Error('no room');
    return open;
  };

  beforeEach(() => {
    clock = fakeClock();
    over = [];
  });

  it('finds an open session with the facts that were recorded, in order', () => {
    const sessions = registry();
    const { id } = openIn(sessions);
    const found = sessions.find(id);
    if (typeof found === 'string') throw new Error(found);
    found.record('attempted', TOOL);
    expect(found.facts().hasCompleted(TOOL)).toBe(false);
    found.record('completed', TOOL);
    expect(found.facts()).toMatchObject({ id, case: 'T-7', attempted: [TOOL], completed: [TOOL] });
    expect(found.facts().hasCompleted(TOOL)).toBe(true);
  });

  it('a tie names its session for as long as a token from when it was last given, by whatever the wall clock says', async () => {
    const sessions = sessionRegistry({
      clock,
      random: () => Uint8Array.from({ length: 16 }, () => ++counter & 255),
      epoch: EPOCH,
      sessionsMax: 9,
      perPrincipalMax: 9,
      onOver: () => {},
    });
    const long = { ...agent, sessions: { ...agent.sessions, idleMs: 7_200_000, maxMs: 7_200_000 } };
    const [one, other] = [sessions.open({ ...opening, agent: long }), sessions.open({ ...opening, agent: long })];
    if (one === undefined || other === undefined) throw new Error('no room');
    const [tie, another] = [sessions.tieOf(one.id), sessions.tieOf(other.id)];
    if (tie === undefined || another === undefined) throw new Error('no tie');
    expect(tie).not.toBe(another);
    expect([sessions.tied(tie), sessions.tied(another)]).toMatchObject([{ sessionId: one.id }, { sessionId: other.id }]);
    await clock.advance(899_999);
    clock.setWall(addMs(clock.wall(), -86_400_000));
    expect(sessions.tied(tie)).toMatchObject({ sessionId: one.id, expiresAt: addMs(clock.wall(), 1) });
    // Given again with the next request, it is the same one, and good for as long again.
    expect(sessions.tieOf(one.id)).toBe(tie);
    await clock.advance(1);
    expect([sessions.tied(tie), sessions.tied(another)]).toMatchObject([{ sessionId: one.id }, 'expired']);
  });

  it('a tie is gone with its session, looking at it is no use of it, and one that was never given names nothing', async () => {
    const sessions = registry();
    const [one, other] = [openIn(sessions), openIn(sessions)];
    const [tie, another] = [sessions.tieOf(one.id), sessions.tieOf(other.id)];
    if (tie === undefined || another === undefined) throw new Error('no tie');
    sessions.close(one.id);
    expect([sessions.tied(tie), sessions.tieOf(one.id)]).toEqual(['unknown', undefined]);
    expect(sessions.tied('A'.repeat(22) as typeof tie)).toBe('unknown');
    await clock.advance(59_999);
    expect(sessions.tied(another)).toMatchObject({ sessionId: other.id });
    await clock.advance(1);
    expect(sessions.tied(another)).toBe('expired');
  });

  it('a list that is too long is unknown, for ever and alone; what was seen of it before stays as it was', () => {
    const open = openIn(registry());
    open.record('denied', TOOL);
    const before = open.facts();
    for (let i = 0; i < 999; i++) open.record('completed', TOOL);
    const full = open.facts();
    for (let i = 0; i < 2; i++) open.record('completed', TOOL);
    expect([before.completed, full.completed?.length]).toEqual([[], 999]);
    expect(open.facts()).toMatchObject({ completed: undefined, denied: [TOOL] });
    expect(open.facts().hasCompleted(TOOL)).toBe(true);
  });

  it('one principal cannot take the room of the others: beyond its share its own ends that was used longest ago', async () => {
    const sessions = registry(10, 3);
    const [one, two, three] = [openIn(sessions), openIn(sessions), openIn(sessions)];
    // Another of the same name is another one.
    const others = [{ tenant: 't2' }, { issuer: 'https://other.example' }, { kind: 'service' }, { id: 'bob@company.com' }];
    for (const other of others) sessions.open({ ...opening, principal: { ...principal, ...other } as Principal });
    await clock.advance(10);
    sessions.find(one.id);
    const four = openIn(sessions);
    const found = [one, two, three, four].map(({ id }) => typeof sessions.find(id));
    expect(found).toEqual(['object', 'string', 'object', 'object']);
    expect([over, sessions.size]).toEqual([[two.id], 7]);
    sessions.close(three.id);
    openIn(sessions);
    expect([sessions.find(one.id), sessions.find(four.id)].map((entry) => typeof entry)).toEqual(['object', 'object']);
  });

  it('a denial is an attempt, and nothing else', () => {
    const open = openIn(registry());
    open.record('denied', TOOL);
    expect(open.facts()).toMatchObject({ attempted: [TOOL], denied: [TOOL], completed: [], failed: [] });
  });

  it('gives views that do not change under a decision', () => {
    const open = openIn(registry());
    const before = open.facts();
    open.record('completed', TOOL);
    expect(before.completed).toEqual([]);
  });

  it('lost state: an id of an earlier start is expired, an id never given out unknown', () => {
    const sessions = registry();
    expect(sessions.find('ffffffff.AAAAAAAAAAAAAAAAAAAAAA' as SessionId)).toBe('expired');
    expect(sessions.find(`${EPOCH}.AAAAAAAAAAAAAAAAAAAAAA` as SessionId)).toBe('unknown');
  });

  it('idle and longest life end a session, and no wall clock prolongs it', async () => {
    const sessions = registry();
    const { id } = openIn(sessions);
    for (let i = 0; i < 4; i++) {
      await clock.advance(59_000);
      expect(typeof sessions.find(id)).toBe('object');
    }
    clock.setWall(0 as Instant);
    await clock.advance(59_000);
    expect(typeof sessions.find(id)).toBe('object');
    await clock.advance(6_000);
    expect(sessions.find(id)).toBe('expired');
    expect(over).toEqual([id]);
  });

  it('an idle session is over, though unused sessions are swept late', async () => {
    const sessions = registry();
    const { id } = openIn(sessions);
    await clock.advance(60_000);
    expect(sessions.find(id)).toBe('expired');
    expect(sessions.find(id)).toBe('expired');
  });

  it('a session that is closed is over at once, and said to be; so is what was kept under it', async () => {
    const sessions = registry();
    const { id } = openIn(sessions);
    sessions.close(id);
    expect([sessions.peek(id), sessions.find(id), sessions.size]).toEqual([undefined, 'expired', 0]);
    sessions.close(id);
    expect(sessions.find(id)).toBe('expired');
  });

  it('looking at a session is no use of it: what is held open under it does not keep it', async () => {
    const sessions = registry();
    const { id } = openIn(sessions);
    for (let i = 0; i < 2; i++) {
      await clock.advance(29_000);
      expect(sessions.peek(id)?.id).toBe(id);
    }
    await clock.advance(2_000);
    expect([sessions.peek(id), sessions.find(id)]).toEqual([undefined, 'expired']);
  });

  it('hoarded sessions: at the maximum none is evicted; room comes only from one that is over', async () => {
    const sessions = registry(2);
    const first = openIn(sessions);
    openIn(sessions);
    expect(sessions.hasRoom(principal)).toBe(false);
    expect(typeof sessions.find(first.id)).toBe('object');
    await clock.advance(60_000);
    expect(sessions.hasRoom(principal)).toBe(true);
    expect(over).toHaveLength(2);
  });

  it('opening without room opens nothing, whoever asked first', () => {
    const sessions = registry(1);
    expect([sessions.hasRoom(principal), sessions.hasRoom(principal)]).toEqual([true, true]);
    expect(sessions.open(opening)).toBeDefined();
    expect(sessions.open(opening)).toBeUndefined();
    expect(sessions.size).toBe(1);
  });

  it('a sweep lets go of what was kept for sessions that nobody asks for again', async () => {
    const sessions = registry();
    const idle = openIn(sessions);
    await clock.advance(30_000);
    const used = openIn(sessions);
    await clock.advance(30_000);
    sessions.sweep();
    expect([over, sessions.size]).toEqual([[idle.id], 1]);
    expect(typeof sessions.find(used.id)).toBe('object');
  });

  it('flood: nobody in particular fills a tenth of the room, and whoever can be told apart has the rest', () => {
    const sessions = registry(20);
    const nobody = { ...opening, principal: { ...principal, kind: 'anonymous' } as Principal };
    const first = sessions.open(nobody);
    expect(sessions.open(nobody)).toBeDefined();
    expect([sessions.hasRoom(nobody.principal), sessions.open(nobody)]).toEqual([false, undefined]);
    openIn(sessions);
    sessions.close(first?.id as SessionId);
    expect(sessions.hasRoom(nobody.principal)).toBe(true);
    expect(sessions.open(nobody)).toBeDefined();
  });
});
