import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isolationRoom, type IsolationOptions, type IsolationRoom } from './isolation.ts';
import type { PeerUser } from './kernel-table.ts';

const OWN = process.getuid?.() ?? 0;
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-isolation-'));
  mkdirSync(join(dir, 'state'), { mode: 0o700 });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

interface Told {
  readonly room: IsolationRoom;
  readonly said: string[];
  readonly asked: () => number;
}

/** `of` may be changed between connections. */
function roomOf(peer: { user: PeerUser }, more: Partial<IsolationOptions> = {}): Told {
  const said: string[] = [];
  let asked = 0;
  const of = (): PeerUser => {
    asked += 1;
    return peer.user;
  };
  const room = isolationRoom({
    vouched: 'enforced',
    users: { own: OWN, of },
    places: [{ path: join(dir, 'state'), closed: 0o077, reason: 'state_open' }],
    outbound: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    onReason: (reason) => said.push(reason),
    ...more,
  });
  room.look();
  return { room, said, asked: () => asked };
}

describe('isolation is advisory', () => {
  test('where nobody vouches for it, whatever else is so, and nothing is looked up', () => {
    const { room, asked } = roomOf({ user: 4_242 }, { vouched: 'advisory' });
    expect([room.of('outbound', {}), room.of('inbound', {}), room.standing(), asked()]).toEqual([
      'advisory',
      'advisory',
      { isolation: 'advisory', reasons: ['not_vouched'] },
      0,
    ]);
  });

  test.each<[string, PeerUser, string]>([
    ['the agent is the sidecar’s own user', OWN, 'same_user'],
    ['the agent’s user cannot be told', 'unknown', 'peer_unknown'],
  ])('where %s', (_, user, reason) => {
    const { room, said } = roomOf({ user });
    expect([room.of('outbound', {}), room.standing(), said]).toEqual(['advisory', { isolation: 'advisory', reasons: [reason] }, [reason]]);
  });

  test('where the agent is root, and the sidecar is not', () => {
    const { room } = roomOf({ user: 0 }, { users: { own: 4_242, of: () => 0 }, places: [] });
    expect([room.of('outbound', {}), room.standing().reasons]).toEqual(['advisory', ['agent_is_root']]);
  });

  test('where the agent owns what must be kept from it', () => {
    const { room } = roomOf({ user: 0 }, { users: { own: OWN + 1, of: () => (OWN === 0 ? 0 : OWN) } });
    expect(room.of('outbound', {})).toBe('advisory');
  });

  test('where the platform has no users', () => {
    const { room } = roomOf({ user: 0 }, { users: { own: undefined, of: () => 4_242 } });
    expect([room.of('outbound', {}), room.standing().reasons]).toEqual(['advisory', ['peer_unknown']]);
  });

  test('before the files have been looked at', () => {
    const room = isolationRoom({
      vouched: 'enforced',
      users: { own: OWN, of: () => 4_242 },
      places: [],
      outbound: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      onReason: () => {},
    });
    expect([room.of('outbound', {}), room.of('inbound', {}), room.standing().isolation]).toEqual(['advisory', 'advisory', 'advisory']);
  });

  test('where the state lies open, from the next look until it is mended', () => {
    const { room, said } = roomOf({ user: 4_242 });
    const seen: string[] = [];
    for (const mode of [0o755, 0o700, 0o701]) {
      seen.push(room.of('outbound', {}));
      chmodSync(join(dir, 'state'), mode);
      room.look();
    }
    expect([...seen, room.of('inbound', {}), said]).toEqual(['enforced', 'advisory', 'enforced', 'advisory', ['state_open', 'state_open']]);
  });

  test('on a Unix socket of the sidecar’s own user', () => {
    const { room } = roomOf({ user: 4_242 }, { outbound: { kind: 'unix', path: join(dir, 'state', 'socket') } });
    expect([room.of('outbound', {}), room.standing().reasons]).toEqual(['advisory', ['same_user']]);
  });
});

describe('isolation is enforced', () => {
  test.each<[string, PeerUser]>([
    ['the agent is another user', 4_242],
    ['the agent is on another machine', 'elsewhere'],
  ])('where it is vouched for and %s', (_, user) => {
    const { room, said } = roomOf({ user });
    expect([room.of('outbound', {}), room.of('inbound', {}), room.standing(), said]).toEqual([
      'enforced',
      'enforced',
      { isolation: 'enforced', reasons: [] },
      [],
    ]);
  });

  test('each connection by itself: another user on the next one is not believed for the first', () => {
    const peer: { user: PeerUser } = { user: 4_242 };
    const { room, asked, said } = roomOf(peer);
    const [first, second] = [{}, {}];
    expect(room.of('outbound', first)).toBe('enforced');
    peer.user = OWN;
    expect([room.of('outbound', second), room.of('outbound', first), room.of('outbound', second)]).toEqual([
      'advisory',
      'enforced',
      'advisory',
    ]);
    // Once for each: a table of the kernel is read anew for no call.
    expect([asked(), said]).toEqual([2, ['same_user']]);
  });
});
