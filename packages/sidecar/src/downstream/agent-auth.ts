/** What the configuration asks of the agent on the outbound port: exactly one way, and no other in its place. */

import type { AgentName, Clock, Problem } from '@sallyport/model';
import { invariant } from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { SidecarConfig } from '../config.ts';
import type { AgentCredential } from '../pipeline/ports.ts';
import { agentCertificate, judgeCertificate } from './agent-certificate.ts';
import { agentCredential, noAgentCredential, readAgentCredentials } from './agent-credential.ts';
import { agentServiceAccount, judgeServiceAccount } from './agent-service-account.ts';

type Outbound = SidecarConfig['outbound'];
type AgentAuth = NonNullable<Outbound['agent_auth']>;

/** The section that each way needs; the others are refused beside it. */
const SECTIONS: Readonly<Record<AgentAuth, keyof Outbound>> = {
  key: 'agent_credential_file',
  mtls: 'agent_certificate',
  service_account: 'agent_service_account',
};

/** The one way; a file of credentials alone means `key`. `undefined`: nothing is asked. */
export function agentAuthOf(outbound: Outbound): AgentAuth | undefined {
  return outbound.agent_auth ?? (outbound.agent_credential_file === undefined ? undefined : 'key');
}

/** A way without what it needs, or beside what another one needs: whoever wrote both meant one to stand in for the other. */
export function judgeAgentAuth(outbound: Outbound): readonly Problem[] {
  const auth = agentAuthOf(outbound);
  const problems: Problem[] = [];
  for (const [way, key] of Object.entries(SECTIONS)) {
    const isThere = outbound[key] !== undefined;
    if (way === auth && !isThere) problems.push({ path: `outbound.${key}`, message: `is missing: \`agent_auth: ${way}\` needs it` });
    if (way !== auth && isThere)
      problems.push({ path: `outbound.${key}`, message: `belongs to \`agent_auth: ${way}\`: an agent proves itself by one way alone` });
  }
  if (auth === 'mtls' && outbound.listen.kind === 'unix')
    problems.push({ path: 'outbound.listen', message: 'is a Unix socket, on which no certificates are asked for' });
  return problems;
}

/** Whether what the way reads from disk can be used; asked before anything is opened. */
export function judgeAgentFiles({ outbound, agent }: SidecarConfig, disk: FileSystem): readonly Problem[] {
  const { agent_credential_file: file, agent_certificate: certificate, agent_service_account: account } = outbound;
  const key = file === undefined ? undefined : readAgentCredentials(file, disk);
  if (key?.ok === false) return key.error;
  if (certificate !== undefined) return judgeCertificate(certificate, agent as AgentName, disk);
  return account === undefined ? [] : judgeServiceAccount(account, agent as AgentName, disk);
}

/** The judge of the way that is configured. */
export function agentAuthentication({ outbound, agent }: SidecarConfig, ports: { disk: FileSystem; clock: Clock }): AgentCredential {
  const parts = { ...ports, agent: agent as AgentName };
  switch (agentAuthOf(outbound)) {
    case undefined:
      return noAgentCredential(parts.agent);
    case 'key': {
      const { agent_credential_file: path } = outbound;
      invariant(path !== undefined, 'a way has what it needs');
      return agentCredential({ ...parts, path });
    }
    case 'mtls': {
      const { agent_certificate: section } = outbound;
      invariant(section !== undefined, 'a way has what it needs');
      return agentCertificate(section, parts);
    }
    case 'service_account': {
      const { agent_service_account: section } = outbound;
      invariant(section !== undefined, 'a way has what it needs');
      return agentServiceAccount(section, parts);
    }
  }
}
