import type { AgentName, Area, Digest, Ring } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import { simulatedDisk, trustSimulator } from '@sallyport/testkit';
import { encodeJoinToken, type JoinToken } from '@sallyport/trust';
import { beforeEach, describe, expect, it } from 'vitest';
import { judgeEnrolment, readAnchors } from './anchors.ts';
import type { SidecarConfig } from './config.ts';

const PIN = `sha256:${'a'.repeat(64)}` as Digest;
const TOKEN: JoinToken = {
  trustDomain: 'demo.local',
  rootPin: PIN,
  caDigest: `sha256:${'b'.repeat(64)}` as Digest,
  agent: 'support' as AgentName,
  area: 'default' as Area,
  ring: 'default' as Ring,
  secret: new Uint8Array(32).fill(7),
};

const config = (over: object = {}): SidecarConfig =>
  ({
    agent: 'support',
    area: 'default',
    ring: 'default',
    root_pin_file: '/etc/root-pin',
    control_plane: { join_token_file: '/etc/join-token' },
    outbound: {},
    ...over,
  }) as unknown as SidecarConfig;

describe('anchors', () => {
  let fs: FileSystem;
  const put = (path: string, text: string | Uint8Array): void => {
    const file = fs.open(path, 'create');
    file.append(typeof text === 'string' ? Buffer.from(text) : text);
    file.close();
  };
  beforeEach(() => {
    ({ fs } = simulatedDisk());
    fs.makeDirectory('/etc');
    put('/etc/root-pin', `${PIN}\n`);
    put('/etc/join-token', encodeJoinToken(TOKEN));
  });
  const problems = (over: object = {}): string[] => {
    const read = readAnchors(config(over), fs);
    return read.ok ? [] : read.error.map(({ path, message }) => `${path}: ${message}`);
  };

  it('are the pin, the token and the root that the administrator put there', () => {
    const read = readAnchors(config(), fs);
    expect(read).toMatchObject({ ok: true, value: { pin: PIN } });
    expect(read.ok && read.value.enrolmentProof()).toEqual({ ok: true, value: TOKEN });
  });

  it.each<[what: string, text: string | Uint8Array | undefined]>([
    ['absent', undefined],
    ['empty', ''],
    ['no digest', 'trust me'],
    ['a digest in capitals', PIN.toUpperCase()],
    ['two of them', `${PIN}\n${PIN}`],
    ['no text', new Uint8Array([0xff, 0xfe])],
    ['longer than any pin', PIN.repeat(100_000)],
  ])('there is no trust on first use: a pin that is %s is refused', (_, text) => {
    if (text === undefined) fs.unlink('/etc/root-pin');
    else put('/etc/root-pin', text);
    expect(problems().some((problem) => problem.startsWith('root_pin_file:'))).toBe(true);
  });

  it('a token for another root, agent, area or ring is refused, all at once', () => {
    put('/etc/join-token', encodeJoinToken({ ...TOKEN, rootPin: `sha256:${'c'.repeat(64)}` as Digest }));
    expect(problems({ agent: 'billing', area: 'default/eu', ring: 'canary' })).toEqual([
      'control_plane.join_token_file: the token names another root than `root_pin_file`',
      'control_plane.join_token_file: the token is for agent `support`, and this sidecar is `billing`',
      'control_plane.join_token_file: the token is for area `default`, and this sidecar is `default/eu`',
      'control_plane.join_token_file: the token is for ring `default`, and this sidecar is `canary`',
    ]);
  });

  it('a token that is none is a problem that does not repeat it', () => {
    put('/etc/join-token', 'c2VjcmV0LXNlY3JldA');
    const [problem] = problems();
    expect(problem).toMatch(/^control_plane\.join_token_file/);
    expect(problem).not.toContain('c2VjcmV0');
  });

  it('a token that is spent and gone is no problem: an identity may be there', () => {
    fs.unlink('/etc/join-token');
    const read = readAnchors(config(), fs);
    expect(read.ok && read.value.enrolmentProof()).toEqual({ ok: true, value: undefined });
    put('/etc/join-token', encodeJoinToken(TOKEN));
    expect(read.ok && read.value.enrolmentProof()).toEqual({ ok: true, value: TOKEN });
  });

  it('a start that could get no identity is told before it is made', () => {
    const state = { state_dir: '/state' };
    expect(judgeEnrolment(config(state), fs)).toEqual([]);
    fs.unlink('/etc/join-token');
    expect(judgeEnrolment(config(state), fs)).toMatchObject([
      { path: 'control_plane.join_token_file', remedy: expect.stringContaining('sallyport agents join-token --agent support') },
    ]);
    expect(judgeEnrolment(config({ ...state, control_plane: {} }), fs)).toHaveLength(1);
    for (const folder of ['/state', '/state/identity']) fs.makeDirectory(folder);
    put('/state/identity/certificates.json', '{}');
    expect(judgeEnrolment(config(state), fs)).toEqual([]);
  });

  it('a root file that is not the pinned root, or a development root that nobody allowed, is told at once', async () => {
    const sim = await trustSimulator();
    put('/etc/root-pin', sim.pin);
    put('/etc/join-token', encodeJoinToken({ ...TOKEN, rootPin: sim.pin }));
    put('/etc/root.json', sim.root.envelope);
    const named = { root_file: '/etc/root.json' };
    expect(problems({ ...named, allow_development_root: true })).toEqual([]);
    expect(problems(named)).toEqual([expect.stringMatching(/^root_file: .*`allow_development_root: true`/)]);
    put('/etc/root.json', '{}');
    expect(problems(named)).toEqual([expect.stringMatching(/^root_file: /)]);
  });

  it('a root file that is named must be there', () => {
    expect(problems({ root_file: '/etc/none.json' })).toEqual(['root_file: cannot read `/etc/none.json`']);
  });
});
