/**
 * The expense story, top to bottom: a policy to enforcement, one errand allowed, everything beside it refused, a rule
 * changed, the control plane killed, and the record that says all of it and can be proven.
 */

import { operatorToken } from '../../onboard/dev-issuer.ts';
import { begin } from '../begin.ts';
import { loseControlPlane } from '../outage.ts';
import { proveRecord } from '../record.ts';
import type { OpenStory, Story, Telling } from '../telling.ts';
import { ALICE, STEADY } from './calls.ts';
import { changeRule } from './change.ts';
import { openDesk } from './desk.ts';
import { fileOneReport } from './errand.ts';
import { answerQuestions } from './questions.ts';
import { refuseTheRest } from './refusals.ts';
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
  'All of this runs here and now, on real processes, keys and sockets.',
  'The tools are small stand-ins; each counts what it gets.',
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
