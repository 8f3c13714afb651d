/**
 * The agent proves itself with a client certificate: the port speaks TLS and lets nobody in without one of the named
 * authorities; here its name is judged, for every request, because a connection outlives a certificate.
 * docs/spec/sessions.md, section 6.4; the rules of such a certificate are docs/spec/callers.md, section 9.
 */

import { callerMethod, replayMemory, type CallerMethod } from '@sallyport/credentials';
import { decodeBase64, encodeBase64 } from '@sallyport/crypto';
import {
  deny,
  fail,
  invariant,
  ok,
  type AgentName,
  type BootMs,
  type Clock,
  type Denial,
  type Instant,
  type Problem,
  type Result,
} from '@sallyport/model';
import type { FileSystem } from '@sallyport/runtime';
import type { SidecarConfig } from '../config.ts';
import type { AgentCredential } from '../pipeline/ports.ts';
import { asStranger, rowFor, NO_BUNDLE } from './agent-row.ts';
import { methodOfFile, READ_AGAIN_MS, readWhole } from './method-of-file.ts';

type Certificate = NonNullable<SidecarConfig['outbound']['agent_certificate']>;

/** What a connection's certificate came to, and when. */
interface Proven {
  readonly by: CallerMethod;
  readonly at: BootMs;
  readonly expiresAt: Instant;
}

/** Whether the authorities can be used. The port's own pair is judged where the port is opened. */
export function judgeCertificate(section: Certificate, agent: AgentName, disk: FileSystem): readonly Problem[] {
  const path = 'outbound.agent_certificate.client_ca_file';
  const text = readWhole(section.client_ca_file, disk);
  if (text === undefined) return [{ path, message: `cannot read \`${section.client_ca_file}\`` }];
  const made = methodOf(section, agent, text);
  return made.ok ? [] : made.error.map((problem) => ({ ...problem, path: `${path}: ${problem.path}` }));
}

/** Judges the chain of a connection by the authorities as they lie on disk now: its end at once, all of it every second. */
export function agentCertificate(
  section: Certificate,
  { agent, disk, clock }: { agent: AgentName; disk: FileSystem; clock: Clock },
): AgentCredential {
  const current = methodOfFile({ path: section.client_ca_file, disk, clock, make: (text) => methodOf(section, agent, text) });
  const isAgent = ok(agent);
  // Owner: `judge`. By the chain, which is one object for each connection and gone with it.
  const proven = new WeakMap<readonly Uint8Array[], Proven>();

  return {
    isAsked: true,
    judge(_shown, chain) {
      if (chain.length === 0) return fail(deny('unauthenticated', 'no client certificate'));
      const by = current();
      if (by === undefined) return fail(deny('identity_unavailable', 'the authorities of agents cannot be read'));
      const [at, now] = [clock.boot(), clock.wall()];
      const known = proven.get(chain);
      if (known !== undefined && known.by === by && at - known.at < READ_AGAIN_MS)
        return now <= known.expiresAt ? isAgent : fail(deny('token_expired', 'the certificate of the agent has ended'));
      const verified = verify(by, chain, now);
      if (!verified.ok) return verified;
      proven.set(chain, { by, at, expiresAt: verified.value });
      return isAgent;
    },
  };
}

/** When the proven certificate ends. */
function verify(method: CallerMethod, peerCertificate: readonly Uint8Array[], now: Instant): Result<Instant, Denial> {
  const request = { method: 'POST', target: '/', authority: '', rawHeaders: [], body: undefined, peerCertificate };
  const proof = method.verify(request, { now, bundle: NO_BUNDLE });
  invariant(!(proof instanceof Promise), 'a certificate is judged without a turn');
  if (!proof.ok) return fail(asStranger(proof.error));
  invariant(proof.value.expiresAt !== null, 'a certificate has an end');
  return ok(proof.value.expiresAt);
}

function methodOf(section: Certificate, agent: AgentName, text: string): Result<CallerMethod, readonly Problem[]> {
  const authorities = [...text.matchAll(CERTIFICATE)].map((match) => decodeBase64((match[1] ?? '').replaceAll(/\s+/g, '')));
  return callerMethod(
    {
      kind: 'mtls',
      name: 'agent',
      authorities: authorities.map((der) => encodeBase64(der ?? new Uint8Array())),
      revocationLists: [],
      requiresRevocationList: false,
      principals: [rowFor(section.subject, agent)],
    },
    { secretOf: () => undefined, replay: replayMemory({ startedAt: 0 as Instant, entriesMax: 1 }) },
  );
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)\s+-----END CERTIFICATE-----/g;
