/** Why the agent's isolation is advisory: the closed list, as fleet, readiness and the log name it. Spec: sidecar-state, section 6. */

export const REASONS = {
  not_vouched: 'the configuration does not say `isolation: enforced`',
  same_user: 'the agent runs as the user of this sidecar',
  agent_is_root: 'the agent runs as root, from whom no mode keeps a file',
  peer_unknown: 'which user the agent is cannot be told of a connection on this machine',
  socket_open: 'others than the agent can enter the folder of its socket',
  state_open: 'the agent can reach the state of this sidecar',
  key_open: 'the agent can reach a private key of this sidecar',
  secret_open: 'the agent can reach a secret of this sidecar',
  anchor_open: 'the agent can change whom this sidecar trusts',
  admin_open: 'the agent can enter the folder of the administration socket',
} as const;

export type IsolationReason = keyof typeof REASONS;
