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

/** Entries of each list; with one more the list is unknown, so that what reads it denies. `hasCompleted` still knows them all. */
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
 * Every call adds some and few policies read them, so a view is only a place in the list until somebody asks; the list only
 * grows, so that a view stays as it was. A caller chooses how many calls it makes: were the oldest let go, what counts them
 * could be made to count less.
 */
function history(): { add(tool: ToolName): void; view(): () => readonly ToolName[] | undefined } {
  // Owner: `add`. Once it was too much to hold, the list is unknown for good.
  const entries: ToolName[] = [];
  let isUnknown = false;
  return {
    add(tool) {
      if (entries.length < LIST_MAX) entries.push(tool);
      else isUnknown = true;
    },
    view() {
      if (isUnknown) return () => undefined;
      const end = entries.length;
      let seen: readonly ToolName[] | undefined;
      return () => (seen ??= entries.slice(0, end));
    },
  };
}
