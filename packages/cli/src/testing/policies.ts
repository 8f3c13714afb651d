/** Small policies for tests of commands. */

const HEAD = 'apiVersion: sallyport.dev/v1\n';

export interface SmallPolicy {
  /** The largest sum that may be asked for. */
  readonly maximum?: number;
  /** What the test of the policy expects of a call with 7; the truth unless given. */
  readonly expect?: string;
  /** Text appended to the rules. */
  readonly more?: string;
}

/** One agent, one server, one tool, one rule, two tests; four documents in two files. */
export function smallPolicy({ maximum = 100, expect = 'allow', more = '' }: SmallPolicy = {}): Readonly<Record<string, string>> {
  return {
    'catalog.yaml': `${HEAD}kind: Agent
name: support-triage
owner: team
uses: [sums]
---
kind: ToolServer
name: sums
mcp: { url: "http://127.0.0.1:9/mcp" }
network: loopback
---
kind: Tool
name: sums/add
effect: read
arguments: { required: [n], properties: { n: { type: integer } } }
`,
    'rules.yaml': `${HEAD}kind: Policy
agent: support-triage
rules:
  - id: small-sums
    allow: [sums/add]
    for: { roles: [rep] }
    arguments: { n: { maximum: ${maximum} } }
${more}---
kind: Test
given: { roles: [rep] }
cases:
  - { call: sums/add, args: { n: 7 }, expect: ${expect} }
  - { call: sums/add, args: { n: 7000 }, expect: parameter_not_allowed }
`,
  };
}

/** Writes a policy into a folder of the terminal's. */
export function writePolicy(
  at: { write(name: string, content: string): void },
  dir: string,
  policy: Readonly<Record<string, string>> = smallPolicy(),
): void {
  for (const [name, text] of Object.entries(policy)) at.write(`${dir}/${name}`, text);
}
