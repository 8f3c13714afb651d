/**
 * What a client asks of an agent: a request whose body, where it has one, is JSON or a form, of one meaning. What it says of who asks
 * and of whom is no source of anything; it may only agree with what is proven. docs/spec/inbound.md, section 4.
 */

import { type AgentName, type Denial, type Principal, type Result, deny, fail, ok } from '@sallyport/model';
import type { Judged } from '@sallyport/strict';
import type { FORM_TYPE } from './agent-form.ts';
import { type AgentRoute, isAddress } from './agent-routes.ts';
import { membersOf } from './ask.ts';

/** A request to an agent, as it will be sent. */
export interface AgentAsk {
  readonly route: AgentRoute;
  readonly body: AgentBody | undefined;
}

/** As it came. An invocation has JSON alone. */
export type AgentBody =
  | { readonly type: 'application/json'; readonly bytes: Uint8Array; readonly judged: Judged }
  | { readonly type: typeof FORM_TYPE; readonly bytes: Uint8Array };

/** A body stands where its method gives it a meaning (RFC 9110, sections 9.3.1 and 9.3.5). */
export function readAgentRequest(route: AgentRoute, body: AgentAsk['body']): Result<AgentAsk, Denial> {
  if (body !== undefined && (route.method === 'GET' || route.method === 'DELETE'))
    return fail(deny('malformed_request', `a ${route.method} with a body`));
  if (route.isInvoke && membersOf(judgedOf(body)) === undefined)
    return fail(deny('malformed_request', 'the body of an invocation is not an object'));
  return ok({ route, body });
}

/**
 * What the body of an invocation states that is not so: `human_operator` another than the proven principal, `agent_id`
 * another agent than the named one, or an address in its place. `undefined` where it states nothing of the kind.
 */
export function falseStatement({ route, body }: AgentAsk, principal: Principal): Denial | undefined {
  if (!route.isInvoke) return undefined;
  // In whatever case: there are readers of JSON to which it makes no other name. No two differ by it alone (arguments-v1).
  const members = Object.entries(membersOf(judgedOf(body)) ?? {});
  const stated = (name: string): unknown => members.find(([key]) => key.toLowerCase() === name)?.[1];
  const [agent, operator] = [stated('agent_id'), stated('human_operator')];
  if (typeof agent === 'string' && isAddress(agent)) return deny('direct_address_rejected', '`agent_id` is an address');
  if (agent !== undefined && !isNamed(agent, route.agent))
    return deny('resource_binding_mismatch', '`agent_id` is not the agent of the path', { fields: ['agent_id'] });
  if (operator !== undefined && operator !== principal.id)
    return deny('resource_binding_mismatch', '`human_operator` is not the principal', { fields: ['human_operator'] });
  return undefined;
}

function judgedOf(body: AgentBody | undefined): Judged | undefined {
  return body?.type === 'application/json' ? body.judged : undefined;
}

/** The agent's name, or one of its versions: `expense-report-v1`. */
function isNamed(stated: unknown, agent: AgentName): boolean {
  if (typeof stated !== 'string') return false;
  return stated === agent || (stated.startsWith(`${agent}-v`) && /^[0-9]{1,6}$/.test(stated.slice(agent.length + 2)));
}
