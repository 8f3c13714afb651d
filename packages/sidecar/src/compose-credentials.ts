/** Part of the composition root: session tokens, the register of credentials, and the beat on which it looks. */

import { sessionKeySet, sessionTokens, type SessionTokens } from '@sallyport/credentials';
import { signerFromPem } from '@sallyport/crypto/keys';
import { isSpiffeId, type SessionEpoch } from '@sallyport/identity';
import { invariant, type AgentName, type Clock, type Random } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import type { SidecarMetrics } from './admin/metrics.ts';
import type { Holder } from './bundle/holder.ts';
import type { Evidence } from './compose-evidence.ts';
import type { SidecarConfig } from './config.ts';
import type { Identity } from './enrolment/identity-files.ts';
import { credentialRegister, type CredentialRegister } from './secrets/credential-register.ts';
import type { Credentials } from './secrets/credentials.ts';

/** The tokens of both legs, by the one key of this sidecar's sessions, and that key as others may see it. */
export interface SessionTokensHeld {
  readonly agent: SessionTokens;
  readonly client: SessionTokens;
  readonly keySet: object;
}

export function sessionTokensOf(
  { sessionPem, spiffeId }: Identity,
  { epoch, random }: { epoch: SessionEpoch; random: Random },
): SessionTokensHeld {
  invariant(isSpiffeId(spiffeId), 'a certificate names a workload');
  const signer = signerFromPem(sessionPem);
  const minting = { signer, sidecar: spiffeId, epoch, random };
  return {
    agent: sessionTokens({ ...minting, leg: 'outbound' }),
    client: sessionTokens({ ...minting, leg: 'inbound' }),
    keySet: sessionKeySet({ signer, spiffeId }),
  };
}

export interface RegisterFrom {
  readonly config: SidecarConfig;
  readonly clock: Clock;
  readonly holder: Holder;
  readonly metrics: SidecarMetrics;
  readonly evidence: Evidence;
}

/** Of the credentials that calls of this sidecar's agent carry, by the policy that is held. */
export function registerOf(credentials: Credentials, { config, clock, holder, metrics, evidence }: RegisterFrom): CredentialRegister {
  return credentialRegister({
    clock,
    credentials,
    named: () => {
      const held = holder.read();
      return held.state === 'absent' ? [] : held.snapshot.policy.credentialsOf(config.agent as AgentName);
    },
    onStale: (name) => evidence.alert('CREDENTIAL_STALE', `credential \`${name}\` is older than its \`max_age\``),
    onLeak: (name, leak) =>
      leak === 'critical'
        ? evidence.alert('CREDENTIAL_LEAK_CRITICAL', `credential \`${name}\` leaked five days ago or more, and is in use`)
        : evidence.alert('CREDENTIAL_LEAKED', `credential \`${name}\` has leaked, and is in use`),
    onLeakAge: (name, leakMs) => metrics.credentialLeak(name, leakMs),
    onAge: (name, ageMs) => metrics.credentialAge(name, ageMs),
  });
}

/** Looks on a beat: rotation is found before a call needs it, and age without any call. Resolves when the signal aborts. */
export async function keepLooking(
  register: () => CredentialRegister | undefined,
  { config, clock, signal }: Pick<RegisterFrom, 'config' | 'clock'> & { readonly signal: AbortSignal },
): Promise<void> {
  while (await delay(clock, config.secrets.refresh_ms, { signal })) await register()?.look();
}
