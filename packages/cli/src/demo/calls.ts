/** Who asks what in the demo, and what examples/demo-policy says to it. */

import type { Operator } from './identity-provider.ts';

export interface DemoCall {
  readonly way: 'mcp' | 'http' | 'http without session';
  readonly server: string;
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** `allow by <rule>`, or `deny <code> by <rule>`. */
  readonly expected: string;
  /** The record of this one is changed later, to see it found. */
  readonly isEdited?: boolean;
}

export const ALICE: Operator = {
  subject: 'alice@demo.local',
  tenant: 'demo',
  roles: ['support-rep'],
  scopes: ['orders:read'],
  ticket: 'O-000123',
};

/** What a call has to know of the stage. */
export interface Paths {
  readonly publicFile: string;
  readonly privateFile: string;
}

const mcp = (server: string, tool: string, args: DemoCall['args'], expected: string): DemoCall => ({
  way: 'mcp',
  server,
  tool,
  args,
  expected,
});
/** It would say too much that the tool exists and is forbidden. */
const HIDDEN = 'deny tool_not_allowed by gate:tool, told as unknown tool';
const http = (tool: string, args: DemoCall['args'], expected: string): DemoCall => ({
  way: 'http',
  server: 'orders',
  tool,
  args,
  expected,
});

/** In order; each is decided by itself. */
export const CALLS: readonly ((paths: Paths) => DemoCall)[] = [
  () => mcp('everything', 'echo', { message: 'hello' }, 'allow by echo'),
  () => mcp('everything', 'get-sum', { a: 2, b: 3 }, 'allow by small-sums'),
  () => mcp('everything', 'get-sum', { a: 2, b: 300 }, 'deny parameter_not_allowed by small-sums'),
  () => mcp('everything', 'get-sum', { a: 'two', b: 3 }, 'deny schema_violation by gate:validation'),
  () => mcp('everything', 'get-env', {}, HIDDEN),
  ({ publicFile }) => mcp('files', 'read_text_file', { path: publicFile }, 'allow by read-public-files'),
  ({ privateFile }) => ({
    ...mcp('files', 'read_text_file', { path: privateFile }, 'deny no_matching_policy by read-public-files'),
    isEdited: true,
  }),
  ({ publicFile }) =>
    mcp(
      'files',
      'read_text_file',
      { path: publicFile.replace('hours.txt', '../private/salaries.txt') },
      'deny no_matching_policy by read-public-files',
    ),
  ({ publicFile }) =>
    mcp('files', 'write_file', { path: publicFile, content: 'Closed.' }, 'deny tool_not_allowed by default-deny, told as unknown tool'),
  () => http('get_order', { order_id: 'O-000123' }, 'allow by read-own-order'),
  () => http('get_order', { order_id: 'O-000999' }, 'deny resource_binding_mismatch by read-own-order'),
  () => http('refund', { order_id: 'O-000123', amount: 19.9 }, 'deny insufficient_scope by refund-own-order'),
  () => ({ ...http('get_order', { order_id: 'O-000123' }, 'deny unauthenticated by gate:authentication'), way: 'http without session' }),
];

/** Allowed before the change of the rule, refused after. */
export const CHANGED_CALL: DemoCall = mcp('everything', 'get-sum', { a: 20, b: 22 }, 'deny parameter_not_allowed by small-sums');

/** Allowed whenever policy is fresh. */
export const STEADY_CALL: DemoCall = http('get_order', { order_id: 'O-000123' }, 'allow by read-own-order');
