/** `sallyport policy explain`: what a policy would answer to a call, before it is made. For one that was made: `explain`. */

import { isToolName } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import type { Exit } from '../io.ts';
import { many, text, textOr } from '../option.ts';
import { refusal } from '../output.ts';
import { attributeProblems } from '../policy/caller-attributes.ts';
import { readCaller } from '../policy/caller.ts';
import { agentOf, answerJson, explainCall } from '../policy/explain-call.ts';
import { readPolicy } from '../policy/read-policy.ts';
import { POLICY_DIR } from './policy-check.ts';

const OPTIONS = {
  call: text('--call TOOL', 'the tool, as server/tool'),
  args: textOr('--args JSON', 'its arguments', '{}'),
  as: many(
    '--as WHO',
    'who calls, when and in what session: a JSON file, or words such as roles=support-rep, session.case=T-7, at=2026-01-01T12:00:00Z (repeatable)',
  ),
  agent: text('--agent NAME', 'which agent (default: the only one)'),
} as const;

export const policyExplain: Command = command({
  name: 'policy explain',
  group: 'Policy',
  summary: 'say why a call is allowed or denied: rule, file, line, what is unmet, the smallest change',
  details: [
    'Judges the call as a sidecar would, from the folder alone: no sidecar and no control plane is asked. Why a sidecar decided as it did says explain.',
    'With --as can be said all that a test says in given: principal, tenant, roles, scopes, attributes.NAME, at (default: now), signed_in.ago, signed_in.acr, signed_in.amr, justification, session.case, session.task, session.step, session.customer_id, session.workflow_id, session.workflow_step, session.conversation_id, session.run_id, session.purpose, session.root, session.age, session.risk, session.completed, session.denied, session.classes, session.touched.NAME, session.remembered.NAME and session.reviewed as words, lists with commas; chain and approvals in a JSON file alone.',
    'Exits with 0 for an allow and with 1 for a deny.',
  ],
  arguments: [POLICY_DIR],
  options: OPTIONS,
  examples: [
    {
      line: `policy explain examples/demo-policy --call everything/get-sum --args '{"a":2,"b":300}' --as roles=support-rep`,
      says: 'why would this be denied',
    },
    {
      line: 'policy explain policy --call orders/create_refund --as session.task=refunds --as signed_in.acr=gold --as at=2026-01-01T12:00:00Z',
      says: 'at that hour, after that sign-in',
    },
  ],
  run: explainAsked,
});

async function explainAsked({ arguments: [dir = ''], options, io, out }: Invocation<typeof OPTIONS>): Promise<Exit> {
  if (/^[0-9A-Z]{26}$/.test(dir))
    return out.refuse(refusal(2, `\`${dir}\` is the id of a decision, and no folder`, `ask its sidecar: \`sallyport explain ${dir}\``));
  const tool = options.call;
  if (tool === undefined) return out.refuse(refusal(2, '`--call` is missing', 'name a tool: --call server/tool'));
  if (!isToolName(tool)) return out.refuse(refusal(2, `\`${tool}\` is not a tool`, 'write server/tool'));
  // A typing mistake is no answer of the policy's.
  if (!isJson(options.args))
    return out.refuse(refusal(2, '`--args` is not JSON', `names and texts stand in double quotes: --args '{"name":"text","count":2}'`));
  const built = readPolicy(dir, io);
  if (!built.ok) return out.refuse(built.error);
  const caller = readCaller(options.as, io);
  const agent = agentOf(built.value, options.agent);
  const attributes = caller.ok ? attributeProblems(built.value, caller.value) : [];
  if (!caller.ok || !agent.ok || attributes.length > 0) {
    const problems = [...(caller.ok ? [] : caller.error), ...(agent.ok ? [] : [agent.error]), ...attributes];
    return out.refuse({ exit: 2, problems });
  }
  const answer = explainCall(built.value, {
    dir,
    tool,
    argsJson: options.args,
    agent: agent.value,
    caller: caller.value,
  });
  const isNobody = options.as.length === 0 && answer.decision === 'deny';
  if (isNobody && !out.isJson) out.progress('nobody was named who calls: add --as, such as --as roles=member');
  await out.answer(answerJson(answer), answer.text);
  return answer.decision === 'allow' ? 0 : 1;
}

/** Whether it is a document at all; whether a sidecar would take it is for the explanation to say. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
