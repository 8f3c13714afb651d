/**
 * The expense story, top to bottom: a policy to enforcement, one errand allowed, everything beside it refused, a rule
 * changed, the control plane killed, and the record that says all of it and can be proven.
 */

import { join } from 'node:path';
import type { CallEvent } from '@sallyport/audit';
import { operatorToken } from '../../onboard/dev-issuer.ts';
import { begin, publishedText } from '../begin.ts';
import { editFile } from '../example.ts';
import type { Session } from '../agent.ts';
import { UNKNOWN_TOOL } from '../mcp-client.ts';
import { loseControlPlane } from '../outage.ts';
import { proveRecord, takeRecord } from '../record.ts';
import { POLICY_DIR } from '../stage.ts';
import { act } from '../telling.ts';
import type { Decided, OpenStory, Story, Telling } from '../telling.ts';
import { answerOf } from '../typed.ts';
import {
  ALICE,
  AMOUNT,
  CONTRACTOR,
  DAVE,
  REFUSED_AT_ONCE,
  REFUSED_CONTRACTOR,
  REFUSED_DAVE,
  REFUSED_LATER,
  REFUSED_NOBODY,
  REFUSED_STRANGER,
  STEADY,
  STRANGER,
  WALKTHROUGH,
  fileReport,
  readReceipt,
} from './calls.ts';
import { openDesk } from './desk.ts';
import type { Desk } from './desk.ts';
import { SERVERS, startExpenseTools } from './tools.ts';
import type { ExpenseTools } from './tools.ts';

const OPENING = [
  'An AI agent files expense reports for Alice. It is a program that',
  'reads what strangers write, so nobody should have to trust it.',
  '',
  '   Alice --> agent --> SIDECAR --> tools (OCR, accounting, ...)',
  '                        ^    |',
  '          signed policy |    | record of every decision',
  '                        |    v',
  '                    CONTROL PLANE',
  '',
  'Every call passes the sidecar. It decides by itself, from a policy',
  'that people sign, and it refuses what no rule allows.',
  'All of this is real, and runs on this machine: processes, tools, keys.',
];

/** With tool servers of one's own, to see the demo find out. */
export function expenseStory(startTools: () => Promise<ExpenseTools> = startExpenseTools): Story {
  return {
    name: 'expenses',
    agent: 'expense-report-v1',
    issuer: 'https://idp.company.local',
    example: 'expenses',
    acts: 6,
    opening: OPENING,
    open: async () => openStory(await startTools()),
  };
}

function openStory(tools: ExpenseTools): OpenStory {
  const at = (url: string): string => `{ url: ${JSON.stringify(url)} }`;
  return {
    environment: {
      ocr_url: at(tools.ocr.url),
      employee_lookup_url: at(tools['employee-lookup'].url),
      accounting_url: at(tools['accounting-api'].url),
      notification_url: at(tools['notification-api'].url),
      handbook_url: at(`${tools.handbook.url}/mcp`),
    },
    tell: (telling) => tell(telling, tools),
    async close() {
      await Promise.all(SERVERS.map(async (name) => tools[name].close()));
    },
  };
}

async function tell(telling: Telling, tools: ExpenseTools): Promise<void> {
  const { stage, io } = telling;
  const token = operatorToken(stage.issuer, ALICE, { now: io.clock.wall(), random: io.random });
  await begin(telling, { title: 'A policy: checked, tested, signed, in force', operatorToken: token });
  const desk = openDesk(telling, tools);
  try {
    const session = await fileOneReport(telling, desk, tools);
    const target = await refuseTheRest(telling, desk, session);
    await changeRule(telling, desk);
    const steady = await desk.open(ALICE);
    await loseControlPlane(telling, () => desk.call(STEADY, steady));
    await answerQuestions(telling, desk, session);
    await proveRecord(telling, target);
  } finally {
    await desk.agent.close();
  }
}

async function fileOneReport(telling: Telling, desk: Desk, tools: ExpenseTools): Promise<Session> {
  const { steps } = telling;
  await act(telling, {
    name: 'allowed',
    title: 'Alice asks: "Process this receipt"',
    says: ['Her token names her manager, Bob, and her cost center, eng-team-001. Her agent, expense-report-v1, opens a session with it.'],
  });
  const session = await desk.open(ALICE);
  for (const call of WALKTHROUGH) await desk.tell(call, session);
  await searchHandbook(telling, desk, session);
  const requests = SERVERS.flatMap((name) => tools[name].calls);
  const secrets = desk.tokens;
  const leaks = requests.filter(({ line, head, body }) => secrets.some((token) => `${line} ${head.join(' ')} ${body}`.includes(token)));
  steps.take(
    {
      name: 'no tool has seen a token',
      expected: `0 of ${WALKTHROUGH.length + 1} requests carry one`,
      seen: `${leaks.length} of ${requests.length} requests carry one`,
    },
    {
      mark: 'ok',
      title: `none of the ${requests.length} requests that tools got carries a token of hers`,
      details: ['to come: a short-lived assertion for whom the call is made'],
    },
  );
  return session;
}

/** Over MCP: what the agent sees of a server, and what it does not. */
async function searchHandbook({ steps }: Telling, desk: Desk, session: Session): Promise<void> {
  const client = await desk.agent.mcp('handbook', session);
  const listed = await client.listTools();
  steps.take(
    { name: 'tools/list of handbook', expected: 'search', seen: listed.join(', ') },
    { mark: 'ok', title: 'of the 2 tools of an MCP server, her agent sees 1: search', details: [] },
  );
  const args = { query: 'lunch' };
  const before = desk.reached();
  const answered = await client.callTool('search', args);
  const call = {
    server: 'handbook' as const,
    tool: 'search',
    args,
    shown: ['query'],
    title: 'search the travel handbook, over MCP',
    told: '200 ok',
    rule: 'read-handbook',
    toTool: 'POST /mcp',
    answer: 'Lunch with guests: up to 150 USD.',
  };
  await desk.told(call, { answered, reached: desk.reached() - before });
}

/** Resolves to the decision whose record is changed later. */
async function refuseTheRest(telling: Telling, desk: Desk, session: Session): Promise<Decided | undefined> {
  await act(telling, {
    name: 'refused',
    title: 'What the same agent is refused',
    says: ['How many calls a tool got is counted by the tool itself.'],
  });
  for (const call of REFUSED_LATER) await desk.tell(call, session);
  await callHiddenTool(desk, session);
  const another = await desk.open(ALICE);
  // Owner: this function. The refusal of $500.01, which somebody might like to be somebody else's.
  let target: Decided | undefined;
  for (const call of REFUSED_AT_ONCE) target = await desk.tell(call, another);
  await raceForOne(telling, desk, another);
  await desk.tell(REFUSED_DAVE, await desk.open(DAVE));
  await desk.tell(REFUSED_CONTRACTOR, await desk.open(CONTRACTOR));
  const before = desk.reached();
  const answered = await desk.openAsStranger(STRANGER);
  await desk.told(REFUSED_STRANGER, { answered, reached: desk.reached() - before });
  await desk.tell(REFUSED_NOBODY, undefined);
  return target;
}

async function callHiddenTool(desk: Desk, session: Session): Promise<void> {
  const client = await desk.agent.mcp('handbook', session);
  const [tool, args] = ['edit_page', { page: 'lunch', text: 'no limit' }] as const;
  const before = desk.reached();
  const answered = await client.callTool(tool, args);
  const title = 'an MCP tool that the policy does not declare';
  const call = {
    server: 'handbook' as const,
    tool,
    args,
    shown: ['page'],
    title,
    told: `200 ${UNKNOWN_TOOL}`,
    code: 'tool_not_allowed',
    rule: 'gate:tool',
  };
  await desk.told(call, { answered, reached: desk.reached() - before });
}

const RACERS = 20;

async function raceForOne({ steps }: Telling, desk: Desk, session: Session): Promise<void> {
  await desk.call(readReceipt, session);
  const before = desk.reached('accounting-api');
  const amounts = Array.from({ length: RACERS }, (_, index) => index + 1);
  const answers = await Promise.all(amounts.map(async (amount) => desk.call(fileReport(amount), session)));
  const told = Map.groupBy(answers, ({ status, code }) => `${status} ${code}`);
  const seen = [...told].map(([answer, { length }]) => `${length} x ${answer}`).toSorted();
  const reached = desk.reached('accounting-api') - before;
  steps.take(
    {
      name: `${RACERS} reports at the same moment in one session`,
      expected: '1 x 200 ok, 19 x 403 call_limit_exceeded, tool got 1',
      seen: `${seen.join(', ')}, tool got ${reached}`,
    },
    {
      mark: 'DENY',
      title: `${RACERS} reports at the same moment: exactly one is filed`,
      right: `tool got ${reached} call`,
      details: ['1 is answered 200, and 19 are answered 403 call_limit_exceeded'],
    },
  );
}

async function changeRule(telling: Telling, desk: Desk): Promise<void> {
  const { stage, steps, screen, io } = telling;
  await act(telling, {
    name: 'changed',
    title: 'A rule is changed while the agent works',
    says: ['The filing limit in policy/rules.yaml becomes smaller:'],
  });
  screen.print('     - amount: { maximum: 500 }', '     + amount: { maximum: 100 }', '');
  const session = await desk.open(ALICE);
  await desk.call(readReceipt, session);
  editFile(join(stage.policyDir, 'rules.yaml'), (text) => text.replace('amount: { maximum: 500 }', 'amount: { maximum: 100 }'));
  const refused = answerOf(await stage.type(['policy', 'publish', POLICY_DIR, '--json']));
  const { problems = [] } = refused as { readonly problems?: readonly { readonly file?: string; readonly line?: number }[] };
  const [first] = problems;
  steps.take(
    {
      name: 'policy publish, while tests.yaml says otherwise',
      expected: 'refused at policy/tests.yaml',
      seen: first?.file === undefined ? JSON.stringify(refused) : `refused at ${first.file}`,
    },
    {
      mark: 'ok',
      title: 'policy publish  refuses it: tests.yaml says otherwise',
      details: [`${first?.file}:${first?.line}, and ${problems.length - 1} more; nothing was sent`],
    },
  );
  editFile(join(stage.policyDir, 'tests.yaml'), (text) => text.replaceAll('127.50', '27.50').replaceAll('amount: 500,', 'amount: 100,'));
  const begun = io.clock.boot();
  const published = answerOf(await stage.type(['policy', 'publish', POLICY_DIR, '--wait', '--json']));
  const took = `${((io.clock.boot() - begun) / 1_000).toFixed(1)} s from the command to the last sidecar`;
  steps.take(
    { name: 'policy publish', expected: 'release 2, in force at 1 sidecar', seen: publishedText(published) },
    { mark: 'ok', title: 'policy publish  with the tests changed too: in force', details: [took] },
  );
  desk.rereadRules();
  const call = fileReport(AMOUNT);
  const title = 'the next call, in an open session: $127.50';
  await desk.tell({ ...call, title, told: '403 parameter_not_allowed', rule: 'file-report' }, session);
}

/** What an auditor asks of one session, answered from the record. */
async function answerQuestions(telling: Telling, desk: Desk, session: Session): Promise<void> {
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
