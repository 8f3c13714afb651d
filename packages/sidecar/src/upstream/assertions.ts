/**
 * The assertion that goes with each call: minted once for a session and a tool, and used for half of its life; for a tool
 * that wants its arguments asserted, minted for each call. Nothing outlives its session or the identity that signed it.
 */

import { assertionKeySet, assertionMinter, type AssertionMinter } from '@sallyport/credentials';
import { agentAudience, defaultAudience, isSpiffeId, parseSpiffeId, ASSERTION_MS, type Asserted, type SpiffeId } from '@sallyport/identity';
import type { Signer } from '@sallyport/crypto/keys';
import { deny, invariant, type Clock, type Denial, type Random, type SessionId, type ToolName } from '@sallyport/model';
import { argumentDigest } from '@sallyport/strict';
import type { Identity } from '../enrolment/identity-files.ts';
import type { Permitted } from '../pipeline/permit.ts';
import type { OpenSession } from '../pipeline/ports.ts';

/** Whose assertions these are from now on; what was minted under another identity is forgotten. */
export type AssertingIdentity = Pick<Identity, 'spiffeId' | 'assertionChain' | 'assertionSigner'>;

export interface Assertions {
  use(identity: AssertingIdentity): void;
  /** A denial where none can be made: no call goes out without. A promise only where one has to be signed. */
  of(permitted: Permitted, session: OpenSession): string | Promise<string | Denial>;
  forgetSession(session: SessionId): void;
  /** The key that signed this assertion, to sign what goes with it; `undefined` where it is held no more. */
  signerOf(assertion: string): Signer | undefined;
  /** The key that signs now, as tools may look it up; no key while there is none. */
  keySet(): object;
}

export interface AssertionsOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Assertions kept for use again; the sessions that came first lose theirs first. */
  readonly keptMax: number;
}

interface Kept {
  readonly token: string;
  readonly audience: string;
  /** Since boot, so that no change of the wall clock prolongs its use. */
  readonly until: number;
}

interface Signing {
  readonly signer: Signer;
  readonly minter: AssertionMinter;
  readonly issuer: SpiffeId;
  readonly trustDomain: string;
  readonly keySet: ReturnType<typeof assertionKeySet>;
}

const REUSED_MS = ASSERTION_MS / 2;

export function assertions(options: AssertionsOptions): Assertions {
  return new KeptAssertions(options);
}

class KeptAssertions implements Assertions {
  readonly #options: AssertionsOptions;
  // Owner of all below: this object.
  #signing: Signing | undefined;
  /** What signed until then; calls that it signed for are still under way, and tools still look its key up. */
  #before: { readonly signing: Signing; readonly until: number } | undefined;
  #kept = new Map<SessionId, Map<ToolName, Kept>>();
  #count = 0;

  constructor(options: AssertionsOptions) {
    this.#options = options;
  }

  use(identity: AssertingIdentity): void {
    this.#kept = new Map();
    this.#count = 0;
    if (this.#signing !== undefined) this.#before = { signing: this.#signing, until: this.#options.clock.boot() + ASSERTION_MS };
    this.#signing = signingOf(identity, this.#options.random);
  }

  of(permitted: Permitted, session: OpenSession): string | Promise<string | Denial> {
    const signing = this.#signing;
    if (signing === undefined) return Promise.resolve(deny('identity_unavailable', 'this sidecar has no certificate for assertions yet'));
    const { server, tool } = permitted;
    const audience =
      permitted.request === undefined
        ? (server.audience ?? defaultAudience(signing.trustDomain, server.name))
        : agentAudience(signing.trustDomain, permitted.agent);
    if (tool.assertsArguments === true) return this.#sign(signing, assertedOf(signing, { permitted, session, audience }));
    const kept = this.#kept.get(session.id)?.get(tool.name);
    if (kept !== undefined && kept.audience === audience && this.#options.clock.boot() < kept.until) return kept.token;
    return this.#mint(signing, assertedOf(signing, { permitted, session, audience }));
  }

  forgetSession(session: SessionId): void {
    this.#count -= this.#kept.get(session)?.size ?? 0;
    this.#kept.delete(session);
  }

  signerOf(assertion: string): Signer | undefined {
    return [this.#signing, this.#before?.signing].find((one) => one !== undefined && assertion.startsWith(one.minter.head))?.signer;
  }

  keySet(): object {
    const { keys } = this.#signing?.keySet ?? assertionKeySet(undefined);
    const before = this.#before !== undefined && this.#options.clock.boot() < this.#before.until ? this.#before.signing.keySet.keys : [];
    return { keys: [...keys, ...before.filter(({ kid }) => keys.every((key) => key.kid !== kid))] };
  }

  async #sign({ minter }: Signing, asserted: Asserted): Promise<string | Denial> {
    const token = await minter.mint(asserted, this.#options.clock.wall());
    return token ?? deny('obligation_unsupported', 'the assertion of this call is too long: the operator has too many scopes');
  }

  async #mint(signing: Signing, asserted: Asserted): Promise<string | Denial> {
    const until = this.#options.clock.boot() + REUSED_MS;
    const token = await this.#sign(signing, asserted);
    if (typeof token !== 'string') return token;
    // Another identity may have taken over meanwhile; this call may still go out under the one that it began with.
    if (this.#signing === signing) this.#keep(asserted, { token, audience: asserted.audience, until });
    return token;
  }

  #keep({ sessionId, tool }: Asserted, kept: Kept): void {
    let ofSession = this.#kept.get(sessionId);
    if (ofSession === undefined) {
      ofSession = new Map();
      this.#kept.set(sessionId, ofSession);
    }
    if (!ofSession.has(tool)) this.#count += 1;
    ofSession.set(tool, kept);
    for (const oldest of this.#kept.keys()) {
      if (this.#count <= this.#options.keptMax) return;
      this.forgetSession(oldest);
    }
  }
}

function signingOf({ spiffeId, assertionChain, assertionSigner }: AssertingIdentity, random: Random): Signing | undefined {
  // The CA stands last, and whoever verifies has it already.
  const chain = assertionChain.slice(0, -1);
  if (chain.length === 0) return undefined;
  const workload = parseSpiffeId(spiffeId);
  invariant(isSpiffeId(spiffeId) && workload.ok, 'a certificate names a workload');
  const of = { signer: assertionSigner, chain };
  return {
    signer: assertionSigner,
    minter: assertionMinter({ ...of, random }),
    issuer: spiffeId,
    trustDomain: workload.value.trustDomain,
    keySet: assertionKeySet({ ...of, spiffeId }),
  };
}

function assertedOf(
  { issuer }: Signing,
  { permitted, session, audience }: { permitted: Permitted; session: OpenSession; audience: string },
): Asserted {
  const { principal, id, origin } = session;
  const isForArguments = permitted.tool.assertsArguments === true;
  return {
    issuer,
    operator: principal.id,
    agent: permitted.agent,
    chain: chainOf(session),
    audience,
    tool: permitted.tool.name,
    sessionId: id,
    tenant: principal.tenant,
    scopes: principal.scopes,
    transaction: isForArguments ? permitted.decisionId : id,
    rootKind: origin.rootKind,
    ...(origin.purpose === undefined ? {} : { purpose: origin.purpose }),
    ...(isForArguments ? { argumentsDigest: argumentDigest(permitted.arguments) } : {}),
  };
}

const NOBODY: readonly never[] = [];

/** Who handed the session on, as tools are told. */
function chainOf({ delegation }: Pick<OpenSession, 'delegation'>): Asserted['chain'] {
  if (delegation === undefined) return NOBODY;
  const { steps } = delegation.verified.delegation;
  return delegation.call.chain.map(({ agent }, index) => ({ agent, authority: steps[index]?.authority ?? 'retained' }));
}
