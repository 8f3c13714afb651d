/**
 * Whether the agent is kept from going round its sidecar: `enforced` where whoever deployed it vouches for that and nothing
 * that the sidecar can see speaks against it, `advisory` otherwise. Never a proof of who calls.
 */

export type Isolation = 'enforced' | 'advisory';

export const ISOLATIONS: readonly Isolation[] = ['enforced', 'advisory'];
