/** `sallyport explain`: why a sidecar decided as it did, asked of the sidecar itself. */

import type { Json } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import type { Exit } from '../io.ts';
import { flag, positive, text } from '../option.ts';
import { refusal } from '../output.ts';
import { findSocket, SOCKET_OPTIONS } from '../policy/admin-socket.ts';
import { decisionLine, decisionText, plain, whyLines } from '../policy/decision-text.ts';
import { followDecisions } from '../policy/follow-decisions.ts';
import { sidecarDecisions } from '../policy/sidecar-decisions.ts';
import type { SeenDecision, SidecarDecisions } from '../policy/sidecar-decisions.ts';

const LIST_DEFAULT = 20;
const LIST_MAX = 1_000;

const OPTIONS = {
  ...SOCKET_OPTIONS,
  policy: text('--policy DIR', 'folder that the rules came from, so that their places can be opened (default: that of the running dev)'),
  session: text('--session ID', 'only this session'),
  limit: positive('--limit N', `how many to list, newest last (default: ${LIST_DEFAULT}, at most ${LIST_MAX.toLocaleString('en')})`),
  follow: flag('--follow', 'go on with new ones, until Ctrl-C'),
} as const;

interface Asking {
  readonly from: SidecarDecisions;
  readonly policyDir: string | undefined;
  readonly call: Invocation<typeof OPTIONS>;
}

export const explain: Command = command({
  name: 'explain',
  group: 'Evidence',
  summary: 'say why a sidecar decided as it did: rule, file, line, what was unmet, what would flip it',
  details: [
    'Asks the sidecar over its administration socket, without the control plane. It remembers the last 1,000 decisions of this start; the id of one stands in every denial and in the record. Without an id the last ones are listed, a line each.',
    'Names of arguments are told and their values are not: the sidecar does not keep them. What was taken out of a call or narrowed before it was decided is told. To try values, see policy explain.',
    'With an id exits with 0 for an allow and with 1 for a deny.',
  ],
  arguments: [{ name: 'DECISION', says: 'id of a decision', isOptional: true }],
  options: OPTIONS,
  examples: [
    { line: 'explain 01JD7Q2M8ZK4T6V9W1X3Y5A7B9', says: 'where sallyport dev runs, or beside sidecar.yaml' },
    { line: 'explain --follow --socket /run/sallyport/admin/socket', says: 'every decision of a sidecar as it is made' },
  ],
  async run(call) {
    const {
      arguments: [id],
      options,
      io,
      out,
    } = call;
    if (id !== undefined && !/^[0-9A-Z]{26}$/.test(id))
      return out.refuse(
        refusal(2, `\`${plain(id.slice(0, 80))}\` is not the id of a decision`, 'it stands as decision_id in records and denials'),
      );
    if (id !== undefined && (options.follow || options.session !== undefined || options.limit !== undefined))
      return out.refuse(refusal(2, 'an id stands for one decision', 'leave out --follow, --session and --limit, or the id'));
    if ((options.limit ?? 0) > LIST_MAX)
      return out.refuse(refusal(2, `\`--limit\` is more than ${LIST_MAX}`, 'that is all that a sidecar remembers'));
    const found = findSocket(options, io);
    if (!found.ok) return out.refuse(found.error);
    const asking: Asking = { from: sidecarDecisions(found.value.path, io), policyDir: options.policy ?? found.value.policyDir, call };
    return id === undefined ? list(asking) : one(id, asking);
  },
});

async function one(id: string, { from, policyDir, call: { out } }: Asking): Promise<Exit> {
  const found = await from.find(id);
  if (!found.ok) return out.refuse(found.error);
  await out.answer(found.value as unknown as Json, decisionText(found.value, policyDir));
  return found.value.decision.decision === 'allow' ? 0 : 1;
}

async function list({ from, policyDir, call }: Asking): Promise<Exit> {
  const { options, io, out } = call;
  const listed = await from.list({ limit: options.limit ?? LIST_DEFAULT, session: options.session });
  if (!listed.ok) return out.refuse(listed.error);
  const { decisions, next } = listed.value;
  const show = async (seen: SeenDecision): Promise<void> =>
    io.write(out.isJson ? `${JSON.stringify(seen)}\n` : `${rowOf(seen, policyDir)}\n`);
  for (const seen of decisions.toReversed()) await show(seen);
  if (!options.follow) {
    if (decisions.length === 0) out.progress('no decision yet');
    return 0;
  }
  for await (const followed of followDecisions(from, { place: next, known: decisions, io })) {
    if (!followed.ok) return out.refuse(followed.error);
    if (followed.value.kind === 'gap') out.progress('(some are not shown: there were more at once than the sidecar remembers)');
    if (followed.value.kind !== 'decision') continue;
    const { seen } = followed.value;
    if (options.session === undefined || seen.decision.session_id === options.session) await show(seen);
  }
  return 0;
}

function rowOf(seen: SeenDecision, policyDir: string | undefined): string {
  const { at, decision } = seen;
  const lines = whyLines(seen, policyDir).map((line) => `    ${line}`);
  return [`${plain(at)}  ${decisionLine(seen, policyDir)}  ${plain(decision.operator)}  ${decision.decision_id}`, ...lines].join('\n');
}
