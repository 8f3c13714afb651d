/** Every command, in the order of the overview. */

import type { Command } from './command.ts';
import { areaDelegate } from './commands/area-delegate.ts';
import { areaAssemble, areaSign, onlineKeysAssemble, onlineKeysSign, rootAssemble, rootSign } from './commands/ceremonies.ts';
import { agentsJoinToken } from './commands/agents-join-token.ts';
import { apiKeyCreate } from './commands/api-key-create.ts';
import { controlPlane, sidecar } from './commands/apps.ts';
import { auditSession } from './commands/audit-session.ts';
import { auditTail } from './commands/audit-tail.ts';
import { auditVerify } from './commands/audit-verify.ts';
import { bundleExport } from './commands/bundle-export.ts';
import { bundleKeygen } from './commands/bundle-keygen.ts';
import { bundleProve } from './commands/bundle-prove.ts';
import { bundleSign } from './commands/bundle-sign.ts';
import { bundleSubmit } from './commands/bundle-submit.ts';
import { bundleVerify } from './commands/bundle-verify.ts';
import { chaosList, chaosRun } from './commands/chaos.ts';
import { completion } from './commands/completion.ts';
import { demo } from './commands/demo.ts';
import { dev } from './commands/dev.ts';
import { directoryImport, directoryShow } from './commands/directory.ts';
import { doctor } from './commands/doctor.ts';
import { doctorSession } from './commands/doctor-session.ts';
import { explain } from './commands/explain.ts';
import { fleetStatus } from './commands/fleet-status.ts';
import { identitiesExport } from './commands/identities-export.ts';
import { init } from './commands/init.ts';
import { login } from './commands/login.ts';
import { onlineKeysKeygen } from './commands/online-keys-keygen.ts';
import { onlineKeysDraft } from './commands/online-keys-draft.ts';
import { operatorToken } from './commands/operator-token.ts';
import { policyBuild } from './commands/policy-build.ts';
import { policyCheck } from './commands/policy-check.ts';
import { policyDiff } from './commands/policy-diff.ts';
import { policyExplain } from './commands/policy-explain.ts';
import { policyLog } from './commands/policy-log.ts';
import { policyPublish } from './commands/policy-publish.ts';
import { policyReplay } from './commands/policy-replay.ts';
import { policyRollback } from './commands/policy-rollback.ts';
import { policySchemaCommand } from './commands/policy-schema.ts';
import { policySuggest } from './commands/policy-suggest.ts';
import { policyTest } from './commands/policy-test.ts';
import { releaseExtend } from './commands/release-extend.ts';
import { releaseFallback } from './commands/release-fallback.ts';
import { releasePromote } from './commands/release-promote.ts';
import { REVOKE_SELECTED } from './commands/revoke-selected.ts';
import { revokePrincipal, revokeToken } from './commands/revoke.ts';
import { rootDraft } from './commands/root-draft.ts';
import { rootInit } from './commands/root-init.ts';
import { rootRotate } from './commands/root-rotate.ts';
import { toolsImport } from './commands/tools-import.ts';

export const COMMANDS: readonly Command[] = [
  demo,
  dev,
  init,
  sidecar,
  controlPlane,
  completion,
  policyCheck,
  policyTest,
  policyDiff,
  policyReplay,
  policySuggest,
  policyExplain,
  policyPublish,
  policyRollback,
  policyLog,
  policyBuild,
  policySchemaCommand,
  toolsImport,
  apiKeyCreate,
  doctor,
  doctorSession,
  fleetStatus,
  agentsJoinToken,
  identitiesExport,
  login,
  operatorToken,
  revokeToken,
  revokePrincipal,
  ...REVOKE_SELECTED,
  directoryImport,
  directoryShow,
  explain,
  auditTail,
  auditSession,
  auditVerify,
  chaosRun,
  chaosList,
  rootInit,
  rootDraft,
  rootRotate,
  rootSign,
  rootAssemble,
  areaDelegate,
  areaSign,
  areaAssemble,
  onlineKeysKeygen,
  onlineKeysDraft,
  onlineKeysSign,
  onlineKeysAssemble,
  bundleKeygen,
  bundleSign,
  bundleSubmit,
  bundleVerify,
  bundleExport,
  bundleProve,
  releasePromote,
  releaseFallback,
  releaseExtend,
];

/** What the commands of one first word have in common. */
export const FAMILIES: Readonly<Record<string, string>> = {
  policy: 'check, test, explain, publish and roll back policy',
  tools: 'know what tools a server has',
  agents: 'let new sidecars in',
  'api-key': 'let callers of an agent in',
  identities: 'every machine identity, and which of them nobody registered',
  operator: 'stand in for an identity provider while trying things out',
  doctor: 'look for what is wrong with this machine, or with the way of one request',
  fleet: 'see every sidecar: what it enforces and how fresh it is',
  revoke: 'take trust away within a second, ahead of any release',
  directory: 'what is said of principals beside their tokens',
  audit: 'read the record of every decision, and prove it',
  chaos: 'attacks, staged at an installation of their own, to see it fail closed',
  bundle: 'keys and signatures of bundles, for signers; policy as files for where no stream goes',
  release: 'put a bundle in force, for signers',
  root: 'the root of trust, for signers',
  area: 'who publishes for an area, for registrars',
  'online-keys': 'which keys say that policy is fresh, for signers',
};
