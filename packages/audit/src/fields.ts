/**
 * The members of every record kind, in the order in which they are written: the one table that encoding, reading and
 * docs/spec/audit-v1.md (section 3) share. The class says how the value is protected (audit-v1 section 3.3).
 */

/** Closed list of kinds. A reader that meets another one keeps the line as evidence but does not interpret it. */
export const RECORD_KINDS = [
  'START',
  'DECISION',
  'OUTCOME',
  'ACTIVE',
  'STATE',
  'REFUSED',
  'DROPPED',
  'ALERT',
  'ACT',
  'CERTIFICATE',
  'CHECKPOINT',
  'CLOSE',
] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

/** How a call ended. A denial before forwarding has no OUTCOME; `denied` here is a refusal of the answer. */
export const OUTCOME_RESULTS = [
  'ok',
  'tool_error',
  'upstream_error',
  'upstream_timeout',
  'denied',
  'local',
  'not_forwarded',
  'cut',
] as const;
export type OutcomeResult = (typeof OUTCOME_RESULTS)[number];

/**
 * `name`: text that is never empty (`-` stands for unknown). `text`: free text or null. `number`: a finite number or
 * null. `texts`: a short list of text. `certificates`: base64 DER, leaf first. `end`: where a stream ended, or null.
 * `envelope`: a DSSE envelope as a JSON object. `hops`: delegations, outermost caller first. `flag`: true.
 */
export type FieldForm = 'name' | 'text' | 'number' | 'texts' | 'certificates' | 'end' | 'envelope' | 'hops' | 'flag';

export interface Field {
  readonly name: string;
  readonly form: FieldForm;
  readonly class: 'plain' | 'pseudonym' | 'commitment';
  /** The closed list of values, where there is one. */
  readonly values?: readonly string[];
  /** Stands only where it is known; the others always. */
  readonly optional?: true;
}

const plain = (form: FieldForm, ...names: readonly string[]): readonly Field[] => names.map((name) => ({ name, form, class: 'plain' }));
const known = (form: FieldForm, ...names: readonly string[]): readonly Field[] =>
  names.map((name) => ({ name, form, class: 'plain', optional: true }));
const closed = (name: string, values: readonly string[]): Field => ({ name, form: 'name', class: 'plain', values });

export const RECORD_FIELDS: Readonly<Record<RecordKind, readonly Field[]>> = {
  START: [
    ...plain('name', 'sidecar', 'agent', 'instance', 'build'),
    ...plain('certificates', 'certificates'),
    ...plain('end', 'previous'),
    ...plain('text', 'detail'),
  ],
  DECISION: [
    ...plain('name', 'decision_id', 'request_id'),
    closed('leg', ['inbound', 'outbound']),
    ...plain('name', 'dialect', 'action', 'agent_id', 'actor', 'operator', 'user_id', 'tenant_id', 'session_id'),
    ...plain('name', 'case', 'tool', 'tool_effect'),
    ...known('name', 'principal_kind', 'root_kind', 'authn_method', 'purpose', 'customer_id', 'workflow_id', 'workflow_step'),
    ...known('name', 'conversation_id', 'run_id', 'trace_id', 'environment'),
    ...known('text', 'scope'),
    ...known('name', 'scope_version'),
    ...known('hops', 'hops'),
    ...known('flag', 'degraded'),
    { ...closed('isolation', ['enforced', 'advisory']), optional: true },
    closed('decision', ['allow', 'deny']),
    ...plain('name', 'code', 'gate', 'rule_id'),
    ...plain('number', 'release_seq', 'policy_version'),
    ...plain('text', 'policy_digest'),
    ...plain('number', 'freshness_seq', 'policy_age_ms', 'latency_ms'),
    ...plain('text', 'detail'),
  ],
  OUTCOME: [
    ...plain('name', 'decision_id'),
    closed('result', OUTCOME_RESULTS),
    ...plain('number', 'upstream_status'),
    ...plain('name', 'code'),
    ...plain('number', 'latency_ms', 'bytes'),
    ...known('text', 'request_digest', 'request_signature'),
    ...plain('text', 'detail'),
  ],
  ACTIVE: [
    ...plain('name', 'area', 'ring'),
    ...plain('number', 'release_seq', 'previous_release_seq'),
    ...plain('text', 'policy_digest'),
    ...plain('number', 'freshness_seq', 'revocation_seq'),
    ...plain('text', 'detail'),
  ],
  STATE: [
    closed('state', ['absent', 'fresh', 'stale']),
    ...plain('number', 'release_seq', 'freshness_seq', 'policy_age_ms'),
    ...plain('text', 'detail'),
  ],
  REFUSED: [...plain('name', 'code', 'source'), ...plain('number', 'count'), ...plain('texts', 'samples')],
  DROPPED: [...plain('name', 'reason'), ...plain('number', 'count'), ...plain('text', 'detail')],
  ALERT: [...plain('name', 'code'), ...plain('end', 'subject'), ...plain('text', 'detail')],
  ACT: [
    ...plain('name', 'actor', 'act', 'object'),
    ...plain('text', 'old_digest', 'new_digest'),
    ...plain('name', 'area', 'ring'),
    ...plain('number', 'release_seq'),
    ...plain('text', 'detail'),
  ],
  CERTIFICATE: [...plain('certificates', 'certificates')],
  CHECKPOINT: [...plain('envelope', 'envelope')],
  CLOSE: [...plain('name', 'reason'), ...plain('envelope', 'envelope')],
};
