/** Requests, mappings and the ports of methods, for tests of callers' proofs. */

import { utf8 } from '@sallyport/crypto';
import type { CallerIdentity, CallerMapping, Denial, Digest, Instant, PrincipalId, Result, TenantId } from '@sallyport/model';
import type { CallerContext, CallerMethod, CallerProof, CallerRequest } from '../callers/caller-method.ts';
import { type CallerMethodPorts, callerMethod } from '../callers/caller-methods.ts';
import { replayMemory } from '../callers/replay-memory.ts';

export const NOW: Instant = 1_800_000_000_000 as Instant;

const identity: CallerIdentity = {
  id: 'alice@company.com' as PrincipalId,
  kind: 'person',
  tenant: 'acme' as TenantId,
  roles: ['support-rep'],
  scopes: [],
  attributes: {},
};

/** A row that makes this subject alice. */
export const aliceIs = (subject: string): CallerMapping => ({ subject, identity });

export const at = (now: number = NOW): CallerContext => ({ now: now as Instant, bundle: `sha256:${'0'.repeat(64)}` as Digest });

/** A request with these headers, by name. */
export function callerRequest(
  headers: Readonly<Record<string, string>>,
  more: Partial<CallerRequest> & { readonly text?: string } = {},
): CallerRequest {
  const { text = '', ...rest } = more;
  return {
    method: 'POST',
    target: '/agents/support/invoke',
    authority: 'gate.example',
    rawHeaders: Object.entries(headers).flat(),
    body: utf8(text),
    peerCertificate: undefined,
    ...rest,
  };
}

/** The method of a configuration that has no problems. */
export function methodOf(config: Parameters<typeof callerMethod>[0], ports: Partial<CallerMethodPorts> = {}): CallerMethod {
  const made = callerMethod(config, { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant }), ...ports });
  if (!made.ok) throw new Error(JSON.stringify(made.error));
  return made.value;
}

/** The code of a refusal, or whom it proved. */
export async function verdict(method: CallerMethod, request: CallerRequest, context: CallerContext = at()): Promise<string> {
  const result: Result<CallerProof, Denial> = await method.verify(request, context);
  return result.ok ? result.value.principal.id : result.error.code;
}
