/** A session or a request, as revocations name it: one place, so that no gate asks for less than another. */

import type { AgentName, Digest, Instant, Principal, SessionId, SessionOrigin, ToolName } from '@sallyport/model';
import type { OpenSession, RevocationSubject, Snapshot } from './ports.ts';

/** Of a session what opened it, of a request the credential that it shows. */
export interface Revocable {
  readonly principal: Principal;
  readonly tokenId: string | null;
  /** Absent where nothing was shown, as of a job that is itself. */
  readonly tokenDigest?: Digest | undefined;
  readonly origin: Pick<SessionOrigin, 'runId'>;
}

/** What is about to happen, or goes on. */
interface Use {
  readonly agent: AgentName;
  readonly session?: SessionId;
  readonly tool?: ToolName;
}

/** All that a revocation may name of it. */
export function revocationSubject(
  { principal, tokenId, tokenDigest, origin }: Revocable,
  { agent, session, tool }: Use,
): RevocationSubject {
  return { principal, tokenId: tokenId ?? undefined, tokenDigest, run: origin.runId, session, agent, tool };
}

/** Whether a revocation names a tool for this session: such a tool is not there, neither to be called nor to be seen. */
export function namedBy({ revocations }: Pick<Snapshot, 'revocations'>, open: OpenSession, now: Instant): (tool: ToolName) => boolean {
  return (tool) => revocations.denies(revocationSubject(open, { agent: open.agent, session: open.id, tool }), now);
}
