/** Where the records of a session come from: the control plane, an export, or the sidecar's own memory. */

import { exportVerifier, readRecord } from '@sallyport/audit';
import type { AuditRecord, ExportVerifier, Report } from '@sallyport/audit';
import { TailRequestSchema, TailRequest_View, create } from '@sallyport/contract';
import { fail, ok, parseInstant } from '@sallyport/model';
import type { Instant, Result, StreamId } from '@sallyport/model';
import type { TrustedRoot } from '@sallyport/trust';
import { refusedBy } from '../connect.ts';
import type { Link } from '../connect.ts';
import { at } from '../files.ts';
import type { Io } from '../io.ts';
import { refusal } from '../output.ts';
import type { Refusal } from '../output.ts';
import type { SidecarDecisions } from '../policy/sidecar-decisions.ts';
import { eachLine } from './lines.ts';
import { storyOf } from './session-story.ts';
import type { SessionStory } from './session-story.ts';
import type { Standing } from './session-text.ts';

export interface ToldSession {
  readonly story: SessionStory;
  readonly standing: Standing;
}

/** Where it is not sound nothing is told: a story from records that were changed is somebody else's. */
export type ReadSession = Result<ToldSession, Refusal>;

const UNPROVEN = 'nothing here is proven; --verify proves it first';

/** From the control plane; with `isProven` from whole streams that verify under its Root. */
export async function sessionFromLink(
  link: Link,
  session: string,
  { io, isProven }: { readonly io: Io; readonly isProven: boolean },
): Promise<ReadSession> {
  const found = storyOf(session);
  const read = await eachRecord(link, { session }, { io, add: (line) => addTo(found, line) });
  if (!read.ok) return read;
  const story = found.end();
  if (!isProven || story.calls.length === 0)
    return ok({ story, standing: { proven: null, doubts: [UNPROVEN, ...doubtsOf(story, { knowsEnd: false })] } });
  const proven = storyOf(session);
  const reports: Report[] = [];
  for (const { stream } of story.streams) {
    const verifier = verifierOf(link.trust.root);
    const whole = await eachRecord(
      link,
      { stream },
      {
        io,
        add: (line) => {
          verifier.add(line);
          addTo(proven, line);
        },
      },
    );
    if (!whole.ok) return whole;
    reports.push(verifier.end());
  }
  return told(proven.end(), reports);
}

/** From a file that `audit tail --view records` wrote; proven where a Root is given. */
export function sessionFromFile(
  file: string,
  session: string,
  { io, root }: { readonly io: Io; readonly root: TrustedRoot | undefined },
): ReadSession {
  const found = storyOf(session);
  const verifier = root === undefined ? undefined : verifierOf(root);
  const read = eachLine(at(io.cwd, file), {
    shown: file,
    add: (line, isTerminated) => {
      verifier?.add(line, isTerminated);
      addTo(found, line);
    },
  });
  if (!read.ok) return fail({ exit: 64, problems: [read.error] });
  const story = found.end();
  if (verifier !== undefined) return told(story, [verifier.end()]);
  return ok({ story, standing: { proven: null, doubts: [UNPROVEN, ...doubtsOf(story, { knowsEnd: true })] } });
}

/** From what a sidecar remembers of this start. */
export async function sessionFromSidecar(from: SidecarDecisions, session: string): Promise<ReadSession> {
  const listed = await from.list({ limit: REMEMBERED, session });
  if (!listed.ok) return listed;
  const found = storyOf(session);
  for (const { at: recorded, decision, outcome } of listed.value.decisions.toReversed()) {
    const place = { stream: 'sidecar' as StreamId, seq: 0, prev: '', at: parseInstant(recorded) ?? (0 as Instant) };
    found.add({ ...place, ...decision, actor: decision.agent_id, policy_version: decision.release_seq });
    if (outcome !== undefined) found.add({ ...place, ...outcome });
  }
  const story = { ...found.end(), streams: [] };
  const memory = `this is the sidecar’s memory, not the record: it holds the last ${REMEMBERED.toLocaleString('en')} decisions of this start`;
  return ok({ story, standing: { proven: null, doubts: [memory, ...doubtsOf(story, { knowsEnd: false })] } });
}

const REMEMBERED = 1_000;

interface Wanted {
  readonly session?: string;
  readonly stream?: string;
}

interface Reading {
  readonly io: Io;
  readonly add: (line: Uint8Array) => void;
}

async function eachRecord(link: Link, { session = '', stream = '' }: Wanted, { io, add }: Reading): Promise<Result<undefined, Refusal>> {
  const request = create(TailRequestSchema, { view: TailRequest_View.RECORDS, session, stream });
  const tail = link.audit.tail(request, { signal: io.signal });
  for await (const { lines } of tail) for (const line of lines) add(line);
  const status = await tail.status;
  return status.code === 'ok' ? ok(undefined) : fail(refusedBy('reading the record', status, link));
}

/** What is no record (an export's last line, a kind that is not known here) tells nothing of a session. */
function addTo(story: { readonly add: (record: AuditRecord) => void }, line: Uint8Array): void {
  const record = readRecord(line);
  if (record.ok) story.add(record.value);
}

function verifierOf(root: TrustedRoot): ExportVerifier {
  return exportVerifier({ roots: root.certificateAuthorities, trustDomain: root.trustDomain, manifest: 'required' });
}

function told(story: SessionStory, reports: readonly Report[]): ReadSession {
  const unsound = reports.find(({ isSound }) => !isSound);
  if (unsound !== undefined) return fail(refusal(1, unsound.summary, 'nothing is told from records that are not proven'));
  return ok({ story, standing: { proven: reports.map(({ summary }) => summary).join(' '), doubts: doubtsOf(story, { knowsEnd: true }) } });
}

/** `knowsEnd`: the end of the stream would be among the records. */
function doubtsOf({ calls, streams, isCut }: SessionStory, { knowsEnd }: { readonly knowsEnd: boolean }): readonly string[] {
  const open = calls.filter(({ decision, outcome }) => decision.decision === 'allow' && outcome === undefined).length;
  return [
    ...(isCut ? [`only the first ${calls.length} calls are told`] : []),
    ...(knowsEnd
      ? streams.filter(({ isClosed }) => !isClosed).map(({ stream }) => `stream ${stream} has no end yet: more may follow`)
      : []),
    ...(open === 0
      ? []
      : [`of ${open} allowed ${open === 1 ? 'call' : 'calls'} nobody recorded what came of ${open === 1 ? 'it' : 'them'}`]),
  ];
}
