/** Every demand, by the name of the rule's field. */

import type { DemandValues, Rule } from '../rule.ts';
import type { Demand, DemandField } from './demand.ts';
import { isolation } from './isolation.ts';
import { approval, justification, reviewed, stepUp } from './proof.ts';
import { delegation, requirePurpose, risk, session, task } from './session.ts';
import { hours, valid } from './time.ts';

export type DemandName = keyof DemandValues;

export const DEMANDS: { readonly [K in DemandName]: Demand<DemandValues[K]> } = {
  task,
  requirePurpose,
  delegation,
  session,
  valid,
  hours,
  justification,
  risk,
  stepUp,
  reviewed,
  approval,
  isolation,
};

export const DEMAND_NAMES: readonly DemandName[] = Object.keys(DEMANDS) as DemandName[];

const FIELDS: ReadonlySet<string> = new Set(DEMAND_NAMES.map((name) => DEMANDS[name].field));

/** Whether a row of the requirement table is a demand's. */
export function isDemand(requirement: string): requirement is DemandField {
  return FIELDS.has(requirement);
}

/** A demand with its type forgotten, for those who treat all alike. */
export interface HeldDemand extends Demand<unknown> {
  readonly value: unknown;
}

/** What a rule demands, each beside how it is treated. */
export function demandsOf(rule: Rule): readonly HeldDemand[] {
  return DEMAND_NAMES.flatMap((name) => {
    const value = rule[name];
    return value === undefined ? [] : [{ ...(DEMANDS[name] as Demand<unknown>), value }];
  });
}
