/** What an auditor asks of one session, answered from proven records. */

import type { Session } from '../agent.ts';
import { takeRecord } from '../record.ts';
import { act } from '../telling.ts';
import type { Telling } from '../telling.ts';
import { answerOf } from '../typed.ts';
import { REFUSED_LATER, WALKTHROUGH } from './calls.ts';
import type { Desk } from './desk.ts';

/** As much of `audit session --json` as is asked for. */
interface Told {
  readonly operator: string;
  readonly agent_id: string;
  readonly verified: boolean;
  readonly calls: readonly ToldCall[];
}

interface ToldCall {
  readonly tool: string;
  readonly decision: 'allow' | 'deny';
  readonly rule_id: string;
  readonly release_seq: number | null;
  readonly result: string;
}

/** Opens the last act. */
export async function answerQuestions(telling: Telling, desk: Desk, session: Session): Promise<void> {
  const { stage, steps } = telling;
  await act(telling, {
    name: 'record',
    title: 'The record: what happened, and what proves it',
    says: ["Four questions about Alice's errand, answered from the log alone."],
  });
  await takeRecord(telling, desk.decided);
  const answer = answerOf(await stage.type(['audit', 'session', session.id, '--verify', '--json'])) as unknown as Partial<Told>;
  const { operator = '-', agent_id: agent = '-', calls = [] } = answer;
  steps.take(
    { name: 'audit session --verify', expected: 'true', seen: String(answer.verified ?? JSON.stringify(answer)) },
    { mark: 'ok', title: 'audit session --verify', details: ['the records are proven first, and then tell:'] },
  );
  const errand = calls.filter(({ tool }) => tool !== '-');
  const done = [...WALKTHROUGH.map(({ tool }) => tool), 'search'].join(', ');
  // Beside those calls, one of a tool that the agent cannot see.
  const followed = followedText(WALKTHROUGH.length + 1, REFUSED_LATER.length + 1);
  const answers: readonly (readonly [question: string, expected: string, seen: string])[] = [
    ['who authorised it', 'alice@company.com, through expense-report-v1', `${operator}, through ${agent}`],
    ['what was done', done, errand.filter(isAllowed).map(doneText).join(', ')],
    ['was policy followed', followed, judgedText(errand)],
  ];
  for (const [question, expected, seen] of answers)
    steps.take({ name: question, expected, seen }, { mark: 'ok', title: question, details: [seen] });
}

function isAllowed({ decision }: ToldCall): boolean {
  return decision === 'allow';
}

function doneText({ tool, result }: ToldCall): string {
  const name = tool.slice(tool.indexOf('/') + 1);
  return result === 'ok' ? name : `${name} (${result})`;
}

function followedText(allowed: number, denied: number): string {
  return `yes: ${allowed} allowed, each by a rule of release 1; ${denied} refused and not forwarded`;
}

function judgedText(errand: readonly ToldCall[]): string {
  const byRule = errand.filter((call) => isAllowed(call) && !call.rule_id.includes(':') && call.release_seq === 1);
  const refused = errand.filter((call) => !isAllowed(call) && call.result === 'denied');
  const others = errand.length - byRule.length - refused.length;
  return others === 0 ? followedText(byRule.length, refused.length) : `no: ${others} of ${errand.length} otherwise`;
}
