/**
 * Why a signed object was refused: one closed list of codes, carried in `Verdict.code` of the policy stream. A
 * rejection is for operators; nothing of it is ever shown to a caller of the gateway. docs/spec/trust-v1.md section 13.
 */

import { formatProblem } from '@sallyport/model';
import type { Problem } from '@sallyport/model';

/** In the order of acceptance; the last two can happen at any step that compares numbers. */
export const REJECT_CODES = [
  'SIZE',
  'ROOT',
  'DELEGATION',
  'SIGNATURE',
  'DIGEST',
  'MIN_VERSION',
  'AREA',
  'LAYER',
  'COMPILE',
  'SELFTEST',
  'RESOURCE',
  'ROLLBACK',
  'EQUIVOCATION',
] as const;
export type RejectCode = (typeof REJECT_CODES)[number];

export interface Rejection {
  readonly code: RejectCode;
  /** What is wrong with this object, in one line: lower case, no full stop. */
  readonly detail: string;
  /** Every problem of a payload that does not read, with its path; empty for all other refusals. */
  readonly problems: readonly Problem[];
}

/** A rejection without field problems. */
export function reject(code: RejectCode, detail: string, problems: readonly Problem[] = []): Rejection {
  return { code, detail, problems };
}

interface Explanation {
  readonly meaning: string;
  readonly remedy: string;
}

const EXPLANATIONS: Readonly<Record<RejectCode, Explanation>> = {
  SIZE: { meaning: 'the object is larger than any honest one', remedy: 'split the bundle, or look at who serves it' },
  ROOT: {
    meaning: 'the chain of roots does not lead from the pin to this object, or the trusted root does not allow it',
    remedy:
      'compare the pin with the one in `root-pin` of the folder in which the root was made, and publish a new root before the old one expires',
  },
  DELEGATION: {
    meaning: 'the registrar has not named these publishers for this area, or no longer does',
    remedy: 'have the registrars sign a delegation for the area',
  },
  SIGNATURE: {
    meaning: 'too few distinct keys of the role have signed exactly these bytes',
    remedy: 'sign again with enough keys of the role; if nobody changed the object, treat it as an attack',
  },
  DIGEST: {
    meaning: 'a part is missing or is not the one that was signed',
    remedy: 'fetch the parts again; if it stays, look at the store or cache between',
  },
  MIN_VERSION: {
    meaning: 'the object says something that this build does not understand, which may be a restriction',
    remedy: 'upgrade this component before releasing the object to its ring',
  },
  AREA: { meaning: 'the object is meant for another area, ring or identity', remedy: 'look at which area this component serves' },
  LAYER: { meaning: 'a lower layer redefines what a higher one fixed', remedy: 'run `sallyport policy check` on the joined set' },
  COMPILE: { meaning: 'the policy does not compile', remedy: 'run `sallyport policy check`' },
  SELFTEST: { meaning: 'a test that travels in the bundle gives another answer here', remedy: 'run `sallyport policy test`' },
  RESOURCE: { meaning: 'there was not enough memory or room to take it', remedy: 'raise the limit of the component, or shrink the object' },
  ROLLBACK: {
    meaning: 'a number or an instant is out of order: behind what was already seen, or ahead of what can be',
    remedy: 'publish again on top of the present head; to go back, sign a release with `rollback: true`',
  },
  EQUIVOCATION: {
    meaning: 'two different objects were signed under one number',
    remedy: 'stop and find out which signer was restored from a backup, or has lost its key',
  },
};

/** The refusal in full for an operator: what, what it means, every problem with its path, what to do. Several lines. */
export function explainRejection(rejection: Rejection): string {
  const { meaning, remedy } = EXPLANATIONS[rejection.code];
  const lines = [`REJECTED(${rejection.code}): ${rejection.detail}`, `  means: ${meaning}`];
  for (const problem of rejection.problems) lines.push(`  at: ${formatProblem(problem)}`);
  lines.push(`  remedy: ${remedy}`);
  return lines.join('\n');
}
