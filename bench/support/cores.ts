/**
 * Which core runs what: the proxy under measurement alone on the last one, load, upstream and control plane on the first.
 * Where the machine has one core or no `taskset` nothing is pinned, and the bench says so.
 */

import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

export type Place = 'proxy' | 'load';

const isLinux = process.platform === 'linux';
const cpus = (): number => Number(spawnSync('nproc', ['--all'], { encoding: 'utf8' }).stdout) || availableParallelism();
const coreCount = isLinux ? cpus() : 1;

/** False where both share what cores there are. */
export const canPin: boolean = coreCount > 1 && spawnSync('taskset', ['--version']).status === 0;

/** The command that runs `command` in its place. */
export function placed(place: Place, command: readonly string[]): readonly string[] {
  return canPin ? ['taskset', '--cpu-list', String(coreOf(place)), ...command] : command;
}

/** Moves this process; what it starts goes where `placed` puts it. */
export function moveSelf(place: Place): void {
  if (canPin) spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(coreOf(place)), String(process.pid)]);
}

function coreOf(place: Place): number {
  return place === 'proxy' ? coreCount - 1 : 0;
}
