/** Makes the calls of the expense story, one at a time, and sees all that there is to see of each. */

import { operatorToken, passingIssuer } from '../../onboard/dev-issuer.ts';
import type { Operator } from '../../onboard/dev-issuer.ts';
import { createAgent, sessionOf } from '../agent.ts';
import type { Agent, Session } from '../agent.ts';
import { decisionReader, lackText, placedRule, ruleLines, ruleText } from '../decisions.ts';
import type { SeenDecision } from '../decisions.ts';
import type { Answered } from '../mcp-client.ts';
import type { Shown, Step } from '../steps.ts';
import type { Decided, Telling } from '../telling.ts';
import { callText } from './calls.ts';
import type { ExpenseCall, ToldCall } from './calls.ts';
import { SERVERS } from './tools.ts';
import type { ExpenseTools, ServerName } from './tools.ts';

export interface Desk {
  readonly agent: Agent;
  readonly decided: readonly Decided[];
  /** Every operator token and session token so far: what no tool may ever see. */
  readonly tokens: readonly string[];
  open(operator: Operator): Promise<Session>;
  /** Tries to, with a token of an issuer that the policy does not know. */
  openAsStranger(operator: Operator): Promise<Answered>;
  /** Makes a call that is to be told, and takes it as a step. */
  tell(call: ToldCall, session: Session | undefined): Promise<Decided>;
  /** Tells a call that was made otherwise. */
  told(call: ToldCall, made: Made): Promise<Decided>;
  /** Makes one that is not told. */
  call(call: ExpenseCall, session: Session): Promise<Answered>;
  /** How many calls have reached the tools, all together or one. */
  reached(server?: ServerName): number;
  /** Looks again where the rules stand, after they were changed. */
  rereadRules(): void;
}

/** What a call came to: at the agent, and at the tools. */
export interface Made {
  readonly answered: Answered;
  readonly reached: number;
}

export function openDesk({ stage, steps, io }: Telling, tools: ExpenseTools): Desk {
  const agent = createAgent({ port: stage.outboundPort, signal: io.signal });
  const decisions = decisionReader(stage, io);
  // Owner: this desk.
  let lines = ruleLines(stage, io);
  const decided: Decided[] = [];
  const tokens: string[] = [];
  const countAt = (name: ServerName): number => tools[name].calls.length;
  const reached: Desk['reached'] = (server) =>
    server === undefined ? SERVERS.map(countAt).reduce((sum, calls) => sum + calls, 0) : countAt(server);
  const minted = (): { readonly now: ReturnType<typeof io.clock.wall>; readonly random: typeof io.random } => ({
    now: io.clock.wall(),
    random: io.random,
  });

  const tellMade: Desk['told'] = async (call, { answered, reached: calls }) => {
    const told = await decisions.next();
    const line = tools[call.server].calls.at(-1)?.line ?? '-';
    const seen = { answered, told, calls, line };
    steps.take(stepOf(call, seen, lines.get(call.rule)), shownOf(call, seen));
    const one = { id: told.decision.decision_id, operator: told.decision.operator };
    decided.push(one);
    return one;
  };

  return {
    agent,
    decided,
    tokens,
    reached,
    told: tellMade,
    async open(operator) {
      const token = operatorToken(stage.issuer, operator, minted());
      const session = sessionOf(await agent.open(token));
      tokens.push(token, session.token);
      await decisions.skip();
      return session;
    },
    async openAsStranger(operator) {
      const issuer = passingIssuer({ issuer: 'https://idp.partner.local', audience: stage.issuer.audience });
      const opened = await agent.open(operatorToken(issuer, operator, minted()));
      return 'token' in opened ? { isAllowed: true, code: 'ok', status: 201, text: 'a session' } : opened;
    },
    async tell(call, session) {
      const before = reached();
      const { server, path } = call;
      const answered = await (path === undefined ? agent.invoke(server, call, { session }) : agent.get(server, path, { session }));
      return tellMade(call, { answered, reached: reached() - before });
    },
    async call(call, session) {
      const answered = await agent.invoke(call.server, call, { session });
      await decisions.skip();
      return answered;
    },
    rereadRules() {
      lines = ruleLines(stage, io);
    },
  };
}

interface Seen {
  readonly answered: Answered;
  readonly told: SeenDecision;
  /** How many calls reached the tools. */
  readonly calls: number;
  /** The last one that reached the tool that was asked for. */
  readonly line: string;
}

/** What the agent was told, what was decided by which rule, what the tool got, and what it answered. */
function stepOf(call: ToldCall, { answered, told, calls, line }: Seen, place: string | undefined): Step {
  const { decision } = told;
  const isAllowed = call.toTool !== undefined;
  const decisionText = (word: string, code: string, rule: string): string => `${word}${code === '-' ? '' : ` ${code}`} by ${rule}`;
  const promised = [
    call.told,
    decisionText(isAllowed ? 'allow' : 'deny', codeOf(call), placedRule(call.rule, place)),
    atTools(isAllowed ? 1 : 0),
  ];
  const seen = [
    `${answered.status} ${answered.code}`,
    decisionText(decision.decision, decision.code, ruleText(told)),
    atTools(calls),
    ...(calls === 0 ? [] : [line, `answered ${answered.text}`]),
  ];
  return {
    name: `${decision.operator}: ${call.title}: ${callText(call)}`,
    expected: [...promised, ...(isAllowed ? [call.toTool, `answered ${call.answer ?? ''}`] : [])].join(', '),
    seen: seen.join(', '),
  };
}

function shownOf(call: ToldCall, { answered, told, calls, line }: Seen): Shown {
  const lack = lackText(told);
  return {
    mark: told.decision.decision === 'allow' ? 'ALLOW' : 'DENY',
    title: call.title,
    right: atTools(calls),
    asked: callText(call),
    answer: `${answered.status} ${answered.code} by ${ruleText(told)}`,
    details: [
      ...(lack === undefined ? [] : [lack]),
      ...(calls === 0 ? [] : [`tool got ${line}`]),
      ...(call.note === undefined ? [] : [call.note]),
    ],
  };
}

/** The code in the record; `-` for an allow. */
function codeOf({ told, code, toTool }: ToldCall): string {
  return toTool === undefined ? (code ?? told.slice(told.indexOf(' ') + 1)) : '-';
}

function atTools(calls: number): string {
  return calls === 1 ? 'tool got 1 call' : `tool got ${calls} calls`;
}
