/**
 * The sessions of this start, in memory alone. Losing them never widens access: an id of an earlier start is `expired`,
 * and nothing here can make a session look younger, emptier or less used than it is. docs/spec/sessions.md.
 */

import { SESSION_TOKEN_MS, epochOf, formatSessionId, formatTieHandle, type SessionEpoch, type TieHandle } from '@sallyport/identity';
import { addMs, type Agent, type ChainRoot, type Clock, type Instant, type Principal, type Random, type SessionId } from '@sallyport/model';
import type { OpenSession, SessionOpening, SessionRegistry } from '../pipeline/ports.ts';
import { sessionMemory, type SessionMemory } from './session-memory.ts';

export interface RegistryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly epoch: SessionEpoch;
  /** Open sessions; one more is refused, none is evicted. */
  readonly sessionsMax: number;
  /** Of one principal: who asks too often must not take everybody's room. */
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
  /** How many each has. */
  const shares = new Map<string, number>();
  // Who cannot be told apart are together no more than one who can.
  const shareMax = ({ kind }: Owner): number =>
    kind === 'anonymous' ? Math.min(perPrincipalMax, Math.ceil(sessionsMax / NOBODYS_SHARE)) : perPrincipalMax;
  const isFull = (owner: Owner): boolean => entries.size >= sessionsMax || (shares.get(nameOf(owner)) ?? 0) >= shareMax(owner);
  const isOver = ({ limits, openedAtBoot, usedAtBoot }: Entry): boolean => {
    const now = clock.boot();
    return now - usedAtBoot >= limits.idleMs || now - openedAtBoot >= limits.maxMs;
  };
  const end = (id: SessionId): void => {
    const { tie, open } = entries.get(id) ?? {};
    if (tie !== undefined) ties.delete(tie.handle);
    if (open !== undefined) giveBack(shares, nameOf(open.principal));
    entries.delete(id);
    over.add(id);
    const [oldest] = over;
    if (over.size > sessionsMax && oldest !== undefined) over.delete(oldest);
    onOver(id);
  };
  const sweep = (): void => {
    for (const [id, entry] of entries) if (isOver(entry)) end(id);
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
      shares.set(nameOf(principal), (shares.get(nameOf(principal)) ?? 0) + 1);
      const id = formatSessionId(epoch, random(16));
      const now = clock.boot();
      // The age is measured since boot, so that no change of the wall clock makes a session younger.
      const startedAt = (): Instant => addMs(clock.wall(), now - clock.boot());
      const memory = sessionMemory(id, {
        case: opening.case,
        ...opening.purpose,
        root: rootOf(opening.origin),
        origin: opening.origin,
        startedAt,
      });
      const open = openSession(id, opening, memory);
      entries.set(id, { open, limits: opening.agent.sessions, openedAtBoot: now, usedAtBoot: now });
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

type Owner = Pick<Principal, 'id' | 'kind' | 'tenant' | 'issuer'>;

function nameOf({ id, kind, tenant, issuer }: Owner): string {
  return JSON.stringify([kind, issuer, tenant, id]);
}

function giveBack(shares: Map<string, number>, name: string): void {
  const left = (shares.get(name) ?? 0) - 1;
  if (left > 0) shares.set(name, left);
  else shares.delete(name);
}

/** As rules know it: a person is an operator, wherever they signed in. */
function rootOf({ rootKind }: SessionOpening['origin']): ChainRoot {
  return rootKind === 'human' ? 'operator' : rootKind;
}

function openSession(id: SessionId, opening: SessionOpening, memory: SessionMemory): OpenSession {
  const { principal, agent, tokenId, origin, delegation } = opening;
  return {
    id,
    principal,
    agent: agent.name,
    case: opening.case,
    tokenId,
    fingerprint: opening.fingerprint,
    origin,
    ...(delegation === undefined ? {} : { delegation }),
    facts: () => memory.facts(),
    record: (what, tool) => memory.record(what, tool),
    note: (tool, notes) => memory.note(tool, notes),
    saw: (tool) => memory.saw(tool),
  };
}
