/**
 * Who calls on the inbound leg: the one credential that the request shows, proven every time, and beside it perhaps the token
 * of a session that this client has open. The session's token alone opens nothing: it says which session, not who.
 */

import { operatorOfProof, type CallerContext, type CallerRequest, type VerifiedOperator } from '@sallyport/credentials';
import { deny, fail, ok, type Denial, type Result } from '@sallyport/model';
import { isNobodys, orAnonymous, UNJUDGED } from './anonymous.ts';
import { operatorOf, type ProvenOperator } from './delegated.ts';
import type { Arrival, Caller, Framed, Fresh } from './facts.ts';
import type { ChosenMethod, Ports } from './ports.ts';
import { presentedAgain, presentedBy } from './presented.ts';

type Client = Extract<Caller, { kind: 'client' }>;
type Needed = Pick<Ports, 'agent' | 'delegations' | 'operatorTokens' | 'clientTokens' | 'callers' | 'schemes' | 'limits' | 'clock'>;
/** What of a request its caller is proven by. */
export type Shown = Arrival & Framed & Fresh;

/**
 * The caller by the credential that it shows, proven by the issuers and methods of the snapshot; otherwise the verifier's own
 * code. `earlier`: what the same request has proven before. Whose the session is, is not asked here.
 */
export async function clientCaller(shown: Shown, earlier: VerifiedOperator | undefined, ports: Needed): Promise<Result<Client, Denial>> {
  const verified = await clientOperator(shown, earlier, ports);
  if (!verified.ok) return verified;
  const named = shown.head.headers.get('sallyport-session');
  if (named === undefined) return ok({ kind: 'client', operator: verified.value, client: undefined });
  const client = ports.clientTokens.verify(named, ports.clock.wall());
  if (!client.ok) return client;
  return ok({ kind: 'client', operator: verified.value, client: client.value });
}

/** The credential alone; for a request that is under way, whose session's token may have run out meanwhile. */
export async function clientOperator(
  shown: Shown,
  earlier: VerifiedOperator | undefined,
  ports: Needed,
): Promise<Result<ProvenOperator, Denial>> {
  const { head, held } = shown;
  const hops = head.headers.get('sallyport-delegation');
  if (hops !== undefined) return delegatedOperator(hops, shown, ports);
  const verified = isNobodys(earlier) ? UNJUDGED : await verifiedOperator(shown, earlier, ports);
  const namesSession = head.headers.get('sallyport-session') !== undefined;
  return orAnonymous(verified, { agent: held.snapshot.agents.get(ports.agent), namesSession, now: ports.clock.wall() });
}

/** By a caller method or an issuer, whoever's credential it is. */
async function verifiedOperator(
  shown: Shown,
  earlier: VerifiedOperator | undefined,
  ports: Needed,
): Promise<Result<VerifiedOperator, Denial>> {
  const { head, leg, held } = shown;
  const scheme = ports.schemes[leg];
  const { policy, issuers, policyDigest } = held.snapshot;
  const chosen = ports.callers.hasAny(policy) ? ports.callers.choose(policy, requestOf(shown)) : NO_METHOD;
  if (!chosen.ok) return chosen;
  if (chosen.value !== undefined) return byMethod(chosen.value, shown, { earlier, ports });
  const presented = earlier === undefined ? presentedBy(head, scheme) : presentedAgain(head, scheme);
  if (!presented.ok) return presented;
  const { token, ...how } = presented.value;
  return ports.operatorTokens.verify(token, { issuers, bundle: policyDigest, now: ports.clock.wall(), ...how });
}

/** Another agent's sidecar, for whom its list of hops began with. Each call that it hands on has a session of its own. */
function delegatedOperator(hops: string, shown: Shown, { agent, delegations, callers, clock }: Needed): Result<ProvenOperator, Denial> {
  const { head, held, peerChain } = shown;
  const { snapshot } = held;
  // The certificate of the connection is the sidecar's own, and part of this proof.
  const beside = callers.hasAny(snapshot.policy) ? callers.choose(snapshot.policy, requestOf({ ...shown, peerChain: [] })) : NO_METHOD;
  if (head.headers.get('authorization') !== undefined || !beside.ok || beside.value !== undefined)
    return fail(deny('unauthenticated', 'a delegation beside another credential'));
  if (head.headers.get('sallyport-session') !== undefined)
    return fail(deny('session_binding_mismatch', 'a delegated call goes on in no session'));
  const entered = delegations.enter(hops, { peerChain, snapshot, agent, statement: head.headers.get('sallyport-trust') });
  return entered.ok ? ok(operatorOf(entered.value, snapshot.agents.get(agent), clock.wall())) : entered;
}

const NO_METHOD: Result<undefined, Denial> = ok(undefined);

/** The body may be read before its sender is proven only as far as signers sign it. */
const SIGNED_BODY_BYTES_MAX = 65_536;

/**
 * The head first: it costs no byte of the body. What was taken once is taken no second time, and judged again by the instant at
 * which it was signed: between the head of a request and its end a body may have trickled, and an answer may take its time.
 */
async function byMethod(
  method: ChosenMethod,
  { held, body }: Shown,
  { earlier, ports }: { readonly earlier: VerifiedOperator | undefined; readonly ports: Needed },
): Promise<Result<VerifiedOperator, Denial>> {
  const { clock, limits } = ports;
  await method.ready();
  const isAgain = earlier !== undefined;
  const now = isAgain && method.needsBody ? earlier.times.issuedAt : clock.wall();
  const context: CallerContext = { now, bundle: held.snapshot.policyDigest, isAgain };
  const against = method.judgeHead(context);
  if (against !== undefined) return fail(against);
  let signed: Uint8Array | undefined;
  if (method.needsBody) {
    const bytesMax = Math.min(SIGNED_BODY_BYTES_MAX, limits.requestBodyBytesMax);
    // Anybody can send a head that looks right and a body that trickles. Read before, it takes no place again.
    const place = ports.callers.unproven.reserve(isAgain ? 0 : bytesMax);
    if (place === undefined)
      return fail(deny('overloaded', 'the bodies of unproven callers take all that is theirs', { retryAfterMs: 1_000 }));
    const read = await body.read({ bytesMax, coding: 'identity' }).finally(() => place.release());
    if (!read.ok) return read;
    signed = read.value;
  }
  const proof = await method.verify(signed, context);
  return proof.ok ? ok(operatorOfProof(proof.value)) : proof;
}

/** As it came: what a signature is over is not what the framing made of it. */
function requestOf({ head, method, target, rawHeaders, peerChain }: Shown): CallerRequest {
  const { host, port } = head.target;
  return {
    method,
    target,
    authority: port === undefined ? host : `${host}:${port}`,
    rawHeaders,
    body: undefined,
    peerCertificate: peerChain.length === 0 ? undefined : peerChain,
  };
}
