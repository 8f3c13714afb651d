import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { cpSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { certificatePem, generateKey, issueCertificate, randomBytes } from '@sallyport/crypto/keys';
import { addMs, formatInstant } from '@sallyport/model';
import { parseJoinToken } from '@sallyport/trust';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pemCertificates } from '../../../packages/cli/src/pem.ts';
import { terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

describe('operating from the command line', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let sidecar: RunningSidecar;

  beforeAll(async () => {
    up = await recordingUpstream();
    world = await startWorld();
    desk = deskOf(world, up.url);
    desk.writePolicy('p');
    await desk.admin('policy', 'publish', 'p');
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    desk?.close();
  });

  describe('fleet status', () => {
    it('shows each sidecar with state, release, drift, age, contact and backlog', async () => {
      const { exit, out } = await desk.admin('fleet', 'status');
      const [head, row, last] = out.split('\n');
      expect(exit).toBe(0);
      expect(head).toMatch(/^SIDECAR +STATE +RELEASE +DRIFTED +AGE +LAST CONTACT +BACKLOG +REVOKED TO +LAST REJECTION$/);
      expect(row).toMatch(/^support-triage\/one +(absent|fresh) +1 +- +\S+ +\S+ ago +\d+ +\d+ +-$/);
      expect(last).toBe('1 sidecar, 1 connected; newest release 1');
    });

    it('answers as JSON', async () => {
      const { json } = await desk.admin('fleet', 'status', '--json');
      const { sidecars, ...rest } = json() as { sidecars: readonly Record<string, unknown>[] };
      expect(rest).toMatchObject({ release_seq: 1, revocation_seq: expect.any(Number), freshness_seq: expect.any(Number) });
      expect(sidecars).toEqual([
        expect.objectContaining({
          sidecar: 'spiffe://demo.local/sidecar/support-triage/one',
          connected: true,
          area: 'default',
          ring: 'default',
          release_seq: 1,
          drifted: false,
          isolation: 'enforced',
        }),
      ]);
    });

    it('is narrowed to an agent', async () => {
      expect(await desk.admin('fleet', 'status', '--agent', 'nobody')).toMatchObject({
        exit: 0,
        out: 'no sidecar of agent nobody has enrolled; agents here: support-triage\n',
      });
    });

    it('and the log of an area say of what they found nothing', async () => {
      expect(await desk.admin('policy', 'log', '--area', 'nope')).toMatchObject({
        exit: 0,
        out: 'nothing is published in area nope yet\n',
      });
    });

    it('goes on until Ctrl-C, showing every change', async () => {
      const stop = new AbortController();
      const watching = desk.typeUntil(stop.signal, ['fleet', 'status', '--watch', '--json', ...desk.link], (out) => {
        const lines = out.trimEnd().split('\n');
        const last = JSON.parse(lines.at(-1) ?? '{}') as { release_seq: number };
        if (last.release_seq === 2) stop.abort();
      });
      await desk.admin('policy', 'publish', 'p', '--force');
      expect((await watching).exit).toBe(0);
    });
  });

  describe('agents join-token', () => {
    it('writes a token for its owner alone, with the pin of the administrator’s own root', async () => {
      const { exit, json } = await desk.admin(
        'agents',
        'join-token',
        '--agent',
        'support-triage',
        '--out',
        'token',
        '--ttl',
        '5m',
        '--json',
      );
      expect([exit, json()]).toEqual([
        0,
        {
          agent: 'support-triage',
          area: 'default',
          ring: 'default',
          expires_at: expect.any(String),
          warnings: [],
          file: desk.path('token'),
        },
      ]);
      expect(statSync(desk.path('token')).mode & 0o777).toBe(0o600);
      const token = parseJoinToken(desk.read('token'));
      expect(token.ok && token.value).toMatchObject({
        agent: 'support-triage',
        trustDomain: 'demo.local',
        rootPin: readFileSync(join(world.dir, 'root-pin'), 'utf8').trim(),
      });
    });

    it.each([
      [
        'an agent that nobody registers',
        ['--agent', 'suport-triage'],
        'warning: no published bundle of area default registers an agent suport-triage (did you mean support-triage?)\n',
      ],
      [
        'an area without a bundle',
        ['--agent', 'support-triage', '--area', 'foo'],
        'warning: nothing is published in area foo yet (a sidecar enrols once a bundle registers its agent)\n',
      ],
      [
        'a ring without a release',
        ['--agent', 'support-triage', '--ring', 'foo'],
        'warning: nothing is released to ring foo of area default yet (a sidecar there denies everything until something is)\n',
      ],
    ])('warns of %s here, where it can be mended', async (_name, more, warning) => {
      const { exit, out, err } = await desk.admin('agents', 'join-token', ...more);
      expect([exit, out.length > 40, err]).toEqual([0, true, expect.stringContaining(warning)]);
    });

    it('does not register what it could not write', async () => {
      desk.write('taken', 'mine');
      const acts = async (): Promise<number> =>
        (await desk.admin('audit', 'tail', '--view', 'records')).out.split('create join token').length;
      const before = await acts();
      expect(await desk.admin('agents', 'join-token', '--agent', 'support-triage', '--out', 'taken')).toMatchObject({
        exit: 64,
        err: expect.stringContaining('is not overwritten'),
      });
      expect([desk.read('taken'), await acts()]).toEqual(['mine', before]);
    });

    it('refuses a name that no agent can have', async () => {
      expect(await desk.admin('agents', 'join-token', '--agent', '../x')).toMatchObject({
        exit: 2,
        err: expect.stringContaining('is not the name of an agent'),
      });
    });
  });

  describe('revoke', () => {
    const call = async (session: string): Promise<number> => (await sidecar.call('orders/get_order', { order_id: 'O-1' }, session)).status;

    it('signs a person out everywhere; signing in anew helps', async () => {
      const session = await sidecar.session({ sub: 'bob@company.com' });
      expect(await call(session)).toBe(200);
      const { exit, json } = await desk.admin('revoke', 'principal', 'bob@company.com', '--reason', 'laptop lost', '--json');
      expect([exit, json()]).toEqual([
        0,
        expect.objectContaining({ selector: { type: 'principal', value: 'bob@company.com' }, reason: 'laptop lost' }),
      ]);
      await eventually(async () => (await call(session)) === 401, 'the refusal');
    });

    it('bans a person for ten years, not for a month', async () => {
      const session = await sidecar.session({ sub: 'mallory@company.com' });
      const { before, expires_at: until } = (
        await desk.admin('revoke', 'principal', 'mallory@company.com', '--ban', '--reason', 'left', '--json')
      ).json();
      expect([before, Number(String(until).slice(0, 4)) - new Date(world.clock.wall()).getUTCFullYear()]).toEqual(['never', 10]);
      await eventually(async () => (await call(session)) === 401, 'the refusal');
      await eventually(
        () =>
          sidecar.session({ sub: 'mallory@company.com' }).then(
            () => false,
            () => true,
          ),
        'no new session either',
      );
    });

    it('denies the sessions of one token, named by the token itself, and repeats nothing of it', async () => {
      const token = world.idp.mint(world.clock.wall(), { claims: { sub: 'carol@company.com', jti: 'token-7' } });
      desk.write('leaked.jwt', `${token}\n`);
      const { exit, out, err } = await desk.admin('revoke', 'token', '--file', 'leaked.jwt', '--reason', 'in a log');
      expect([exit, out]).toEqual([0, expect.stringMatching(/^revocation \d+: token token-7 denied until \S+Z\n$/)]);
      expect(out + err).not.toContain(token.slice(0, 40));
    });

    it('a run is ended, and the moment and the end are those that were said', async () => {
      const until = formatInstant(addMs(world.clock.wall(), 3_600_000));
      const asked = ['R-7', '--reason', 'risk event', '--until', until, '--json'];
      expect((await desk.admin('revoke', 'run', ...asked)).json()).toMatchObject({
        selector: { type: 'run', value: 'R-7' },
        before: 'never',
        expires_at: until,
      });
      const from = formatInstant(world.clock.wall());
      expect((await desk.admin('revoke', 'run', ...asked, '--before', from)).json()).toMatchObject({ before: from, expires_at: until });
    });

    it('a tool is taken away, until the revocation lapses', async () => {
      const session = await sidecar.session({ sub: 'tom@company.com' });
      expect(await call(session)).toBe(200);
      const soon = formatInstant(addMs(world.clock.wall(), 4_000));
      await desk.admin('revoke', 'tool', 'orders/get_order', '--until', soon, '--reason', 'threat feed');
      await eventually(async () => (await call(session)) === 403, 'the refusal');
      await eventually(async () => (await call(session)) === 200, 'the end of it');
    });

    it.each([
      ['no token', ['token', '--reason', 'x'], 2, 'name the token once'],
      ['a token twice', ['token', 'a', '--file', 'b', '--reason', 'x'], 2, 'name the token once'],
      ['a file that is not there', ['token', '--file', 'nowhere.jwt', '--reason', 'x'], 64, 'nowhere.jwt: cannot be read'],
      ['a file that is no token', ['token', '--file', 'text.jwt', '--reason', 'x'], 64, 'text.jwt: holds no JWT'],
      [
        'a ban that begins later',
        ['principal', 'bob', '--ban', '--before', '2026-01-01T00:00:00.000Z', '--reason', 'x'],
        2,
        'two different things',
      ],
      ['an instant that is none', ['principal', 'bob', '--before', 'yesterday', '--reason', 'x'], 2, '`yesterday` is not an instant'],
      ['a tool that is none', ['tool', 'orders', '--reason', 'x'], 2, 'write a tool as `server/tool`'],
      ['an account without its issuer', ['account', 'bob', '--reason', 'x'], 2, 'write the issuer, a space, and the principal’s id'],
      ['everything by another name', ['everything', 'all', '--reason', 'x'], 2, 'write `*`'],
      ['a moment that is none', ['run', 'R-1', '--before', 'soon', '--reason', 'x'], 2, '`soon` is not an instant'],
      [
        'an end that has passed',
        ['run', 'R-1', '--until', '2020-01-01T00:00:00.000Z', '--reason', 'x'],
        2,
        'is no instant of the next ten years',
      ],
      ['no reason', ['principal', 'bob'], 2, 'option `--reason TEXT` is missing'],
      ['an empty name', ['principal', '', '--reason', 'x'], 2, 'selects nothing'],
      ['an empty reason', ['token', 'abc', '--reason', ''], 2, 'a reason has 1 to 500 characters'],
      ['a reason of a book', ['principal', 'bob', '--reason', 'x'.repeat(501)], 2, 'a reason has 1 to 500 characters'],
    ])('refuses %s', async (_name, argv, exit, message) => {
      desk.write('text.jwt', 'not a token');
      expect(await desk.admin('revoke', ...argv)).toMatchObject({ exit, out: '', err: expect.stringContaining(message) });
    });
  });

  describe('the way to the control plane', () => {
    it('says everything that the folder lacks at once, with 64', async () => {
      desk.write('partly/root/notes.txt', '');
      const { exit, err } = await desk.type('fleet', 'status', '--dir', 'partly');
      expect([exit, err.replaceAll(desk.dir, '<folder>')]).toEqual([
        64,
        '<folder>/partly/root-pin: cannot be read: there is no such file or folder (name the folder that holds it with --dir)\n' +
          '<folder>/partly/root: holds no Root (name the folder that holds them with --dir)\n',
      ]);
    });

    it('says that there is no folder once', async () => {
      const { exit, err } = await desk.type('fleet', 'status', '--dir', 'nowhere');
      expect([exit, err]).toEqual([
        64,
        `${desk.path('nowhere')}: there is no such folder (name yours with --dir; a new one is made by \`sallyport root init --development\`)\n`,
      ]);
    });

    it('answers refusals as JSON too', async () => {
      const { exit, json, err } = await desk.type('fleet', 'status', '--dir', 'nowhere', '--json');
      expect([exit, err]).toEqual([64, '']);
      expect(json()).toMatchObject({ exit: 64, problems: [{ file: desk.path('nowhere') }] });
    });

    it('takes the address from the folder’s own configuration, and says where that gives none', async () => {
      expect(await desk.type('fleet', 'status', '--dir', world.dir)).toMatchObject({
        exit: 64,
        err: expect.stringContaining('listen.grpc: `127.0.0.1:0` does not say where to connect (name it with --control-plane)'),
      });
      expect(await desk.type('fleet', 'status', '--dir', world.dir, '--control-plane', 'here')).toMatchObject({
        exit: 64,
        err: expect.stringContaining('`here` is not an address and port'),
      });
    });

    it('says that nobody answers, and what to look at', async () => {
      await desk.type('root', 'init', '--development', '--dir', 'idle', '--grpc', '127.0.0.1:9');
      expect(await desk.type('fleet', 'status', '--dir', 'idle')).toMatchObject({
        exit: 1,
        out: '',
        err: 'sallyport fleet status: while asking for the fleet: nothing listens at 127.0.0.1:9 (start it: `sallyport control-plane --config idle/control-plane/config.yaml`)\n',
      });
    });

    it('believes no control plane of another root, and is believed by none', async () => {
      await desk.type('root', 'init', '--development', '--dir', 'other');
      const { exit, err } = await desk.type('fleet', 'status', '--dir', 'other', ...desk.link.slice(2));
      const address = desk.link.at(-1) ?? '';
      expect([exit, err.replaceAll(desk.dir, '<folder>')]).toEqual([
        1,
        `sallyport fleet status: while asking for the fleet: the control plane at ${address} belongs to another root than \`<folder>/other\` (name the folder of its root with --dir, or the right address with --control-plane)\n`,
      ]);
    });

    it('says of another port what it is not', async () => {
      const plain = up.url.replace(/^.*\/\//, '').replace(/\/.*$/, '');
      const { host, port } = world.controlPlane.addresses().enrolment;
      const asking = (address: string): ReturnType<Desk['type']> =>
        desk.type('fleet', 'status', '--dir', world.dir, '--control-plane', address);
      expect(await asking(plain)).toMatchObject({
        exit: 1,
        out: '',
        err: expect.stringContaining(`${plain} does not speak TLS (name its gRPC port`),
      });
      expect(await asking(`${host}:${port}`)).toMatchObject({
        exit: 1,
        out: '',
        err: expect.stringContaining(`${host}:${port} is a control plane's, but not its port for administrators (name its gRPC port`),
      });
    });

    it('says of what has expired that it has, before anything is sent', async () => {
      cpSync(world.dir, desk.path('old'), { recursive: true, filter: (source) => !/state|sidecars/.test(source.slice(world.dir.length)) });
      const link = ['--dir', 'old', ...desk.link.slice(2)];
      const [certificate] = pemCertificates(desk.read('old/control-plane/workload-ca.crt'));
      const ca = { certificate: certificate ?? new Uint8Array(), privatePem: desk.read('old/control-plane/workload-ca.pem') };
      const key = generateKey('es256');
      const now = world.clock.wall();
      const leaf = await issueCertificate({
        ca,
        subjectPublicKey: { alg: 'es256', raw: key.publicRaw },
        spiffeId: 'spiffe://demo.local/admin/admin',
        usage: 'tls-client',
        notBefore: now - 120_000,
        notAfter: now - 60_000,
        serial: randomBytes(16),
      });
      desk.write('old/admin/admin.crt', certificatePem(leaf));
      desk.write('old/admin/admin.pem', key.privatePem);
      desk.mode('old/admin/admin.pem', 0o600);
      expect(await desk.type('fleet', 'status', ...link)).toMatchObject({
        exit: 64,
        err: expect.stringContaining('admin.crt: this certificate ended at'),
      });
      const later = terminal({ clock: { ...world.clock, wall: () => addMs(world.clock.wall(), 2 * 365 * 86_400_000) } });
      expect(await later.type('fleet', 'status', ...desk.link)).toMatchObject({
        exit: 64,
        err: expect.stringContaining('root 1 expired at'),
      });
      later.close();
    });

    it('wants to know who is asking where several could be, and refuses a key that others can read', async () => {
      cpSync(world.dir, desk.path('shared'), {
        recursive: true,
        filter: (source) => !/state|sidecars/.test(source.slice(world.dir.length)),
      });
      cpSync(join(world.dir, 'admin', 'admin.crt'), desk.path('shared/admin/second.crt'));
      const link = ['--dir', 'shared', ...desk.link.slice(2)];
      expect(await desk.type('fleet', 'status', ...link)).toMatchObject({
        exit: 64,
        err: expect.stringContaining('say who you are: --admin admin | second'),
      });
      expect((await desk.type('fleet', 'status', ...link, '--admin', 'admin')).exit).toBe(0);
      desk.mode('shared/admin/admin.pem', 0o640);
      expect(await desk.type('fleet', 'status', ...link, '--admin', 'admin')).toMatchObject({
        exit: 64,
        err: expect.stringContaining('others than its owner can reach'),
      });
    });
  });
});
