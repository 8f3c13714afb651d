/**
 * The first policy of an agent for a tool server: documents that build, rules that allow what the server marks as
 * read-only and nothing else, and tests that pass. Everything is made in memory and tried before the caller writes it.
 */

import { invariant } from '@sallyport/model';
import type { AgentName, Json, JsonObject, ServerName } from '@sallyport/model';
import { buildParts, formatExplanation, parseDocuments, runTests } from '@sallyport/policy';
import type { PolicyFile, TestReport } from '@sallyport/policy';
import type { DevIssuer } from './dev-issuer.ts';
import { isObject, listOf } from './json-shape.ts';
import { lockFileName } from './lock-file.ts';
import type { LockedTool } from './lock-file.ts';
import { sampleArguments } from './sample-arguments.ts';
import { HEAD, KEYS_FILE, agentText, environmentText, identityText, serversText } from './scaffold-documents.ts';
import { quotedText, shortText } from './visible-text.ts';
import { yamlFlow } from './yaml-text.ts';
import type { ServerPlace } from './server-place.ts';

export interface ScaffoldOptions {
  readonly agent: AgentName;
  readonly owner: string;
  readonly role: string;
  readonly server: ServerName;
  readonly place: ServerPlace;
  readonly tools: readonly LockedTool[];
  /** Text of the lock file. */
  readonly lock: string;
  readonly issuer: DevIssuer;
}

export interface Scaffold {
  readonly files: readonly PolicyFile[];
  /** Local names of the tools that the rules allow; the others stand there as comments. */
  readonly allowed: readonly string[];
  readonly tests: number;
}

/** Entries of one list in a rule. */
const LIST_MAX = 256;
/** A page that people read: of what a server has beyond that, the lock file tells. */
const COMMENTED_MAX = 100;
const CASES_MAX = 100;

export function scaffold(options: ScaffoldOptions): Scaffold {
  const { tools } = options;
  const reads = tools.filter(({ effect }) => effect === 'read');
  const others = tools.filter(({ effect }) => effect !== 'read');
  const without = (cases: readonly Case[]): readonly PolicyFile[] => [
    { path: 'agent.yaml', text: agentText(options) },
    { path: 'identity.yaml', text: identityText(options) },
    { path: KEYS_FILE, text: options.issuer.keySet },
    { path: 'environment.yaml', text: environmentText(options) },
    { path: 'servers.yaml', text: serversText(options, others[0] ?? reads[0]) },
    { path: lockFileName(options.server), text: options.lock },
    { path: 'rules.yaml', text: rulesText(options, reads, others) },
    ...(cases.length === 0 ? [] : [{ path: 'tests.yaml', text: testsText(options, cases) }]),
  ];
  const wished = casesOf(reads, others);
  // What was made up for a schema may still not fit it: only what passes is written.
  const tried = tryOut(without(wished));
  const passing = wished.filter((one) =>
    tried.outcomes.some(({ call, expected, passed }) => passed && call === one.tool && expected === one.expect),
  );
  const files = without(passing);
  const report = tryOut(files);
  invariant(
    report.failed === 0,
    `the tests of a new policy pass: ${report.outcomes.flatMap(({ explanation }) => (explanation === undefined ? [] : [formatExplanation(explanation)])).join('; ')}`,
  );
  return { files, allowed: reads.map(localName), tests: report.passed };
}

function tryOut(files: readonly PolicyFile[]): TestReport {
  const parsed = parseDocuments(files);
  const built = parsed.ok ? buildParts(parsed.value) : parsed;
  invariant(
    built.ok,
    `a new policy builds: ${built.ok ? '' : JSON.stringify(built.error.filter(({ severity }) => severity === undefined))}`,
  );
  return runTests(built.value.policy);
}

const localName = ({ name }: LockedTool): string => name.slice(name.indexOf('/') + 1);

function rulesText({ agent, role, server }: ScaffoldOptions, reads: readonly LockedTool[], others: readonly LockedTool[]): string {
  const ids = new Set<string>();
  const head = `# What no rule allows is denied. Roles come from the operator's token; docs/spec/policy-v1.md has all that a rule can say.
`;
  const rest =
    others.length === 0
      ? ''
      : `
  # What ${server} does not mark as read-only is denied, and hidden from listings. Take the # away where the agent needs a
  # tool, and say for whom, within which bounds of its arguments, and how often.
${others
  .slice(0, COMMENTED_MAX)
  .map((tool) => commentedRule(tool, role, ids))
  .join('')}${beyond(others.length - COMMENTED_MAX)}`;
  if (reads.length === 0)
    return `${head}# ${server} marks none of its tools as read-only, so this first policy allows nothing. Take the # away from the next
# four lines, and from the rules that the agent needs.
# ${HEAD}
# kind: Policy
# agent: ${agent}
# rules:
${rest}`;
  return `${HEAD}
${head}kind: Policy
agent: ${agent}
rules:
  # ${server} marks these as read-only. That is its word, and reading can be harm enough: strike what the agent does not need.
${allowedRules(reads, role, ids)}${rest}`;
}

function beyond(count: number): string {
  return count > 0 ? `\n  # and ${count} more, which stand in the lock file\n` : '';
}

function allowedRules(reads: readonly LockedTool[], role: string, ids: Set<string>): string {
  const rules: string[] = [];
  for (let from = 0; from < reads.length; from += LIST_MAX) {
    const names = reads.slice(from, from + LIST_MAX).map(({ name }) => `      - ${name}`);
    rules.push(`  - id: ${newId('read', ids)}\n    allow:\n${names.join('\n')}\n    for: { roles: [${role}] }\n`);
  }
  return rules.join('\n');
}

function commentedRule(tool: LockedTool, role: string, ids: Set<string>): string {
  const bound = boundOf(tool.arguments);
  return [
    '',
    `  # ${tool.effect ?? 'destructive, for want of a word'}: ${quotedText(shortText(tool.description.split('\n')[0] ?? '', 100))}`,
    `  # - id: ${newId(localName(tool), ids)}`,
    `  #   allow: [${tool.name}]`,
    `  #   for: { roles: [${role}] }`,
    ...(bound === undefined ? [] : [`  #   when: ${bound}`]),
    '',
  ].join('\n');
}

/** A condition on the first text that has to be given, to be filled in. */
function boundOf({ properties, required }: JsonObject): string | undefined {
  const names = listOf(required).filter((one) => typeof one === 'string');
  const name = names.find((one) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(one) && isText(properties, one));
  return name === undefined ? undefined : `args.${name} == "…"`;
}

function isText(properties: Json | undefined, name: string): boolean {
  const schema = isObject(properties) ? properties[name] : undefined;
  return isObject(schema) && schema['type'] === 'string';
}

/** A rule's id out of a tool's name: lower case, one of each. */
function newId(name: string, ids: Set<string>): string {
  const base =
    name
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replaceAll(/^[^a-z]+|-+$/g, '')
      .slice(0, 56) || 'tool';
  let id = base;
  for (let count = 2; ids.has(id); count++) id = `${base}-${count}`;
  ids.add(id);
  return id;
}

interface Case {
  readonly tool: string;
  readonly args: string;
  readonly expect: 'allow' | 'tool_not_allowed';
  readonly who: 'role' | 'nobody';
}

/** Each allowed tool once; one that is not; and somebody without the role. */
function casesOf(reads: readonly LockedTool[], others: readonly LockedTool[]): readonly Case[] {
  const args = (tool: LockedTool): string | undefined => {
    const sample = sampleArguments(tool.arguments);
    return sample === undefined ? undefined : yamlFlow(sample);
  };
  const allowed = reads.slice(0, CASES_MAX).flatMap((tool): readonly Case[] => {
    const sample = args(tool);
    return sample === undefined ? [] : [{ tool: tool.name, args: sample, expect: 'allow', who: 'role' }];
  });
  const hidden = others
    .slice(0, 1)
    .map((tool): Case => ({ tool: tool.name, args: args(tool) ?? '{}', expect: 'tool_not_allowed', who: 'role' }));
  const nobody = reads
    .slice(0, 1)
    .map((tool): Case => ({ tool: tool.name, args: args(tool) ?? '{}', expect: 'tool_not_allowed', who: 'nobody' }));
  return [...allowed, ...hidden, ...nobody];
}

function testsText({ role }: ScaffoldOptions, cases: readonly Case[]): string {
  const documents = (['role', 'nobody'] as const).flatMap((who) => {
    const own = cases.filter((one) => one.who === who);
    if (own.length === 0) return [];
    const lines = own.map(({ tool, args, expect }) => `  - { call: ${tool}, args: ${args}, expect: ${expect} }`);
    const [name, given] =
      who === 'role' ? [`an operator with the role ${role}`, `{ roles: [${role}] }`] : ['anybody else', '{ roles: [] }'];
    return [`kind: Test\nname: ${name}\ngiven: ${given}\ncases:\n${lines.join('\n')}\n`];
  });
  return `${HEAD}\n# Run by \`sallyport policy test\`, and before anything is published.\n${documents.join('---\n')}`;
}
