import { randomBytes } from '@sallyport/crypto/keys';
import type { ServerName, SessionId } from '@sallyport/model';
import { beforeEach, describe, expect, it } from 'vitest';
import type { McpBinding } from '../pipeline/ports.ts';
import { mcpSessions, type SweptMcpSessions } from './mcp-sessions.ts';

const of = (session: string, server = 'files'): McpBinding => ({ session: session as SessionId, server: server as ServerName });
const ALICE = of('alice');
const BOB = of('bob');

describe('an MCP session', () => {
  let last: McpBinding[];
  let sessions: SweptMcpSessions;
  beforeEach(() => {
    last = [];
    sessions = mcpSessions({ random: randomBytes, sessionsMax: 3, onLast: (binding) => last.push(binding) });
  });

  it('is a name of 128 random bits, in visible ASCII', () => {
    const [one, two] = [sessions.open(ALICE), sessions.open(ALICE)];
    expect([/^[0-9a-f]{32}$/.test(one), one === two]).toEqual([true, false]);
  });

  it('means nothing with another server', () => {
    const id = sessions.open(ALICE);
    const other = of('alice', 'orders');
    expect([sessions.has(id, ALICE), sessions.has(id, other)]).toEqual([true, false]);
    sessions.end(id, other);
    expect([sessions.has(id, ALICE), last]).toEqual([true, []]);
  });

  it('of one agent may serve many people, and with its end each of them is let go', () => {
    const id = sessions.open(ALICE);
    expect([sessions.has(id, BOB), sessions.has(id, ALICE), sessions.has(id, BOB)]).toEqual([true, true, true]);
    sessions.end(id, BOB);
    expect([sessions.has(id, ALICE), last]).toEqual([false, [ALICE, BOB]]);
  });

  it.each(['', 'constructor', '__proto__', '0'.repeat(32)])('%j, which was never given out, means nothing', (id) => {
    sessions.open(ALICE);
    expect(sessions.has(id, ALICE)).toBe(false);
  });

  it('of an earlier start means nothing in the next one', () => {
    const id = sessions.open(ALICE);
    expect(mcpSessions({ random: randomBytes, sessionsMax: 3, onLast: () => {} }).has(id, ALICE)).toBe(false);
  });

  it('that is ended is over, and what stands behind it is let go with the last of its kind', () => {
    const [one, two, other] = [sessions.open(ALICE), sessions.open(ALICE), sessions.open(of('alice', 'orders'))];
    sessions.end(one, ALICE);
    expect([sessions.has(one, ALICE), last]).toEqual([false, []]);
    sessions.end(two, ALICE);
    sessions.end(two, ALICE);
    expect([last, sessions.has(other, of('alice', 'orders'))]).toEqual([[ALICE], true]);
  });

  it('that is ended leaves who uses another with the same server', () => {
    const [one, two] = [sessions.open(ALICE), sessions.open(BOB)];
    sessions.has(one, BOB);
    sessions.end(one, ALICE);
    expect([sessions.has(two, BOB), last]).toEqual([true, [ALICE]]);
  });

  it('beyond the bound ends the one used longest ago, and lets go what stands behind it', () => {
    const [one, two, three] = [sessions.open(ALICE), sessions.open(BOB), sessions.open(ALICE)];
    sessions.has(one, ALICE);
    const four = sessions.open(ALICE);
    expect([one, two, three, four].map((id) => sessions.has(id, ALICE))).toEqual([true, false, true, true]);
    expect([last, sessions.size]).toEqual([[BOB], 3]);
  });

  it('outlives the session under which it was opened, of which nothing is kept', () => {
    const id = sessions.open(ALICE);
    sessions.has(id, BOB);
    sessions.forgetSession(ALICE.session);
    expect([sessions.has(id, BOB), sessions.size]).toEqual([true, 1]);
    sessions.end(id, BOB);
    expect(last).toEqual([BOB]);
  });
});
