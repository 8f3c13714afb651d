/** `sallyport audit tail`: the record, as calls for people or as the exact lines that can be proven. */

import type { CallEvent } from '@sallyport/audit';
import { TailRequestSchema, TailRequest_View, create } from '@sallyport/contract';
import type { TailRequest } from '@sallyport/contract';
import { concatBytes, fromUtf8, utf8 } from '@sallyport/crypto';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import { choice, flag, text } from '../option.ts';
import { refusal } from '../output.ts';
import { plain } from '../policy/decision-text.ts';

const LINE_FEED = utf8('\n');

export const auditTail: Command = command({
  name: 'audit tail',
  group: 'Evidence',
  summary: 'read the record of decisions',
  details: [
    'View `calls` is one line per call: when, who, which tool, what was decided, by which rule, what came of it; with --json the whole event as one JSON object a line. View `records` is the exact bytes of every record, and ends, unless it follows or is narrowed to a session, with a line in which the control plane signs where each stream ends: what audit verify reads.',
  ],
  options: {
    view: choice('--view VIEW', 'calls for reading, records for proof', ['calls', 'records']),
    follow: flag('--follow', 'go on with new ones, until Ctrl-C'),
    agent: text('--agent NAME', 'only this agent'),
    session: text('--session ID', 'only this session'),
    stream: text('--stream ID', 'only this stream'),
    cursor: text('--cursor CURSOR', 'go on after what was read before; the cursor is the last line on standard error'),
    ...LINK_OPTIONS,
  },
  examples: [
    { line: 'audit tail --follow --agent support-triage', says: 'watch an agent' },
    { line: 'audit tail --view records > export.ndjson', says: 'then: audit verify export.ndjson' },
  ],
  async run(call) {
    const { options, io, out } = call;
    const isRecords = options.view === 'records';
    if (options.stream !== undefined && !/^[0-9a-f]{32}$/.test(options.stream))
      return out.refuse(refusal(2, `\`${options.stream}\` is not a stream`, '32 hex digits'));
    const request = create(TailRequestSchema, {
      view: isRecords ? TailRequest_View.RECORDS : TailRequest_View.CALLS,
      cursor: options.cursor ?? '',
      follow: options.follow,
      agent: options.agent ?? '',
      session: options.session ?? '',
      stream: options.stream ?? '',
    });
    return withLink(options, call, async (link) => {
      const tail = link.audit.tail(request, { signal: io.signal });
      let cursor = '';
      let count = 0;
      for await (const batch of tail) {
        // Exact bytes for proof and for programs; words for people.
        if (isRecords || options.json) await io.write(concatBytes(...batch.lines.flatMap((line) => [line, LINE_FEED])));
        else for (const line of batch.lines) await io.write(`${lineOf(line)}\n`);
        ({ cursor } = batch);
        count += batch.lines.length;
      }
      const status = await tail.status;
      const isEnded = status.code === 'ok' || io.signal.aborted;
      if (isEnded && !options.follow && count <= (isVouched(request) ? 1 : 0)) out.progress(emptyText(options));
      if (cursor !== '') out.progress(`cursor ${cursor}`);
      return isEnded ? 0 : out.refuse(refusedBy('reading the record', status, link));
    });
  },
});

/** Whether the last line is no record, but says where each stream ends. */
function isVouched({ view, cursor, follow, session }: TailRequest): boolean {
  return view === TailRequest_View.RECORDS && cursor === '' && !follow && session === '';
}

/** Nothing at all would read as if nothing had happened. */
function emptyText({
  agent,
  session,
  stream,
  cursor,
}: Readonly<Record<'agent' | 'session' | 'stream' | 'cursor', string | undefined>>): string {
  const asked = Object.entries({ agent, session, stream }).flatMap(([name, value]) => (value === undefined ? [] : [`${name} ${value}`]));
  const after = cursor === undefined ? '' : ` after ${cursor}`;
  return `no record${asked.length === 0 ? '' : ` of ${asked.join(', ')}`}${after}`;
}

/** `2026-11-20T07:31:23.000Z  deny   alice@company.com  orders/refund  insufficient_scope  refund (release 4)  -` */
function lineOf(line: Uint8Array): string {
  const text = fromUtf8(line) ?? '';
  const event = JSON.parse(text) as CallEvent;
  const {
    at,
    decision,
    operator,
    agent_id: agent,
    tool,
    action,
    code,
    rule_id: rule,
    release_seq: release,
    result,
    latency_ms: latency,
    decision_id: id,
    detail,
  } = event;
  const outcome = decision === 'allow' ? `${result}${latency === null ? '' : ` in ${latency} ms`}` : code;
  return [
    at,
    decision.padEnd(5),
    `${operator} by ${agent}`,
    plain(tool === '-' ? action : tool),
    outcome,
    `rule ${rule}`,
    `release ${release ?? '-'}`,
    id,
    ...(decision === 'allow' && detail !== null ? [plain(detail)] : []),
  ].join('  ');
}
