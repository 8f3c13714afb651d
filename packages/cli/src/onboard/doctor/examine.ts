/** Everything that the doctor looks at, in the order in which one thing depends on another. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkOptions } from '../../connect.ts';
import { readConnection } from '../../dev/connection.ts';
import { at } from '../../files.ts';
import { homeOf } from '../../home.ts';
import type { Home } from '../../home.ts';
import type { Io } from '../../io.ts';
import { devIssuerDir } from '../dev-issuer.ts';
import { warned, well } from './check.ts';
import type { Check } from './check.ts';
import { judgeControlPlane, judgeControlPlaneConfig } from './control-plane.ts';
import { judgeKeyFiles, judgeNode } from './machine.ts';
import { judgePolicy } from './policy.ts';
import { answerOf, judgeReadiness, judgeSidecar } from './sidecar.ts';
import { judgeHome } from './trust.ts';

export interface Wanted extends LinkOptions {
  /** As typed; found where it is left out. */
  readonly controlPlaneConfig: string | undefined;
  readonly sidecarConfig: string | undefined;
  readonly policy: string | undefined;
}

const SIDECAR_CONFIG = 'sidecar.yaml';

export async function examine(wanted: Wanted, io: Io): Promise<readonly Check[]> {
  const home = homeOf(wanted.dir, io);
  const { checks, root } = judgeHome(home, io);
  const keys = judgeKeyFiles([home.signing, home.controlPlane, home.admin, devIssuerDir(home)]);
  return [
    judgeNode(process.versions.node),
    ...checks,
    ...keys,
    ...(await controlPlaneChecks(wanted, home, io)),
    // With a broken folder there is no asking, and why has been said.
    ...(root === undefined || !isHealthy(checks) ? [] : await judgeControlPlane(wanted, io)),
    ...(await sidecarChecks(wanted, home, io)),
    ...(await devChecks(home, io)),
    judgePolicy(wanted.policy, io),
  ];
}

async function controlPlaneChecks({ controlPlaneConfig: given }: Wanted, home: Home, io: Io): Promise<readonly Check[]> {
  const file = given === undefined ? home.controlPlaneConfig : at(io.cwd, given);
  if (given === undefined && !existsSync(file)) return [];
  return judgeControlPlaneConfig(file, io);
}

async function sidecarChecks({ sidecarConfig: given }: Wanted, home: Home, io: Io): Promise<readonly Check[]> {
  const file = at(io.cwd, given ?? SIDECAR_CONFIG);
  if (given !== undefined || existsSync(file)) return judgeSidecar(file, home, io);
  return [warned('sidecar', `there is no ${SIDECAR_CONFIG} here`, 'name it with --sidecar-config; sallyport dev needs none')];
}

/** A `sallyport dev` that runs here says so in its folder. */
async function devChecks(home: Home, io: Io): Promise<readonly Check[]> {
  const connection = readConnection(join(home.dir, 'dev'));
  if (connection === undefined) return [];
  const status = await answerOf({ socketPath: connection.adminSocket }, '/status', io);
  if (status === undefined) return [];
  return [
    well('dev', `runs as process ${connection.pid}, with the policy in ${connection.policyDir}`),
    ...judgeReadiness(status, io).map((check) => ({ ...check, subject: 'dev readiness' })),
  ];
}

/** The worst of it. */
export function isHealthy(checks: readonly Check[]): boolean {
  return checks.every(({ health }) => health !== 'fail');
}
