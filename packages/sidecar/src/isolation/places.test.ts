import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { judgePlaces, judgeSocketFolder, type Place } from './places.ts';

const OWN = process.getuid?.() ?? 0;
let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-places-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const state = (path: string): Place => ({ path, closed: 0o077, reason: 'state_open' });
const key = (path: string): Place => ({ path, closed: 0o027, reason: 'key_open' });

function folder(name: string, mode: number): string {
  const path = join(dir, name);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}
function file(name: string, mode: number): string {
  const path = join(dir, name);
  writeFileSync(path, 'x');
  chmodSync(path, mode);
  return path;
}

describe('what must be kept from the agent', () => {
  test.each([
    ['a state folder that others can enter', 0o755],
    ['a state folder that its group can read', 0o740],
    ['a state folder that everybody may write to', 0o777],
  ])('%s is open', (_, mode) => {
    const path = folder('state', mode);
    expect([...judgePlaces([state(path)], OWN).open]).toEqual([['state_open', path]]);
  });

  test.each([
    ['that everybody reads', 0o604],
    ['that everybody writes', 0o602],
    ['that the group writes', 0o660],
  ])('a key %s is open', (_, mode) => {
    expect([...judgePlaces([key(file('key.pem', mode))], OWN).open.keys()]).toEqual(['key_open']);
  });

  test('a key in a folder where anybody can put another one is open, in a sticky one it is not', () => {
    const path = file('key.pem', 0o600);
    chmodSync(dir, 0o777);
    expect([...judgePlaces([key(path)], OWN).open.keys()]).toEqual(['key_open']);
    chmodSync(dir, 0o1777);
    expect([...judgePlaces([key(path)], OWN).open.keys()]).toEqual([]);
  });

  test('a link is judged by where it leads', () => {
    const [open, link] = [file('open.pem', 0o644), join(dir, 'link.pem')];
    symlinkSync(open, link);
    expect([...judgePlaces([key(link)], OWN).open.keys()]).toEqual(['key_open']);
  });

  test('closed places, and a key that its group may read, are closed', () => {
    const found = judgePlaces([state(folder('state', 0o700)), key(file('key.pem', 0o640))], OWN);
    expect([[...found.open], [...found.owned]]).toEqual([[], []]);
  });

  test('what is not there is nobody’s', () => {
    expect(judgePlaces([key(join(dir, 'none'))], OWN).open.size).toBe(0);
  });

  test('what cannot be looked at is open', () => {
    expect([...judgePlaces([key(join(file('file', 0o600), 'below'))], OWN).open.keys()]).toEqual(['key_open']);
  });

  // Not run by others than root, here and below: only root can give a file to another user.
  test.skipIf(OWN !== 0)('the owner of a place, and of a folder above it, can reach it', () => {
    const path = file('key.pem', 0o600);
    chownSync(path, 4_242, 4_242);
    expect(judgePlaces([key(path)], OWN).owned.get(4_242)?.reason).toBe('key_open');
    chownSync(path, OWN, OWN);
    chownSync(dir, 4_243, 4_243);
    expect(judgePlaces([key(path)], OWN).owned.get(4_243)?.reason).toBe('key_open');
  });
});

describe('the folder of the agent’s Unix socket', () => {
  test.each([
    ['that this sidecar alone enters is for its own user', 0o700, 'same_user'],
    ['that a group enters says nothing', 0o710, 'socket_open'],
    ['that everybody enters says nothing', 0o755, 'socket_open'],
  ] as const)('%s', (_, mode, reason) => {
    expect(judgeSocketFolder(join(folder('run', mode), 'socket'), OWN)).toBe(reason);
  });

  test('that is not there says nothing, and one on a platform without users neither', () => {
    expect(judgeSocketFolder(join(dir, 'none', 'socket'), OWN)).toBe('socket_open');
    expect(judgeSocketFolder(join(folder('run', 0o700), 'socket'), undefined)).toBe('socket_open');
  });

  test.skipIf(OWN !== 0)('that another user alone enters is that user’s', () => {
    const path = folder('run', 0o700);
    chownSync(path, 4_242, 4_242);
    expect(judgeSocketFolder(join(path, 'socket'), OWN)).toBeUndefined();
    chownSync(path, 0, 0);
    expect(judgeSocketFolder(join(path, 'socket'), 4_243)).toBe('agent_is_root');
  });
});
