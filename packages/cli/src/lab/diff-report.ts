/** A difference of two policies as a report. */

import type { Json, Problem } from '@sallyport/model';
import { formatProblem } from '@sallyport/model';
import type { Source } from '@sallyport/policy';
import { allowsMore } from '@sallyport/policy/lab';
import type { CallChange, ItemChange, PolicyDiff } from '@sallyport/policy/lab';
import { counted } from '../output.ts';
import { plain } from '../policy/decision-text.ts';
import type { Finding, FindingId, Report } from './finding.ts';
import { shownGiven } from './shown-given.ts';
import type { Side } from './side.ts';

const EXAMPLES_SHOWN = 3;
const VALUE_CHARS = 160;

export function diffReport(diff: PolicyDiff, sides: { readonly before: Side; readonly after: Side }): Report {
  const isGood = !allowsMore(diff);
  const calls = [
    ...callFindings(diff.newlyAllowed, { id: 'newly-allowed', level: 'error', ...sides }),
    ...callFindings(diff.newlyDenied, { id: 'newly-denied', level: 'note', ...sides }),
    ...callFindings(diff.codeChanged, { id: 'code-changed', level: 'note', ...sides }),
  ];
  const changes = diff.changes.map((change) => changeFinding(change, sides));
  const verdict = verdictOf(diff, isGood);
  return {
    command: 'policy diff',
    isGood,
    verdict,
    findings: [...changes, ...calls],
    cases: [],
    json: jsonOf(diff, { verdict, isGood, ...sides }),
    text: [...changes, ...calls]
      .map(({ problem }) => formatProblem(problem))
      .concat(alikeText(diff), verdict)
      .join('\n'),
  };
}

function verdictOf({ changes, newlyAllowed, newlyDenied, codeChanged }: PolicyDiff, isGood: boolean): string {
  const values = changes.filter(({ kind }) => kind === 'value').length;
  const others = changes.length - values;
  const could = changes.filter(({ couldAllowMore }) => couldAllowMore).length;
  const policy = others === 0 ? 'policy identical' : `${counted(others, 'change')} of the policy`;
  const differ = values === 0 ? '' : `, ${counted(values, 'value')} ${values === 1 ? 'differs' : 'differ'}`;
  const seen = [newlyAllowed, newlyDenied, codeChanged].map(({ length }) => length);
  const calls = `${seen[0]} newly allowed, ${seen[1]} newly denied, ${seen[2]} with another code`;
  return `${isGood ? 'ok: ' : ''}${policy}${differ}; calls tried: ${calls}${could === 0 ? '' : `; ${counted(could, 'change')} could allow more`}`;
}

function alikeText({ untouched, touched, tried, isCut }: PolicyDiff): readonly string[] {
  return [
    `answered alike whatever the call: ${counted(untouched, 'pair')} of agent and tool; ${touched.length} could differ; ${counted(tried, 'call')} tried${isCut ? ', and there were more' : ''}`,
  ];
}

interface Sides {
  readonly before: Side;
  readonly after: Side;
}

function changeFinding(change: PolicyDiff['changes'][number], { before, after }: Sides): Finding {
  const { kind, name, fields, couldAllowMore } = change;
  const what = change.before === undefined ? 'added' : change.after === undefined ? 'removed' : 'changed';
  const lines = fields.map(({ field, before: was, after: is }) => `  ${plain(field)}: ${shownValue(was)} -> ${shownValue(is)}`);
  const source = kind === 'rule' ? (sourceIn(after, name) ?? sourceIn(before, name)) : undefined;
  const problem: Problem = {
    path: '',
    ...placeOf(source),
    message: [`${kind} \`${plain(name)}\` ${what}`, ...lines].join('\n'),
    ...(couldAllowMore ? { remedy: 'could allow more: have it looked at' } : {}),
  };
  return couldAllowMore ? { id: 'maybe-allowed', level: 'warning', problem } : { id: 'changed', level: 'note', problem };
}

function shownValue(value: Json | undefined): string {
  if (value === undefined) return 'absent';
  const text = plain(JSON.stringify(value));
  return text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS - 1)}…` : text;
}

interface Listed extends Sides {
  readonly id: FindingId;
  readonly level: Finding['level'];
}

/** Calls that change alike are one finding with a few of them. */
function callFindings(calls: readonly CallChange[], { id, level, before, after }: Listed): readonly Finding[] {
  const alike = new Map<string, CallChange[]>();
  for (const call of calls) {
    const key = JSON.stringify([call.agent, call.tool, call.before, call.after, call.ruleBefore, call.ruleAfter]);
    alike.set(key, [...(alike.get(key) ?? []), call]);
  }
  return [...alike.values()].flatMap((list): readonly Finding[] => {
    const [first] = list;
    if (first === undefined) return [];
    const isAllowed = first.after === 'allow';
    const rule = isAllowed ? first.ruleAfter : (first.ruleAfter ?? first.ruleBefore);
    const source = sourceIn(after, rule) ?? sourceIn(before, rule);
    const by = rule === undefined ? '' : `, by rule ${plain(rule)}`;
    // Cases of tests come first: they were written by somebody.
    const shown = list.toSorted((a, b) => Number(a.source === undefined) - Number(b.source === undefined)).slice(0, EXAMPLES_SHOWN);
    const more = list.length - shown.length;
    const lines = [
      `${first.tool} of agent ${first.agent}: ${first.before} -> ${first.after}${by}`,
      ...shown.map((call) => `  ${exampleOf(call, { before, after })}`),
      ...(more === 0 ? [] : [`  and ${counted(more, 'call')} more`]),
    ];
    return [{ id, level, problem: { path: '', ...placeOf(source), message: lines.join('\n') } }];
  });
}

function exampleOf({ args, given, step, source }: CallChange, { after }: Sides): string {
  const text = plain(args);
  const cut = text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS - 1)}…` : text;
  const where = source === undefined ? '' : ` (${after.placed(source).file}:${source.line})`;
  return `${cut} ${plain(shownGiven(given))}${step === undefined ? '' : `, call ${step} of a session`}${where}`;
}

function sourceIn({ policy, placed }: Side, rule: string | undefined): Source | undefined {
  if (rule === undefined || !Object.hasOwn(policy.parts.sources, rule)) return undefined;
  const source = policy.parts.sources[rule];
  return source === undefined ? undefined : placed(source);
}

function placeOf(source: Source | undefined): Pick<Problem, 'file' | 'line'> {
  return source === undefined ? {} : { file: source.file, line: source.line };
}

function jsonOf(
  diff: PolicyDiff,
  { verdict, isGood, before, after }: Sides & { readonly verdict: string; readonly isGood: boolean },
): Json {
  const call = ({ agent, tool, args, given, step, ...one }: CallChange): Json => ({
    agent,
    tool,
    args,
    given: shownGiven(given),
    ...(step === undefined ? {} : { step }),
    before: one.before,
    after: one.after,
    rule_before: one.ruleBefore ?? null,
    rule_after: one.ruleAfter ?? null,
    from_test: one.source !== undefined,
  });
  return {
    ok: isGood,
    verdict,
    before: { path: before.shown, digest: before.digest ?? null },
    after: { path: after.shown, digest: after.digest ?? null },
    identical: diff.changes.length === 0,
    changes: diff.changes.map(changeJson),
    newly_allowed: diff.newlyAllowed.map(call),
    newly_denied: diff.newlyDenied.map(call),
    code_changed: diff.codeChanged.map(call),
    alike: diff.untouched,
    could_differ: diff.touched.map(({ agent, tool }) => ({ agent, tool })),
    tried: diff.tried,
    cut: diff.isCut,
  };
}

function changeJson({ kind, name, fields, couldAllowMore, before, after }: ItemChange & { readonly couldAllowMore: boolean }): Json {
  return {
    kind,
    name,
    change: before === undefined ? 'added' : after === undefined ? 'removed' : 'changed',
    fields: fields.map(({ field, before: was, after: is }) => ({ field, before: was ?? null, after: is ?? null })),
    could_allow_more: couldAllowMore,
  };
}
