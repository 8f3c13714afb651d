/** `sallyport audit session`: one session from beginning to end. */

import { command } from '../command.ts';
import type { Command, Invocation } from '../command.ts';
import { LINK_OPTIONS, withLink } from '../connect.ts';
import { sessionFromFile, sessionFromLink, sessionFromSidecar } from '../evidence/read-session.ts';
import type { ReadSession } from '../evidence/read-session.ts';
import { storyJson, storyText } from '../evidence/session-text.ts';
import { homeOf } from '../home.ts';
import type { Exit } from '../io.ts';
import { flag, text } from '../option.ts';
import { refusal } from '../output.ts';
import { findSocket, SOCKET_OPTIONS } from '../policy/admin-socket.ts';
import { plain } from '../policy/decision-text.ts';
import { sidecarDecisions } from '../policy/sidecar-decisions.ts';
import { readOwnTrust, rootPinOption, rootsOption } from '../trust-files.ts';

const OPTIONS = {
  from: text('--from FILE', 'read an export instead of asking the control plane: what audit tail --view records wrote'),
  sidecar: flag('--sidecar', 'ask the sidecar instead, which remembers its last 1,000 decisions'),
  verify: flag('--verify', 'prove the records first, and tell nothing where they are not proven'),
  ...LINK_OPTIONS,
  rootPin: rootPinOption,
  roots: rootsOption,
  ...SOCKET_OPTIONS,
} as const;

type Call = Invocation<typeof OPTIONS>;

export const auditSession: Command = command({
  name: 'audit session',
  group: 'Evidence',
  summary: 'tell one session: who acted for whom, every call in order, and what came of each',
  details: [
    'A call counts as a retry where the call before it was of the same tool and did not succeed; the record holds no arguments, so it cannot say whether they were the same.',
    'Says what is not certain: that nothing was proven, that the record has no end yet, that nobody recorded what came of a call. With --verify whole streams are fetched and proven under your own pin; of an export, all of it.',
    'Exits with 1 where there is no such session, or --verify finds anything changed.',
  ],
  arguments: [{ name: 'SESSION', says: 'its id, as POST /session answered and every record says' }],
  options: OPTIONS,
  examples: [
    { line: 'audit session 5f0c1d2e3a4b5c6d.kH3mY0o1QmW9gqk2b8TzVw --verify', says: 'from the control plane, proven' },
    { line: 'audit session 5f0c1d2e3a4b5c6d.kH3mY0o1QmW9gqk2b8TzVw --from export.ndjson', says: 'from a file, with no network' },
  ],
  async run(call) {
    const {
      arguments: [session = ''],
      options,
      out,
    } = call;
    if (!SESSION.test(session))
      return out.refuse(
        refusal(2, `\`${plain(session.slice(0, 80))}\` is not the id of a session`, 'such as 5f0c1d2e3a4b5c6d.kH3mY0o1QmW9gqk2b8TzVw'),
      );
    if (options.sidecar && (options.from !== undefined || options.verify))
      return out.refuse(refusal(2, 'a sidecar’s memory is neither a file nor proof', 'leave out --from and --verify, or --sidecar'));
    if (options.sidecar) return tellSidecar(session, call);
    if (options.from !== undefined) return tellFile(options.from, session, call);
    return withLink(options, call, async (link) =>
      tell(await sessionFromLink(link, session, { io: call.io, isProven: options.verify }), call),
    );
  },
});

const SESSION = /^[0-9a-f]{8,32}\.[A-Za-z0-9_-]{8,64}$/;

async function tellSidecar(session: string, call: Call): Promise<Exit> {
  const found = findSocket(call.options, call.io);
  if (!found.ok) return call.out.refuse(found.error);
  return tell(await sessionFromSidecar(sidecarDecisions(found.value.path, call.io), session), call);
}

async function tellFile(file: string, session: string, call: Call): Promise<Exit> {
  const { options, io, out } = call;
  if (!options.verify) return tell(sessionFromFile(file, session, { io, root: undefined }), call);
  const trust = readOwnTrust(homeOf(options.dir, io), options, io);
  if (!trust.ok) return out.refuse(trust.error);
  return tell(sessionFromFile(file, session, { io, root: trust.value.root }), call);
}

async function tell(read: ReadSession, { arguments: [session = ''], out }: Call): Promise<Exit> {
  if (!read.ok) return out.refuse(read.error);
  const { story, standing } = read.value;
  if (story.calls.length === 0)
    return out.refuse(
      refusal(1, `there is no record of session \`${session}\``, 'ids stand in `sallyport audit tail --json` and in explain'),
    );
  await out.answer(storyJson(story, standing), storyText(story, standing));
  return 0;
}
