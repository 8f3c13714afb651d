/**
 * Writes the DECISION before anything is forwarded, in one batch with what was reserved: on disk for everything but a
 * harmless read. A release that switched since this call took its snapshot sends the call round again, unwritten.
 */

import { Fault, deny } from '@sallyport/model';
import type { CallFacts } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';
import { allowBody } from '../records.ts';
import { whyAllowed } from '../why.ts';

type Gathered = 'written' | 'switched' | { readonly lost: string };

export const accountability: Gate<CallFacts, Gathered, object, Ports> = {
  name: 'accountability',
  dialects: { 'http-tool': 'runs', mcp: 'runs', agent: 'runs', session: { notApplicable: 'answered locally: the runner records it' } },
  gather: async (facts, ports) => {
    const now = ports.bundle.read();
    if (now.state !== 'fresh' || now.snapshot.generation !== facts.held.snapshot.generation) return 'switched';
    try {
      const { frames } = facts.reserved;
      const durability = isHarmlessRead(facts) ? 'kernel' : 'disk';
      await ports.recorder.decision(allowBody(facts, ports), { durability, frames, why: whyAllowed(facts) });
      return 'written';
    } catch (thrown) {
      if (thrown instanceof Fault) return { lost: thrown.message };
      throw thrown;
    }
  },
  decide: decideAccountability,
};

/** Classes whose reads must survive a loss of power like writes do. */
const DISK_CLASSES: ReadonlySet<string> = new Set(['pii', 'money', 'export']);

function isHarmlessRead({ tool: { tool } }: CallFacts): boolean {
  return tool.effect === 'read' && !tool.classes.some((name) => DISK_CLASSES.has(name));
}

/** Passes what is written; `audit_unavailable` for what cannot be. */
export function decideAccountability(gathered: Gathered): Judgement<object> {
  if (gathered === 'written') return pass({});
  if (gathered === 'switched') return { verdict: 'again' };
  return refuse(deny('audit_unavailable', gathered.lost));
}
