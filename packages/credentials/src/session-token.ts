/**
 * The agent's token for one session (`sallyport-session+jwt`): minted and verified by the same sidecar with a key that
 * lives as long as its process. docs/spec/sessions.md, section 3.
 */

import type { SessionClaims, SessionEpoch, SpiffeId } from '@sallyport/identity';
import { type AgentName, Bug, type Denial, type Instant, type PrincipalId, type Result, type SessionId } from '@sallyport/model';

/** An Ed25519 key pair whose private half stays with its owner. */
export interface SessionKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly sign: (bytes: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

export interface SessionTokenOptions {
  readonly key: SessionKey;
  readonly sidecar: SpiffeId;
  /** The start whose sessions these are; a token of another epoch is `session_expired`. */
  readonly epoch: SessionEpoch;
  readonly random: (length: number) => Uint8Array;
  /** Proven tokens kept by hash. */
  readonly cacheEntriesMax?: number;
}

/** What a token is minted for. */
export interface SessionGrant {
  readonly sessionId: SessionId;
  readonly operator: PrincipalId;
  readonly agent: AgentName;
}

export interface SessionTokens {
  /** A token for 15 minutes from `now`. */
  mint(grant: SessionGrant, now: Instant): Promise<string>;
  /** Synchronous, so that a call pays no turn for it. Denies with `session_unknown`, `session_expired` or `token_expired`. */
  verify(token: string, now: Instant): Result<SessionClaims, Denial>;
}

/** Mints and verifies the session tokens of one start of one sidecar. */
export function sessionTokens(_options: SessionTokenOptions): SessionTokens {
  throw new Bug('to come');
}
