/**
 * The session of a test: what the gateway would keep, as plainly as it can be kept. Calls that are allowed complete at
 * once, and what they reserve stays reserved.
 */

import { encodeHex, sha256, utf8 } from '@sallyport/crypto';
import { Decimal, addMs } from '@sallyport/model';
import type { SessionId, SessionOrigin, Tool, ToolName } from '@sallyport/model';
import type { CallNotes } from '../decide/notes.ts';
import type { ReservationSpec } from '../demand/limit.ts';
import type { TestGiven } from '../rule.ts';
import { ORIGIN_FACTS, ORIGIN_FACT_NAMES } from '../session.ts';
import type { SessionFacts } from '../session.ts';

export interface TestSession {
  facts(): SessionFacts;
  /** Takes all or none; the first that cannot be taken, with what a sum has come to before. */
  reserve(specs: readonly ReservationSpec[]): { readonly limit: ReservationSpec; readonly used?: Decimal } | undefined;
  completed(notes: CallNotes, tool: Tool): void;
  denied(tool: ToolName): void;
}

export function testSession({ session, at }: TestGiven): TestSession {
  // Owner of all of it: this session.
  const [attempted, completed, denied] = [[...session.completed], [...session.completed], [...session.denied]];
  const classes = new Set(session.classes);
  const noted = { touched: listsOf(session.touched), remembered: listsOf(session.remembered) };
  const calls: { readonly tool: ToolName; readonly compared: CallNotes['compared'] }[] = [];
  const counts = new Map<string, number>();
  const sums = new Map<string, Decimal>();
  const rows = new Map<string, number>();
  const reviews = new Set(session.reviewed.map((text) => encodeHex(sha256(utf8(text)))));
  const isReached = (spec: ReservationSpec): boolean => {
    if (spec.kind === 'sum') return (sums.get(spec.key) ?? NOTHING).add(spec.amount).compare(spec.max) > 0;
    return ((spec.kind === 'run' ? rows : counts).get(spec.key) ?? 0) >= spec.max;
  };
  return {
    facts: () => {
      const { case: caseName, task, step, origin, risk, root, ageMs } = session;
      return {
        id: 'test' as SessionId,
        ...(caseName === undefined ? {} : { case: caseName }),
        ...(task === undefined ? {} : { task }),
        ...(step === undefined ? {} : { step }),
        ...(origin === undefined ? {} : { origin: originOf(origin) }),
        ...(risk === undefined ? {} : { risk }),
        root,
        startedAt: addMs(at, -ageMs),
        attempted: [...attempted],
        completed: [...completed],
        failed: [],
        denied: [...denied],
        classes: [...classes],
        reviews,
        hasCompleted: (tool) => completed.includes(tool),
        hasCompletedWith: (tool, values) =>
          calls.some((call) => call.tool === tool && Object.entries(values).every(([name, value]) => call.compared[name] === value)),
        noted: (kind, name) => [...(noted[kind].get(name) ?? [])],
      };
    },
    reserve(specs) {
      const reached = specs.find(isReached);
      if (reached !== undefined) return { limit: reached, ...(reached.kind === 'sum' ? { used: sums.get(reached.key) ?? NOTHING } : {}) };
      const under = new Set(specs.filter(({ kind }) => kind === 'run').map(({ key }) => key));
      for (const key of rows.keys()) if (!under.has(key)) rows.delete(key);
      for (const spec of specs) {
        if (spec.kind === 'sum') sums.set(spec.key, (sums.get(spec.key) ?? NOTHING).add(spec.amount));
        else {
          const taken = spec.kind === 'run' ? rows : counts;
          taken.set(spec.key, (taken.get(spec.key) ?? 0) + 1);
        }
      }
      return undefined;
    },
    completed({ touched, remembered, compared }, tool) {
      attempted.push(tool.name);
      completed.push(tool.name);
      calls.push({ tool: tool.name, compared });
      for (const name of tool.classes) classes.add(name);
      for (const [kind, values] of [
        ['touched', touched],
        ['remembered', remembered],
      ] as const)
        for (const [name, found] of Object.entries(values)) noted[kind].set(name, [...(noted[kind].get(name) ?? []), ...found]);
    },
    denied(tool) {
      attempted.push(tool);
      denied.push(tool);
    },
  };
}

const NOTHING: Decimal = Decimal.fromBigInt(0n);

/** As a person's token would say it. */
function originOf(given: NonNullable<TestGiven['session']['origin']>): SessionOrigin {
  const said = ORIGIN_FACT_NAMES.flatMap((name) => (given[name] === undefined ? [] : [[ORIGIN_FACTS[name], given[name]] as const]));
  return { rootKind: 'human', method: 'test', hops: [], ...Object.fromEntries(said) };
}

function listsOf(values: Readonly<Record<string, readonly string[]>>): Map<string, readonly string[]> {
  return new Map(Object.entries(values));
}
