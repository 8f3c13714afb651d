/** The audit log as a story reads it: through the control plane, one event per call. */

import type { CallEvent } from '@sallyport/audit';
import type { Administrator } from './administrator.ts';
import type { HttpAnswer } from './world.ts';
import { eventually } from './world.ts';

/** Whatever has a control plane and somebody who may read its log. */
interface Audited {
  readonly admin: Pick<Administrator, 'tail'>;
}

/** The event of a refused call, once it is in the control plane's log; the answer names it. */
export async function recordOf(world: Audited, answer: HttpAnswer): Promise<CallEvent> {
  const id = answer.json()['decision_id'];
  return eventually(async () => (await allCalls(world)).find((call) => call.decision_id === id), `a record of ${String(id)}`);
}

/** The events of one session's calls, in order, once there are `count` of them. Its opening had no session yet. */
export async function callsOfSession(world: Audited, token: string, count: number): Promise<readonly CallEvent[]> {
  const id = sessionIdOf(token);
  return eventually(async () => {
    const calls = (await allCalls(world)).filter((call) => call.session_id === id);
    return calls.length >= count ? calls.toSorted((a, b) => a.seq - b.seq) : undefined;
  }, `${count} records of session ${id}`);
}

/** Every call that the log holds. */
export async function allCalls(world: Audited): Promise<readonly CallEvent[]> {
  return (await world.admin.tail('calls')).map((line) => JSON.parse(line) as CallEvent);
}

/** The session that a session token is for, read without verifying it. */
export function sessionIdOf(token: string): string {
  const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string };
  return claims.sid;
}

/** The last call that fits, once it is in the log. */
export async function lastCall(world: Audited, fits: (call: CallEvent) => boolean): Promise<CallEvent> {
  return eventually(async () => (await allCalls(world)).findLast(fits), 'a record that fits');
}
