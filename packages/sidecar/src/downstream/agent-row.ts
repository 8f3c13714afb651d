/** The agent as the one row of a caller method's mapping: whoever the method proves is this agent, or a stranger. */

import { deny, type AgentName, type CallerMapping, type Denial, type Digest, type PrincipalId, type TenantId } from '@sallyport/model';

/** The method is of the configuration, not of a bundle. */
export const NO_BUNDLE = `sha256:${'0'.repeat(64)}` as Digest;

/** Nothing of the row is read: that it was found is the proof. */
export function rowFor(subject: string, agent: AgentName): CallerMapping {
  const id = agent as string as PrincipalId;
  return { subject, identity: { id, kind: 'service', tenant: '-' as TenantId, roles: [], scopes: [], attributes: {} } };
}

/** A credential that holds, of somebody else, is another agent's: not this one, and no more is said. */
export function asStranger(denial: Denial): Denial {
  return denial.code === 'no_matching_policy' ? deny('unauthenticated', denial.detail) : denial;
}
