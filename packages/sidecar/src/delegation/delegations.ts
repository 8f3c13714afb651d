/**
 * Hops of this sidecar: those that lead here, proven against the connection that they came by, and the one that is added
 * when a call of ours goes on to another agent. Whom an agent may call or act for is not asked here. docs/spec/delegation.md.
 */

import { signHop, verifyDelegation, verifyTrustStatement, type DelegationAuthorities, type HopSigner } from '@sallyport/credentials';
import { decodeBase64, readCertificate } from '@sallyport/crypto';
import { HOPS_MAX, isSpiffeId, nextHop, parseSpiffeId, type DelegationStep, type HopRoot, type SpiffeId } from '@sallyport/identity';
import {
  deny,
  fail,
  invariant,
  ok,
  type Clock,
  type Denial,
  type RootKind,
  type Result,
  type TrustDomain,
  type DelegatedBy,
  type Instant,
} from '@sallyport/model';
import { verifyPeer } from '@sallyport/net';
import type { Identity } from '../enrolment/identity-files.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { Header } from '../secrets/credentials.ts';
import type { Delegations, EnteredDelegation, OpenSession, Snapshot } from '../pipeline/ports.ts';

/** With which a sidecar speaks to sidecars. */
export type DelegatingIdentity = Pick<Identity, 'spiffeId' | 'assertionChain' | 'assertionSigner' | 'tlsChain'>;

export interface DelegationRoom extends Delegations {
  /** From now on, until the next. */
  use(identity: DelegatingIdentity): void;
  /**
   * What the called agent's sidecar is shown, whose certificate (DER) the connection has proven: the list that the session was
   * entered by and one hop more. A denial where the one who receives it would have to refuse it.
   */
  handOn(permitted: Permitted, session: OpenSession, peerCertificate: Uint8Array): Promise<Result<readonly Header[], Denial>>;
}

interface Own {
  readonly id: SpiffeId;
  readonly trustDomain: string;
  /** CA of our own workloads, DER. */
  readonly authority: Uint8Array;
  /** Absent where the control plane has certified no key for assertions. */
  readonly signer: HopSigner | undefined;
}

/** Those of a release, made once for each. */
interface Known {
  readonly own: Own;
  readonly authorities: DelegationAuthorities;
  readonly foreign: ReadonlyMap<string, { readonly scopes: readonly string[] }>;
}

/** The hops that led to a call, for the sidecar of the agent that is called; nobody else is sent any. */
const DELEGATION_HEADER = 'sallyport-delegation';
/** What is said of the agent that calls. */
const TRUST_HEADER = 'sallyport-trust';

/** `statement`: the agent's trust statement as it lies there now, where there is one. */
export function delegationRoom(clock: Clock, statement: () => string | undefined = () => undefined): DelegationRoom {
  return new Hops(clock, statement);
}

class Hops implements DelegationRoom {
  readonly #clock: Clock;
  readonly #statement: () => string | undefined;
  // Owner of both: this object.
  #own: Own | undefined;
  readonly #known = new WeakMap<Snapshot['policy'], Known>();

  constructor(clock: Clock, statement: () => string | undefined) {
    this.#clock = clock;
    this.#statement = statement;
  }

  get self(): string | undefined {
    return this.#own?.id;
  }

  use({ spiffeId, assertionChain, assertionSigner, tlsChain }: DelegatingIdentity): void {
    const [id, authority] = [parseSpiffeId(spiffeId), tlsChain.at(-1)];
    invariant(isSpiffeId(spiffeId) && id.ok && authority !== undefined, 'a certificate names a workload, and its chain ends in the CA');
    const chain = assertionChain.slice(0, -1);
    const signer = chain.length === 0 ? undefined : { signer: assertionSigner, chain };
    this.#own = { id: spiffeId, trustDomain: id.value.trustDomain, authority, signer };
  }

  enter(shown: string, { peerChain, snapshot, agent, statement }: Parameters<Delegations['enter']>[1]): Result<EnteredDelegation, Denial> {
    const own = this.#own;
    if (own === undefined) return fail(deny('identity_unavailable', 'delegation: this sidecar has no identity yet'));
    const { authorities, foreign } = this.#knownOf(snapshot, own);
    const now = this.#clock.wall();
    const peer = peerOf(peerChain, authorities, now);
    if (!peer.ok) return peer;
    const tokens = shown.split(',').map((token) => token.trim());
    const verified = verifyDelegation(tokens, authorities, { self: own.id, from: peer.value, now, depthMax: HOPS_MAX, foreign });
    if (!verified.ok) return verified;
    const { steps, root } = verified.value.delegation;
    const isOurs = root.trustDomain === own.trustDomain;
    const chain = steps.map(({ agent, trustDomain, isThirdParty }) => ({
      agent: isThirdParty ? `${trustDomain}/${agent}` : agent,
      first_party: !isThirdParty,
    }));
    const id = isOurs ? root.subject : `${root.trustDomain}/${root.subject}`;
    const from = snapshot.agents.get(agent)?.delegation?.from ?? [];
    const trust = statement === undefined ? undefined : trustIn(statement, { caller: steps.at(-1), from, now });
    const begun = { kind: root.kind, id, ...(isOurs ? { tenant: root.tenant } : {}) };
    return ok({ verified: verified.value, call: { chain, root: begun, ...(trust === undefined ? {} : { trust }) } });
  }

  async handOn(
    { agent, relation }: Permitted,
    session: OpenSession,
    peerCertificate: Uint8Array,
  ): Promise<Result<readonly Header[], Denial>> {
    const own = this.#own;
    if (own?.signer === undefined) return fail(deny('identity_unavailable', 'delegation: no key of this sidecar is certified for hops'));
    const audience = readCertificate(peerCertificate)?.spiffeId;
    const { principal, origin, delegation, id } = session;
    if (relation === undefined || audience === undefined || !isSidecar(audience))
      return fail(
        deny('delegation_not_allowed', `delegation: agent ${agent} hands nothing on to \`${audience ?? 'a server without a name'}\``),
      );
    if (principal.kind === 'anonymous') return fail(deny('delegation_not_allowed', 'delegation: there is nobody whose authority it is'));
    const made = nextHop({
      entered: delegation?.verified.hops ?? [],
      self: own.id,
      audience,
      transaction: id,
      root: rootOf(principal, origin.rootKind),
      scopes: principal.scopes.filter((scope) => relation.scopes.includes(scope)),
      authority: relation.authority,
      depthMax: HOPS_MAX,
      now: this.#clock.wall(),
    });
    if (!made.ok) return made;
    const token = await signHop(made.value, own.signer);
    const hops: Header = [DELEGATION_HEADER, [...(delegation?.verified.tokens ?? []), token].join(', ')];
    const statement = this.#statement();
    return ok(statement === undefined ? [hops] : [hops, [TRUST_HEADER, statement]]);
  }

  #knownOf({ policy }: Snapshot, own: Own): Known {
    const held = this.#known.get(policy);
    if (held?.own === own) return held;
    // Nobody else vouches for our own trust domain, whatever a bundle pins.
    const others = (policy.parts.trustDomains ?? []).filter(({ name }) => name !== own.trustDomain);
    const known: Known = {
      own,
      authorities: new Map([[own.trustDomain, [own.authority]], ...others.map(authoritiesOf)]),
      foreign: new Map(others.map(({ name, scopes }) => [name, { scopes }])),
    };
    this.#known.set(policy, known);
    return known;
  }
}

/** What is said of the agent that calls, by any key that some relation pins. A statement that is not believed says nothing. */
function trustIn(
  statement: string,
  { caller, from, now }: { readonly caller: DelegationStep | undefined; readonly from: readonly DelegatedBy[]; readonly now: Instant },
): EnteredDelegation['call']['trust'] {
  if (caller === undefined) return undefined;
  const keys = from.flatMap(({ trust }) => trust?.keys ?? []);
  return verifyTrustStatement(statement, keys, { subject: `${caller.trustDomain}/${caller.agent}`, now });
}

function authoritiesOf({ name, authorities }: TrustDomain): readonly [string, readonly Uint8Array[]] {
  return [name, authorities.flatMap((text) => decodeBase64(text) ?? [])];
}

/** The sidecar at the other end, by the certificate of this connection under the CA of its own domain, as it holds now. */
function peerOf(
  peerChain: readonly Uint8Array[],
  authorities: DelegationAuthorities,
  now: ReturnType<Clock['wall']>,
): Result<SpiffeId, Denial> {
  const refuse = (why: string): Result<never, Denial> => fail(deny('unauthenticated', `delegation: the peer ${why}`));
  const [leaf] = peerChain;
  const named = leaf === undefined ? undefined : readCertificate(leaf)?.spiffeId;
  if (leaf === undefined || named === undefined) return refuse('shows no certificate of a sidecar');
  const id = parseSpiffeId(named);
  const ofDomain = id.ok ? authorities.get(id.value.trustDomain) : undefined;
  if (!id.ok || ofDomain === undefined) return refuse('is of a trust domain that nobody pinned');
  const peer = verifyPeer(leaf, { authorities: ofDomain, trustDomain: id.value.trustDomain, usage: 'tls-client', now });
  if (!peer.ok) return refuse(`is not believed: ${peer.error}`);
  return isSidecar(named) ? ok(named) : refuse('is no sidecar');
}

function isSidecar(id: string): id is SpiffeId {
  const parsed = parseSpiffeId(id);
  return parsed.ok && parsed.value.purpose.kind === 'sidecar' && isSpiffeId(id);
}

function rootOf({ id, tenant, authenticatedAt }: OpenSession['principal'], kind: RootKind): HopRoot {
  return { kind: ROOTS[kind], subject: id, tenant, authenticatedAt };
}

const ROOTS: Readonly<Record<RootKind, HopRoot['kind']>> = {
  human: 'human',
  schedule: 'system',
  event: 'system',
  system: 'system',
  external: 'external',
};
