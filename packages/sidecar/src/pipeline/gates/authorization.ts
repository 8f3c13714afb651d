/** Asks the policy about this call: everything that spends nothing. Default deny, deny overrides, an error denies. */

import { decide, type PolicyDecision } from '@sallyport/policy';
import { deny } from '@sallyport/model';
import type { Asked, Authorized, HeadFacts, InSession, Named, Validated } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';

export const authorization: Gate<HeadFacts & Asked & InSession & Named & Validated, PolicyDecision, Authorized, Ports> = {
  name: 'authorization',
  dialects: {
    'http-tool': 'runs',
    mcp: 'runs',
    session: { notApplicable: 'the session gate asks whether the agent may run for the operator' },
  },
  gather: ({ held, session, tool, args }, { clock }) =>
    decide(held.snapshot.policy, {
      principal: session.principal,
      agent: session.agent,
      tool: tool.tool,
      args,
      session: session.facts(),
      now: clock.wall(),
    }),
  decide: decideAuthorization,
};

/** Passes an allow; a deny keeps the policy's own code, rule and fields. */
export function decideAuthorization(decision: PolicyDecision): Judgement<Authorized> {
  if (decision.decision === 'allow') return pass({ decision });
  const { code, detail, ruleId, fields } = decision;
  return refuse(deny(code, detail, { ruleId, ...(fields === undefined ? {} : { fields }) }));
}
