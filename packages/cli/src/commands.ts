/** Every command, in the order of the overview. */

import type { Command } from './command.ts';
import { bundleKeygen } from './commands/bundle-keygen.ts';
import { bundleSign } from './commands/bundle-sign.ts';
import { bundleVerify } from './commands/bundle-verify.ts';
import { policyBuild } from './commands/policy-build.ts';
import { policyCheck } from './commands/policy-check.ts';
import { policyExplain } from './commands/policy-explain.ts';
import { policyTest } from './commands/policy-test.ts';
import { rootInit } from './commands/root-init.ts';

export const COMMANDS: readonly Command[] = [
  policyCheck,
  policyTest,
  policyExplain,
  policyBuild,
  rootInit,
  bundleKeygen,
  bundleSign,
  bundleVerify,
];

/** What the commands of one first word have in common. */
export const FAMILIES: Readonly<Record<string, string>> = {
  policy: 'check, test, explain, publish and roll back policy',
  agents: 'let new sidecars in',
  fleet: 'see every sidecar: what it enforces and how fresh it is',
  revoke: 'take trust away within a second, ahead of any release',
  audit: 'read the record of every decision, and prove it',
  bundle: 'keys and signatures of bundles, for signers',
  release: 'put a bundle in force, for signers',
  root: 'the root of trust, for signers',
};
