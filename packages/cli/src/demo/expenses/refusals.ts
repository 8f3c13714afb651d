/** The act in which the same agent is refused, call by call: nobody's rule, too often, too early, too much, for somebody else. */

import type { Session } from '../agent.ts';
import { UNKNOWN_TOOL } from '../mcp-client.ts';
import { act } from '../telling.ts';
import type { Decided, Telling } from '../telling.ts';
import {
  ALICE,
  CONTRACTOR,
  DAVE,
  REFUSED_ABOVE,
  REFUSED_CONTRACTOR,
  REFUSED_DAVE,
  REFUSED_EARLY,
  REFUSED_LATER,
  REFUSED_NOBODY,
  REFUSED_STRANGER,
  STRANGER,
  fileReport,
  readReceipt,
} from './calls.ts';
import type { Desk } from './desk.ts';

/** Resolves to the decision whose record is changed later. */
export async function refuseTheRest(telling: Telling, desk: Desk, session: Session): Promise<Decided | undefined> {
  await act(telling, {
    name: 'refused',
    title: 'What the same agent is refused',
    says: ["Below each answer: what the rule lacked, in the sidecar's own words. The agent is told the code, never the rule."],
  });
  for (const call of REFUSED_LATER) await desk.tell(call, session);
  await callHiddenTool(desk, session);
  const another = await desk.open(ALICE);
  await desk.tell(REFUSED_EARLY, another);
  await desk.call(readReceipt, another);
  // Somebody might like this refusal to be somebody else's.
  const target = await desk.tell(REFUSED_ABOVE, another);
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
