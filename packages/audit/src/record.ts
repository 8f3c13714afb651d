/**
 * The audit record line: one JSON object on one line, members in the order of `fields.ts`, its exact bytes hashed,
 * carried, stored and exported (docs/spec/audit-v1.md sections 2 and 3). It does not decide what is worth recording, and
 * it never sees a secret: callers pass names, numbers and codes.
 */

import { encodeHex, sha256, utf8 } from '@sallyport/crypto';
import { formatInstant, invariant } from '@sallyport/model';
import type { AgentName, Instant, OriginHop, StreamId } from '@sallyport/model';
import type { Envelope } from './envelope.ts';
import { RECORD_FIELDS, RECORD_KINDS } from './fields.ts';
import type { FieldForm, OutcomeResult } from './fields.ts';

/** Where a record stands. `prev` is the hash of the line before (64 hex digits), so that damage can be located. */
export interface RecordPlace {
  readonly stream: StreamId;
  readonly seq: number;
  readonly prev: string;
  readonly at: Instant;
}

/** Where another stream ended, or a place in one: its last seq and the head there. */
export interface StreamEnd {
  readonly stream: StreamId;
  readonly seq: number;
  /** 64 hex digits. */
  readonly head: string;
}

/** First of every stream: who writes it, with which key, and where this writer's last stream ended. */
export interface StartBody {
  readonly kind: 'START';
  /** SPIFFE id of the writer. */
  readonly sidecar: string;
  readonly agent: string;
  readonly instance: string;
  readonly build: string;
  /** Chain of the audit key, base64 DER, leaf first. */
  readonly certificates: readonly string[];
  readonly previous: StreamEnd | null;
  readonly detail?: string | null;
}

/** Of a DECISION, what stands there only where it is known. */
export interface DecisionOrigin {
  /** `person`, `service`, `anonymous`. */
  readonly principal_kind?: string | undefined;
  /** With whose authority the session began. */
  readonly root_kind?: string | undefined;
  /** How the caller proved itself. */
  readonly authn_method?: string | undefined;
  readonly purpose?: string | undefined;
  readonly customer_id?: string | undefined;
  readonly workflow_id?: string | undefined;
  readonly workflow_step?: string | undefined;
  readonly conversation_id?: string | undefined;
  readonly run_id?: string | undefined;
  readonly trace_id?: string | undefined;
  readonly environment?: string | undefined;
  /** The principal's scopes, separated by spaces (RFC 6749, section 3.3). */
  readonly scope?: string | undefined;
  readonly scope_version?: string | undefined;
  /** Delegations on the way here; absent where there were none. At most `HOPS_MAX`. */
  readonly hops?: readonly OriginHop[] | undefined;
  /** It was decided without what identity could not tell. */
  readonly degraded?: true | undefined;
}

/** One decision. `actor` and `policy_version` are written by the encoder, from `agent_id` and `release_seq`. */
export interface DecisionBody extends DecisionOrigin {
  readonly kind: 'DECISION';
  readonly decision_id: string;
  readonly request_id: string;
  readonly leg: 'inbound' | 'outbound';
  readonly dialect: string;
  readonly action: string;
  readonly agent_id: string;
  readonly operator: string;
  readonly user_id: string;
  readonly tenant_id: string;
  readonly session_id: string;
  readonly case: string;
  readonly tool: string;
  readonly tool_effect: string;
  /** Whether the agent was kept from going round its sidecar; absent where that was not asked. */
  readonly isolation?: 'enforced' | 'advisory' | undefined;
  readonly decision: 'allow' | 'deny';
  /** The denial code; `-` for an allow. */
  readonly code: string;
  readonly gate: string;
  /** The rule that decided; `default-deny` when none matched; `observe` where rules refused and the agent is observed; `gate:<name>` when another gate than authorization refused. */
  readonly rule_id: string;
  readonly release_seq: number | null;
  readonly policy_digest: string | null;
  readonly freshness_seq: number | null;
  readonly policy_age_ms: number | null;
  /** Entry to decision. Required of a denial, which has no OUTCOME to carry it. */
  readonly latency_ms: number | null;
  /** For auditors, never for callers. */
  readonly detail: string | null;
}

/** What became of an allowed call. */
export interface OutcomeBody {
  readonly kind: 'OUTCOME';
  readonly decision_id: string;
  readonly result: OutcomeResult;
  readonly upstream_status: number | null;
  /** The denial code where an answer was refused or the call was not forwarded or cut; `-` otherwise. */
  readonly code: string;
  /** Entry to the last byte. */
  readonly latency_ms: number;
  /** Length of the answer's body as delivered. */
  readonly bytes: number | null;
  /** Of the body that was sent, where the request was signed: `sha256:` and hex digits. */
  readonly request_digest?: string | undefined;
  /** The signature that went with it, base64. */
  readonly request_signature?: string | undefined;
  readonly detail?: string | null;
}

/** A release became the one that is enforced. */
export interface ActiveBody {
  readonly kind: 'ACTIVE';
  readonly area: string;
  readonly ring: string;
  readonly release_seq: number;
  readonly previous_release_seq: number | null;
  readonly policy_digest: string;
  readonly freshness_seq: number | null;
  readonly revocation_seq: number | null;
  readonly detail?: string | null;
}

/** The bundle turned fresh, stale or absent. */
export interface StateBody {
  readonly kind: 'STATE';
  readonly state: 'absent' | 'fresh' | 'stale';
  readonly release_seq: number | null;
  readonly freshness_seq: number | null;
  readonly policy_age_ms: number | null;
  readonly detail?: string | null;
}

/** Many refusals of strangers in one record, once they are too many to write one by one. */
export interface RefusedBody {
  readonly kind: 'REFUSED';
  readonly code: string;
  readonly source: string;
  readonly count: number;
  /** At most `SAMPLES_MAX` are kept. */
  readonly samples: readonly string[];
}

/** Records that a rule allowed to be counted instead of kept. */
export interface DroppedBody {
  readonly kind: 'DROPPED';
  readonly reason: string;
  readonly count: number;
  readonly detail?: string | null;
}

export interface AlertBody {
  readonly kind: 'ALERT';
  readonly code: string;
  /** The stream and place that it is about. */
  readonly subject: StreamEnd | null;
  readonly detail: string | null;
}

/** An act on the control plane: who did what to which object, from which version to which. */
export interface ActBody {
  readonly kind: 'ACT';
  /** SPIFFE id of who did it; the control plane's own for what it does by itself. */
  readonly actor: string;
  readonly act: string;
  /** What it was done to, in words that name it: `bundle default 7`, `join token for support-triage`. */
  readonly object: string;
  /** What stood there before; null where nothing did. */
  readonly old_digest: string | null;
  readonly new_digest: string | null;
  readonly area: string;
  readonly ring: string;
  readonly release_seq: number | null;
  readonly detail?: string | null;
}

/** The audit key's new certificate; later checkpoints are judged by it. */
export interface CertificateBody {
  readonly kind: 'CERTIFICATE';
  readonly certificates: readonly string[];
}

/** A signed statement over an earlier head of this stream (`checkpoint.ts`). */
export interface CheckpointBody {
  readonly kind: 'CHECKPOINT';
  readonly envelope: Envelope;
}

/** A clean stop, with the last checkpoint inside. Nothing follows it. */
export interface CloseBody {
  readonly kind: 'CLOSE';
  readonly reason: string;
  readonly envelope: Envelope;
}

/** What a record says; the encoder adds its place. */
export type RecordBody =
  | StartBody
  | DecisionBody
  | OutcomeBody
  | ActiveBody
  | StateBody
  | RefusedBody
  | DroppedBody
  | AlertBody
  | ActBody
  | CertificateBody
  | CheckpointBody
  | CloseBody;

/** No line is longer; the encoder cuts texts long before. */
export const RECORD_BYTES_MAX = 65_536;
const NAME_CHARS_MAX = 256;
const TEXT_CHARS_MAX = 1_024;
const SAMPLES_MAX = 8;
/** Delegations that one record names. */
export const HOPS_MAX = 8;
export const CERTIFICATES_MAX = 4;
/** Base64 characters of one certificate. */
export const CERTIFICATE_CHARS_MAX = 12_288;

/**
 * The bytes of a record, without a line feed. Deterministic. Odd text never fails: a lone surrogate becomes U+FFFD, an
 * empty name `-`, a text that is too long keeps its beginning and ends in the digest of the whole.
 */
export function encodeRecord(place: RecordPlace, body: RecordBody): Uint8Array {
  invariant(Number.isSafeInteger(place.seq) && place.seq > 0, 'a record has a place from 1');
  const { stream, seq, at, prev } = place;
  const values = body as unknown as Readonly<Record<string, unknown>>;
  // Built as text because it is on the path of every call: making the object that JSON would need costs several times as much.
  let line = `{"v":1,"kind":"${body.kind}","stream":"${stream}","seq":${seq},"at":"${formatInstant(at)}","prev":"${prev}"`;
  for (const { before, form, from, optional } of MEMBERS.get(body.kind) ?? []) {
    const value = values[from];
    if (!optional || value !== undefined) line += before + written(form, value);
  }
  const bytes = utf8(`${line}}`);
  invariant(bytes.length <= RECORD_BYTES_MAX, 'every text of a record is bounded');
  return bytes;
}

/** What stands before each member, and where it is read from: found once, for there are fifty of them in a call. */
const MEMBERS: ReadonlyMap<RecordBody['kind'], readonly Member[]> = new Map(
  RECORD_KINDS.map((kind) => [
    kind,
    RECORD_FIELDS[kind].map(({ name, form, optional = false }): Member => {
      return { before: `,"${name}":`, form, from: derivedFrom(kind, name), optional };
    }),
  ]),
);

interface Member {
  readonly before: string;
  readonly form: FieldForm;
  readonly from: string;
  readonly optional: boolean;
}

/** The member of the body that a member of the line is written from: two of a DECISION's say the same thing twice. */
function derivedFrom(kind: RecordBody['kind'], name: string): string {
  if (kind !== 'DECISION') return name;
  if (name === 'actor') return 'agent_id';
  return name === 'policy_version' ? 'release_seq' : name;
}

/** The JSON text of a member. */
function written(form: FieldForm, value: unknown): string {
  switch (form) {
    case 'name':
      return typeof value === 'string' && value !== '' ? quoted(bounded(value, NAME_CHARS_MAX)) : '"-"';
    case 'text':
      return typeof value === 'string' ? quoted(bounded(value, TEXT_CHARS_MAX)) : 'null';
    case 'number':
      return typeof value === 'number' && Number.isFinite(value) ? JSON.stringify(value) : 'null';
    case 'texts':
      return JSON.stringify((value as readonly string[]).slice(0, SAMPLES_MAX).map((text) => bounded(text, NAME_CHARS_MAX).toWellFormed()));
    case 'certificates':
      return JSON.stringify(checkedCertificates(value as readonly string[]));
    case 'end':
      return value === null || value === undefined ? 'null' : JSON.stringify(writtenEnd(value as StreamEnd));
    case 'envelope':
      return JSON.stringify(writtenEnvelope(value as Envelope));
    case 'hops':
      return JSON.stringify(writtenHops(value as readonly OriginHop[]));
    case 'flag':
      return 'true';
  }
}

/** Text that JSON writes as it is: printable ASCII without quote and backslash. */
const PLAIN = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text.toWellFormed());
}

/** Cut texts stay distinct from each other: what was cut off is in the digest. A character that is cut in two is mended later. */
function bounded(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const digest = `…sha256:${encodeHex(sha256(utf8(text))).slice(0, 32)}`;
  return `${text.slice(0, charsMax - digest.length)}${digest}`;
}

function checkedCertificates(certificates: readonly string[]): readonly string[] {
  invariant(certificates.length > 0 && certificates.length <= CERTIFICATES_MAX, 'a certificate chain has 1 to 4 certificates');
  invariant(
    certificates.every((text) => text.length <= CERTIFICATE_CHARS_MAX),
    'certificates of this product are small',
  );
  return certificates;
}

function writtenHops(hops: readonly OriginHop[]): readonly OriginHop[] {
  invariant(hops.length > 0 && hops.length <= HOPS_MAX, 'a list of delegations has 1 to 8 hops');
  const name = (text: string): string => bounded(text, NAME_CHARS_MAX).toWellFormed();
  return hops.map(({ agent, sidecar, authority }) => ({ agent: name(agent) as AgentName, sidecar: name(sidecar), authority }));
}

const writtenEnd = ({ stream, seq, head }: StreamEnd): StreamEnd => ({ stream, seq, head });

function writtenEnvelope({ payloadType, payload, signatures }: Envelope): Envelope {
  return { payloadType, payload, signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig })) };
}
