/** `sallyport fleet status`: each sidecar, what it enforces, how old that is, and what it still holds. */

import { StatusRequestSchema, create } from '@sallyport/contract';
import type { Sidecar, StatusResponse } from '@sallyport/contract';
import { formatInstant } from '@sallyport/model';
import type { Instant, Json } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { CALL_MS, LINK_OPTIONS, refusedBy, withLink } from '../connect.ts';
import type { Link } from '../connect.ts';
import type { Io } from '../io.ts';
import { flag, text } from '../option.ts';
import { counted, table } from '../output.ts';

export const fleetStatus: Command = command({
  name: 'fleet status',
  group: 'Operate',
  summary: 'show every sidecar: state, release, drift, age, last contact, audit backlog',
  details: [
    'DRIFTED means that a sidecar enforces something else than the newest release of its area and ring. AGE is the age that the sidecar itself charges, as it last said. BACKLOG counts records that are not here yet.',
  ],
  options: {
    watch: flag('--watch', 'show it again whenever it changes'),
    agent: text('--agent NAME', 'only the sidecars of this agent'),
    ...LINK_OPTIONS,
  },
  examples: [
    { line: 'fleet status', says: 'now' },
    { line: 'fleet status --watch --agent support-triage', says: 'until Ctrl-C' },
  ],
  async run(call) {
    const { options, io, out } = call;
    const request = create(StatusRequestSchema, { agent: options.agent ?? '' });
    return withLink(options, call, async (link) => {
      if (!options.watch) {
        const status = await link.fleet.status(request, { deadlineMs: CALL_MS, signal: io.signal });
        if (!status.ok) return out.refuse(refusedBy('asking for the fleet', status.error, link));
        const others = status.value.sidecars.length > 0 || options.agent === undefined ? [] : await agentsHere(link, io);
        await out.answer(statusJson(status.value), statusText(status.value, { io, agent: options.agent, others }));
        return 0;
      }
      const watch = link.fleet.watch(request, { signal: io.signal });
      for await (const status of watch)
        await out.answer(
          statusJson(status),
          `${io.isTerminal ? CLEAR : ''}${statusText(status, { io, agent: options.agent, others: [] })}\n`,
        );
      if (io.signal.aborted) return 0;
      return out.refuse(refusedBy('watching the fleet', await watch.status, link));
    });
  },
});

/** Cursor home, and everything below it away. */
const CLEAR = '\u001B[H\u001B[J';

function statusJson({ sidecars, releaseSeq, freshnessSeq, revocationSeq }: StatusResponse): Json {
  return {
    release_seq: Number(releaseSeq),
    freshness_seq: Number(freshnessSeq),
    revocation_seq: Number(revocationSeq),
    sidecars: sidecars.map(sidecarJson),
  };
}

function sidecarJson(one: Sidecar): Json {
  return {
    sidecar: one.spiffeId,
    agent: one.agent,
    instance: one.instance,
    area: one.area,
    ring: one.ring,
    connected: one.connected,
    last_contact: formatInstant(Number(one.lastContactMs) as Instant),
    state: one.state,
    release_seq: Number(one.activeReleaseSeq),
    release: one.activeRelease,
    drifted: one.drifted,
    policy_age_ms: Number(one.policyAgeMs),
    freshness_seq: Number(one.freshnessSeq),
    revocation_seq: Number(one.revocationSeq),
    staged: one.staged,
    last_rejection: one.lastRejection,
    build: one.build,
    isolation: one.isolation,
    audit_acked_seq: Number(one.auditAckedSeq),
    audit_head_seq: Number(one.auditHeadSeq),
    certified_until: one.certifiedUntilMs === 0n ? null : formatInstant(Number(one.certifiedUntilMs) as Instant),
  };
}

const HEAD = ['SIDECAR', 'STATE', 'RELEASE', 'DRIFTED', 'AGE', 'LAST CONTACT', 'BACKLOG', 'REVOKED TO', 'LAST REJECTION'];

interface Shown {
  readonly io: Io;
  /** The one that was asked for. */
  readonly agent: string | undefined;
  /** Agents that do have sidecars, where that one has none. */
  readonly others: readonly string[];
}

/** Agents of the whole fleet; none where that cannot be told now. */
async function agentsHere(link: Link, io: Io): Promise<readonly string[]> {
  const all = await link.fleet.status(create(StatusRequestSchema, {}), { deadlineMs: CALL_MS, signal: io.signal });
  return all.ok ? [...new Set(all.value.sidecars.map(({ agent }) => agent))].toSorted() : [];
}

function noneText({ agent, others }: Shown): string {
  if (agent === undefined) return 'no sidecar has enrolled';
  return `no sidecar of agent ${agent} has enrolled${others.length === 0 ? '' : `; agents here: ${others.join(', ')}`}`;
}

function statusText({ sidecars, releaseSeq }: StatusResponse, shown: Shown): string {
  const { io } = shown;
  if (sidecars.length === 0) return noneText(shown);
  const now = io.clock.wall();
  const rows = sidecars.map((one) => [
    one.spiffeId.replace(/^spiffe:\/\/[^/]+\/sidecar\//, ''),
    one.connected ? one.state : 'gone',
    String(one.activeReleaseSeq),
    one.drifted ? 'DRIFTED' : '-',
    shownSpan(Number(one.policyAgeMs)),
    `${shownSpan(Math.max(0, now - Number(one.lastContactMs)))} ago`,
    String(one.auditHeadSeq > one.auditAckedSeq ? one.auditHeadSeq - one.auditAckedSeq : 0n),
    String(one.revocationSeq),
    one.lastRejection === '' ? '-' : one.lastRejection,
  ]);
  const connected = sidecars.filter((one) => one.connected).length;
  return [table([HEAD, ...rows]), `${counted(sidecars.length, 'sidecar')}, ${connected} connected; newest release ${releaseSeq}`].join(
    '\n',
  );
}

/** Two digits are enough to see whether it is seconds or days. */
function shownSpan(ms: number): string {
  if (ms < 1_000) return `${ms}ms`;
  if (ms < 120_000) return `${Math.floor(ms / 1_000)}s`;
  if (ms < 7_200_000) return `${Math.floor(ms / 60_000)}m`;
  return ms < 172_800_000 ? `${Math.floor(ms / 3_600_000)}h` : `${Math.floor(ms / 86_400_000)}d`;
}
