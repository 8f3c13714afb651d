/**
 * A decision that was made, in words. Names in a record may be a caller's own (a tool that does not exist, a case): what
 * would move a terminal's cursor, or read otherwise than it stands, is written out.
 */

import { visibleText } from '../onboard/visible-text.ts';
import { locatedFile } from './read-policy.ts';
import type { SeenDecision } from './sidecar-decisions.ts';

interface Place {
  readonly file: string;
  readonly line: number;
}

/** One line of somebody else's words. */
export function plain(value: unknown): string {
  return visibleText(typeof value === 'string' ? value : JSON.stringify(value ?? null)).replaceAll(/[\n\t]/g, ' ');
}

/** `policy/rules.yaml:12`, as it can be opened from where the person is; empty where it is not known. */
export function placeText(source: Place | null | undefined, policyDir: string | undefined): string {
  if (source === null || source === undefined) return '';
  return `${plain(policyDir === undefined ? source.file : locatedFile(policyDir, source.file))}:${source.line}`;
}

/** `deny orders/refund parameter_not_allowed  rule small-sums  policy/rules.yaml:12`. */
export function decisionLine({ decision, why }: SeenDecision, policyDir: string | undefined): string {
  const what = `${decision.decision} ${subjectOf(decision)}${decision.decision === 'deny' ? ` ${decision.code}` : ''}`;
  return [what, ruleText(decision.rule_id), placeText(why?.source, policyDir)].filter((part) => part !== '').join('  ');
}

/**
 * What a denial lacked, a line each; of a refusal by another gate than policy, its own words; of an allow, what was done to
 * the call before it was decided, what it took of a budget, what a rule in shadow would have made of it.
 */
export function whyLines({ decision, why }: SeenDecision, policyDir: string | undefined): readonly string[] {
  const unmet = (decision.decision === 'allow' ? [] : (why?.unmet ?? [])).map(({ requirement, says, source, rule_id: rule }) => {
    const elsewhere =
      rule === decision.rule_id ? '' : ` (rule ${plain(rule)}${source === null ? '' : `, ${placeText(source, policyDir)}`})`;
    return `${requirement}: ${plain(says)}${elsewhere}`;
  });
  if (unmet.length > 0) return unmet;
  return decision.detail === null ? [] : [plain(decision.detail)];
}

/** What came of an allowed call: `ok in 12 ms`. */
export function outcomeText({ decision, outcome }: SeenDecision): string {
  if (outcome === undefined) return decision.decision === 'allow' ? 'no outcome yet' : 'refused; nothing was forwarded';
  const status = outcome.upstream_status === null ? '' : ` (${outcome.upstream_status})`;
  const code = outcome.code === '-' || outcome.code === outcome.result ? '' : `, ${plain(outcome.code)}`;
  const detail = outcome.detail === undefined || outcome.detail === null ? '' : `: ${plain(outcome.detail)}`;
  return `${outcome.result}${status}${code} in ${outcome.latency_ms} ms${detail}`;
}

/** The whole of it, for one who asks. No trailing newline. */
export function decisionText(seen: SeenDecision, policyDir: string | undefined): string {
  const { at, decision, why } = seen;
  const isAllowed = decision.decision === 'allow';
  const place = placeText(why?.source, policyDir);
  const by = `, by ${ruleText(decision.rule_id)}${place === '' ? '' : ` (${place})`}`;
  const rows: readonly (readonly [string, string])[] = [
    [
      'asked',
      `${plain(decision.action)} of agent ${plain(decision.agent_id)} for ${plain(decision.operator)}, tenant ${plain(decision.tenant_id)}`,
    ],
    ['session', `${plain(decision.session_id)}${decision.case === '-' ? '' : `, case ${plain(decision.case)}`}`],
    ['at', `${plain(at)}${decision.latency_ms === null ? '' : `, decided in ${decision.latency_ms} ms`}`],
    ['gate', plain(decision.gate)],
    ['policy', policyText(decision)],
    ['outcome', outcomeText(seen)],
  ];
  const fields = why?.fields ?? [];
  return [
    `${decision.decision} ${subjectOf(decision)}${isAllowed ? '' : `: ${decision.code}`}${by}`,
    ...whyLines(seen, policyDir).map((line) => `  ${line}`),
    ...(fields.length === 0 ? [] : [`  arguments at fault: ${fields.map(plain).join(', ')}`]),
    ...((why?.change.length ?? 0) === 0 ? [] : ['to allow it:', ...(why?.change ?? []).map((one) => `  ${plain(one)}`)]),
    ...rows.map(([label, value]) => `${label.padEnd(8)} ${value}`),
  ].join('\n');
}

/** The tool that was called, or what was asked where no tool was. */
export function subjectOf({ tool, action }: SeenDecision['decision']): string {
  return plain(tool === '-' ? action : tool);
}

function ruleText(rule: string): string {
  return /^(?:gate|local):/.test(rule) || rule === 'default-deny' ? plain(rule) : `rule ${plain(rule)}`;
}

function policyText({ release_seq: release, policy_digest: digest, policy_age_ms: age }: SeenDecision['decision']): string {
  if (release === null) return 'none was held';
  return `release ${release}${age === null ? '' : `, heard of ${(age / 1_000).toFixed(1)} s before`}${digest === null ? '' : `, ${plain(digest)}`}`;
}
