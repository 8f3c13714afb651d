/** What an auditor asks of one session, answered from the record. */

import type { CallEvent } from '@sallyport/audit';
import type { Session } from '../agent.ts';
import { takeRecord } from '../record.ts';
import { act } from '../telling.ts';
import type { Telling } from '../telling.ts';
import { REFUSED_LATER, WALKTHROUGH } from './calls.ts';
import type { Desk } from './desk.ts';

/** Opens the last act. */
export async function answerQuestions(telling: Telling, desk: Desk, session: Session): Promise<void> {
  const { steps } = telling;
  await act(telling, {
    name: 'record',
    title: 'The record: what happened, and what proves it',
    says: ["Four questions about Alice's errand, answered from the log alone."],
  });
  const calls = await takeRecord(telling, desk.decided);
  const errand = calls.filter((call) => call.session_id === session.id && call.tool !== '-');
  const allowed = errand.filter(({ decision }) => decision === 'allow');
  const [first] = allowed;
  const answers: readonly (readonly [question: string, expected: string, seen: string])[] = [
    ['who authorised it', 'alice@company.com, through expense-report-v1', `${first?.operator}, through ${first?.agent_id}`],
    [
      'what was done',
      doneText([...WALKTHROUGH.map(({ server, tool }) => `${server}/${tool}`), 'handbook/search']),
      doneText(allowed.map(toolDone)),
    ],
    ['was policy followed', followedText(WALKTHROUGH.length + 1, REFUSED_LATER.length + 1), judgedText(errand)],
  ];
  for (const [question, expected, seen] of answers)
    steps.take({ name: question, expected, seen }, { mark: 'ok', title: question, details: [seen] });
}

function toolDone({ tool, result }: CallEvent): string {
  return result === 'ok' ? tool : `${tool} (${result})`;
}

function doneText(tools: readonly string[]): string {
  return tools.map((tool) => tool.slice(tool.indexOf('/') + 1)).join(', ');
}

function followedText(allowed: number, denied: number): string {
  return `yes: ${allowed} allowed, each by a rule of release 1; ${denied} refused and not forwarded`;
}

function judgedText(errand: readonly CallEvent[]): string {
  const allowed = errand.filter(({ decision }) => decision === 'allow');
  const denied = errand.filter(({ decision, result }) => decision === 'deny' && result === 'denied');
  const byRule = allowed.filter(
    ({ rule_id: rule, release_seq: release }) => !rule.startsWith('gate:') && rule !== 'default-deny' && release === 1,
  );
  const isAll = byRule.length + denied.length === errand.length;
  return isAll
    ? followedText(byRule.length, denied.length)
    : `no: ${errand.length - byRule.length - denied.length} of ${errand.length} otherwise`;
}
