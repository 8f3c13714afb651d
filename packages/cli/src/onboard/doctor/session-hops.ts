/**
 * Where the tie between a request and what the agent did for it was lost: hop by hop, from what the caller was answered and
 * what the sidecar decided meanwhile. Reads decisions, and nothing of any call.
 */

import type { SeenDecision } from '../../policy/sidecar-decisions.ts';
import { counted } from '../../output.ts';
import { failed, warned, well } from './check.ts';
import type { Check } from './check.ts';

/** What the caller got. */
export interface Asked {
  readonly status: number;
  /** The session that the answer names, if it names one. */
  readonly session: string | undefined;
  /** Of a refusal. */
  readonly code: string | undefined;
  readonly decisionId: string | undefined;
}

/** Codes of a call that names no session, or not this one. */
const UNTIED: ReadonlySet<string> = new Set([
  'unauthenticated',
  'session_unknown',
  'session_expired',
  'session_binding_mismatch',
  'signature_invalid',
  'token_expired',
]);

const PASS_ON =
  'have the agent send the `Sallyport-Session` of its request with every call; where it cannot, `sessions: { tie: tracestate }` and a tracing library do (docs/spec/sessions.md, 4a)';

/** In the order of the hops; what comes after a hop that is broken is not judged. */
export function judgeSession(asked: Asked, since: readonly SeenDecision[]): readonly Check[] {
  const arrived = judgeArrival(asked);
  if (arrived.health === 'fail') return [arrived];
  const reached = judgeAgent(asked, since);
  if (reached.health === 'fail') return [arrived, reached];
  const calls = since.filter(({ decision }) => decision.leg === 'outbound');
  const tied = calls.filter(({ decision }) => decision.session_id === asked.session);
  return [arrived, reached, judgeTie(calls, tied), ...(tied.length === 0 ? [] : [judgeTools(tied)])];
}

function judgeArrival({ session, status, code, decisionId }: Asked): Check {
  const subject = 'caller to sidecar';
  if (session !== undefined) return well(subject, `the request opened session ${session}`);
  const why = decisionId === undefined ? undefined : `sallyport explain ${decisionId}`;
  return failed(
    subject,
    `answered ${status}${code === undefined ? ', and not as a sidecar does' : ` ${code}`}`,
    why ?? 'is it the inbound port?',
  );
}

function judgeAgent({ session, status }: Asked, since: readonly SeenDecision[]): Check {
  const subject = 'sidecar to agent';
  const own = since.find(({ decision }) => decision.leg === 'inbound' && decision.session_id === session);
  const result = own?.outcome?.result;
  if (result === 'upstream_error' || result === 'not_forwarded')
    return failed(subject, 'the agent was not there, or broke off', 'does it listen where `inbound.agent` says?');
  return status < 400
    ? well(subject, `the agent answered ${status}`)
    : warned(subject, `the agent answered ${status}`, 'what does it make of this body? name another with --body');
}

function judgeTie(calls: readonly SeenDecision[], tied: readonly SeenDecision[]): Check {
  const subject = 'agent to sidecar';
  const untied = calls.filter(({ decision }) => decision.session_id === '-' && UNTIED.has(decision.code));
  const codes = [...new Set(untied.map(({ decision }) => decision.code))];
  if (untied.length > 0) {
    const lost = `${counted(untied.length, 'call')} of the agent named no session, or another: ${codes.join(', ')}`;
    // Some calls were tied: the way is there, and part of the agent does not take it.
    return failed(subject, tied.length === 0 ? lost : `${lost}; ${counted(tied.length, 'call')} did`, PASS_ON);
  }
  if (tied.length > 0) return well(subject, `${counted(tied.length, 'call')} of the agent named the session`);
  const other = calls.length - tied.length;
  return other > 0
    ? warned(subject, `${counted(other, 'call')} of the agent, all of other sessions`, 'is it busy? ask again while nobody else does')
    : warned(subject, 'the agent made no call', 'have it call a tool: name a body that makes it, with --body; or wait longer, with --wait');
}

function judgeTools(tied: readonly SeenDecision[]): Check {
  const subject = 'sidecar to tool';
  const denied = tied.filter(({ decision }) => decision.decision === 'deny');
  const [first] = denied;
  if (first === undefined) return well(subject, `${counted(tied.length, 'call')} allowed`);
  const { code, decision_id: id } = first.decision;
  return warned(subject, `${counted(denied.length, 'call')} refused: ${code}`, `the tie held; sallyport explain ${id} says why`);
}
