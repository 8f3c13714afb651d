/** Observing: read from documents and parts alike, and written back in the same form. Spec: policy-v1 section 14. */

import { addMs, formatInstant } from '@sallyport/model';
import type { AgentName, Instant, Json } from '@sallyport/model';
import { className } from '../reader/forms.ts';
import { LIMITS } from '../reader/limits.ts';
import { instant } from '../reader/read-more.ts';
import type { Reader } from '../reader/read.ts';
import { fields, formatSpan, list } from '../reader/read.ts';
import { agentNames, encodeAgents } from './rule.ts';

/** Whose calls pass for a while although rules refuse them. */
export interface Observe {
  readonly agents: '*' | readonly AgentName[];
  readonly from: Instant;
  /** Not inside. */
  readonly until: Instant;
  /** Beside those that are always excluded. */
  readonly classesExcluded: readonly string[];
}

/** `{ agents, from?, until, classes_excluded? }`: at most 30 days, from 30 days before `until` unless said otherwise. */
export const observe: Reader<Observe> = (node, problems) => {
  const declared = fields(node, problems, 'an Observe', ['agents!', 'from', 'until!', 'classes_excluded']);
  const agents = declared?.get('agents', agentNames);
  const until = declared?.get('until', instant);
  if (declared === undefined || agents === undefined || until === undefined) return undefined;
  const from = declared.has('from') ? declared.get('from', instant) : addMs(until, -LIMITS.observeMsMax);
  if (from === undefined) return undefined;
  if (from >= until) return problems.add(node.place, '`from` is not before `until`', { remedy: 'mend one of the two' });
  if (until - from > LIMITS.observeMsMax)
    return problems.add(node.place, `an Observe longer than ${formatSpan(LIMITS.observeMsMax)}`, {
      remedy: 'publish another one when this has ended, if rules still do not fit',
    });
  const classesExcluded = declared.get('classes_excluded', list('`classes_excluded`', className, { min: 1, key: (entry) => entry })) ?? [];
  return { agents, from, until, classesExcluded };
};

export function encodeObserve({ agents, from, until, classesExcluded }: Observe): Json {
  return {
    agents: encodeAgents(agents),
    from: formatInstant(from),
    until: formatInstant(until),
    ...(classesExcluded.length === 0 ? {} : { classes_excluded: classesExcluded.toSorted() }),
  };
}
