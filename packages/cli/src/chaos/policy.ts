/**
 * The policy that attacks are staged against: one agent, one server, two tools. Its first version allows both tools and
 * its second only one, so that a sidecar that can be brought back to the first shows it by what reaches the tool.
 */

import type { DevIssuer } from '../onboard/dev-issuer.ts';

export const CHAOS_AGENT = 'chaos-agent';
export const CHAOS_ISSUER = { issuer: 'https://chaos.localhost', audience: 'sallyport' } as const;
export const ROLE = 'clerk';

/** Allowed by both versions. */
export const READ = { tool: 'get_order', args: { order_id: 'O-000123' } } as const;
/** Allowed by the first version alone. */
export const REFUND = { tool: 'refund', args: { order_id: 'O-000123' } } as const;

export interface PolicyOptions {
  readonly toolUrl: string;
  readonly issuer: DevIssuer;
  readonly allowsRefund: boolean;
}

export function policyYaml({ toolUrl, issuer, allowsRefund }: PolicyOptions): string {
  const [key] = (JSON.parse(issuer.keySet) as { readonly keys: readonly Record<string, string>[] }).keys;
  return `apiVersion: sallyport.dev/v1
kind: Agent
name: ${CHAOS_AGENT}
owner: chaos
uses: [orders]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: orders
http: { url: "${toolUrl}" }
network: loopback
${toolYaml(READ.tool, 'read')}${toolYaml(REFUND.tool, 'write')}---
kind: Policy
agent: ${CHAOS_AGENT}
rules:
  - id: ${allowsRefund ? 'first' : 'second'}
    allow: [${allowsRefund ? `orders/${READ.tool}, orders/${REFUND.tool}` : `orders/${READ.tool}`}]
    for: { roles: [${ROLE}] }
---
kind: Issuer
issuer: ${issuer.issuer}
audience: ${issuer.audience}
keys: [{ kid: ${key?.['kid'] ?? ''}, kty: EC, crv: P-256, x: ${key?.['x'] ?? ''}, y: ${key?.['y'] ?? ''} }]
max_lifetime: 1h
---
kind: Test
given: { roles: [${ROLE}] }
cases:
  - { call: orders/${READ.tool}, args: { order_id: O-000123 }, expect: allow }
`;
}

function toolYaml(name: string, effect: 'read' | 'write'): string {
  return `---
kind: Tool
name: orders/${name}
description: One order.
effect: ${effect}
route: { method: POST, path: /${name} }
arguments:
  required: [order_id]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
`;
}
