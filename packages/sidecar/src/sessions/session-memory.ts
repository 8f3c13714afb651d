/**
 * What one session has done, kept as it happens and never replayed from history. Policy reads it as a view that does
 * not change under a decision. Only settlement and the runner write.
 */

import type { ChainRoot, Instant, SessionId, SessionOrigin, Tool, ToolName } from '@sallyport/model';
import type { CallNotes, SessionFacts } from '@sallyport/policy';
import { sessionNotes, type SessionNotes } from './session-notes.ts';

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
  readonly root: ChainRoot;
  readonly origin: SessionOrigin;
  /** By the wall clock as it is now. */
  readonly startedAt: () => Instant;
}

type Fact = 'attempted' | 'completed' | 'failed' | 'denied';

/** Entries of each list; with one more the list is unknown, so that what reads it denies. `hasCompleted` still knows them all. */
const LIST_MAX = 1_000;

export function sessionMemory(id: SessionId, { case: caseName, startedAt, ...beginning }: SessionBeginning): SessionMemory {
  // Owner: this memory.
  const lists: Lists = { attempted: history(), completed: history(), failed: history(), denied: history() };
  const completed = new Set<ToolName>();
  const classes = new Set<string>();
  const noted = sessionNotes();
  const kept: Kept = { named: { id, case: caseName ?? undefined, ...beginning }, lists, completedEver: completed, classes, noted };
  return {
    facts: () => new View(kept, startedAt()),
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

type Lists = Readonly<Record<Fact, ReturnType<typeof history>>>;

interface Kept {
  readonly named: Omit<SessionBeginning, 'case' | 'startedAt'> & { readonly id: SessionId; readonly case: string | undefined };
  readonly lists: Lists;
  readonly completedEver: ReadonlySet<ToolName>;
  readonly classes: ReadonlySet<string>;
  readonly noted: SessionNotes;
}

/** The facts as they are now; the lists stay so. A class: a literal with getters would be a slow object for every call. */
class View implements SessionFacts {
  readonly #kept: Kept;
  readonly #attempted: () => readonly ToolName[] | undefined;
  readonly #completed: () => readonly ToolName[] | undefined;
  readonly #failed: () => readonly ToolName[] | undefined;
  readonly #denied: () => readonly ToolName[] | undefined;
  readonly startedAt: Instant;

  constructor(kept: Kept, startedAt: Instant) {
    const { lists } = kept;
    this.#kept = kept;
    this.startedAt = startedAt;
    this.#attempted = lists.attempted.view();
    this.#completed = lists.completed.view();
    this.#failed = lists.failed.view();
    this.#denied = lists.denied.view();
  }

  get id(): SessionId {
    return this.#kept.named.id;
  }
  get case(): string | undefined {
    return this.#kept.named.case;
  }
  get task(): string | undefined {
    return this.#kept.named.task;
  }
  get step(): string | undefined {
    return this.#kept.named.step;
  }
  get root(): ChainRoot {
    return this.#kept.named.root;
  }
  get origin(): SessionOrigin {
    return this.#kept.named.origin;
  }
  get classes(): readonly string[] {
    return [...this.#kept.classes];
  }
  get attempted(): readonly ToolName[] | undefined {
    return this.#attempted();
  }
  get completed(): readonly ToolName[] | undefined {
    return this.#completed();
  }
  get failed(): readonly ToolName[] | undefined {
    return this.#failed();
  }
  get denied(): readonly ToolName[] | undefined {
    return this.#denied();
  }

  hasCompleted(tool: ToolName): boolean {
    return this.#kept.completedEver.has(tool);
  }

  hasCompletedWith(tool: ToolName, values: Readonly<Record<string, string>>): boolean {
    return this.#kept.noted.hasCompletedWith(tool, values);
  }

  noted(kind: 'touched' | 'remembered', name: string): readonly string[] | undefined {
    return this.#kept.noted.values(kind, name);
  }
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
