/** What a policy would answer to one call, in the order of the gates: is the tool there, do the arguments fit, which rule. */

import { utf8 } from '@sallyport/crypto';
import { fail, nearest, ok } from '@sallyport/model';
import type { AgentName, DenialCode, Json, Problem, Result, ToolName } from '@sallyport/model';
import { explain, formatExplanation, visible, visibleTools } from '@sallyport/policy';
import type { BuiltParts, CompiledPolicy, Explanation, ShapedArguments, Source } from '@sallyport/policy';
import { judge } from '@sallyport/strict';
import { SAID_BY, saidAs } from './caller.ts';
import type { Caller } from './caller.ts';
import { locatedFile } from './read-policy.ts';

export interface AskedCall {
  /** The policy's folder as it was typed, so that the files of rules can be opened from here. */
  readonly dir: string;
  readonly tool: ToolName;
  /** JSON text, so that every number keeps its digits. */
  readonly argsJson: string;
  readonly agent: AgentName;
  readonly caller: Caller;
}

export interface CallAnswer {
  readonly decision: 'allow' | 'deny';
  /** `-` for an allow. */
  readonly code: DenialCode | '-';
  readonly ruleId: string;
  readonly text: string;
  /** What authorization found; not for calls that were refused before it. */
  readonly explanation?: Explanation;
  /** What the tool's declaration made of the arguments before anything was decided, as sentences. */
  readonly changes: readonly string[];
}

export function explainCall({ policy }: BuiltParts, call: AskedCall): CallAnswer {
  const tool = policy.tool(call.tool);
  const who = { principal: call.caller.principal, agent: call.agent };
  if (tool === undefined) return before('tool', 'tool_not_allowed', unknownTool(policy, call));
  if (!visible(policy, who, call.tool)) {
    const seen = visibleTools(policy, who).map(({ name }) => name);
    const text = `no rule could allow ${call.tool} to this principal of ${call.agent}, whatever the arguments: it is answered like a tool that does not exist\n  tools it can see: ${seen.length === 0 ? 'none' : seen.join(', ')}`;
    return before('tool', 'tool_not_allowed', text);
  }
  const shaped = argumentsOf(policy, call);
  if (!shaped.ok) return before('validation', shaped.error.code, shaped.error.lines.join('\n'));
  const { args, changes } = shaped.value;
  const explanation = openable(call.dir, explain(policy, { ...call.caller, agent: call.agent, tool, args }));
  const { decision } = explanation;
  return {
    decision: decision.decision,
    code: decision.decision === 'allow' ? '-' : decision.code,
    ruleId: decision.ruleId,
    text: [...changes.map((change) => `before the decision: ${change}`), formatExplanation(explanation), ...sayable(explanation)].join(
      '\n',
    ),
    explanation,
    changes,
  };
}

/** Which words of the command would say what a denial lacked. */
function sayable({ decision }: Explanation): readonly string[] {
  if (decision.decision === 'allow') return [];
  const words = new Set(decision.unmet.flatMap(({ requirement }) => SAID_BY[requirement] ?? []));
  return words.size === 0 ? [] : [`to try another: ${[...words].map(saidAs).join(', ')}`];
}

/** The same explanation, its files as seen from where the person is. */
function openable(dir: string, explanation: Explanation): Explanation {
  const placed = <T extends { readonly source?: Source }>(one: T): T =>
    one.source === undefined ? one : { ...one, source: { ...one.source, file: locatedFile(dir, one.source.file) } };
  return { ...explanation, decision: placed(explanation.decision), rules: explanation.rules.map(placed) };
}

function before(gate: string, code: DenialCode, why: string): CallAnswer {
  return { decision: 'deny', code, ruleId: `gate:${gate}`, text: `deny: ${code}, by gate ${gate}\n  ${why}`, changes: [] };
}

function unknownTool(policy: CompiledPolicy, { tool }: AskedCall): string {
  const near = nearest(
    tool,
    policy.parts.tools.map(({ name }) => name),
  );
  return `the catalog has no tool ${tool}${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function argumentsOf(
  policy: CompiledPolicy,
  { tool, argsJson }: AskedCall,
): Result<ShapedArguments, { readonly code: DenialCode; readonly lines: readonly string[] }> {
  const judged = judge(utf8(argsJson));
  if (!judged.ok) return fail({ code: 'malformed_request', lines: judged.error.map(({ path, message }) => lineOf(path, message)) });
  const validated = policy.shape(tool, judged.value);
  if (validated === undefined) return fail({ code: 'tool_not_allowed', lines: ['the tool has no schema'] });
  if (validated.ok) return spelled(policy, tool, validated.value);
  return fail({
    code: validated.error[0]?.code ?? 'schema_violation',
    lines: validated.error.map(({ path, message }) => lineOf(path, message)),
  });
}

/** As the validation gate has it: arguments that would make the call a request of another tool are refused. */
function spelled(policy: CompiledPolicy, name: ToolName, shaped: ShapedArguments): ReturnType<typeof argumentsOf> {
  const tool = policy.tool(name);
  const misspelled = tool === undefined ? [] : policy.misspelled(tool, shaped.args);
  if (misspelled.length === 0) return ok(shaped);
  return fail({ code: 'schema_violation', lines: misspelled.map((one) => `${one}: spells no path of ${name}, or that of another tool`) });
}

function lineOf(path: string, message: string): string {
  return path === '' ? message : `${path}: ${message}`;
}

/** The agent that is meant: the one that is named, or the only one there is. */
export function agentOf({ policy }: BuiltParts, name: string | undefined): Result<AgentName, Problem> {
  const agents = policy.parts.agents.map((agent) => agent.name);
  if (name === undefined) {
    const [only, ...more] = agents;
    if (only !== undefined && more.length === 0) return ok(only);
    return fail({ path: '--agent', message: `the policy has ${agents.length} agents`, remedy: `name one of ${agents.join(', ')}` });
  }
  const found = agents.find((agent) => agent === name);
  if (found !== undefined) return ok(found);
  const near = nearest(name, agents);
  return fail({
    path: '--agent',
    message: `no agent \`${name}\``,
    remedy: near === undefined ? `one of ${agents.join(', ')}` : `did you mean ${near}?`,
  });
}

/** The answer as a document. Exact numbers become text: no reader must make a double of them. */
export function answerJson({ decision, code, ruleId, text, explanation, changes }: CallAnswer): Json {
  const source = explanation?.decision.source;
  return {
    decision,
    code,
    rule_id: ruleId,
    ...(source === undefined ? {} : { file: source.file, line: source.line }),
    arguments_changed: changes,
    change: explanation?.change ?? [],
    rules: (explanation?.rules ?? []).map((rule) => ({
      rule_id: rule.ruleId,
      verb: rule.verb,
      matches: rule.matches,
      ...(rule.source === undefined ? {} : { file: rule.source.file, line: rule.source.line }),
      unmet: rule.unmet.map(({ requirement, code: unmetCode, detail, values }) => ({
        requirement,
        code: unmetCode,
        detail,
        values: { ...values },
      })),
    })),
    text,
  };
}
