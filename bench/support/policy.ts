/**
 * The policy that is measured under: 50 tools of one HTTP server and one MCP server, and as many rules as asked for,
 * spread evenly, each with a condition or a role. Every called tool has rules that match, rules that do not, and a denial.
 */

import type { TokenIssuer } from '@sallyport/testkit';
import { issuerDocument } from '../../test/support/policies.ts';

export const AGENT = 'support-triage';
const TOOLS = 50;

/** Paths on the sidecar's port. `read` is kept in the kernel's memory before the call goes on, `write` on the disk. */
export const CALLS = { read: '/tools/records/tool_00', write: '/tools/records/tool_01' } as const;
export const STREAMED_TOOL = 'slow';

/** A call's arguments: one kilobyte, every field judged by the tool's schema. */
export const CALL_BODY: string = JSON.stringify({
  account: 'A-4711',
  amount: 12.5,
  currency: 'EUR',
  tags: ['travel', 'taxi', 'november'],
  approved: false,
  note: 'Taxi from the airport to the office, 14 November, paid by card. '.repeat(14).slice(0, 860),
});

/** The tool server's answer, one kilobyte of JSON; no apostrophe, for it stands in nginx's configuration too. */
export const ANSWER_BODY: string = JSON.stringify({
  account: 'A-4711',
  state: 'booked',
  lines: Array.from({ length: 8 }, (_, index) => ({
    position: index + 1,
    text: 'one ride, receipt attached, checked by nobody yet',
    amount: 12.5,
  })),
  remark: 'Nothing further. '.repeat(10),
});

export interface Servers {
  /** Ports of 127.0.0.1. */
  readonly http: number;
  readonly mcp: number;
}

/** As YAML. `rules` is a multiple of the 50 tools; `limit` is the largest amount that the first tool's first rule allows. */
export function benchPolicy(rules: number, { http, mcp }: Servers, idp: TokenIssuer, limit = 100): string {
  const tools = Array.from({ length: TOOLS }, (_, index) => String(index).padStart(2, '0'));
  return [
    `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [records, streams]
sessions: { roots: [operator], idle: 15m, max: 8h }
---
kind: ToolServer
name: records
http: { url: "http://127.0.0.1:${http}" }
network: loopback
---
kind: ToolServer
name: streams
mcp: { url: "http://127.0.0.1:${mcp}/mcp" }
network: loopback
---
kind: Tool
name: streams/${STREAMED_TOOL}
description: Says how far it is before it answers.
effect: read
arguments: { required: [account], properties: { account: { type: string } } }`,
    ...tools.map((name, index) => toolDocument(name, index % 2 === 0 ? 'read' : 'write')),
    `kind: Policy
agent: ${AGENT}
rules:
  - id: streams
    allow: [streams/${STREAMED_TOOL}]
    for: { roles: [support-rep] }
${tools.map((name, index) => rulesOf(name, rules / TOOLS, index === 0 ? limit : 100)).join('\n')}`,
    issuerDocument(idp)
      .replace(/^---\n/, '')
      .trim(),
  ].join('\n---\n');
}

function toolDocument(name: string, effect: 'read' | 'write'): string {
  return `kind: Tool
name: records/tool_${name}
description: Works on one record.
effect: ${effect}
route: { method: POST, path: /tool_${name} }
arguments:
  required: [account, amount, currency]
  properties:
    account: { type: string, pattern: "^A-[0-9]{1,9}$" }
    amount: { type: number, format: decimal, minimum: 0 }
    currency: { enum: [EUR, USD] }
    tags: { type: array, items: { type: string, maxLength: 32 }, maxItems: 8 }
    approved: { type: boolean }
    note: { type: string, maxLength: 2000 }`;
}

function rulesOf(tool: string, count: number, limit: number): string {
  const rule = (id: number, text: string): string => `  - id: r${tool}-${id}\n    ${text}`;
  const name = `records/tool_${tool}`;
  return [
    rule(0, `allow: [${name}]\n    for: { roles: [support-rep] }\n    when: args.amount <= ${limit}`),
    rule(1, `deny: [${name}]\n    when: 'has(args.tags) && args.tags.exists(tag, tag == "blocked")'`),
    ...Array.from({ length: count - 2 }, (_, index) =>
      rule(index + 2, `allow: [${name}]\n    for: { roles: [role-${index}] }\n    when: args.amount <= ${1_000 + index}`),
    ),
  ].join('\n');
}
