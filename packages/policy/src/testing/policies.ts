/** Policies for tests of the lab. Used by tests only. */

import { formatProblem } from '@sallyport/model';
import { buildParts } from '../compile/build.ts';
import type { BuiltParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';

const HEAD = `apiVersion: sallyport.dev/v1
kind: Agent
name: triage
owner: team
uses: [pay]
---
kind: ToolServer
name: pay
mcp: { url: "https://pay.internal" }
network: private
---
kind: Tool
name: pay/find
effect: read
arguments: { required: [order], properties: { order: { type: string, pattern: "^[A-Z]$" } } }
---
kind: Tool
name: pay/refund
effect: write
classes: [money]
arguments:
  required: [order, amount]
  properties:
    order: { type: string }
    amount: { type: number, format: decimal, minimum: 0 }
    currency: { enum: [EUR, USD] }
---
kind: Tool
name: pay/drop
effect: destructive
---
kind: Policy
agent: triage
rules:
`;

export interface Written {
  /** YAML list items, indented by two. */
  readonly rules: string;
  /** Documents, the first without `---`. */
  readonly more?: string;
}

/** An agent, a server, three tools, and these rules; whatever does not build throws its problems. */
export function policyOf({ rules, more = '' }: Written, amend: (text: string) => string = (text) => text): BuiltParts {
  const text = amend(`${HEAD}${rules}${more === '' ? '' : `---\n${more}`}`);
  const source = parseDocuments([{ path: 'p.yaml', text }]);
  const built = source.ok ? buildParts(source.value) : source;
  if (!built.ok) throw new Error(built.error.map(formatProblem).join('\n'));
  return built.value;
}
