/**
 * The agent proves itself with the projected token of its Kubernetes service account, in `Sallyport-Agent`: verified
 * here, against the pinned keys of the cluster, for our audience alone. No request goes to the cluster.
 * docs/spec/sessions.md, section 6.3; the rules of such a token are docs/spec/callers.md, section 10.
 */

import { callerMethod, replayMemory, type CallerMethod } from '@sallyport/credentials';
import { encodeHex, sha256, utf8 } from '@sallyport/crypto';
import {
  deny,
  fail,
  ok,
  type AgentName,
  type Clock,
  type ClusterJwk,
  type Denial,
  type Instant,
  type Problem,
  type Result,
} from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { SidecarConfig } from '../config.ts';
import type { AgentCredential } from '../pipeline/ports.ts';
import { asStranger, rowFor, NO_BUNDLE } from './agent-row.ts';
import { methodOfFile, readWhole } from './method-of-file.ts';

type ServiceAccount = NonNullable<SidecarConfig['outbound']['agent_service_account']>;

const TOKEN_BYTES_MAX = 8_192;
/** Tokens that were verified, by hash: one pod has one, and another from the last fifth of its life on. */
const PROVEN_MAX = 64;

/** Whether the file of keys can be used; every problem of it and of the section. */
export function judgeServiceAccount(section: ServiceAccount, agent: AgentName, disk: FileSystem): readonly Problem[] {
  const path = 'outbound.agent_service_account';
  const text = readWhole(section.keys_file, disk);
  if (text === undefined) return [{ path: `${path}.keys_file`, message: `cannot read \`${section.keys_file}\`` }];
  const made = methodOf(section, agent, text);
  return made.ok ? [] : made.error.map((problem) => ({ ...problem, path: `${path}: ${problem.path}` }));
}

/** Judges tokens by the keys as they lie on disk now; a verified one is remembered until it ends or the keys change. */
export function agentServiceAccount(
  section: ServiceAccount,
  { agent, disk, clock }: { agent: AgentName; disk: FileSystem; clock: Clock },
): AgentCredential {
  const current = methodOfFile({ path: section.keys_file, disk, clock, make: (text) => methodOf(section, agent, text) });
  const isAgent = ok(agent);
  // Owner: `judge`. When each proven token ends, by hash; all of them proven by `by`.
  const proven = new Map<string, Instant>();
  let by: CallerMethod | undefined;

  const verified = async (method: CallerMethod, shown: string, key: string): Promise<Result<AgentName, Denial>> => {
    const proof = await method.verify(requestWith(shown), { now: clock.wall(), bundle: NO_BUNDLE });
    if (!proof.ok) return fail(asStranger(proof.error));
    const { expiresAt } = proof.value;
    // The keys may have changed while this one was verified; then it is verified again.
    if (expiresAt !== null && by === method) remember(proven, key, expiresAt);
    return isAgent;
  };

  return {
    isAsked: true,
    judge(shown) {
      if (shown === undefined) return refused('no Sallyport-Agent header');
      if (shown.length > TOKEN_BYTES_MAX) return refused('the token in Sallyport-Agent is too long');
      const method = current();
      if (method !== by) proven.clear();
      by = method;
      if (method === undefined) return fail(deny('identity_unavailable', 'the keys of the cluster cannot be read'));
      const key = encodeHex(sha256(utf8(shown)));
      const expiresAt = proven.get(key);
      if (expiresAt === undefined) return verified(method, shown, key);
      return clock.wall() < expiresAt ? isAgent : fail(deny('token_expired', 'the service-account token has ended'));
    },
  };
}

function remember(proven: Map<string, Instant>, key: string, expiresAt: Instant): void {
  proven.set(key, expiresAt);
  for (const oldest of proven.keys()) {
    if (proven.size <= PROVEN_MAX) return;
    proven.delete(oldest);
  }
}

function refused(detail: string): { readonly ok: false; readonly error: Denial } {
  return fail(deny('unauthenticated', detail));
}

/** As a caller would show it; the header is our own. */
function requestWith(token: string): Parameters<CallerMethod['verify']>[0] {
  const rawHeaders = ['authorization', `Bearer ${token}`];
  return { method: 'POST', target: '/', authority: '', rawHeaders, body: undefined, peerCertificate: undefined };
}

function methodOf(section: ServiceAccount, agent: AgentName, text: string): Result<CallerMethod, readonly Problem[]> {
  const keys = keysOf(text);
  if (keys === undefined) return fail([{ path: 'keys', message: 'the file is no JSON object with a list `keys`' }]);
  return callerMethod(
    {
      kind: 'kubernetes',
      name: 'agent',
      issuer: section.issuer,
      audience: section.audience,
      tokenLifetimeMsMax: section.token_lifetime_ms_max,
      keys,
      principals: [rowFor(section.subject, agent)],
    },
    { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant, entriesMax: 1 }) },
  );
}

/** The entries of a key set; what each of them is, is judged by the method. */
function keysOf(text: string): readonly ClusterJwk[] | undefined {
  try {
    const read: unknown = JSON.parse(text);
    const keys = typeof read === 'object' && read !== null && 'keys' in read ? read.keys : undefined;
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'object' && key !== null)) return undefined;
    return keys as readonly ClusterJwk[];
  } catch {
    return undefined;
  }
}
