/**
 * What the tests of a policy show of its rules: whether each is seen to let through and to refuse, and whether each of its
 * requirements is seen to refuse by itself. It judges nothing: it reads the report of a run. Spec: policy-lab section 2.
 */

import type { AgentName, RuleId, ToolName } from '@sallyport/model';
import { entriesOf } from '../compile/compile.ts';
import type { CompiledPolicy } from '../compile/compile.ts';
import { REQUIREMENTS } from '../decide/requirements.ts';
import type { Requirement } from '../decide/requirements.ts';
import type { RuleExplanation } from '../explain/explanation.ts';
import { encodeRule } from '../grammar/rule.ts';
import { compareText } from '../reader/node.ts';
import type { Rule, Source, TestSuite, Verb } from '../rule.ts';
import type { TestOutcome, TestReport } from '../suites/run-tests.ts';

/** One row of the requirement table that a rule has. */
export interface RowCoverage {
  readonly requirement: Requirement;
  /** Cases in which it was met, with everything else that the rule demands. */
  readonly met: number;
  /** Cases that were denied and in which it alone was not met; of `for` and `when` of a require rule, that were allowed so. */
  readonly refused: number;
}

export interface RuleCoverage {
  readonly ruleId: RuleId;
  readonly verb: Verb;
  readonly source?: Source;
  /** Allowed cases: by an allow rule, past a deny rule, with a require rule's demands met. */
  readonly allows: number;
  /** Denied cases about a tool of the rule: for want of what it demands, or because it denies. */
  readonly denies: number;
  /** A denial without `for` and `when` lets nothing past, so that no case can show that it does. */
  readonly canAllow: boolean;
  readonly rows: readonly RowCoverage[];
}

export interface Coverage {
  /** By place in the author's files. */
  readonly rules: readonly RuleCoverage[];
  /** Of all cases, what they were seen to be. */
  readonly allowCases: number;
  readonly denyCases: number;
}

/** Owner of every member: `coverageOf`. */
interface Tally {
  readonly rule: Rule;
  readonly source: Source | undefined;
  /** `agent tool` pairs that the rule is about. */
  readonly about: Set<string>;
  allows: number;
  denies: number;
  readonly met: Map<Requirement, number>;
  readonly refused: Map<Requirement, number>;
}

/** `report` must be of these very suites, in their order: what `runTests` answered. */
export function coverageOf(policy: CompiledPolicy, report: TestReport, suites: readonly TestSuite[] = policy.parts.tests): Coverage {
  const tallies = talliesOf(policy);
  const agents = suites.flatMap(({ agent, cases, steps }) => [...cases, ...steps].map(() => agent));
  for (const [index, outcome] of report.outcomes.entries()) {
    const agent = agents[index];
    if (agent !== undefined) for (const tally of tallies) count(tally, outcome, agent);
  }
  const allowCases = report.outcomes.filter(({ seen }) => seen === 'allow').length;
  return { rules: tallies.map(covered), allowCases, denyCases: report.outcomes.length - allowCases };
}

/** Why a policy's tests do not show what its rules do; empty where they do. `source` is where to begin. */
export interface CoverageGap {
  readonly ruleId: RuleId;
  readonly source?: Source;
  readonly message: string;
  readonly remedy: string;
}

export function gapsOf({ rules }: Coverage): readonly CoverageGap[] {
  return rules.flatMap((rule) => {
    const { ruleId, source, allows, denies, canAllow, rows } = rule;
    const gap = (message: string, remedy: string): CoverageGap => ({
      ruleId,
      ...(source === undefined ? {} : { source }),
      message,
      remedy,
    });
    return [
      ...(allows === 0 && canAllow
        ? [gap(`no test is allowed ${PAST[rule.verb]} rule \`${ruleId}\``, 'add a case that expects allow')]
        : []),
      ...(denies === 0 ? [gap(`no test is denied by rule \`${ruleId}\``, 'add a case that expects a denial')] : []),
      ...rows
        .filter(({ refused }) => refused === 0 && rule.verb !== 'deny')
        .map(({ requirement }) =>
          rule.verb === 'require' && (requirement === 'for' || requirement === 'when')
            ? gap(`no test is allowed because of \`${requirement}\` of rule \`${ruleId}\``, 'add a case that the rule does not apply to')
            : gap(
                `no test is denied by \`${requirement}\` of rule \`${ruleId}\` alone`,
                'add a case that meets everything else that the rule demands',
              ),
        ),
    ];
  });
}

const PAST: Readonly<Record<Verb, string>> = { allow: 'by', deny: 'past', require: 'under' };

function talliesOf(policy: CompiledPolicy): readonly Tally[] {
  const byId = new Map<RuleId, Tally>();
  // As their authors wrote them: what a rule asks without saying so wants no test of its author's.
  const written = new Map(policy.parts.rules.map((rule) => [rule.id, rule]));
  for (const { name } of policy.parts.agents) {
    for (const { tool, allows, denies, requires } of entriesOf(policy, name)) {
      for (const { rule, source } of [...allows, ...denies, ...requires]) {
        const tally = byId.get(rule.id) ?? {
          rule: written.get(rule.id) ?? rule,
          source,
          about: new Set(),
          allows: 0,
          denies: 0,
          met: new Map(),
          refused: new Map(),
        };
        tally.about.add(pairOf(name, tool.name));
        byId.set(rule.id, tally);
      }
    }
  }
  const placeOf = ({ source, rule }: Tally): readonly [string, number, string] => [source?.file ?? '', source?.line ?? 0, rule.id];
  return [...byId.values()].toSorted((a, b) => {
    const [left, right] = [placeOf(a), placeOf(b)];
    return compareText(left[0], right[0]) || left[1] - right[1] || compareText(left[2], right[2]);
  });
}

function pairOf(agent: AgentName, tool: ToolName): string {
  return `${agent} ${tool}`;
}

function rowsOf(rule: Rule): readonly Requirement[] {
  const written = new Set(Object.keys(encodeRule(rule) as object));
  return (Object.keys(REQUIREMENTS) as Requirement[]).filter((row) => written.has(row));
}

function count(tally: Tally, outcome: TestOutcome, agent: AgentName): void {
  if (!tally.about.has(pairOf(agent, outcome.call))) return;
  const { rule } = tally;
  const isAllowed = outcome.seen === 'allow';
  const explained = outcome.explanation?.rules.find(({ ruleId }) => ruleId === rule.id);
  if (explained === undefined) {
    // Refused before any rule was asked: by the schema, or because no allow rule is for this caller.
    if (rule.verb !== 'allow') return;
    const isHidden = outcome.seen === 'tool_not_allowed';
    const rows = rowsOf(rule);
    if (isHidden || rows.length === 0) tally.denies++;
    if (isHidden && rows.includes('for')) add(tally.refused, 'for');
    return;
  }
  const unmet = new Set(explained.unmet.map(({ requirement }) => requirement));
  if (rule.verb === 'deny') countDeny(tally, { explained, unmet, isAllowed });
  else countDemanding(tally, { explained, unmet, outcome });
}

interface Explained {
  readonly explained: RuleExplanation;
  readonly unmet: ReadonlySet<Requirement>;
}

/** For a denial `unmet` says why it does not deny. */
function countDeny(tally: Tally, { explained, unmet, isAllowed }: Explained & { readonly isAllowed: boolean }): void {
  if (!explained.matches) {
    if (isAllowed) tally.allows++;
    for (const row of unmet) add(tally.met, row);
    return;
  }
  if (isAllowed) return;
  tally.denies++;
  for (const row of rowsOf(tally.rule)) add(tally.refused, row);
}

function countDemanding(tally: Tally, { explained, unmet, outcome }: Explained & { readonly outcome: TestOutcome }): void {
  const { rule } = tally;
  const isAllowed = outcome.seen === 'allow';
  const { limit } = outcome;
  if (unmet.size === 0) {
    const isGranting = rule.verb === 'require' || outcome.explanation?.decision.ruleId === rule.id;
    if (isAllowed && isGranting) tally.allows++;
    if (isAllowed) for (const row of rowsOf(rule)) add(tally.met, row);
    if (limit?.ruleId === rule.id) {
      tally.denies++;
      add(tally.refused, limit.key.slice(0, limit.key.indexOf(':')) as Requirement);
    } else if (!isAllowed && rowsOf(rule).length === 0) tally.denies++;
    return;
  }
  const isForOthers = unmet.has('for');
  // A require rule that does not apply demands nothing.
  if (rule.verb === 'require' && (isForOthers || isFalse(explained, rule))) {
    for (const row of ['for', 'when'] as const) if (unmet.has(row) && isAllowed) add(tally.refused, row);
    return;
  }
  if (isAllowed) return;
  tally.denies++;
  if (isForOthers) add(tally.refused, 'for');
  else if (unmet.size === 1) for (const row of unmet) add(tally.refused, row);
}

/** Whether a require rule does not apply because its `when` is false: one that fails applies, and denies. */
function isFalse({ unmet }: RuleExplanation, { when }: Rule): boolean {
  return unmet.some(({ requirement, subject, detail }) => requirement === 'when' && subject === when && detail.endsWith('is false'));
}

function add(counts: Map<Requirement, number>, row: Requirement): void {
  counts.set(row, (counts.get(row) ?? 0) + 1);
}

function covered({ rule, source, allows, denies, met, refused }: Tally): RuleCoverage {
  return {
    ruleId: rule.id,
    verb: rule.verb,
    ...(source === undefined ? {} : { source }),
    allows,
    denies,
    canAllow: rule.verb !== 'deny' || rule.for !== undefined || rule.when !== undefined,
    rows: rowsOf(rule).map((requirement) => ({ requirement, met: met.get(requirement) ?? 0, refused: refused.get(requirement) ?? 0 })),
  };
}
