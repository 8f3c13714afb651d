/** One small policy in as many versions as a story needs: each names itself in its rule, and allows or does not. */

import { ordersPolicy } from './policies.ts';
import type { World } from './world.ts';

/** What differs between versions. */
export interface Version {
  /** The rule is called `v<number>`. */
  readonly number: number;
  /** Whether a support-rep may read orders; to nobody's role otherwise. */
  readonly allows?: boolean;
}

export function versionOf(world: Pick<World, 'idp'>, upstreamUrl: string, { number, allows = true }: Version): string {
  const role = allows ? 'support-rep' : 'auditor';
  return ordersPolicy(
    upstreamUrl,
    `
kind: Tool
name: orders/get_order
description: Reads one order.
effect: read
route: { method: POST, path: /get_order }
arguments:
  required: [order_id]
  properties:
    order_id: { type: string, pattern: "^O-[0-9]{6}$" }
---
kind: Policy
agent: support-triage
rules:
  - id: v${number}
    allow: [orders/get_order]
    for: { roles: [${role}] }
---
kind: Test
given: { roles: [${role}] }
cases:
  - { call: orders/get_order, args: { order_id: O-000123 }, expect: allow }
`,
    world.idp,
  );
}
