/** How many attempts of a session came in a row under a key: in memory, since sessions end with the process. */

import type { SessionId } from '@sallyport/model';
import type { ReserveRequest, RunLimit } from './reservations.ts';

export interface AttemptRows {
  /** Whether another attempt would be one too many. */
  isReached(limit: RunLimit): boolean;
  /** Every attempt of a session is a step of its rows: it lengthens those that it is under, and ends the others. */
  step(request: ReserveRequest): void;
  /** It was no step after all. */
  takeBack(id: string, session: SessionId): void;
  forgetSession(session: SessionId): void;
}

export function attemptRows(): AttemptRows {
  // Owner: these rows. By session and key, the attempts that are in a row now.
  const sessions = new Map<SessionId, Map<string, string[]>>();
  return {
    isReached: ({ key, max, session }) => (sessions.get(session)?.get(key)?.length ?? 0) >= max,
    step({ id, session, limits }) {
      if (session === undefined) return;
      const under = new Set(limits.flatMap((limit) => (limit.kind === 'run' ? [limit.key] : [])));
      const rows = sessions.get(session) ?? new Map<string, string[]>();
      for (const key of rows.keys()) if (!under.has(key)) rows.delete(key);
      for (const key of under) rows.set(key, [...(rows.get(key) ?? []), id]);
      if (rows.size > 0) sessions.set(session, rows);
      else sessions.delete(session);
    },
    takeBack(id, session) {
      for (const row of sessions.get(session)?.values() ?? []) {
        const index = row.indexOf(id);
        if (index !== -1) row.splice(index, 1);
      }
    },
    forgetSession: (session) => void sessions.delete(session),
  };
}
