/**
 * What a session notes of completed calls, by the names that tools declare. In memory alone, bounded, and never
 * forgotten in silence: a name under which too much was noted is unknown from then on, so that whatever reads it denies.
 */

import type { ToolName } from '@sallyport/model';
import { NOTES_MAX, type CallNotes } from '@sallyport/policy';

export interface SessionNotes {
  add(tool: ToolName, notes: CallNotes): void;
  /** `undefined`: too much was noted to know. */
  values(kind: Kind, name: string): readonly string[] | undefined;
  /** Of the calls that are remembered; an older one is as if it had not been. */
  hasCompletedWith(tool: ToolName, values: Readonly<Record<string, string>>): boolean;
}

type Kind = 'touched' | 'remembered';

export function sessionNotes(): SessionNotes {
  // Owner: these notes. A name whose set is gone is one under which too much was noted.
  const noted: Readonly<Record<Kind, Map<string, Set<string> | undefined>>> = { touched: new Map(), remembered: new Map() };
  const calls = new Map<ToolName, CallNotes['compared'][]>();
  const note = (kind: Kind, name: string, values: readonly string[]): void => {
    const known = noted[kind].has(name) ? noted[kind].get(name) : new Set<string>();
    if (known === undefined) return;
    for (const value of values) known.add(value);
    noted[kind].set(name, known.size > NOTES_MAX ? undefined : known);
  };
  return {
    add(tool, { touched, remembered, compared, unknown }) {
      for (const [name, values] of Object.entries(touched)) note('touched', name, values);
      for (const [name, values] of Object.entries(remembered)) note('remembered', name, values);
      for (const name of unknown ?? []) noted.remembered.set(name, undefined);
      if (Object.keys(compared).length === 0) return;
      const known = calls.get(tool) ?? [];
      calls.set(tool, [...(known.length < NOTES_MAX ? known : known.slice(1)), compared]);
    },
    values: (kind, name) => (isUnknown(noted[kind], name) ? undefined : [...(noted[kind].get(name) ?? [])]),
    hasCompletedWith: (tool, values) =>
      (calls.get(tool) ?? []).some((compared) => Object.entries(values).every(([name, value]) => compared[name] === value)),
  };
}

function isUnknown(names: ReadonlyMap<string, Set<string> | undefined>, name: string): boolean {
  return names.has(name) && names.get(name) === undefined;
}
