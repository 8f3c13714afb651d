/**
 * A production trust domain from nothing: seven people with a key each, a control plane that made its own, files that
 * travel between them, and in the end a sidecar that decides a call. No development root is allowed anywhere.
 */

import { CONTROL_PLANE_CONFIG, compose as composeControlPlane, type ControlPlane } from '@sallyport/control-plane';
import { readConfig, realFileSystem, systemClock, systemRandom } from '@sallyport/runtime';
import { compose as composeSidecar, readAnchors, SIDECAR_CONFIG, type Sidecar } from '@sallyport/sidecar';
import { createLog } from '@sallyport/telemetry';
import { recordingUpstream, tokenIssuer, type RecordingUpstream } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { terminal, type Ran, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { versionOf } from '../../support/versions.ts';
import { eventually, request } from '../../support/world.ts';

const PEOPLE = ['alice', 'bob', 'carol', 'dan', 'erin', 'frank', 'grace', 'heidi'];

describe('a production root', () => {
  let desk: Terminal;
  let up: RecordingUpstream;
  let controlPlane: ControlPlane | undefined;
  let sidecar: Sidecar | undefined;
  let address: string;
  const idp = tokenIssuer();
  const clock = systemClock();
  const log: string[] = [];
  const logged = createLog({ level: 'debug', name: 'production', clock, write: (line) => void log.push(line) });

  const type = async (line: string): Promise<Ran> => desk.type(...line.split(' '));
  const ok = async (line: string): Promise<Record<string, unknown>> => {
    const ran = await type(`${line} --json`);
    if (ran.exit !== 0) throw new Error(`${line}: ${ran.err}${ran.out}`);
    return ran.json();
  };
  const ceremony = async (family: string, draft: string, signers: readonly string[]): Promise<void> => {
    await ok(`${draft} --out ${family}.draft`);
    for (const name of signers) await ok(`${family} sign ${family}.draft --key ${name}.pem --out ${family}.${name}`);
    await ok(`${family} assemble ${family}.draft ${signers.map((name) => `--signed ${family}.${name}`).join(' ')}`);
  };
  const admin = async (line: string): Promise<Ran> => type(`${line} --control-plane ${address}`);

  beforeAll(async () => {
    up = await recordingUpstream();
    desk = terminal();
    for (const name of PEOPLE) await ok(`bundle keygen --out ${name}.pem --public ${name}.pub`);
    await ok('online-keys keygen --trust-domain acme.test --grpc 127.0.0.1:0 --enrolment 127.0.0.1:0');
    const keys = ['root=alice', 'root=bob', 'registrar=carol', 'registrar=dan', 'release=erin', 'release=frank'].map(
      (held) => `--key ${held}.pub`,
    );
    const online = '--key revocation=.sallyport/control-plane/revocation.pub --ca .sallyport/control-plane/workload-ca.crt';
    await ceremony('root', `root draft --trust-domain acme.test ${keys.join(' ')} ${online}`, ['alice', 'bob']);
    await ceremony('area', 'area delegate --publisher grace.pub --publisher heidi.pub --threshold 2', ['carol', 'dan']);
    await ceremony('online-keys', 'online-keys draft --key r1=.sallyport/control-plane/freshness.pub', ['erin', 'frank']);
    const config = readConfig(CONTROL_PLANE_CONFIG, { file: desk.path('.sallyport/control-plane/config.yaml') });
    if (!config.ok) throw new Error(JSON.stringify(config.error));
    controlPlane = composeControlPlane(config.value, { clock, random: systemRandom, log: logged });
    await controlPlane.start();
    const { grpc } = controlPlane.addresses();
    address = `${grpc.host}:${grpc.port}`;
  });
  afterAll(async () => {
    await sidecar?.drain();
    await controlPlane?.drain();
    await up?.close();
    desk?.close();
  });

  it('publishes by two, releases by two, and a sidecar with its pin alone decides', async () => {
    desk.write('p/policy.yaml', versionOf({ idp }, up.url, { number: 1 }));
    const alone = await admin('policy publish p --key grace.pem --no-promote');
    expect([alone.exit, alone.err]).toEqual([
      1,
      expect.stringMatching(/publishing for default takes 2 signatures, and 1 is here \(1 more of [0-9a-f]{32};/),
    ]);
    const published = await admin('policy publish p --key grace.pem --key heidi.pem --no-promote');
    expect([published.exit, published.err]).toEqual([0, expect.any(String)]);
    const one = await admin('release promote --to 1 --release-key erin.pem');
    expect([one.exit, one.err]).toEqual([1, expect.stringMatching(/signed by 1 of the 2/)]);
    expect((await admin('release promote --to 1 --release-key erin.pem --sign-only --out r.json')).exit).toBe(0);
    expect((await admin('release promote --file r.json --release-key frank.pem')).exit).toBe(0);

    const joined = await admin('agents join-token --agent support-triage --out join-token');
    expect([joined.exit, joined.err]).toEqual([0, expect.any(String)]);
    const { port } = await startSidecar();
    const opened = await request(port, '/session', { headers: { authorization: `Bearer ${idp.mint(clock.wall())}` } });
    const answer = await request(port, '/tools/orders/get_order', {
      body: '{"order_id":"O-000123"}',
      headers: { 'content-type': 'application/json', 'sallyport-session': opened.json()['token'] as string },
    });
    expect([opened.status, answer.status]).toEqual([201, 200]);
  });

  it('is refused under another pin, and a development root in its place is refused too', async () => {
    expect((await type('root init --development --dir other')).exit).toBe(0);
    for (const pin of ['other/root-pin', '.sallyport/root-pin']) {
      const root = pin.startsWith('other') ? '.sallyport/root/1.json' : 'other/root/1.json';
      const anchors = readAnchors(sidecarConfig('bent', pin, root), realFileSystem());
      expect([anchors.ok, JSON.stringify(anchors)]).toEqual([false, expect.stringMatching(/pin|development/)]);
    }
    const anchors = readAnchors(sidecarConfig('bent', 'other/root-pin', 'other/root/1.json'), realFileSystem());
    expect([anchors.ok, JSON.stringify(anchors)]).toEqual([false, expect.stringContaining('allow_development_root')]);
  });

  function sidecarConfig(name: string, pin: string, root: string): Parameters<typeof composeSidecar>[0] {
    const [{ grpc, enrolment }] = [controlPlane!.addresses()];
    desk.write(
      `${name}.yaml`,
      [
        'agent: support-triage',
        `instance: ${name}`,
        `state_dir: state-${name}`,
        `root_pin_file: ${pin}`,
        `root_file: ${root}`,
        'control_plane:',
        `  address: "${grpc.host}:${grpc.port}"`,
        `  enrolment_address: "${enrolment.host}:${enrolment.port}"`,
        '  join_token_file: join-token',
        'outbound: { listen: "127.0.0.1:0" }',
        'health: { listen: "127.0.0.1:0" }',
        'drain_ms: 500',
      ].join('\n'),
    );
    const read = readConfig(SIDECAR_CONFIG, { file: desk.path(`${name}.yaml`) });
    if (!read.ok) throw new Error(JSON.stringify(read.error));
    return read.value;
  }

  async function startSidecar(): Promise<{ readonly port: number }> {
    desk.mode('join-token', 0o600);
    const config = sidecarConfig('one', '.sallyport/root-pin', '.sallyport/root/1.json');
    const anchors = readAnchors(config, realFileSystem());
    if (!anchors.ok) throw new Error(JSON.stringify(anchors.error));
    const started = composeSidecar(config, anchors.value, {
      clock,
      random: systemRandom,
      log: logged,
      build: 'test',
      disk: realFileSystem(),
    });
    sidecar = started;
    await started.start();
    await eventually(() => started.readiness().release_seq === 1, 'the release');
    const { outbound } = started.addresses();
    return { port: outbound.kind === 'tcp' ? outbound.port : 0 };
  }
});
