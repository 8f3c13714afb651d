/** The story of a session as a person reads it, and as a program does. */

import { formatInstant } from '@sallyport/model';
import type { JsonObject } from '@sallyport/model';
import { counted, table } from '../output.ts';
import { plain, subjectOf } from '../policy/decision-text.ts';
import { callJson, isToolCall, totalsOf } from './session-story.ts';
import type { SessionStory, StoryCall, Totals } from './session-story.ts';

/** What is known of whether the records are all there and unchanged. */
export interface Standing {
  /** What was proven, in the verifier's sentence; null where nothing was. */
  readonly proven: string | null;
  /** Why there may be more, or other, than is told; empty where there cannot. */
  readonly doubts: readonly string[];
}

export function storyJson(story: SessionStory, { proven, doubts }: Standing): JsonObject {
  const [first] = story.calls;
  const last = story.calls.at(-1);
  return {
    session_id: story.sessionId,
    operator: first?.decision.operator ?? '-',
    tenant_id: first?.decision.tenant_id ?? '-',
    agent_id: first?.decision.agent_id ?? '-',
    case: first?.decision.case ?? '-',
    opened_at: story.openedAt === undefined ? null : formatInstant(story.openedAt),
    first_at: first === undefined ? null : formatInstant(first.at),
    last_at: last === undefined ? null : formatInstant(last.at),
    streams: story.streams.map(({ stream, writer, isClosed }) => ({ stream, writer: writer ?? null, closed: isClosed })),
    verified: proven !== null,
    proof: proven,
    complete: doubts.length === 0,
    doubts,
    totals: { ...totalsOf(story) },
    calls: story.calls.map(callJson),
  };
}

/** No trailing newline. */
export function storyText(story: SessionStory, { proven, doubts }: Standing): string {
  const { calls } = story;
  const [first] = calls;
  const last = calls.at(-1);
  if (first === undefined || last === undefined) return '';
  const { decision } = first;
  const place = decision.case === '-' ? '' : `, case ${plain(decision.case)}`;
  const writers = story.streams.map(({ stream, writer }) => (writer === undefined ? `stream ${plain(stream)}` : plain(writer)));
  return [
    `session ${plain(story.sessionId)}`,
    `${plain(decision.operator)} of tenant ${plain(decision.tenant_id)}, through agent ${plain(decision.agent_id)}${place}`,
    ...(story.openedAt === undefined ? [] : [`opened ${formatInstant(story.openedAt)}`]),
    `calls from ${formatInstant(first.at)} to ${formatInstant(last.at)} (${seconds(last.at - first.at)})${writers.length === 0 ? '' : `, recorded by ${writers.join(', ')}`}`,
    '',
    rowsText(calls.filter(isToolCall), first.at),
    '',
    totalsText(totalsOf(story)),
    ...(proven === null ? [] : [`proven: ${proven}`]),
    ...(doubts.length === 0 ? ['complete: the record of this session has its end'] : doubts.map((doubt) => `not certain: ${doubt}`)),
  ].join('\n');
}

/** A row a call, and below it what the record says of it beside: what was changed, why it was refused, what went wrong. */
function rowsText(calls: readonly StoryCall[], since: number): string {
  const rows = table(calls.map((call, i) => rowOf(call, { number: i + 1, since }))).split('\n');
  return rows.flatMap((row, i) => [row, ...detailsOf(calls[i]).map((detail) => `${' '.repeat(18)}${detail}`)]).join('\n');
}

function detailsOf(call: StoryCall | undefined): readonly string[] {
  return [call?.decision.detail, call?.outcome?.detail].flatMap((detail) => (typeof detail === 'string' ? [plain(detail)] : []));
}

function rowOf(call: StoryCall, { number, since }: { readonly number: number; readonly since: number }): readonly string[] {
  const { decision, retry } = call;
  return [
    String(number).padStart(4),
    `+${seconds(call.at - since)}`.padStart(10),
    decision.decision,
    `${subjectOf(decision)}${retry === 0 ? '' : ` (retry ${retry})`}`,
    resultText(call),
    `${/^(?:gate|local):/.test(decision.rule_id) ? '' : 'rule '}${plain(decision.rule_id)}`,
    decision.release_seq === null ? 'no release' : `release ${decision.release_seq}`,
    decision.decision_id,
  ];
}

function resultText({ decision, outcome }: StoryCall): string {
  if (decision.decision === 'deny') return decision.code;
  if (outcome === undefined) return 'no outcome';
  const code = outcome.code === '-' || outcome.code === outcome.result ? '' : ` (${outcome.code})`;
  return `${outcome.result}${code} in ${outcome.latency_ms} ms`;
}

function totalsText({ calls, allowed, denied, ok, failed, unknown, retries, local }: Totals): string {
  const parts = [
    `${allowed} allowed`,
    `${denied} denied`,
    `${ok} ok`,
    `${failed} failed`,
    `${unknown} without outcome`,
    `${retries} ${retries === 1 ? 'retry' : 'retries'}`,
  ];
  return `${counted(calls, 'call')}: ${parts.join(', ')}${local === 0 ? '' : `; and ${local} answered by the sidecar itself`}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}
