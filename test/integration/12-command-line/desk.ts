/** An administrator's desk: a terminal, the folder of a running world, and a policy to publish. */

import { join } from 'node:path';
import { terminal, type Ran, type Terminal } from '../../../packages/cli/src/testing/terminal.ts';
import { ordersPolicy } from '../../support/policies.ts';
import type { World } from '../../support/world.ts';

export interface Desk extends Terminal {
  /** Types a command that speaks with the control plane of the world. */
  admin(...argv: readonly string[]): Promise<Ran>;
  /** `--dir` and `--control-plane` of the world. */
  readonly link: readonly string[];
  /** Writes the policy; `tool` is its one argument's largest length, to make versions differ. */
  writePolicy(dir: string, options?: { readonly maxLength?: number; readonly expect?: string }): void;
}

export function deskOf(world: World, upstreamUrl: string): Desk {
  const own = terminal();
  const { host, port } = world.controlPlane.addresses().grpc;
  const link = ['--dir', world.dir, '--control-plane', `${host}:${port}`];
  return {
    ...own,
    link,
    admin: (...argv) => own.type(...argv, ...link),
    writePolicy(dir, { maxLength = 20, expect = 'allow' } = {}) {
      const documents = `
kind: Tool
name: orders/get_order
effect: read
route: { method: POST, path: /get_order }
arguments: { required: [order_id], properties: { order_id: { type: string, maxLength: ${maxLength} } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: read-orders, allow: [orders/get_order], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/get_order, args: { order_id: O-1 }, expect: ${expect} }
`;
      own.write(join(dir, 'policy.yaml'), ordersPolicy(upstreamUrl, documents, world.idp));
    },
  };
}
