/** The demand on the deployment: an agent that is kept from going round its sidecar. Spec: policy-v1 section 4.6, isolation. */

import { ISOLATIONS } from '@sallyport/model';
import { oneOf } from '../reader/read.ts';
import type { DemandValues } from '../rule.ts';
import type { Demand } from './demand.ts';

export const isolation: Demand<DemandValues['isolation']> = {
  field: 'isolation',
  read: oneOf('isolation', ISOLATIONS),
  encode: (value) => value,
  // What is not known is advisory.
  judge: (value, { input }) =>
    value === 'advisory' || input.isolation === 'enforced'
      ? undefined
      : { subject: 'isolation', detail: 'wants an agent that is kept from going round its sidecar' },
  facts: (input) => ({ 'agent.isolation': input.isolation }),
  remedy: () => 'run the agent apart from its sidecar, so that `agent.isolation` is "enforced", or write `isolation: advisory`',
};
