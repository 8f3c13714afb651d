/**
 * What conditions see of a call: `principal`, `session`, `args` and the rest, as plain values of the types that were
 * checked at build. What is not known is absent, so that reading it fails. Spec: policy-v1 section 7.1.
 */

import { isAttributeOf } from '@sallyport/model';
import type { Principal } from '@sallyport/model';
import { attributeFormsOf, attributeTypesOf, environmentOf } from '../compile/compile.ts';
import type { CompiledPolicy, Entry } from '../compile/compile.ts';
import type { Facts } from '../expression/cel.ts';
import { valuesOf } from '../expression/fact-fields.ts';
import type { Given } from '../expression/fact-fields.ts';
import type { PolicyInput } from '../input.ts';

/** Only what some condition about the tool may read is worked out. */
export function factsOf(input: PolicyInput, entry: Entry, policy: CompiledPolicy): Facts {
  const given: Given = { input, noted: entry.noted, types: attributeTypesOf(policy) };
  return {
    args: input.args,
    principal: valuesOf(entry.reads.principal, given),
    session: valuesOf(entry.reads.session, given),
    env: environmentOf(policy),
    tool: entry.toolFacts,
    agent: entry.agentFacts[input.isolation ?? 'advisory'],
    chain: input.chain ?? NONE,
  };
}

const NONE: readonly never[] = [];

/**
 * An attribute that is not what was declared: its session is older than the declaration, or the directory says what it may not.
 * `undefined` where all are.
 */
export function unfitAttribute(policy: CompiledPolicy, { attributes }: Principal): string | undefined {
  for (const [name, form] of attributeFormsOf(policy))
    if (Object.hasOwn(attributes, name) && !isAttributeOf(attributes[name], form)) return name;
  return undefined;
}
