import { recordingUpstream, type RecordingUpstream } from '@sallyport/testkit';
import { encodeChallenge } from '@sallyport/trust';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMANDS } from '../../../packages/cli/src/commands.ts';
import { listedTool, startListing, type McpListing } from '../../../packages/cli/src/testing/mcp-listing.ts';
import type { Ran } from '../../../packages/cli/src/testing/terminal.ts';
import { AREA, RING } from '../../support/administrator.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';
import { deskOf, type Desk } from './desk.ts';

/**
 * Said elsewhere: two run until they are told to stop, signing in needs a person (`login.test.ts`), the way of a session an
 * agent (`doctor-session.test.ts`), and attacks take their minute (`test/faults/chaos.test.ts`).
 */
const ELSEWHERE = new Set(['chaos run', 'demo', 'dev', 'doctor session', 'login']);

/** Each command once, with the answer that programs get; in an order in which each finds what it needs. */
describe('an answer under --json', () => {
  let world: World;
  let up: RecordingUpstream;
  let desk: Desk;
  let tools: McpListing;
  let sidecar: RunningSidecar;
  let session: string;
  const done = new Set<string>();

  beforeAll(async () => {
    up = await recordingUpstream();
    tools = await startListing([listedTool('get', { annotations: { readOnlyHint: true } })]);
    world = await startWorld({ directoryAttributes: ['groups'] });
    desk = deskOf(world, up.url);
    desk.writePolicy('p');
  });
  afterAll(async () => {
    await world?.close();
    await up?.close();
    await tools?.close();
    desk?.close();
  });

  /** Runs it, and reads all of standard output as one document. */
  async function answer(
    name: string,
    ran: (...argv: readonly string[]) => Promise<Ran>,
    ...argv: readonly string[]
  ): Promise<Record<string, unknown>> {
    const { exit, out, json } = await ran(...name.split(' '), ...argv, '--json');
    expect([name, exit, out.trimEnd().split('\n').length]).toEqual([name, 0, 1]);
    done.add(name);
    return json();
  }
  const here = (name: string, ...argv: readonly string[]): Promise<Record<string, unknown>> => answer(name, desk.type, ...argv);
  const asked = (name: string, ...argv: readonly string[]): Promise<Record<string, unknown>> => answer(name, desk.admin, ...argv);

  it('of what needs nothing that runs', async () => {
    expect(await here('completion', 'bash')).toHaveProperty('script');
    expect(await here('init', 'mine', '--server', tools.url, '--name', 'files')).toMatchObject({ dir: 'mine', tools: 1, tests: 2 });
    expect(await here('tools import', 'files', '--policy', 'mine')).toMatchObject({ written: false, changes: [] });
    expect(await here('operator token')).toHaveProperty('token');
    expect(await here('policy check', 'mine')).toMatchObject({ ok: true });
    expect(await here('policy test', 'mine')).toMatchObject({ passed: 2, failed: 0 });
    expect(await here('policy diff', 'mine', 'mine')).toMatchObject({ identical: true, newly_allowed: [] });
    expect(await here('policy schema')).toHaveProperty('$schema');
    expect(await here('chaos list')).toHaveProperty('attacks');
    expect(await here('policy explain', 'mine', '--call', 'files/get', '--args', '{"path":"x"}', '--as', 'roles=member')).toMatchObject({
      decision: 'allow',
    });
    expect(await here('policy build', 'p', '--out', 'bundle', '--revision', '9')).toHaveProperty('digest');
    expect(await here('root init', '--development', '--dir', 'other')).toHaveProperty('root_pin');
    expect(await here('api-key create', '--out', 'desk.key')).toHaveProperty('entry.hash');
    expect(await here('bundle keygen', '--out', 'key.pem')).toHaveProperty('keyid');
    expect(await here('control-plane', '--config', 'other/control-plane/config.yaml', '--check-config')).toEqual({ ok: true });
    const config = (token: string): string =>
      `agent: a\nstate_dir: s\nroot_pin_file: other/root-pin\nallow_development_root: true\ncontrol_plane: { join_token_file: ${token} }\n`;
    desk.write('sidecar.yaml', config('token'));
    expect(await here('doctor', '--dir', 'other', '--policy', 'mine', '--sidecar-config', 'sidecar.yaml')).toMatchObject({ ok: true });
  });

  it('of what asks the control plane', async () => {
    expect(await asked('policy publish', 'p')).toMatchObject({ release: { release_seq: 1 } });
    desk.writePolicy('p', { maxLength: 21 });
    await desk.admin('policy', 'publish', 'p');
    expect(await asked('policy log')).toHaveProperty('versions');
    expect(await asked('policy rollback', '--reason', 'a test')).toMatchObject({ release: { release_seq: 3 } });
    expect(await asked('release promote', '--to', '2')).toMatchObject({ release: { release_seq: 4 } });
    sidecar = await world.startSidecar();
    await eventually(() => sidecar.ready(), 'readiness');
    const token = { authorization: `Bearer ${world.idp.mint(world.clock.wall())}` };
    const opened = (await sidecar.request('/session', { headers: token })).json() as { token: string; session_id: string };
    session = opened.session_id;
    await sidecar.call('orders/get_order', { order_id: 'O-1' }, opened.token);
    expect(await asked('fleet status')).toMatchObject({ sidecars: [{ agent: 'support-triage' }] });
    expect(await asked('identities export')).toMatchObject({ agents: [{ name: 'support-triage' }], unregistered: { agents: [] } });
    expect(await asked('bundle export', '--to', 'watched')).toMatchObject({ release_seq: 4, files: expect.any(Array) });
    const asks = { nonce: new Uint8Array(32), identity: 'spiffe://demo.local/sidecar/support-triage/one' };
    desk.write('challenge', encodeChallenge({ ...asks, area: AREA, ring: RING }, world.clock.wall()));
    expect(await asked('bundle prove', '--challenge', 'challenge', '--to', 'watched')).toMatchObject({ identity: asks.identity });
    const extended = await here('release extend', '--in', 'watched', '--ttl', '1m', '--reason', 'a test', '--dir', world.dir);
    expect(extended).toMatchObject({ release_seq: 4, complete: true });
    expect(await asked('agents join-token', '--agent', 'support-triage', '--out', 'join-token')).toHaveProperty('expires_at');
    const said = { issuer: world.idp.issuer, tenant: 'acme', principal: 'carol', attributes: { groups: ['support'] } };
    desk.write('people.ndjson', JSON.stringify(said));
    expect(await asked('directory import', 'people.ndjson')).toMatchObject({ seq: 1, added: 1 });
    expect(await asked('directory show', 'carol')).toMatchObject({ entries: [{ attributes: { groups: ['support'] } }] });
    expect(await asked('revoke principal', 'mallory', '--reason', 'a test')).toHaveProperty('seq');
    expect(await asked('revoke token', 'jti-1', '--reason', 'a test')).toHaveProperty('seq');
    const others: readonly (readonly [selector: string, value: string])[] = [
      ['credential', 'keys:1'],
      ['session', 's-1'],
      ['run', 'R-1'],
      ['account', 'https://idp.test mallory'],
      ['agent', 'left'],
      ['sidecar', 'spiffe://demo.local/sidecar/left/one'],
      ['tool', 'orders/left'],
      ['bundle', `sha256:${'ab'.repeat(32)}`],
    ];
    for (const [selector, value] of others)
      expect(await asked(`revoke ${selector}`, value, '--reason', 'a test')).toMatchObject({ selector: { type: selector, value } });
    expect(await asked('revoke everything', '*', '--before', '2020-01-01T00:00:00.000Z', '--reason', 'a test')).toHaveProperty('seq');
  });

  it('of a sidecar, beside a control plane', async () => {
    desk.write(
      'sidecar.yaml',
      `agent: support-triage\nstate_dir: s\nroot_pin_file: ${world.dir}/root-pin\nallow_development_root: true\ncontrol_plane: { join_token_file: join-token }\n`,
    );
    expect(await here('sidecar', '--config', 'sidecar.yaml', '--check-config')).toEqual({ ok: true });
    const { admin } = sidecar.sidecar.addresses();
    const socket = admin.kind === 'unix' ? admin.path : '';
    const listed = await desk.type('explain', '--socket', socket, '--json', '--limit', '1');
    const id = /"decision_id":"([0-9A-Z]{26})"/.exec(listed.out)?.[1] ?? '';
    expect(await here('explain', id, '--socket', socket)).toMatchObject({ decision: { decision_id: id } });
  });

  it('of the record', async () => {
    const tailed = async (): Promise<boolean> => (await desk.admin('audit', 'tail', '--json')).out.includes('orders/get_order');
    await eventually(tailed, 'the call in the log');
    const { exit, out } = await desk.admin('audit', 'tail', '--json');
    // A stream: one document a line.
    expect([
      exit,
      out
        .trimEnd()
        .split('\n')
        .every((line) => typeof JSON.parse(line) === 'object'),
    ]).toEqual([0, true]);
    done.add('audit tail');
    desk.write('export.ndjson', (await desk.admin('audit', 'tail', '--view', 'records')).bytes);
    expect(await answer('audit verify', desk.type, 'export.ndjson', '--dir', world.dir)).toMatchObject({ verified: true });
    expect(await here('policy replay', '--from', 'export.ndjson', '--policy', 'p')).toMatchObject({ ok: true, verified: false });
    expect(await here('policy suggest', '--from', 'export.ndjson', '--policy', 'p')).toHaveProperty('suggestions');
    expect(await asked('audit session', session)).toHaveProperty('totals');
  });

  it('of the signers’ tools', async () => {
    await desk.type('policy', 'build', 'p', '--out', 'signed', '--revision', '9');
    expect(await here('bundle sign', 'signed', '--dir', world.dir)).toHaveProperty('signatures');
    expect(await here('bundle verify', 'signed', '--dir', world.dir)).toMatchObject({ verified: true });
    expect(await asked('bundle submit', 'signed')).toMatchObject({ bundle: { revision: 9 } });
    expect(await asked('release fallback', '--reason', 'x')).toMatchObject({ rollback: true, release: { release_seq: 5 } });
  });

  it('of ceremonies', async () => {
    const dir = ['--dir', world.dir];
    const key = (name: string): readonly string[] => ['--key', `${world.dir}/signing/${name}.pem`];
    const families = [
      ['root', 'rotate', 'root', '--threshold', 'rollback=2'],
      ['area', 'delegate', 'registrar', '--threshold', '1'],
      ['online-keys', 'draft', 'release-1', '--renew'],
    ] as const;
    for (const [family, draft, signer, ...more] of families) {
      const file = `${family}.draft`;
      expect(await here(`${family} ${draft}`, ...more, '--out', file, ...dir)).toMatchObject({ number: 2, digest: expect.any(String) });
      expect(await here(`${family} sign`, file, ...key(signer), '--out', `${file}.signed`, ...dir)).toMatchObject({ complete: true });
      expect(await here(`${family} assemble`, `${file}.signed`, ...dir)).toMatchObject({ number: 2, files: [expect.any(String)] });
    }
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
      await desk.type('bundle', 'keygen', '--out', `${name}.pem`, '--public', `${name}.pub`);
    const holders = ['root=a', 'root=b', 'registrar=c', 'registrar=d', 'release=e', 'release=f', 'revocation=g'];
    const keys = holders.flatMap((holder) => ['--key', `${holder}.pub`]);
    expect(await here('online-keys keygen', '--trust-domain', 'acme.test', '--dir', 'online')).toMatchObject({ admin: 'admin' });
    expect(await here('root draft', '--trust-domain', 'acme.test', ...keys, '--out', 'root-1')).toMatchObject({
      number: 1,
      profile: 'production',
    });
  });

  it('was asked of every command', () => {
    const names = COMMANDS.map(({ name }) => name).filter((name) => !ELSEWHERE.has(name));
    expect([...done].toSorted()).toEqual(names.toSorted());
  });
});
