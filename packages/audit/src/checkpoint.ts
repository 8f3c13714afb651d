/**
 * Checkpoints: the audit key's signature over a head of its stream (docs/spec/audit-v1.md section 5). Everything up to
 * that head is vouched for; what follows is not yet covered.
 */

import { Bug } from '@sallyport/model';
import type { Instant, Result, StreamId } from '@sallyport/model';
import type { VerifyKey } from '@sallyport/crypto';
import type { ChainState } from './chain.ts';
import type { AuditSigner, Envelope } from './envelope.ts';

/** What a checkpoint says: the stream had this head at this place, by this writer's clock. */
export interface Checkpoint {
  readonly stream: StreamId;
  readonly seq: number;
  /** 64 hex digits. */
  readonly head: string;
  readonly at: Instant;
  /** SPIFFE id of the writer. */
  readonly sidecar: string;
}

/** Signs the head that `state` has now. Records may be appended while the signature is being made. */
export function signCheckpoint(
  _state: ChainState,
  _options: { readonly at: Instant; readonly sidecar: string; readonly signer: AuditSigner },
): Promise<Envelope> {
  throw new Bug('to come');
}

/** Why a signed audit statement is refused. */
export type EnvelopeProblem = 'malformed' | 'wrong_type' | 'wrong_key' | 'signature_invalid';

/** The checkpoint in an envelope, if this key signed it. Whether its head is true is for the caller to compare. */
export function verifyCheckpoint(_envelope: Envelope, _key: VerifyKey): Result<Checkpoint, EnvelopeProblem> {
  throw new Bug('to come');
}
