/** `sallyport doctor`: is this machine well, and what is set up on it? */

import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { LINK_OPTIONS } from '../connect.ts';
import type { Check } from '../onboard/doctor/check.ts';
import { text } from '../option.ts';
import { counted, table } from '../output.ts';

export const doctor: Command = command({
  name: 'doctor',
  group: 'Operate',
  summary: 'look for what is wrong with this machine and what is set up on it',
  details: [
    'Looks at Node, the root of trust and how long all that hangs on it lasts, the modes of private keys, configurations, ports, state folders and disks, the control plane (its identity, its clock, its fleet), the sidecar (why it is or is not ready, its policy, its backlog), and the policy of this folder. Changes nothing, and works with nothing running: then it says what to start.',
    'Every line is ok, warn or fail, the last two with a remedy. Exits with 1 where one is fail.',
  ],
  options: {
    controlPlaneConfig: text(
      '--control-plane-config FILE',
      'configuration of a control plane (default: control-plane/config.yaml in the folder)',
    ),
    sidecarConfig: text('--sidecar-config FILE', 'configuration of a sidecar (default: sidecar.yaml here)'),
    policy: text('--policy DIR', 'folder of a policy (default: policy)'),
    ...LINK_OPTIONS,
  },
  examples: [
    { line: 'doctor', says: 'of this folder' },
    { line: 'doctor --sidecar-config /etc/sallyport/sidecar.yaml --json', says: 'for a monitor' },
  ],
  async run({ options, io, out }) {
    const { examine, isHealthy } = await import('../onboard/doctor/examine.ts');
    const checks = await examine(options, io);
    const isWell = isHealthy(checks);
    await out.answer(
      { ok: isWell, checks: checks.map(({ subject, health, says, remedy }) => ({ check: subject, health, says, remedy: remedy ?? null })) },
      [...checks.flatMap(linesOf(checks)), '', verdictOf(checks)].join('\n'),
    );
    return isWell ? 0 : 1;
  },
});

/** The remedy stands below, where what it belongs to begins. */
function linesOf(checks: readonly Check[]): (check: Check) => readonly string[] {
  const wide = Math.max(...checks.map(({ subject }) => subject.length));
  return ({ subject, health, says, remedy }) => [
    table([[health.padEnd(4), subject.padEnd(wide), says]]),
    ...(remedy === undefined ? [] : [`${' '.repeat(wide + 8)}${remedy}`]),
  ];
}

function verdictOf(checks: readonly Check[]): string {
  const count = (health: Check['health']): number => checks.filter((check) => check.health === health).length;
  const [warnings, failures] = [count('warn'), count('fail')];
  if (failures > 0) return `${counted(failures, 'failure')}, ${counted(warnings, 'warning')}`;
  return warnings === 0 ? 'all is well' : `nothing is broken; ${counted(warnings, 'warning')}`;
}
