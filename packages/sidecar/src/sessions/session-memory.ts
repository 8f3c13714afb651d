/**
 * What one session has done, kept as it happens and never replayed from history. Policy reads it as a view that does
 * not change under a decision. Only settlement and the runner write.
 */

import type { Instant, SessionId, SessionRoot, Tool, ToolName } from '@sallyport/model';
import type { CallNotes, SessionFacts } from '@sallyport/policy';
import { sessionNotes } from './session-notes.ts';

export interface SessionMemory {
  facts(): SessionFacts;
  /** A denial is an attempt as well; what was forwarded is `attempted` first and `completed` or `failed` later. */
  record(what: Fact, tool: ToolName): void;
  note(tool: Tool, notes: CallNotes): void;
  saw(tool: Tool): void;
}

/** What a session is from its beginning. */
export interface SessionBeginning {
  readonly case: string | null;
  readonly task?: string;
  readonly step?: string;
  readonly root: SessionRoot;
  /** By the wall clock as it is now. */
  readonly startedAt: () => Instant;
}

type Fact = 'attempted' | 'completed' | 'failed' | 'denied';

/** Entries kept of each list; beyond it the oldest leave the lists, while `hasCompleted` still knows them. */
const LIST_MAX = 1_000;

export function sessionMemory(id: SessionId, { case: caseName, startedAt, ...beginning }: SessionBeginning): SessionMemory {
  // Owner: this memory.
  const lists = { attempted: history(), completed: history(), failed: history(), denied: history() };
  const completed = new Set<ToolName>();
  const named = { ...(caseName === null ? { id } : { id, case: caseName }), ...beginning };
  const classes = new Set<string>();
  const noted = sessionNotes();
  return {
    facts: () => {
      const [attempted, done, failed, denied] = [lists.attempted.view(), lists.completed.view(), lists.failed.view(), lists.denied.view()];
      return {
        ...named,
        startedAt: startedAt(),
        get classes() {
          return [...classes];
        },
        noted: (kind, name) => noted.values(kind, name),
        hasCompletedWith: (tool, values) => noted.hasCompletedWith(tool, values),
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
    note(tool, notes) {
      noted.add(tool.name, notes);
    },
    saw(tool) {
      for (const name of tool.classes) classes.add(name);
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
