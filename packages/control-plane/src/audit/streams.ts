/**
 * The streams that the collector holds, and the judgement of what arrives for them: contiguous, chained from the held
 * head, from the sidecar that the stream names. A pure state machine; appending, syncing and answering is `collector.ts`.
 * docs/spec/audit-v1.md sections 4 and 6.
 */

import { append, headHex, openStream, readRecord, verifyCheckpoint } from '@sallyport/audit';
import type { ChainState, Envelope, StreamEnd } from '@sallyport/audit';
import { decodeBase64, decodeHex, readCertificate, verifyChain } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import { parseSpiffeId } from '@sallyport/identity';
import type { SpiffeId } from '@sallyport/identity';
import { fail, ok } from '@sallyport/model';
import type { Instant, Result, StreamId } from '@sallyport/model';
import { readLineHead } from './line.ts';
import type { LineHead } from './line.ts';

/** A stream as far as it is held. A value: the next line makes a new one. */
export interface HeldStream {
  readonly stream: StreamId;
  /** SPIFFE id that its START and certificate name. */
  readonly writer: SpiffeId;
  /** The agent in the writer's id; `-` for the control plane. */
  readonly agent: string;
  readonly chain: ChainState;
  readonly previous: StreamEnd | null;
  /** The key of the last certificate that it carried. */
  readonly auditKey: VerifyKey;
  readonly isClosed: boolean;
}

/** Why a line is not taken. `forged` and `malformed` end the stream's delivery; each is an alert. */
export type LineRefusal =
  | { readonly code: 'malformed'; readonly detail: string }
  | { readonly code: 'forged'; readonly detail: string }
  | { readonly code: 'closed'; readonly detail: string }
  /** Its `prev` is not the held head: the sender's history is another one. */
  | { readonly code: 'fork'; readonly detail: string };

export interface TakenLine {
  readonly held: HeldStream;
  readonly head: LineHead;
  /** The line is fine, and something in it is worth an alert. */
  readonly suspicion?: string;
}

export interface LineContext {
  /** Who delivers: the line must be of a stream that this identity writes. */
  readonly source: SpiffeId;
  /** The stream that it is delivered for; absent where the line alone says which. */
  readonly stream?: StreamId;
  /** DER of the CAs that may certify the source; `accepted_before` for lines that come from our own segments. */
  readonly authorities: readonly Uint8Array[] | 'accepted_before';
}

/** Judges the next line of a stream. `held` is `undefined` before its first line. */
export function takeLine(held: HeldStream | undefined, line: Uint8Array, context: LineContext): Result<TakenLine, LineRefusal> {
  const head = readLineHead(line);
  if (head === undefined || (context.stream !== undefined && head.stream !== context.stream))
    return fail({ code: 'malformed', detail: 'it is not a record line of this stream' });
  if (held === undefined) return begin(line, head, context);
  if (head.stream !== held.chain.stream || head.seq !== held.chain.seq + 1)
    return fail({ code: 'malformed', detail: `it says stream ${head.stream}, seq ${head.seq}` });
  if (held.writer !== context.source) return fail({ code: 'forged', detail: `the stream belongs to \`${held.writer}\`` });
  if (held.isClosed) return fail({ code: 'closed', detail: 'the stream was closed' });
  if (head.prev !== headHex(held.chain))
    return fail({ code: 'fork', detail: `its \`prev\` is ${head.prev}, and ${headHex(held.chain)} is held` });
  const chained = { ...held, chain: append(held.chain, line) };
  if (!isSpoken(head.kind, line)) return ok({ held: chained, head });
  return interpret(chained, { line, head, before: held }, context);
}

const SPOKEN: ReadonlySet<string> = new Set(['START', 'CERTIFICATE', 'CHECKPOINT', 'CLOSE']);
const NAMES_SIDECAR = new TextEncoder().encode('"sidecar');

/** Kinds that change how the stream is judged, and lines that name a sidecar: only those are parsed on arrival. */
function isSpoken(kind: string, line: Uint8Array): boolean {
  return SPOKEN.has(kind) || Buffer.from(line.buffer, line.byteOffset, line.byteLength).includes(NAMES_SIDECAR);
}

/** The first line: a START that names the very identity that delivers it, with an audit certificate of that identity. */
function begin(line: Uint8Array, head: LineHead, context: LineContext): Result<TakenLine, LineRefusal> {
  if (head.seq !== 1 || head.kind !== 'START')
    return fail({ code: 'malformed', detail: `the stream begins with ${head.kind} at seq ${head.seq}` });
  const record = readRecord(line);
  if (!record.ok || record.value.kind !== 'START') return fail({ code: 'malformed', detail: 'its START cannot be read' });
  const { sidecar, previous, certificates } = record.value;
  // A sidecar that writes as another: the certificate of its connection says who it is, and the record has to agree.
  if (sidecar !== context.source) return fail({ code: 'forged', detail: `its START names \`${sidecar}\`` });
  const auditKey = certifiedKey(certificates, head.at, context);
  if (auditKey === undefined) return fail({ code: 'forged', detail: 'its START carries no audit certificate of this identity' });
  const before = previous === null ? null : priorChain(previous);
  if (before === undefined) return fail({ code: 'malformed', detail: 'its START does not name where the stream before ended' });
  const opened = openStream({ stream: head.stream, previous: before });
  if (head.prev !== headHex(opened)) return fail({ code: 'fork', detail: 'its first `prev` is not the end that its START names' });
  const held: HeldStream = {
    stream: head.stream,
    writer: context.source,
    agent: agentOf(context.source),
    chain: append(opened, line),
    previous,
    auditKey,
    isClosed: false,
  };
  return ok({ held, head });
}

function interpret(
  held: HeldStream,
  { line, head, before }: { readonly line: Uint8Array; readonly head: LineHead; readonly before: HeldStream },
  context: LineContext,
): Result<TakenLine, LineRefusal> {
  const named = namedSidecar(line);
  if (named !== undefined && named !== held.writer) return fail({ code: 'forged', detail: `the record names \`${named}\`` });
  const record = readRecord(line);
  // Evidence is kept as it is: an unreadable record is chained and stored, and somebody looks at it.
  if (!record.ok) return ok({ held, head, suspicion: `the ${head.kind} at seq ${head.seq} cannot be read` });
  const said = record.value;
  if (said.kind === 'START') return fail({ code: 'malformed', detail: `a second START at seq ${head.seq}` });
  if (said.kind === 'CERTIFICATE') {
    const auditKey = certifiedKey(said.certificates, head.at, context);
    if (auditKey === undefined) return fail({ code: 'forged', detail: 'its CERTIFICATE is not an audit certificate of this identity' });
    return ok({ held: { ...held, auditKey }, head });
  }
  if (said.kind !== 'CHECKPOINT' && said.kind !== 'CLOSE') return ok({ held, head });
  const suspicion = judgeEnvelope(said.envelope, before);
  const next = said.kind === 'CLOSE' ? { ...held, isClosed: true } : held;
  return ok(suspicion === undefined ? { held: next, head } : { held: next, head, suspicion });
}

/** What is wrong with a signed head, if anything. One that is older than the line before it is left to offline verification. */
function judgeEnvelope(envelope: Envelope, before: HeldStream): string | undefined {
  const checkpoint = verifyCheckpoint(envelope, before.auditKey);
  if (!checkpoint.ok) return `the checkpoint after seq ${before.chain.seq} is not signed by the stream's audit key: ${checkpoint.error}`;
  const { stream, seq, head, sidecar } = checkpoint.value;
  if (stream !== before.stream || sidecar !== before.writer) return `the checkpoint after seq ${before.chain.seq} is of another stream`;
  if (seq === before.chain.seq && head !== headHex(before.chain)) return `the checkpoint of seq ${seq} signs another head than is held`;
  return undefined;
}

function namedSidecar(line: Uint8Array): string | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(line)) as Record<string, unknown>;
    const named = value['sidecar'] ?? value['sidecar_id'];
    return typeof named === 'string' ? named : undefined;
  } catch {
    // Not JSON: `readRecord` says so next, and the line is kept as evidence.
    return undefined;
  }
}

function certifiedKey(certificates: readonly string[], at: Instant, { source, authorities }: LineContext): VerifyKey | undefined {
  const chain = certificates.map(decodeBase64).filter((der) => der !== undefined);
  // The authority of those days may have been replaced since; what was verified on arrival is not judged again.
  if (authorities === 'accepted_before') return chain[0] === undefined ? undefined : readCertificate(chain[0])?.publicKey;
  // At the writer's own instant: a record may be shipped long after the certificate of its time has ended.
  const verified = verifyChain(chain, authorities, at);
  if (!verified.ok || verified.leaf.usage !== 'audit' || verified.leaf.spiffeId !== source) return undefined;
  return verified.leaf.publicKey;
}

function priorChain({ stream, seq, head }: StreamEnd): ChainState | undefined {
  const bytes = decodeHex(head);
  return bytes?.byteLength === 32 ? { stream, seq, head: bytes } : undefined;
}

function agentOf(writer: SpiffeId): string {
  const workload = parseSpiffeId(writer);
  return workload.ok && workload.value.purpose.kind === 'sidecar' ? workload.value.purpose.agent : '-';
}
