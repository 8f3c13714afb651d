/**
 * Whether a change of who is believed to be whom, and of whom an agent may act for, could allow more. As everywhere here: what
 * cannot be told to be stricter could. Spec: policy-lab section 3.
 */

import type { Json, JsonObject } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import type { FieldChange } from './structure.ts';

/** A new agent that anybody reaches, that begins sessions by itself, or that takes what others hand on, is a new way in. */
export function agentCould(before: JsonObject | undefined, after: JsonObject | undefined, fields: readonly FieldChange[]): boolean {
  if (after === undefined) return false;
  if (before !== undefined) return fields.some((change) => !AGENT_TIGHTENS.get(change.field)?.(change.before, change.after));
  const { callers, sessions, delegation } = after;
  const isReached = Array.isArray(callers) && callers.length > 0;
  const begins = isObject(sessions) && sessions['jobs'] !== undefined;
  return isReached || begins || (isObject(delegation) && delegation['from'] !== undefined);
}

/** One that is believed from now on could; of one that was before, every change that does not ask more of its tokens. */
export function issuerCould(before: JsonObject | undefined, after: JsonObject | undefined, fields: readonly FieldChange[]): boolean {
  if (after === undefined) return false;
  if (before === undefined) return true;
  return fields.some((change) => !ISSUER_TIGHTENS.get(change.field)?.(change.before, change.after));
}

type Tightens = (before: Json | undefined, after: Json | undefined) => boolean;

const AGENT_TIGHTENS: ReadonlyMap<string, Tightens> = new Map<string, Tightens>([
  ['uses', (before, after) => isWithin(after, before)],
  // Said once, it lifts what guarded tools ask of the deployment.
  ['isolation', (_, after) => after === undefined],
  // Without the field nobody reaches it by the inbound port, and it opens sessions for anybody by the other: both ways, some gain.
  ['callers', (before, after) => Array.isArray(before) && Array.isArray(after) && after.every((grant: Json) => isGranted(grant, before))],
]);

const ISSUER_TIGHTENS: ReadonlyMap<string, Tightens> = new Map<string, Tightens>([
  ['strict_claims', (before) => before === undefined],
  ['required_claims', (before, after) => before === undefined || isWithin(before, after)],
  ['environment', (before) => before === undefined],
  [
    'min_scope_version',
    (before, after) => before === undefined || (typeof before === 'number' && typeof after === 'number' && after > before),
  ],
  ['algorithms', (before, after) => isWithin(after, before)],
]);

/** Whether one grant of before names everybody whom this one does. */
function isGranted(grant: Json, before: readonly Json[]): boolean {
  if (!isObject(grant)) return false;
  return before.some((wider) => isObject(wider) && Object.entries(wider).every(([name, list]) => isNarrower(name, grant[name], list)));
}

/** More scopes are asked of fewer; of every other list one member is enough. */
function isNarrower(name: string, inner: Json | undefined, outer: Json): boolean {
  return name === 'scopes' ? isWithin(outer, inner) : isWithin(inner, outer);
}

/** Whether every item of one list is in the other; `undefined` is no list. */
export function isWithin(inner: Json | undefined, outer: Json | undefined): boolean {
  if (!Array.isArray(inner) || !Array.isArray(outer)) return false;
  const known = new Set((outer as readonly Json[]).map((item) => canonicalJson(item)));
  return (inner as readonly Json[]).every((item) => known.has(canonicalJson(item)));
}

/** A JSON object, as far as its members go. */
export function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}
