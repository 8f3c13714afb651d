/** What the TLS of a tool's server must hold to, and what is shown to it, as the bundle says. */

import { qualifiedAgent, type CalledAgent } from './delegation.ts';

/** At least one of them. What is left out is as for any server of the web: the platform's authorities, and the host's name. */
export interface ServerTls {
  /** Its certificate leads to one of these: `workload` is the CA of this sidecar's own certificate, others base64 of DER. */
  readonly authorities?: 'workload' | readonly string[];
  /** The SPIFFE id that its certificate names, which then stands for the name of its host. */
  readonly identity?: string;
  /** In place of `identity`, any sidecar of this agent: of a server that is an agent. Nobody writes it; it follows from that. */
  readonly sidecarOf?: CalledAgent;
  /** What is shown: this sidecar's own certificate, or one from files of the secrets folder. */
  readonly client?: 'workload' | ClientFiles;
}

/** Both below the folder of secrets, as PEM: the leaf first, and its private key. */
export interface ClientFiles {
  readonly certificate: string;
  readonly key: string;
}

/**
 * A pattern for SPIFFE ids that a server or an agent may have. Not those by which this house knows its own workloads: who
 * holds a certificate of theirs must not pass for a tool.
 */
export const SERVICE_IDENTITY: string =
  '^(?!spiffe://[^/]+/(?:control-plane|collector|admin|sidecar)(?:/|$))spiffe://[a-z0-9._-]{1,255}(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._-]{1,128}){1,8}$';

/** Whether two declarations demand and show the same. */
export function isSameServerTls(a: ServerTls | undefined, b: ServerTls | undefined): boolean {
  return a === b || textOf(a) === textOf(b);
}

function textOf(tls: ServerTls | undefined): string {
  const { authorities, identity, sidecarOf, client } = tls ?? {};
  const shown = client === undefined || client === 'workload' ? client : [client.certificate, client.key];
  return JSON.stringify([authorities ?? null, identity ?? null, sidecarOf === undefined ? null : qualifiedAgent(sidecarOf), shown ?? null]);
}
