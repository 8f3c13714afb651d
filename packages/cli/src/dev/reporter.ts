/** What `dev` tells: lines for people on standard error, since standard output is the command's; or NDJSON on standard output. */

import { join } from 'node:path';
import { formatProblem } from '@sallyport/model';
import type { Json, JsonObject } from '@sallyport/model';
import type { Io } from '../io.ts';
import { counted, problemJson } from '../output.ts';
import type { Refusal } from '../output.ts';
import { decisionLine, outcomeText, subjectOf, whyLines } from '../policy/decision-text.ts';
import type { Followed } from '../policy/follow-decisions.ts';
import type { SeenDecision } from '../policy/sidecar-decisions.ts';
import type { TestedPolicy } from '../policy/tested-policy.ts';
import type { Prepared } from './live.ts';
import type { Opened } from './session.ts';
import { waysInJson, waysInText } from './ways-in.ts';
import type { WaysIn } from './ways-in.ts';

export interface Reporter {
  /** One event, and its lines. */
  tell(event: string, body: JsonObject, lines: readonly string[]): void;
  /** Of lines that may be said again and again, those that were not said the last time. */
  news(lines: readonly string[]): readonly string[];
  /** Words without an event. */
  note(line: string): void;
}

export function reporter(io: Io, isJson: boolean): Reporter {
  // Owner: this reporter. The lines of the last warnings: said once, not at every save.
  let warned: ReadonlySet<string> = new Set();
  return {
    news(lines) {
      const before = warned;
      warned = new Set(lines);
      return lines.filter((line) => !before.has(line));
    },
    tell(event, body, lines) {
      if (isJson) void io.write(`${JSON.stringify({ event, ...body })}\n`);
      else if (lines.length > 0) io.note(`${lines.join('\n')}\n`);
    },
    note(line) {
      if (!isJson) io.note(`${line}\n`);
    },
  };
}

/** A policy is in force. */
export function tellPolicy(
  to: Reporter,
  { built, report }: TestedPolicy,
  { releaseSeq, tookMs }: { readonly releaseSeq: number; readonly tookMs: number },
): void {
  const { ruleCount: rules, toolCount: tools, warnings } = built;
  const sizes = [counted(rules, 'rule'), counted(tools, 'tool'), `${counted(report.passed, 'test')} passed`].join(', ');
  to.tell(
    'policy',
    {
      state: 'in_force',
      release_seq: releaseSeq,
      took_ms: tookMs,
      rules,
      tools,
      tests_passed: report.passed,
      problems: warnings.map(problemJson),
    },
    [...to.news(warnings.map(formatProblem)), `policy: release ${releaseSeq} in force after ${tookMs} ms: ${sizes}`],
  );
}

/** A policy is not taken; what was in force stays. */
export function tellBroken(to: Reporter, { problems }: Refusal, releaseSeq: number): void {
  // Warnings beside an error are mostly its consequences.
  const errors = problems.filter(({ severity }) => severity === undefined);
  to.tell('policy', { state: 'refused', release_seq: releaseSeq, problems: problems.map(problemJson) }, [
    `policy: not taken, ${counted(errors.length, 'problem')}; release ${releaseSeq} stays in force`,
    ...errors.map(formatProblem),
  ]);
}

export interface Ready {
  readonly ways: WaysIn;
  readonly session: Opened;
  readonly adminSocket: string;
  /** There is no command: somebody else will connect. */
  readonly isAlone: boolean;
}

/** Who acts for whom, and where. */
export function tellReady({ to, agent, now, options }: Prepared, { ways, session, adminSocket, isAlone }: Ready): void {
  const { subject, roles, scopes } = now.operator;
  const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
  to.tell('ready', { agent, operator: subject, roles, scopes, session_id: session.id, ...waysInJson(ways), admin_socket: adminSocket }, [
    `dev: agent ${agent} acts for ${subject} (roles: ${list(roles)}; scopes: ${list(scopes)})`,
    ...(isAlone ? [...waysInText(ways, join(options.state, 'env')), 'save the policy to change it; Ctrl-C ends all of this'] : []),
  ]);
}

export interface DecisionView {
  readonly policyDir: string;
  /** Also what the sidecar answers by itself: handshakes, listings. */
  readonly isWhole: boolean;
}

/** A decision as it falls, and later what came of it where that is not what was hoped for. */
export function tellDecision(to: Reporter, followed: Followed, { policyDir, isWhole }: DecisionView): void {
  if (followed.kind === 'gap') return to.note('(some decisions are not shown: there were more at once than the sidecar remembers)');
  const { seen } = followed;
  const body = seen as unknown as JsonObject;
  const isShown = isWhole || seen.decision.decision === 'deny' || seen.decision.tool !== '-';
  if (followed.kind === 'decision')
    return to.tell(
      'decision',
      body,
      isShown ? [decisionLine(seen, policyDir), ...whyLines(seen, policyDir).map((line) => `    ${line}`), ...whereNext(seen)] : [],
    );
  return to.tell('outcome', body, isShown && isBad(seen) ? [`${subjectOf(seen.decision)}: ${outcomeText(seen)}`] : []);
}

/** How to learn more, where there is more to learn; and how to be somebody who may, where that is said to `dev`. */
function whereNext({ decision, why }: SeenDecision): readonly string[] {
  if (decision.decision !== 'deny') return [];
  const options = [...new Set((why?.unmet ?? []).flatMap(optionsFor))];
  const change: readonly Json[] = why?.change ?? [];
  return [
    ...(options.length === 0 ? [] : [`    dev is told so with ${options.join(', ')}`]),
    ...(change.length === 0 ? [] : [`    sallyport explain ${decision.decision_id}`]),
  ];
}

type Lacked = NonNullable<SeenDecision['why']>['unmet'][number];

function optionsFor({ requirement, says }: Lacked): readonly string[] {
  // What a sign-in lacks is told by its claim; its age is that of this session.
  if (requirement === 'step_up') return says.includes('wants acr') ? ['--acr'] : says.includes('wants amr') ? ['--amr'] : [];
  return OPTIONS[requirement] ?? [];
}

const OPTIONS: Readonly<Record<string, readonly string[]>> = { for: ['--role'], scopes: ['--scope'], task: ['--task'] };

function isBad({ outcome }: SeenDecision): boolean {
  return outcome !== undefined && outcome.result !== 'ok' && outcome.result !== 'local';
}
