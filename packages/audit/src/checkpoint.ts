/**
 * Checkpoints: the audit key's signature over a head of its stream (docs/spec/audit-v1.md section 5). Everything up to
 * that head is vouched for; what follows is not yet covered.
 */

import { utf8 } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import { fail, formatInstant, invariant, ok } from '@sallyport/model';
import type { Instant, Result, StreamId } from '@sallyport/model';
import * as z from 'zod/mini';
import { headHex } from './chain.ts';
import type { ChainState } from './chain.ts';
import { openEnvelope, signEnvelope } from './envelope.ts';
import type { AuditSigner, Envelope, EnvelopeProblem } from './envelope.ts';
import { API_VERSION, head, instant, positive, readPayload, spiffeId, streamId } from './shapes.ts';

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

const PAYLOAD_TYPE = 'application/vnd.sallyport.checkpoint.v1+json';

const shape = z.strictObject({
  api_version: z.literal(API_VERSION),
  kind: z.literal('Checkpoint'),
  stream: streamId,
  seq: positive,
  head,
  at: instant,
  sidecar: spiffeId,
});

/** Signs the head that `state` has now. Records may be appended while the signature is being made. */
export function signCheckpoint(
  state: ChainState,
  options: { readonly at: Instant; readonly sidecar: string; readonly signer: AuditSigner },
): Promise<Envelope> {
  invariant(state.seq > 0, 'a checkpoint covers at least the START');
  const payload = {
    api_version: API_VERSION,
    kind: 'Checkpoint',
    stream: state.stream,
    seq: state.seq,
    head: headHex(state),
    at: formatInstant(options.at),
    sidecar: options.sidecar,
  };
  return signEnvelope(PAYLOAD_TYPE, utf8(JSON.stringify(payload)), options.signer);
}

/** The checkpoint in an envelope, if this key signed it. Whether its head is true is for the caller to compare. */
export function verifyCheckpoint(envelope: Envelope, key: VerifyKey): Result<Checkpoint, EnvelopeProblem> {
  const payload = openEnvelope(envelope, PAYLOAD_TYPE, key);
  if (!payload.ok) return payload;
  const read = readPayload(payload.value, shape);
  if (read === undefined) return fail('malformed');
  const { stream, seq, head: signedHead, at, sidecar } = read;
  return ok({ stream, seq, head: signedHead, at, sidecar });
}
