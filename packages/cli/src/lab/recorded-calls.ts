/**
 * The decisions of an export, one after another, each with what the records before it tell of its session. Reads a file
 * of any size in bounded memory, and refuses one that is not what it is said to be: what cannot be read is not passed over.
 */

import { exportVerifier, interpretRecord, readHead } from '@sallyport/audit';
import type { AuditRecord } from '@sallyport/audit';
import { fromUtf8 } from '@sallyport/crypto';
import { fail, formatProblem, ok } from '@sallyport/model';
import type { AgentName, Instant, Result } from '@sallyport/model';
import type { RecordedCall } from '@sallyport/policy/lab';
import type { TrustedRoot } from '@sallyport/trust';
import { eachLine } from '../evidence/lines.ts';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';

export interface ReadExport {
  readonly decisions: number;
  /** Lines of kinds that this version does not know. */
  readonly uninterpreted: number;
  /** What was proven, in the verifier's sentence; null where that was not asked. */
  readonly proven: string | null;
}

interface Reading {
  readonly io: Pick<Io, 'cwd'>;
  /** Proves every record under this Root first; what does not verify is not told. */
  readonly root: TrustedRoot | undefined;
  readonly add: (call: RecordedCall) => void;
}

/** Whatever was added counts for nothing where this is a refusal. */
export function readRecordedCalls(file: string, { io, root, add }: Reading): Result<ReadExport, Refusal> {
  const verifier =
    root === undefined
      ? undefined
      : exportVerifier({ roots: root.certificateAuthorities, trustDomain: root.trustDomain, manifest: 'required' });
  const facts = sessionFacts();
  // Owner: this reading.
  let [line, decisions, uninterpreted] = [0, 0, 0];
  let manifestAt: number | undefined;
  let bad: Refusal | undefined;
  const refuse = (message: string, remedy?: string): void => void (bad ??= refusal(64, `${file}:${line}: ${message}`, remedy));
  const read = eachLine(at(io.cwd, file), {
    shown: file,
    add: (bytes, isTerminated) => {
      line += 1;
      if (bad !== undefined) return;
      verifier?.add(bytes, isTerminated);
      if (manifestAt !== undefined)
        return refuse(`stands behind the last line of an export, line ${manifestAt}`, 'read one export at a time');
      const head = readHead(bytes);
      if (!head.ok) {
        if (isManifest(bytes)) manifestAt = line;
        else if (!isTerminated) refuse('ends in the middle of a record', 'fetch it again with `sallyport audit tail --view records`');
        else refuse(`is no record: ${head.error.map(formatProblem).join('; ')}`, 'read what `sallyport audit tail --view records` wrote');
        return;
      }
      const record = interpretRecord(head.value);
      if (!record.ok) {
        if (isKnownKind(head.value.kind)) refuse(`is no record of kind ${head.value.kind}: ${record.error.map(formatProblem).join('; ')}`);
        else uninterpreted += 1;
        return;
      }
      const call = facts.next(record.value);
      if (call === undefined) return;
      decisions += 1;
      add(call);
    },
  });
  if (!read.ok) return fail({ exit: 64, problems: [read.error] });
  if (bad !== undefined) return fail(bad);
  const report = verifier?.end();
  if (report?.isSound === false) return fail(refusal(1, report.summary, 'nothing is told from records that are not proven'));
  if (line === 0) return fail(refusal(64, `\`${file}\` is empty`, 'write one with `sallyport audit tail --view records`'));
  return ok({ decisions, uninterpreted, proven: report?.summary ?? null });
}

function isManifest(bytes: Uint8Array): boolean {
  return fromUtf8(bytes.slice(0, MANIFEST_HEAD.length)) === MANIFEST_HEAD;
}
const MANIFEST_HEAD = '{"v":1,"kind":"EXPORT",';

/** Kinds whose records have to hold: a decision that cannot be read must not be counted as none. */
function isKnownKind(kind: string): boolean {
  return kind === 'DECISION' || kind === 'OUTCOME';
}

/** Sessions, and calls without an outcome, of which facts are held at once; of the oldest beyond, nothing is known. */
const HELD_MAX = 50_000;

interface HeldSession {
  readonly completed: Set<string>;
  readonly openedAt?: Instant;
}

interface SessionFacts {
  next(record: AuditRecord): RecordedCall | undefined;
}

function sessionFacts(): SessionFacts {
  // Owner: this value. Both forget their oldest.
  const sessions = new Map<string, HeldSession>();
  const pending = new Map<string, { readonly session: string; readonly tool: string; readonly at: Instant; readonly isOpening: boolean }>();
  return {
    next(record) {
      if (record.kind === 'OUTCOME') {
        const key = `${record.stream} ${record.decision_id}`;
        const call = pending.get(key);
        pending.delete(key);
        if (call === undefined || record.result !== 'ok') return undefined;
        const opened = /^session (\S+)$/.exec(record.detail ?? '')?.[1];
        if (call.isOpening && opened !== undefined) hold(sessions, opened, { completed: new Set<string>(), openedAt: call.at });
        else if (!call.isOpening && call.session !== '-') {
          const known: HeldSession = sessions.get(call.session) ?? { completed: new Set<string>() };
          known.completed.add(call.tool);
          hold(sessions, call.session, known);
        }
        return undefined;
      }
      if (record.kind !== 'DECISION') return undefined;
      const { stream, decision_id: id, session_id: session, tool } = record;
      if (record.decision === 'allow')
        hold(pending, `${stream} ${id}`, { session, tool, at: record.at, isOpening: record.dialect === 'session' });
      return callOf(record, sessions.get(session));
    },
  };
}

function hold<T>(held: Map<string, T>, key: string, value: T): void {
  held.set(key, value);
  if (held.size <= HELD_MAX) return;
  const [oldest] = held.keys();
  if (oldest !== undefined) held.delete(oldest);
}

function callOf(record: Extract<AuditRecord, { kind: 'DECISION' }>, held: HeldSession | undefined): RecordedCall {
  const { operator, tenant_id: tenant, case: name } = record;
  // Of a call that was only observed, what rules answered is what a policy is asked about.
  const observed = record.rule_id === 'observe' ? /^observed: ([a-z_]+) by rule ([a-z0-9-]+)/.exec(record.detail ?? '') : null;
  return {
    decisionId: record.decision_id,
    at: record.at,
    agent: record.agent_id as AgentName,
    tool: record.tool,
    ...(isKnown(operator) ? { principal: operator } : {}),
    ...(isKnown(tenant) ? { tenant } : {}),
    ...(name === '-' ? {} : { case: name }),
    ...(observed === null
      ? { decision: record.decision, code: record.code, ruleId: record.rule_id }
      : { decision: 'deny' as const, code: observed[1] ?? '', ruleId: observed[2] ?? '', isObserved: true as const }),
    // The hop that the call itself would add is its own agent's.
    ...(record.isolation === undefined ? {} : { isolation: record.isolation }),
    ...(record.hops?.some(({ agent }) => agent !== record.agent_id) === true ? { isDelegated: true as const } : {}),
    gate: record.gate,
    policyDigest: record.policy_digest,
    detail: record.detail,
    session: {
      // What completes later must not be seen by who looks at this call later.
      completed: new Set<string>(held?.completed),
      isWhole: held?.openedAt !== undefined,
      ...(held?.openedAt === undefined ? {} : { openedAt: held.openedAt }),
    },
  };
}

/** A record cuts what is too long; a name that was cut is not known. */
function isKnown(name: string): boolean {
  return name !== '-' && !/…sha256:[0-9a-f]{32}$/.test(name);
}
