/**
 * Who calls on the inbound leg: the credential that the request shows, proven every time, and beside it perhaps the token of
 * a session that this client has open. The session's token alone opens nothing: it says which session, not who.
 */

import { ok, type Denial, type Result } from '@sallyport/model';
import type { Caller, Framed, Fresh } from './facts.ts';
import type { Ports } from './ports.ts';
import type { presentedAgain } from './presented.ts';

type Client = Extract<Caller, { kind: 'client' }>;

/**
 * The caller by the token that it presents, proven by the issuers of the snapshot; otherwise the verifier's own code. Whose the
 * session is, is not asked here.
 */
export async function clientCaller(
  { head, held }: Framed & Fresh,
  presented: ReturnType<typeof presentedAgain>,
  { operatorTokens, clientTokens, clock }: Pick<Ports, 'operatorTokens' | 'clientTokens' | 'clock'>,
): Promise<Result<Client, Denial>> {
  const verified = await clientOperator({ held }, presented, { operatorTokens, clock });
  if (!verified.ok) return verified;
  const named = head.headers.get('sallyport-session');
  if (named === undefined) return ok({ kind: 'client', operator: verified.value, client: undefined });
  const client = clientTokens.verify(named, clock.wall());
  if (!client.ok) return client;
  return ok({ kind: 'client', operator: verified.value, client: client.value });
}

/** The credential alone; for a request that is under way, whose session's token may have run out meanwhile. */
export async function clientOperator(
  { held }: Fresh,
  presented: ReturnType<typeof presentedAgain>,
  { operatorTokens, clock }: Pick<Ports, 'operatorTokens' | 'clock'>,
): Promise<Result<Client['operator'], Denial>> {
  if (!presented.ok) return presented;
  const { token, ...how } = presented.value;
  const { issuers, policyDigest } = held.snapshot;
  return operatorTokens.verify(token, { issuers, bundle: policyDigest, now: clock.wall(), ...how });
}
