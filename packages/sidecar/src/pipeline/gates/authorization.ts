/**
 * Asks the policy about this call: everything that spends nothing. Default deny, deny overrides, an error denies. What
 * rules refuse passes only where the bundle itself says, for a while, that this agent is observed.
 */

import { decide, knownPrincipal, observe, type PolicyDecision } from '@sallyport/policy';
import { invocationDecision } from '../invocation.ts';
import { deny, type Isolation } from '@sallyport/model';
import type { Asked, Authorized, HeadFacts, InSession, Named, Validated } from '../facts.ts';
import { pass, refuse, type Gate, type Judgement } from '../gate.ts';
import type { Ports } from '../ports.ts';
import { shadowText } from '../records.ts';

const NO_HOPS: readonly never[] = [];

interface Gathered {
  readonly decision: PolicyDecision;
  readonly isolation: Isolation;
}

export const authorization: Gate<HeadFacts & Asked & InSession & Named & Validated, Gathered, Authorized, Ports> = {
  name: 'authorization',
  dialects: {
    'http-tool': 'runs',
    mcp: 'runs',
    agent: 'runs',
    session: { notApplicable: 'the session gate asks whether the agent may run for the operator' },
  },
  gather: ({ leg, ends, serving, ask, held, session, tool, args, caller }, ports) => {
    const { policy, directory } = held.snapshot;
    const isolation = ports.isolation.of(leg, ends);
    // From here the session is being served: the next gate counts how many are.
    serving.begin(session.underWay);
    if (ask.dialect === 'agent') return { isolation, decision: invocationDecision(held.snapshot.agents.get(session.agent), caller) };
    const { principal, agent } = session;
    const chain = session.delegation?.call.chain ?? NO_HOPS;
    // Anew at each call, also in an open session: what was taken from somebody is gone with the next call.
    const known = knownPrincipal(policy, principal, directory);
    const input = { ...known, agent, tool: tool.tool, args, session: session.facts(), now: ports.clock.wall(), chain, isolation };
    const decision = decide(policy, input);
    return { isolation, decision: decision.decision === 'allow' ? decision : (observe(policy, input, decision) ?? decision) };
  },
  decide: decideAuthorization,
};

/** Passes an allow; a deny keeps the policy's own code, rule and fields. */
export function decideAuthorization({ decision, isolation }: Gathered): Judgement<Authorized> {
  if (decision.decision === 'allow') return pass({ decision, isolation });
  const { code, detail, ruleId, fields, shadow } = decision;
  const said = [detail, ...(shadow ?? []).map(shadowText)].join('; ');
  return refuse(
    deny(code, said, {
      ruleId,
      ...(fields === undefined ? {} : { fields }),
      ...(shadow === undefined ? {} : { shadow: shadow.map((one) => one.ruleId) }),
    }),
    { isolation },
  );
}
