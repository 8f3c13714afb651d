/** The act in which everything is allowed: one errand, from the picture of a receipt to the message that it is filed. */

import type { Session } from '../agent.ts';
import { act } from '../telling.ts';
import type { Telling } from '../telling.ts';
import { ALICE, WALKTHROUGH } from './calls.ts';
import type { Desk } from './desk.ts';
import { SERVERS } from './tools.ts';
import type { ExpenseTools } from './tools.ts';

/** Resolves to the session of the errand, which is still open. */
export async function fileOneReport(telling: Telling, desk: Desk, tools: ExpenseTools): Promise<Session> {
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
