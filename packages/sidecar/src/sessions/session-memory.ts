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
  // Owner: this memory. Lists are replaced, not edited, so that a view given out stays as it was.
  const lists: Record<Fact, readonly ToolName[]> = {
    attempted: [],
    completed: [],
    failed: [],
    denied: [],
  };
  const completed = new Set<ToolName>();
  let view: SessionFacts | undefined;
  return {
    facts: () =>
      (view ??= {
        id,
        ...(caseName === null ? {} : { case: caseName }),
        ...lists,
        hasCompleted: (tool) => completed.has(tool),
      }),
    record(what, tool) {
      for (const name of what === 'denied' ? (['attempted', 'denied'] as const) : [what]) {
        const list = lists[name];
        lists[name] = [...(list.length < LIST_MAX ? list : list.slice(1)), tool];
      }
      if (what === 'completed') completed.add(tool);
      view = undefined;
    },
  };
}
