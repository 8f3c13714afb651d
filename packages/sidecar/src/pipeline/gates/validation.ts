/** Turns raw arguments into typed ones by the pinned schema; from here on nothing reads the raw tree (arguments-v1). */

import { falseStatement, mirrorsProblem, type AgentAsk } from '@sallyport/dialects';
import { deny, ok, type Principal, type Result } from '@sallyport/model';
import type { ShapedArguments } from '@sallyport/policy';
import type { TypedArguments, Violation } from '@sallyport/strict';
import type { Asked, HeadFacts, InSession, Named, Validated } from '../facts.ts';
import { pass, refuse, type Deny, type Gate, type Judgement } from '../gate.ts';
import { typedArguments } from '../mapped-call.ts';
import type { Ports } from '../ports.ts';

const NO_ARGUMENTS = {} as TypedArguments;

type Gathered = Result<ShapedArguments, readonly Violation[]> | Deny;

export const validation: Gate<HeadFacts & Asked & InSession & Named, Gathered, Validated, Ports> = {
  name: 'validation',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: { notApplicable: 'has no arguments' } },
  gather: (facts) => {
    if (facts.ask.dialect === 'agent') return unstated(facts.ask.request, facts.session.principal);
    const typed = typedArguments(facts);
    return typed.ok ? (mirrored(facts, typed.value.args) ?? typed) : typed;
  },
  decide: decideValidation,
};

/** What an agent is told is its own to read; only what is stated of the caller and of the agent is judged. */
function unstated(request: AgentAsk, principal: Principal): Gathered {
  const wrong = falseStatement(request, principal);
  return wrong === undefined ? ok({ args: NO_ARGUMENTS, changes: [], narrowed: [] }) : refuse(wrong);
}

/** What a header repeats must be what the body says: something before us may have routed by it (MCP 2026-07-28). */
function mirrored({ ask, tool, head }: HeadFacts & Asked & Named, args: TypedArguments): Deny | undefined {
  if (tool.mirrors.length === 0 || ask.dialect !== 'mcp' || ask.message.kind !== 'call_tool' || ask.message.era !== 'modern')
    return undefined;
  const problem = mirrorsProblem(tool.mirrors, head.headers, args);
  return problem === undefined ? undefined : refuse(problem.error);
}

/** `field_not_allowed` when unknown arguments are all that is wrong, else `schema_violation`; names every field at fault. */
export function decideValidation(typed: Gathered): Judgement<Validated> {
  if ('verdict' in typed) return typed;
  if (typed.ok) return pass(typed.value);
  const code = typed.error.every((violation) => violation.code === 'field_not_allowed') ? 'field_not_allowed' : 'schema_violation';
  const fields = [...new Set(typed.error.map(({ path }) => path))];
  const limits = typed.error.flatMap(({ limit }) => limit ?? []);
  const detail = typed.error.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return refuse(deny(code, detail, { fields, ...(limits.length === 0 ? {} : { limits }) }));
}
