/** `sallyport doctor session`: sends one request through, and says at which hop its session was lost. */

import { utf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import { deadline, delay } from '@sallyport/runtime';
import { judge } from '@sallyport/strict';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, readText } from '../files.ts';
import type { Io } from '../io.ts';
import type { Check } from '../onboard/doctor/check.ts';
import type { Asked } from '../onboard/doctor/session-hops.ts';
import { duration, required, text, textOr } from '../option.ts';
import { refusal, table } from '../output.ts';
import type { Refusal } from '../output.ts';
import { findSocket, SOCKET_OPTIONS } from '../policy/admin-socket.ts';
import { sidecarDecisions } from '../policy/sidecar-decisions.ts';
import type { SeenDecision, SidecarDecisions } from '../policy/sidecar-decisions.ts';

const ANSWER_MS_MAX = 120_000;
const LOOK_MS = 200;
const FILE_BYTES_MAX = 1_048_576;

export const doctorSession: Command = command({
  name: 'doctor session',
  group: 'Operate',
  summary: 'send one request to an agent, and say at which hop its session was lost',
  details: [
    'Invokes the agent by its sidecar’s inbound port, as a caller would, with a trace of its own. Then asks the sidecar over its administration socket what it decided meanwhile: whether the agent was reached, whether its calls named the session, and what became of them. The request is a real one, for the person whose token it is.',
    'Exits with 1 where a hop is broken.',
  ],
  options: {
    inbound: required('--inbound URL', 'the inbound port, such as https://agents.example:8443'),
    agent: required('--agent NAME', 'the agent beside that sidecar'),
    tokenFile: required('--token-file FILE', 'an access token of the person to ask as'),
    ca: text('--ca FILE', 'authorities of the port’s certificate, PEM (default: those of this machine)'),
    body: textOr('--body JSON', 'what the agent is asked', '{"request":"sallyport doctor session"}'),
    wait: duration('--wait SPAN', 'how long to look for calls of the agent after its answer', {
      otherwise: '3s',
      minMs: 0,
      maxMs: 120_000,
    }),
    ...SOCKET_OPTIONS,
  },
  examples: [
    {
      line: 'doctor session --inbound https://localhost:8443 --ca ca.pem --agent support-triage --token-file alice.jwt',
      says: 'beside sidecar.yaml',
    },
  ],
  async run({ options, io, out }) {
    const prepared = prepare(options, io);
    if ('problems' in prepared) return out.refuse(prepared);
    const found = findSocket(options, io);
    if (!found.ok) return out.refuse(found.error);
    const from = sidecarDecisions(found.value.path, io);
    const before = await from.list({ limit: 1 });
    if (!before.ok) return out.refuse(before.error);
    const asked = await send({ ...prepared, agent: options.agent, body: options.body }, io);
    const since = await decisionsSince(from, { place: before.value.next, session: asked.session, waitMs: options.wait }, io);
    if ('problems' in since) return out.refuse(since);
    const { judgeSession } = await import('../onboard/doctor/session-hops.ts');
    const checks = judgeSession(asked, since);
    const isWell = checks.every(({ health }) => health !== 'fail');
    await out.answer(
      {
        ok: isWell,
        session_id: asked.session ?? null,
        checks: checks.map(({ subject, health, says, remedy }) => ({ check: subject, health, says, remedy: remedy ?? null })),
      },
      linesOf(checks).join('\n'),
    );
    return isWell ? 0 : 1;
  },
});

interface Prepared {
  readonly url: URL;
  readonly token: string;
  readonly ca?: string;
}

function prepare(
  options: { readonly inbound: string; readonly tokenFile: string; readonly ca: string | undefined; readonly body: string },
  io: Io,
): Prepared | Refusal {
  const url = URL.parse(options.inbound);
  if (url?.protocol !== 'https:' || url.username !== '' || !['', '/'].includes(url.pathname) || url.search !== '')
    return refusal(2, '`--inbound` is not the address of an inbound port', 'such as https://localhost:8443');
  if (!judge(utf8(options.body)).ok) return refusal(2, '`--body` is not JSON', 'such as \'{"request":"where is order 17?"}\'');
  const token = readText(at(io.cwd, options.tokenFile), { bytesMax: FILE_BYTES_MAX, shown: options.tokenFile });
  if (!token.ok) return { exit: 64, problems: [token.error] };
  if (options.ca === undefined) return { url, token: token.value.trim() };
  const ca = readText(at(io.cwd, options.ca), { bytesMax: FILE_BYTES_MAX, shown: options.ca });
  return ca.ok ? { url, token: token.value.trim(), ca: ca.value } : { exit: 64, problems: [ca.error] };
}

async function send(of: Prepared & { readonly agent: string; readonly body: string }, io: Io): Promise<Asked> {
  const { invokeAgent } = await import('../onboard/doctor/inbound-request.ts');
  const fault = (): Fault => new Fault('upstream_timeout', 'upstream', `\`${of.url.host}\` did not answer`);
  const limit = deadline(io.clock, ANSWER_MS_MAX, { signal: io.signal, fault });
  const hex = (bytes: number): string => Buffer.from(io.random(bytes)).toString('hex');
  try {
    const answer = await invokeAgent({ ...of, traceparent: `00-${hex(16)}-${hex(8)}-01`, signal: limit.signal });
    const session = answer.headers['sallyport-session-id'];
    const problem = problemOf(answer.body, String(answer.headers['content-type']));
    return { status: answer.status, session: typeof session === 'string' ? session : undefined, ...problem };
  } finally {
    limit.clear();
  }
}

function problemOf(body: string, type: string): Pick<Asked, 'code' | 'decisionId'> {
  const judged = type.startsWith('application/problem+json') ? judge(utf8(body)) : undefined;
  const tree = judged?.ok === true ? (judged.value.tree as Readonly<Record<string, unknown>> | null) : null;
  const text = (name: string): string | undefined => (typeof tree?.[name] === 'string' ? tree[name] : undefined);
  return { code: text('code'), decisionId: text('decision_id') };
}

/** What was decided since, once a call of the session is among it, or the time is over. */
async function decisionsSince(
  from: SidecarDecisions,
  { place, session, waitMs }: { readonly place: number; readonly session: string | undefined; readonly waitMs: number },
  io: Io,
): Promise<readonly SeenDecision[] | Refusal> {
  const until = io.clock.boot() + waitMs;
  for (;;) {
    const since = await from.since(place, { isPatient: false });
    if (!since.ok) return since.error;
    const { decisions } = since.value;
    const isThere = decisions.some(({ decision }) => decision.leg === 'outbound' && decision.session_id === session);
    if (session === undefined || isThere || io.clock.boot() >= until) return decisions;
    if (!(await delay(io.clock, LOOK_MS, { signal: io.signal }))) return decisions;
  }
}

function linesOf(checks: readonly Check[]): readonly string[] {
  const wide = Math.max(...checks.map(({ subject }) => subject.length));
  return checks.flatMap(({ subject, health, says, remedy }) => [
    table([[health.padEnd(4), subject.padEnd(wide), says]]),
    ...(remedy === undefined ? [] : [`${' '.repeat(wide + 8)}${remedy}`]),
  ]);
}
