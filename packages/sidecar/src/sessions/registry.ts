/**
 * The sessions of this start, in memory alone. Losing them never widens access: an id of an earlier start is `expired`,
 * and nothing here can make a session look younger, emptier or less used than it is. docs/spec/sessions.md.
 */

import { SESSION_TOKEN_MS, epochOf, formatSessionId, formatTieHandle, type SessionEpoch, type TieHandle } from '@sallyport/identity';
import { addMs, type Agent, type ChainRoot, type Clock, type Instant, type Random, type SessionId } from '@sallyport/model';
import type { OpenSession, SessionOpening, SessionRegistry } from '../pipeline/ports.ts';
import { sessionMemory, type SessionMemory } from './session-memory.ts';
import { sessionOwners, type Owner } from './session-owners.ts';

export interface RegistryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly epoch: SessionEpoch;
  /** Open sessions; one more is refused. */
  readonly sessionsMax: number;
  /**
   * Of one principal: who asks too often must not take everybody's room. With one more, the one of its own that was used longest ago is
   * over: senders of webhooks go on in none, and a call under way uses its session all the time.
   */
  readonly perPrincipalMax: number;
  /** Told of a session that is over, so that what was kept under its id can be let go. */
  readonly onOver: (id: SessionId) => void;
}

interface Entry {
  readonly open: OpenSession;
  readonly limits: Agent['sessions'];
  readonly openedAtBoot: number;
  /** Owner: the registry; written at every find. */
  usedAtBoot: number;
  /** Owner: the registry; made when it is first asked for, given anew each time. */
  tie?: { readonly handle: TieHandle; readonly givenAtBoot: number };
}

export interface SweptRegistry extends SessionRegistry {
  readonly size: number;
  /** Ends what is over; to be called now and then, since a session whose agent never comes back is never asked for again. */
  sweep(): void;
}

/** Idle and longest life are measured since boot, so that no change of the wall clock prolongs a session. */
export function sessionRegistry({ clock, random, epoch, sessionsMax, perPrincipalMax, onOver }: RegistryOptions): SweptRegistry {
  // Owner: this registry. In order of opening.
  const entries = new Map<SessionId, Entry>();
  /** By handle; as many as sessions at most. */
  const ties = new Map<TieHandle, SessionId>();
  /** Those that are over, as many as may be open; of older ones it is said that they are unknown. */
  const over = new Set<SessionId>();
  const owners = sessionOwners();
  const nobodysMax = Math.ceil(sessionsMax / NOBODYS_SHARE);
  // Who cannot be told apart must not take the room of those who can, nor end each other's sessions.
  const isFull = (owner: Owner): boolean =>
    entries.size >= sessionsMax || (owner.kind === 'anonymous' && owners.count(owner) >= nobodysMax);
  const isOver = ({ limits, openedAtBoot, usedAtBoot }: Entry): boolean => {
    const now = clock.boot();
    return now - usedAtBoot >= limits.idleMs || now - openedAtBoot >= limits.maxMs;
  };
  const end = (id: SessionId): void => {
    const { tie, open } = entries.get(id) ?? {};
    if (tie !== undefined) ties.delete(tie.handle);
    if (open !== undefined) owners.remove(open.principal, id);
    entries.delete(id);
    over.add(id);
    const [oldest] = over;
    if (over.size > sessionsMax && oldest !== undefined) over.delete(oldest);
    onOver(id);
  };
  const sweep = (): void => {
    for (const [id, entry] of entries) if (isOver(entry)) end(id);
  };
  /** Makes room in a principal's share. */
  const yieldRoom = (principal: Owner): void => {
    if (principal.kind === 'anonymous' || owners.count(principal) < perPrincipalMax) return;
    const longest = owners.longestUnused(principal, (id) => entries.get(id)?.usedAtBoot ?? 0);
    if (longest !== undefined) end(longest);
  };
  return {
    get size() {
      return entries.size;
    },
    sweep,
    hasRoom(principal) {
      // A session that is over but unswept is never found; it only takes room, which is looked for when there is none.
      if (isFull(principal)) sweep();
      return !isFull(principal);
    },
    open(opening) {
      const { principal } = opening;
      if (isFull(principal)) return undefined;
      yieldRoom(principal);
      const id = formatSessionId(epoch, random(16));
      const now = clock.boot();
      // The age is measured since boot, so that no change of the wall clock makes a session younger.
      const memory = memoryOf(id, opening, () => addMs(clock.wall(), now - clock.boot()));
      const open = openSession(id, opening, memory);
      entries.set(id, { open, limits: opening.agent.sessions, openedAtBoot: now, usedAtBoot: now });
      owners.add(principal, id);
      return open;
    },
    find(id) {
      const entry = entries.get(id);
      if (entry === undefined) return epochOf(id) === epoch && !over.has(id) ? 'unknown' : 'expired';
      if (isOver(entry)) {
        end(id);
        return 'expired';
      }
      entry.usedAtBoot = clock.boot();
      return entry.open;
    },
    close(id) {
      if (entries.has(id)) end(id);
    },
    tieOf(id) {
      const entry = entries.get(id);
      if (entry === undefined || isOver(entry)) return undefined;
      const handle = entry.tie?.handle ?? formatTieHandle(random(16));
      entry.tie = { handle, givenAtBoot: clock.boot() };
      ties.set(handle, id);
      return handle;
    },
    tied(handle) {
      const id = ties.get(handle);
      const entry = id === undefined ? undefined : entries.get(id);
      if (id === undefined || entry?.tie === undefined) return 'unknown';
      const leftMs = SESSION_TOKEN_MS - (clock.boot() - entry.tie.givenAtBoot);
      return leftMs <= 0 || isOver(entry) ? 'expired' : { sessionId: id, expiresAt: addMs(clock.wall(), leftMs) };
    },
    peek(id) {
      const entry = entries.get(id);
      return entry === undefined || isOver(entry) ? undefined : entry.open;
    },
  };
}

/** At most the tenth part of all sessions. */
const NOBODYS_SHARE = 10;

function memoryOf(id: SessionId, { case: caseName, purpose, origin }: SessionOpening, startedAt: () => Instant): SessionMemory {
  return sessionMemory(id, { case: caseName, ...purpose, root: rootOf(origin), origin, startedAt });
}

/** As rules know it: a person is an operator, wherever they signed in. */
function rootOf({ rootKind }: SessionOpening['origin']): ChainRoot {
  return rootKind === 'human' ? 'operator' : rootKind;
}

function openSession(id: SessionId, opening: SessionOpening, memory: SessionMemory): OpenSession {
  const { principal, agent, tokenId, tokenDigest, origin, delegation } = opening;
  return {
    id,
    underWay: { exchanges: 0 },
    principal,
    agent: agent.name,
    case: opening.case,
    tokenId,
    tokenDigest,
    fingerprint: opening.fingerprint,
    origin,
    ...(delegation === undefined ? {} : { delegation }),
    facts: () => memory.facts(),
    record: (what, tool) => memory.record(what, tool),
    note: (tool, notes) => memory.note(tool, notes),
    saw: (tool) => memory.saw(tool),
  };
}
