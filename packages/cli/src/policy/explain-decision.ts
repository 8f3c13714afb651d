/** What a sidecar remembers of a decision that it made, asked over its administration socket. */

import { utf8 } from '@sallyport/crypto';
import { Fault, fail, ok } from '@sallyport/model';
import type { Json, JsonObject, Result } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { Io } from '../io.ts';
import { ask } from '../local-http.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';

export interface ExplainedDecision {
  readonly isAllowed: boolean;
  readonly json: Json;
  readonly text: string;
}

/** Who asked what, what was decided, by which rule, and what came of it. */
export async function explainDecision(socketPath: string, id: string, io: Io): Promise<Result<ExplainedDecision, Refusal>> {
  try {
    const answer = await ask({ target: { socketPath }, path: `/decisions/${id}`, signal: io.signal });
    if (answer.status === 404)
      return fail(
        refusal(
          1,
          `the sidecar does not remember decision \`${id}\``,
          'it keeps the last 1,000 of this start; look in `sallyport audit tail`',
        ),
      );
    const judged = judge(utf8(answer.body));
    const json = judged.ok ? judged.value.tree : null;
    if (answer.status !== 200 || !isObject(json) || !isObject(json['decision']))
      return fail(refusal(1, `\`${socketPath}\` answers ${answer.status}, and not as a sidecar does`));
    return ok({ isAllowed: json['decision']['decision'] === 'allow', json, text: textOf(json['decision'], json['outcome']) });
  } catch (error) {
    if (!(error instanceof Fault) || io.signal.aborted) throw error;
    return fail(refusal(1, error.message, 'is the sidecar running, and may you enter the folder of its socket?'));
  }
}

const NAMES: readonly (readonly [label: string, member: string])[] = [
  ['operator', 'operator'],
  ['agent', 'agent_id'],
  ['session', 'session_id'],
  ['case', 'case'],
  ['gate', 'gate'],
  ['release', 'release_seq'],
  ['bundles', 'policy_digest'],
  ['policy age', 'policy_age_ms'],
];

function textOf(decision: JsonObject, outcome: Json | undefined): string {
  const show = (value: Json | undefined): string => (typeof value === 'string' ? value : JSON.stringify(value ?? null));
  const isAllowed = decision['decision'] === 'allow';
  const head = `${isAllowed ? 'allow' : 'deny'} ${show(decision['tool'])}${isAllowed ? '' : `: ${show(decision['code'])}`}, by ${show(decision['rule_id'])}`;
  const lines = NAMES.map(([label, member]) => `  ${label.padEnd(10)}  ${show(decision[member])}`);
  const detail = typeof decision['detail'] === 'string' ? [`  ${'detail'.padEnd(10)}  ${decision['detail']}`] : [];
  const end = isObject(outcome) ? [`  ${'outcome'.padEnd(10)}  ${show(outcome['result'])}, ${show(outcome['latency_ms'])} ms`] : [];
  return [head, ...lines, ...detail, ...end].join('\n');
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
