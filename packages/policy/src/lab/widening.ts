/**
 * Whether a change of a policy could allow more than before. It is asked so that somebody looks: where it cannot be told
 * from the change alone, the answer is yes. Spec: policy-lab section 3.
 */

import { Decimal } from '@sallyport/model';
import type { Json, JsonObject } from '@sallyport/model';
import { canonicalJson } from '../check/canonical.ts';
import type { FieldChange, ItemChange } from './structure.ts';
import { agentCould, isObject, isWithin, issuerCould } from './widening-identity.ts';

/** What cannot be seen in the change itself. */
export interface Surroundings {
  /** Whether some allow rule is about the tool now. */
  readonly isOpen: (tool: string) => boolean;
  /** Whether anything reads the environment's value now. */
  readonly isRead: (value: string) => boolean;
}

export function couldAllowMore(change: ItemChange, around: Surroundings): boolean {
  const { kind, name, before, after, fields } = change;
  switch (kind) {
    case 'rule':
      return ruleCould(effective(before), effective(after), fields);
    // While it lasts, whatever only rules refuse passes.
    case 'observe':
      return after !== undefined;
    case 'tool':
      if (after === undefined) return false;
      return around.isOpen(name) && (before === undefined || fields.some(({ field }) => field !== 'description' && field !== 'deny_as'));
    case 'value':
      return before !== undefined && after !== undefined && around.isRead(name);
    // Where calls go, and who is believed to be whom, decides as much as any rule.
    case 'server':
    case 'destination':
      return before !== undefined && after !== undefined;
    // A key that is sent may do more than none; which of two may do more, nobody here knows.
    case 'credential':
      return after !== undefined;
    case 'agent':
      return agentCould(before, after, fields);
    case 'issuer':
      return issuerCould(before, after, fields);
    case 'trust_domain':
    case 'caller_method':
      return after !== undefined;
    case 'detector':
      return true;
  }
}

/** A rule in shadow decides nothing. */
function effective(rule: JsonObject | undefined): JsonObject | undefined {
  return rule?.['shadow'] === true ? undefined : rule;
}

function verbOf(rule: JsonObject): string {
  return 'allow' in rule ? 'allow' : 'deny' in rule ? 'deny' : 'require';
}

function ruleCould(before: JsonObject | undefined, after: JsonObject | undefined, fields: readonly FieldChange[]): boolean {
  if (before === undefined) return after !== undefined && verbOf(after) === 'allow';
  if (after === undefined) return verbOf(before) !== 'allow';
  const [was, is] = [verbOf(before), verbOf(after)];
  // A grant that became anything else is one grant less.
  if (was !== is) return was !== 'allow';
  return fields.some((change) => !tightens(change, is));
}

/** Whether the change of a field of a rule can only deny more. */
function tightens({ field, before, after }: FieldChange, verb: string): boolean {
  if (field === verb) return verb === 'allow' ? isWithin(after, before) : isWithin(before, after);
  if (field === 'agents' && verb !== 'allow') return after === '*' || isWithin(before, after);
  const isGuard = verb !== 'allow' && (field === 'for' || field === 'when');
  if (isGuard) {
    if (after === undefined) return true;
    return field === 'for' && before !== undefined && isNarrowerFor(before, after);
  }
  // Without it an allow rule asks what its tools ask: something, or nothing.
  if (field === 'isolation') return after === 'enforced' || (after === undefined && before === 'advisory');
  if (!DEMANDS.has(field)) return false;
  // Without `for` a grant is for everyone but those who are nobody: naming them is no narrowing.
  if (field === 'for' && namesNobody(after) && !namesNobody(before)) return false;
  // Of an allow rule `depth` admits: without it no agent may stand in between.
  if (field === 'delegation' && verb === 'allow' && !isAdmittingLess(before, after)) return false;
  if (before === undefined) return true;
  if (after === undefined) return false;
  return DEMANDS.get(field)?.(before, after) === true;
}

function isAdmittingLess(before: Json | undefined, after: Json | undefined): boolean {
  const depth = (json: Json | undefined): Json => (isObject(json) ? (json['depth'] ?? 0) : 0);
  return atMost(depth(before), depth(after));
}

/** A `for` of fewer people is, for what denies, the wider one. */
function isNarrowerFor(inner: Json, outer: Json): boolean {
  return members(outer).every(([name, list]) => isWithin(isObject(inner) ? inner[name] : undefined, list));
}

function namesNobody(whom: Json | undefined): boolean {
  return isObject(whom) && isWithin(['anonymous'], whom['principals']);
}

type Tighter = (before: Json, after: Json) => boolean;

const same: Tighter = (before, after) => canonicalJson(before) === canonicalJson(after);
const more: Tighter = (before, after) => isWithin(before, after);
const fewer: Tighter = (before, after) => isWithin(after, before);
const atMost: Tighter = (before, after) => compare(after, before, (order) => order <= 0);
const atLeast: Tighter = (before, after) => compare(after, before, (order) => order >= 0);

/** Each member by its own measure; one that came demands more, one that went demands less. */
function each(measures: Readonly<Record<string, Tighter>>): Tighter {
  return (before, after) =>
    isObject(before) &&
    isObject(after) &&
    [...new Set([...Object.keys(before), ...Object.keys(after)])].every((name) => {
      const [left, right, measure] = [before[name], after[name], measures[name]];
      if (left === undefined) return measure !== undefined;
      return right !== undefined && (measure ?? same)(left, right);
    });
}

const KEYWORDS: Tighter = each({
  maximum: atMost,
  maxLength: atMost,
  maxItems: atMost,
  minimum: atLeast,
  minLength: atLeast,
  minItems: atLeast,
  enum: fewer,
  hosts: fewer,
  domains: fewer,
  under: fewer,
  required: more,
  const: same,
  pattern: same,
  format: same,
});

/** The fields of a rule that demand something, and what demanding more is. A field that is not here could mean anything. */
const DEMANDS: ReadonlyMap<string, Tighter> = new Map<string, Tighter>([
  ['for', (before, after) => isNarrowerFor(after, before)],
  ['scopes', more],
  ['bind', more],
  ['after', more],
  ['when', same],
  [
    'arguments',
    (before, after) =>
      isObject(after) && members(before).every(([name, schema]) => after[name] !== undefined && KEYWORDS(schema, after[name])),
  ],
  ['task', fewer],
  ['require_purpose', same],
  ['delegation', each({ depth: atMost, roots: fewer, first_party: same })],
  ['session', each({ denials_max: atMost, max_age: same })],
  ['valid', each({ from: same, until: same })],
  ['hours', same],
  ['justification', each({ chars_min: atLeast })],
  ['risk', each({ max: atMost })],
  ['step_up', (before, after) => isUnguarded(before, after) && each({ acr: fewer, amr: fewer, max_age: same })(before, after)],
  ['reviewed', same],
  ['approval', (before, after) => isUnguarded(before, after) && each({ count: atLeast })(before, after)],
  ['once', same],
  ['max', each({ count: atMost })],
  ['sequence', each({ consecutive: atMost })],
  ['budget', each({ max: atMost })],
]);

/** A `when` that came asks less often. */
function isUnguarded(before: Json, after: Json): boolean {
  return isObject(before) && isObject(after) && canonicalJson(before['when'] ?? null) === canonicalJson(after['when'] ?? null);
}

function compare(a: Json, b: Json, holds: (order: number) => boolean): boolean {
  const [left, right] = [a, b].map((value) =>
    typeof value === 'number' || typeof value === 'string' ? Decimal.parse(String(value)) : undefined,
  );
  return left !== undefined && right !== undefined && holds(left.compare(right));
}

function members(json: Json): readonly (readonly [string, Json])[] {
  return isObject(json) ? Object.entries(json) : [];
}
