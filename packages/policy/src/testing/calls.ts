/** Calls for tests of decisions: a person of tenant acme in a new session, unless said otherwise. Used by tests only. */

import { utf8 } from '@sallyport/crypto';
import type { AgentName, Instant, Isolation, Principal, PrincipalId, SessionId, TenantId, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { CompiledPolicy } from '../compile/compile.ts';
import type { PolicyInput } from '../input.ts';

export interface GivenCall {
  readonly tool: string;
  /** JSON text. */
  readonly args: string;
  readonly agent?: string;
  readonly principal?: Partial<Principal>;
  readonly step?: string;
  readonly now?: number;
  readonly isolation?: Isolation;
}

/** The input of a call whose arguments the tool's schema takes; anything else throws. */
export function inputOf(
  policy: CompiledPolicy,
  { tool: name, args, agent = 'triage', principal, step, now = 0, isolation = 'enforced' }: GivenCall,
): PolicyInput {
  const tool = policy.tool(name as ToolName);
  const judged = judge(utf8(args));
  const shaped = judged.ok ? policy.shape(name as ToolName, judged.value) : undefined;
  if (tool === undefined || shaped?.ok !== true) throw new Error(`no such call of ${name}: ${JSON.stringify(shaped)}`);
  return {
    principal: {
      id: 'alice@acme.com' as PrincipalId,
      kind: 'person',
      tenant: 'acme' as TenantId,
      issuer: 'https://idp.org',
      roles: ['clerk'],
      scopes: [],
      attributes: {},
      authenticatedAt: -3_600_000 as Instant,
      ...principal,
    },
    agent: agent as AgentName,
    tool,
    args: shaped.value.args,
    session: {
      id: 's-1' as SessionId,
      ...(step === undefined ? {} : { step }),
      attempted: [],
      completed: [],
      failed: [],
      denied: [],
      hasCompleted: () => false,
    },
    now: now as Instant,
    isolation,
  };
}
