/**
 * What MCP clients are answered from here without forwarding, in either era: the handshake and the session that it opens,
 * discovery, ping, the listing, the stream of its changes, and the cancelling of a call that is out.
 */

import {
  acceptedAnswer,
  discoverAnswer,
  endedAnswer,
  initializeAnswer,
  listingText,
  listToolsAnswer,
  pingAnswer,
  type McpAsk,
  type WireAnswer,
} from '@sallyport/dialects';
import { Bug, deny, fail, type Denial, type Result, type RuleId, type ServerName, type Tool } from '@sallyport/model';
import type { Asked, HeadFacts, InSession } from './facts.ts';
import type { Answer, LocalAnswer } from './gate.ts';
import { wholeAnswer } from './local-answers.ts';
import type { McpStreamOf, McpStreamView, Ports } from './ports.ts';
import { namedBy, revocationSubject } from './revocable.ts';
import { shownTools } from './shown.ts';

type Message = Exclude<McpAsk, { kind: 'call_tool' }>;

interface Around {
  /** What this caller may see of the server; at least one, except for who takes leave. */
  readonly tools: readonly Tool[];
  readonly server: ServerName;
  readonly facts: HeadFacts & Asked & InSession;
  readonly ports: Ports;
}

/** The answer to an MCP message that names no tool. What it does, it does once its record is kept. */
export function mcpLocalAnswer(message: Message, around: Around): LocalAnswer {
  return {
    verdict: 'local',
    what: message.kind,
    ruleId: `local:${message.kind}` as RuleId,
    produce: () =>
      message.kind === 'open_stream' ? streamAnswer(message, around) : wholeAnswer(wireAnswer(message, around), { result: 'local' }),
  };
}

function wireAnswer(message: Exclude<Message, { kind: 'open_stream' }>, { tools, server, facts, ports }: Around): WireAnswer {
  const binding = { session: facts.session.id, server };
  const serverInfo = { name: server, version: ports.build };
  switch (message.kind) {
    case 'initialize':
      return initializeAnswer(message.id, { version: message.version, serverInfo, mcpSession: ports.mcpSessions.open(binding) });
    case 'discover':
      return discoverAnswer(message.id, serverInfo);
    case 'ping':
      return pingAnswer(message.id);
    case 'list_tools':
      return listToolsAnswer(message.id, tools, message.era);
    case 'notification':
      if (message.cancels !== undefined) ports.leases.cancel({ ...binding, mcpSession: message.mcpSession, id: message.cancels });
      return acceptedAnswer();
    case 'end_session':
      if (message.mcpSession !== undefined) {
        ports.mcpStreams.end(message.mcpSession);
        ports.mcpSessions.end(message.mcpSession, binding);
      }
      return endedAnswer();
  }
}

function streamAnswer({ mcpSession }: Message, { server, facts, ports }: Around): Answer | Denial {
  const { session, signal, caller } = facts;
  if (mcpSession === undefined || caller.kind !== 'session') throw new Bug('a stream belongs to a session');
  const of = { session: session.id, server, mcpSession, expiresAt: caller.claims.expiresAt, signal, ...strangerOf(facts, ports) };
  return ports.mcpStreams.open(of) ?? deny('overloaded', 'mcp_streams_max are open');
}

/** Judges the agent's credential again at each look; what takes a turn to verify counts at the next. */
export function strangerOf(
  { head, peerChain }: Pick<HeadFacts, 'head' | 'peerChain'>,
  { agentCredential }: Pick<Ports, 'agentCredential'>,
): Pick<McpStreamOf, 'stranger'> {
  if (!agentCredential.isAsked) return {};
  // Owner: the stream's looks.
  let last: Denial | undefined;
  const keep = (judged: Result<unknown, Denial>): void => void (last = judged.ok ? undefined : judged.error);
  return {
    stranger: () => {
      const judged = agentCredential.judge(head.headers.get('sallyport-agent'), peerChain);
      if (judged instanceof Promise) judged.then(keep, () => keep(fail(deny('internal', 'the agent could not be judged anew'))));
      else keep(judged);
      return last;
    },
  };
}

/** Judges a stream anew by what is in force: what its caller may see, or why it may go on no longer. */
export function judgeStream({ session, server, mcpSession, expiresAt, stranger }: McpStreamOf, ports: Ports): Denial | McpStreamView {
  const held = ports.bundle.read();
  if (held.state !== 'fresh') return deny('policy_stale', 'the bundle turned stale while the stream was open');
  const now = ports.clock.wall();
  if (now >= expiresAt) return deny('token_expired', 'expired while the stream was open');
  const against = stranger?.();
  if (against !== undefined) return against;
  const open = ports.sessions.peek(session);
  // An open stream is a use of its MCP session, and none of the session that it stands in.
  if (open === undefined || !ports.mcpSessions.has(mcpSession, { session, server }))
    return deny('session_expired', 'over while the stream was open');
  const { principal, agent } = open;
  const { revocations } = held.snapshot;
  if (revocations.denies(revocationSubject(open, { agent, session }), now))
    return deny('token_revoked', 'revoked while the stream was open');
  if (!held.snapshot.agents.has(agent)) return deny('agent_not_registered', 'the agent was taken out of the bundle');
  const { generation } = held.snapshot;
  const isNamed = namedBy(held.snapshot, open, now);
  return {
    generation,
    revocationSeq: revocations.seq,
    listing: () => listingText(shownTools(held.snapshot, server, { principal, agent, isNamed })),
  };
}
