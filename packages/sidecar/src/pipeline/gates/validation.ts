/** Turns raw arguments into typed ones by the pinned schema; from here on nothing reads the raw tree (arguments-v1). */

import { deny, type Result } from '@sallyport/model';
import type { TypedArguments, Violation } from '@sallyport/strict';
import type { Asked, HeadFacts, InSession, Named, Validated } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import { typedArguments } from '../mapped-call.ts';
import type { Ports } from '../ports.ts';

export const validation: Gate<HeadFacts & Asked & InSession & Named, Result<TypedArguments, readonly Violation[]>, Validated, Ports> = {
  name: 'validation',
  dialects: { 'http-tool': 'runs', mcp: 'runs', session: { notApplicable: 'has no arguments' } },
  gather: typedArguments,
  decide: decideValidation,
};

/** `field_not_allowed` when unknown arguments are all that is wrong, else `schema_violation`; names every field at fault. */
export function decideValidation(typed: Result<TypedArguments, readonly Violation[]>): Judgement<Validated> {
  if (typed.ok) return pass({ args: typed.value });
  const code = typed.error.every((violation) => violation.code === 'field_not_allowed') ? 'field_not_allowed' : 'schema_violation';
  const fields = [...new Set(typed.error.map(({ path }) => path))];
  return refuse(deny(code, typed.error.map(({ path, message }) => `${path}: ${message}`).join('; '), { fields }));
}
