/**
 * Agents as the record tells of them: which have called, which were called, which handed a task on; and what was said of
 * credentials. Read in one pass and bounded memory: whoever makes names up fills no memory with them.
 */

import type { AuditRecord } from '@sallyport/audit';
import { formatInstant, isAgentName, type Instant } from '@sallyport/model';

/** How the record came to speak of an agent. */
export type SeenAs = 'caller' | 'called' | 'delegating';

export interface SeenAgent {
  readonly agent: string;
  readonly seen_as: readonly SeenAs[];
  readonly first_seen: string;
  readonly last_seen: string;
  readonly records: number;
}

export interface Traffic {
  add(record: AuditRecord): void;
  /** By name. */
  agents(): readonly SeenAgent[];
  /** Names beyond those that were kept. */
  readonly leftOut: number;
  /** When a sidecar last said that a credential is older than the policy wants, by name. */
  staleSince(credential: string): string | null;
}

interface Seen {
  readonly as: Set<SeenAs>;
  readonly first: Instant;
  last: Instant;
  records: number;
}

const AGENTS_MAX = 5_000;
const CREDENTIALS_MAX = 5_000;
/** A request to an agent, as the record has it where no such agent is known. */
const CALLED = /^[A-Z]+ \/agents\/([^/]+)/;
const STALE = /^credential `([^`]+)` is older than/;

/** Nothing read yet. */
export function traffic(): Traffic {
  // Owner: this value.
  const seen = new Map<string, Seen>();
  const stale = new Map<string, Instant>();
  let leftOut = 0;
  const note = (agent: string, as: SeenAs, at: Instant): void => {
    if (!isAgentName(agent)) return;
    const known = seen.get(agent);
    if (known === undefined && seen.size >= AGENTS_MAX) {
      leftOut += 1;
      return;
    }
    const one = known ?? { as: new Set<SeenAs>(), first: at, last: at, records: 0 };
    one.as.add(as);
    one.last = at > one.last ? at : one.last;
    one.records += 1;
    seen.set(agent, one);
  };
  return {
    get leftOut() {
      return leftOut;
    },
    add(record) {
      if (record.kind === 'ALERT' && record.code === 'CREDENTIAL_STALE') {
        const name = STALE.exec(record.detail ?? '')?.[1];
        if (name !== undefined && stale.size < CREDENTIALS_MAX) stale.set(name, record.at);
      }
      if (record.kind !== 'DECISION') return;
      // What is done to an agent is recorded under its name as well; who asked for it is another's business.
      note(record.agent_id, record.leg === 'inbound' ? 'called' : 'caller', record.at);
      const called = record.code === 'agent_not_registered' ? CALLED.exec(record.action)?.[1] : undefined;
      if (called !== undefined && called !== record.agent_id) note(called, 'called', record.at);
      for (const hop of record.hops ?? []) note(hop.agent, 'delegating', record.at);
    },
    agents: () =>
      [...seen]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([agent, { as, first, last, records }]) => ({
          agent,
          seen_as: [...as].toSorted(),
          first_seen: formatInstant(first),
          last_seen: formatInstant(last),
          records,
        })),
    staleSince: (credential) => {
      const at = stale.get(credential);
      return at === undefined ? null : formatInstant(at);
    },
  };
}
