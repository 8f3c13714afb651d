/**
 * What one session has done, kept as it happens and never replayed from history. Policy reads it as a view that does
 * not change under a decision. Only settlement and the runner write.
 */

import type { SessionId, ToolName } from '@sallyport/model';
import type { SessionFacts } from '@sallyport/policy';

export interface SessionMemory {
  facts(): SessionFacts;
  /** A denial is an attempt as well; what was forwarded is `attempted` first and `completed` or `failed` later. */
  record(what: Fact, tool: ToolName): void;
}

type Fact = 'attempted' | 'completed' | 'failed' | 'denied';

/** Entries kept of each list; beyond it the oldest leave the lists, while `hasCompleted` still knows them. */
const LIST_MAX = 1_000;

export function sessionMemory(id: SessionId, caseName: string | null): SessionMemory {
  // Owner: this memory.
  const lists = { attempted: history(), completed: history(), failed: history(), denied: history() };
  const completed = new Set<ToolName>();
  const named = caseName === null ? { id } : { id, case: caseName };
  return {
    facts: () => {
      const [attempted, done, failed, denied] = [lists.attempted.view(), lists.completed.view(), lists.failed.view(), lists.denied.view()];
      return {
        ...named,
        get attempted() {
          return attempted();
        },
        get completed() {
          return done();
        },
        get failed() {
          return failed();
        },
        get denied() {
          return denied();
        },
        hasCompleted: (tool) => completed.has(tool),
      };
    },
    record(what, tool) {
      lists[what].add(tool);
      if (what === 'denied') lists.attempted.add(tool);
      if (what === 'completed') completed.add(tool);
    },
  };
}

/**
 * The last `LIST_MAX` entries. Every call adds some and few policies read them, so a view is only a place in the list until
 * somebody asks; the list grows at its end, and is begun anew rather than shortened, so that a view stays as it was.
 */
function history(): { add(tool: ToolName): void; view(): () => readonly ToolName[] } {
  // Owner: `add`.
  let entries: ToolName[] = [];
  return {
    add(tool) {
      if (entries.length >= 2 * LIST_MAX) entries = entries.slice(-LIST_MAX);
      entries.push(tool);
    },
    view() {
      const [held, end] = [entries, entries.length];
      let seen: readonly ToolName[] | undefined;
      return () => (seen ??= held.slice(Math.max(0, end - LIST_MAX), end));
    },
  };
}
