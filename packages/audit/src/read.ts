/** Reading a record line. Unknown members are kept: the log is evidence, and a newer writer may say more (audit-v1 section 3.4). */

import { fail, ok, parseInstant } from '@sallyport/model';
import type { Instant, Json, JsonObject, Problem, Result } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import { isStreamId } from './chain.ts';
import { readEnvelope } from './envelope.ts';
import { RECORD_FIELDS, RECORD_KINDS } from './fields.ts';
import type { Field, FieldForm, RecordKind } from './fields.ts';
import { CERTIFICATE_CHARS_MAX, CERTIFICATES_MAX, HOPS_MAX, RECORD_BYTES_MAX } from './record.ts';
import type { DecisionBody, RecordBody, RecordPlace } from './record.ts';

/** What the encoder adds to a DECISION. */
export interface WrittenDecision extends DecisionBody {
  readonly actor: string;
  readonly policy_version: number | null;
}

/** A record as read: its place, its body with every member of its kind, and whatever else the line held. */
export type AuditRecord = RecordPlace & (Exclude<RecordBody, DecisionBody> | WrittenDecision);

/** A line's place and kind, whatever the kind: enough to chain it. */
export interface LineHead extends RecordPlace {
  readonly kind: string;
  readonly members: JsonObject;
}

/** Reads the members that every line has; all problems at once. A kind that this version does not know is no problem here. */
export function readHead(line: Uint8Array): Result<LineHead, readonly Problem[]> {
  const judged = judge(line, { limits: { bytesMax: RECORD_BYTES_MAX, depthMax: 8, membersMax: 10_000 } });
  if (!judged.ok) return fail(judged.error.map(({ path, message }) => ({ path, message })));
  const { tree } = judged.value;
  if (!isObject(tree)) return fail([{ path: '', message: 'a record is a JSON object' }]);
  const { v, kind, stream, seq, at, prev } = tree;
  const instant: Instant | undefined = typeof at === 'string' ? parseInstant(at) : undefined;
  const isPlain = judged.value.numberText(tree, 'seq') === undefined;
  const problems: Problem[] = [];
  if (v !== 1) problems.push({ path: 'v', message: 'the format version is 1' });
  if (typeof kind !== 'string') problems.push({ path: 'kind', message: 'a record has a kind' });
  if (typeof stream !== 'string' || !isStreamId(stream)) problems.push({ path: 'stream', message: 'expected 32 hex digits' });
  if (!isPlain || !Number.isSafeInteger(seq) || Number(seq) < 1) problems.push({ path: 'seq', message: 'expected a whole number from 1' });
  if (instant === undefined) problems.push({ path: 'at', message: 'expected an instant in UTC with milliseconds' });
  if (typeof prev !== 'string' || !HEAD.test(prev)) problems.push({ path: 'prev', message: 'expected 64 hex digits' });
  if (problems.length > 0) return fail(problems);
  return ok({ kind, stream, seq, prev, at: instant, members: tree } as LineHead);
}

/** Reads one line (without its line feed); all problems at once. An unknown kind is a problem: it cannot be interpreted. */
export function readRecord(line: Uint8Array): Result<AuditRecord, readonly Problem[]> {
  const head = readHead(line);
  return head.ok ? interpretRecord(head.value) : head;
}

/** The rest of `readRecord`, for a head that is read already. */
export function interpretRecord({ kind, members, at }: LineHead): Result<AuditRecord, readonly Problem[]> {
  if (!isKind(kind)) return fail([{ path: 'kind', message: `unknown kind \`${kind.slice(0, 40)}\`` }]);
  const problems: Problem[] = [];
  for (const field of RECORD_FIELDS[kind]) {
    const message = problemOf(field, members[field.name]);
    if (message !== undefined) problems.push({ path: field.name, message });
  }
  return problems.length > 0 ? fail(problems) : ok({ ...members, at } as unknown as AuditRecord);
}

const HEAD = /^[0-9a-f]{64}$/;

function isKind(kind: string): kind is RecordKind {
  return (RECORD_KINDS as readonly string[]).includes(kind);
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** What is wrong with a member, or `undefined`. */
function problemOf({ form, values, optional }: Field, value: Json | undefined): string | undefined {
  if (optional === true && value === undefined) return undefined;
  const { fits, expected } = FORMS[form];
  if (!fits(value)) return `expected ${expected}`;
  return values === undefined || (values as readonly Json[]).includes(value ?? null) ? undefined : `expected one of ${values.join(', ')}`;
}

const FORMS: Readonly<Record<FieldForm, { fits: (value: Json | undefined) => boolean; expected: string }>> = {
  name: { fits: isName, expected: 'text that is not empty' },
  text: { fits: (value) => value === null || typeof value === 'string', expected: 'text or null' },
  number: { fits: (value) => value === null || typeof value === 'number', expected: 'a number or null' },
  texts: { fits: isTexts, expected: 'a list of text' },
  certificates: { fits: isCertificates, expected: '1 to 4 certificates in base64' },
  end: { fits: (value) => value === null || isEnd(value), expected: '`stream`, `seq` and `head`, or null' },
  envelope: { fits: (value) => readEnvelope(value) !== undefined, expected: 'a DSSE envelope with one signature' },
  hops: { fits: isHops, expected: '1 to 8 hops of `agent`, `sidecar` and `authority`' },
  flag: { fits: (value) => value === true, expected: 'true, or nothing' },
};

function isName(value: Json | undefined): boolean {
  return typeof value === 'string' && value !== '';
}

function isHops(value: Json | undefined): boolean {
  if (!Array.isArray(value) || value.length === 0 || value.length > HOPS_MAX) return false;
  return (value as readonly Json[]).every((hop) => isObject(hop) && HOP_MEMBERS.every((name) => isName(hop[name])));
}

const HOP_MEMBERS = ['agent', 'sidecar', 'authority'] as const;

function isTexts(value: Json | undefined): value is readonly string[] {
  return Array.isArray(value) && (value as readonly Json[]).every((item) => typeof item === 'string');
}

function isCertificates(value: Json | undefined): boolean {
  if (!isTexts(value) || value.length === 0 || value.length > CERTIFICATES_MAX) return false;
  return value.every((text) => text !== '' && text.length <= CERTIFICATE_CHARS_MAX);
}

function isEnd(value: Json | undefined): boolean {
  if (!isObject(value)) return false;
  const { stream, seq, head } = value;
  return (
    typeof stream === 'string' &&
    isStreamId(stream) &&
    Number.isSafeInteger(seq) &&
    Number(seq) > 0 &&
    typeof head === 'string' &&
    HEAD.test(head)
  );
}
