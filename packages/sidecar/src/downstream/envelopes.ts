/**
 * Envelopes of the agent's calls: a signature (RFC 9421) over payload and head, by a key that the bundle has registered for the
 * agent. Whoever reaches the port and has the session's token has not the key. docs/spec/envelopes-v1.md.
 */

import { callerMethod, type CallerContext, type CallerMethod, type CallerRequest, type ReplayMemory } from '@sallyport/credentials';
import { encodeBase64Url, readP256Jwk } from '@sallyport/crypto';
import { hasField } from '@sallyport/identity';
import { deny, invariant, type Agent, type Denial } from '@sallyport/model';
import type { Envelopes, Sealed } from '../pipeline/ports.ts';
import { rowFor } from './agent-row.ts';

/** Of all envelopes; another one is another application's signature. */
const TAG = 'sallyport-envelope';
const LIFETIME_MS_MAX = 60_000;
const CLOCK_SKEW_MS_MAX = 5_000;
/** Covered whenever they are there: what ties the call to its session, says what its body is, or makes it the same as another. */
const CRITICAL: readonly string[] = ['content-type', 'idempotency-key', 'sallyport-approval', 'sallyport-session'];
/** What is to be told apart from a bad envelope: it was good before, or nobody can know whether it was. */
const KEPT_CODES: ReadonlySet<string> = new Set(['replay_detected', 'identity_unavailable']);
const NO_KEY = deny('signature_invalid', 'the agent has no key for envelopes');

/** `replay` is one for the life of the process. */
export function envelopes(replay: ReplayMemory): Envelopes {
  // Owner: this object. An agent of the bundle lives as long as its release; by the fields that have to be covered.
  const methods = new WeakMap<Agent, Map<string, CallerMethod>>();
  // Owner: this object. Requests whose nonce has been spent: a call may be judged anew.
  const spent = new WeakSet<object>();
  return {
    async judge(sealed, { agent, fields, now, bundle }) {
      const { agentSigning, required } = wantedOf(agent, fields, sealed);
      if (agentSigning === undefined) return NO_KEY;
      const method = methodFor(methods, { agent: agentSigning, required, replay });
      const context: CallerContext = { now, bundle, isAgain: spent.has(sealed.identity) };
      const request = requestOf(sealed);
      const against = method.judgeHead(request, context) ?? (await provenBy(method, request, context));
      if (against !== undefined) return KEPT_CODES.has(against.code) ? against : deny('signature_invalid', against.detail);
      spent.add(sealed.identity);
      return undefined;
    },
  };
}

type Signing = Agent & { readonly signingKeys: NonNullable<Agent['signingKeys']> };

function wantedOf(agent: Agent | undefined, fields: readonly string[], { rawHeaders }: Sealed) {
  const critical = CRITICAL.filter((name) => hasField(rawHeaders, name));
  const required: readonly string[] = [...new Set([...critical, ...fields])];
  return { agentSigning: agent?.signingKeys === undefined ? undefined : (agent as Signing), required };
}

async function provenBy(method: CallerMethod, request: CallerRequest, context: CallerContext): Promise<Denial | undefined> {
  const proof = await method.verify(request, context);
  return proof.ok ? undefined : proof.error;
}

/** The port speaks plain HTTP; its default port is no part of the authority. */
function requestOf({ method, target, authority, rawHeaders, body }: Sealed): CallerRequest {
  return { method, target, authority, rawHeaders, body, peerCertificate: undefined, scheme: 'http' };
}

function methodFor(
  methods: WeakMap<Agent, Map<string, CallerMethod>>,
  { agent, required, replay }: { readonly agent: Signing; readonly required: readonly string[]; readonly replay: ReplayMemory },
): CallerMethod {
  const ofAgent = methods.get(agent) ?? new Map<string, CallerMethod>();
  methods.set(agent, ofAgent);
  const key = required.join(' ');
  const known = ofAgent.get(key);
  if (known !== undefined) return known;
  const made = methodOf(agent, required, replay);
  ofAgent.set(key, made);
  return made;
}

function methodOf({ name, signingKeys }: Signing, fields: readonly string[], replay: ReplayMemory): CallerMethod {
  const method = callerMethod(
    {
      kind: 'http_signature',
      name: 'envelope',
      tag: TAG,
      lifetimeMsMax: LIFETIME_MS_MAX,
      clockSkewMsMax: CLOCK_SKEW_MS_MAX,
      fields,
      keys: signingKeys.map(({ kid, x, y }) => ({ id: kid, alg: 'ecdsa-p256-sha256', publicKey: rawOf(x, y) })),
      principals: signingKeys.map(({ kid }) => rowFor(kid, name)),
    },
    { secretOf: () => undefined, replay },
  );
  invariant(method.ok, 'keys and fields were judged when the policy was built');
  return method.value;
}

function rawOf(x: string, y: string): string {
  const key = readP256Jwk(x, y);
  invariant(key !== undefined, 'a registered key is a point of the curve');
  return encodeBase64Url(key.raw);
}
