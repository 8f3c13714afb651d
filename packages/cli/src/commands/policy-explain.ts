/** `sallyport policy explain`: why a call is allowed or denied, before it is made or after. */

import { isToolName } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { at } from '../files.ts';
import type { Exit } from '../io.ts';
import { many, text, textOr } from '../option.ts';
import { refusal } from '../output.ts';
import { explainDecision } from '../policy/explain-decision.ts';
import { readCaller } from '../policy/caller.ts';
import { agentOf, answerJson, explainCall } from '../policy/explain-call.ts';
import { readPolicy } from '../policy/read-policy.ts';

const OPTIONS = {
  call: text('--call TOOL', 'the tool, as server/tool'),
  args: textOr('--args JSON', 'its arguments', '{}'),
  as: many('--as WHO', 'who calls: a JSON file, or words such as roles=support-rep, scopes=a,b, session.case=T-7 (repeatable)'),
  agent: text('--agent NAME', 'which agent (default: the only one)'),
  sidecar: text('--sidecar SOCKET', 'ask this sidecar, by its administration socket, about a decision that it made'),
} as const;

export const policyExplain: Command = command({
  name: 'policy explain',
  group: 'Policy',
  summary: 'say why a call is allowed or denied: rule, file, line, what is unmet, the smallest change',
  details: [
    'With a folder: what this policy would answer to --call. With --sidecar: what happened, by the id that stands in the record and in every denial; it works without the control plane, for the last 1,000 decisions.',
    'Exits with 0 for an allow and with 1 for a deny.',
  ],
  arguments: [{ name: 'SUBJECT', says: 'folder with the policy; with --sidecar, the id of a decision' }],
  options: OPTIONS,
  examples: [
    {
      line: `policy explain examples/demo-policy --call everything/get-sum --args '{"a":2,"b":300}' --as roles=support-rep`,
      says: 'before it happens',
    },
    { line: 'policy explain 01JD7Q2M8ZK4T6V9W1X3Y5A7B9 --sidecar /run/sallyport/admin.sock', says: 'after it happened' },
  ],
  run: async (call) => (call.options.sidecar === undefined ? explainAsked(call) : explainMade(call, call.options.sidecar)),
});

async function explainAsked({ arguments: [dir = ''], options, io, out }: Invocation<typeof OPTIONS>): Promise<Exit> {
  const tool = options.call;
  if (tool === undefined) return out.refuse(refusal(2, '`--call` is missing', 'name a tool: --call server/tool'));
  if (!isToolName(tool)) return out.refuse(refusal(2, `\`${tool}\` is not a tool`, 'write server/tool'));
  const built = readPolicy(dir, io);
  if (!built.ok) return out.refuse(built.error);
  const caller = readCaller(options.as, io);
  const agent = agentOf(built.value, options.agent);
  if (!caller.ok || !agent.ok) {
    const problems = [...(caller.ok ? [] : caller.error), ...(agent.ok ? [] : [agent.error])];
    return out.refuse({ exit: 2, problems });
  }
  const answer = explainCall(built.value, {
    dir,
    tool,
    argsJson: options.args,
    agent: agent.value,
    caller: caller.value,
  });
  await out.answer(answerJson(answer), answer.text);
  return answer.decision === 'allow' ? 0 : 1;
}

async function explainMade({ arguments: [id = ''], io, out }: Invocation<typeof OPTIONS>, socket: string): Promise<Exit> {
  if (!/^[0-9A-Z]{26}$/.test(id))
    return out.refuse(refusal(2, `\`${id.slice(0, 80)}\` is not the id of a decision`, 'it stands as decision_id in records and denials'));
  const explained = await explainDecision(at(io.cwd, socket), id, io);
  if (!explained.ok) return out.refuse(explained.error);
  await out.answer(explained.value.json, explained.value.text);
  return explained.value.isAllowed ? 0 : 1;
}
