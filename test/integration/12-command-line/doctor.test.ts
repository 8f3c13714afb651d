import { join } from 'node:path';
import { addMs, type Clock } from '@sallyport/model';
import { systemClock } from '@sallyport/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { terminal, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { ordersPolicy } from '../../support/policies.ts';
import { eventually, startWorld, type RunningSidecar, type World } from '../../support/world.ts';

interface Line {
  readonly check: string;
  readonly health: string;
  readonly says: string;
}

/** The doctor on a machine where everything runs: a real control plane, a real sidecar, and what can go wrong between them. */
describe('the doctor of what runs', () => {
  let world: World;
  let sidecar: RunningSidecar;
  let address = '';
  const terminals: Terminal[] = [];
  beforeAll(async () => {
    world = await startWorld();
    const { host, port } = world.controlPlane.addresses().grpc;
    address = `${host}:${port}`;
    sidecar = await world.startSidecar();
  });
  afterAll(async () => {
    for (const one of terminals) one.close();
    await world.close();
  });

  async function examined(
    more: { readonly laterMs?: number; readonly dir?: string; readonly sidecar?: boolean } = {},
  ): Promise<readonly Line[]> {
    const real = systemClock();
    const clock: Clock = { ...real, wall: () => addMs(real.wall(), more.laterMs ?? 0) };
    const at = terminal({ clock });
    terminals.push(at);
    const { stateDir, port: outbound, healthPort } = sidecar;
    const listen = `outbound: { listen: 127.0.0.1:${outbound} }\nhealth: { listen: 127.0.0.1:${healthPort} }\n`;
    const pin = join(world.dir, 'root-pin');
    at.write(
      'sidecar.yaml',
      `agent: support-triage\nstate_dir: ${stateDir}\nroot_pin_file: ${pin}\nallow_development_root: true\n${listen}`,
    );
    const argv = [
      '--dir',
      more.dir ?? world.dir,
      '--control-plane',
      address,
      ...(more.sidecar === false ? [] : ['--sidecar-config', 'sidecar.yaml']),
    ];
    return (await at.type('doctor', '--json', ...argv)).json()['checks'] as readonly Line[];
  }
  /** Of what is asked over the wire; the world's own files are the harness's. */
  const about = (lines: readonly Line[], ...checks: readonly string[]): readonly (readonly string[])[] =>
    lines.filter(({ check }) => checks.includes(check)).map(({ check, health, says }) => [check, health, says]);

  it('is not ready before there is a policy, and says what to do', async () => {
    expect(about(await examined(), 'sidecar readiness')).toEqual([['sidecar readiness', 'fail', expect.stringMatching(/^not ready: /)]]);
  });

  it('is well once there is one', async () => {
    await world.admin.publish(ordersPolicy('http://127.0.0.1:9', '', world.idp));
    await eventually(() => sidecar.ready(), 'readiness');
    expect(about(await examined(), 'control plane answers', 'clocks', 'sidecar', 'sidecar readiness', 'sidecar port', 'fleet')).toEqual([
      ['control plane answers', 'ok', `${address}, as spiffe://demo.local/control-plane: release 1, 1 sidecar`],
      ['clocks', 'ok', 'agree with the control plane'],
      ['sidecar port', 'ok', expect.stringContaining('in use by its own process')],
      ['sidecar port', 'ok', expect.stringContaining('in use by its own process')],
      ['sidecar', 'ok', `runs as process ${process.pid}`],
      ['sidecar readiness', 'ok', expect.stringMatching(/^ready: enforces release 1, /)],
    ]);
  });

  it.each([
    [10_000, 'warn', /^\d+ seconds apart from the control plane$/],
    [60_000, 'fail', /^\d+ seconds apart from the control plane$/],
    [-60_000, 'fail', /^\d+ seconds apart from the control plane$/],
  ])('a clock that is %d ms off: %s', async (laterMs, health, says) => {
    expect(about(await examined({ laterMs }), 'clocks')).toEqual([['clocks', health, expect.stringMatching(says)]]);
  });

  it('a control plane of another root does not prove to be the one that is meant', async () => {
    const at = terminal();
    terminals.push(at);
    await at.type('root', 'init', '--development');
    expect(about(await examined({ dir: at.path('.sallyport'), sidecar: false }), 'control plane answers')).toEqual([
      ['control plane answers', 'fail', expect.stringContaining('does not prove to be the control plane of this root')],
    ]);
  });

  it('a control plane that is away leaves a sidecar that says for how long', async () => {
    await world.stopControlPlane();
    await eventually(async () => about(await examined(), 'sidecar readiness').some(([, health]) => health === 'warn'), 'the sidecar knows');
    expect(about(await examined(), 'control plane answers', 'sidecar readiness')).toEqual([
      ['control plane answers', 'fail', expect.stringMatching(/^nobody listens at /)],
      ['sidecar readiness', 'warn', expect.stringMatching(/ of .* old; not connected to the control plane$/)],
    ]);
    await world.restartControlPlane();
  });
});
