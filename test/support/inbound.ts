/**
 * The way in, whole: callers over real TLS, a real sidecar, and a real agent behind it that records what reaches it. The
 * agent's own calls go out to a tool like everywhere else.
 */

import { certificatePem } from '@sallyport/crypto/keys';
import type { Instant } from '@sallyport/model';
import { recordingUpstream, testAuthority, type RecordingUpstream, type TestAuthority } from '@sallyport/testkit';
import { writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import type { SidecarConfig } from '@sallyport/sidecar';
import { connect as tlsConnect, type TLSSocket } from 'node:tls';
import type { AgentOptions } from 'node:https';
import { layDown } from './callers.ts';
import { issuerDocument, READ_ORDERS } from './policies.ts';
import {
  AGENT,
  eventually,
  startWorld,
  type HttpAnswer,
  type RunningSidecar,
  type SidecarOptions,
  type World,
  type WorldOptions,
} from './world.ts';

/** A client of the agent. */
export interface InboundSide {
  readonly world: World;
  /** The agent: what the sidecar forwards to. */
  readonly agent: RecordingUpstream;
  /** What the agent's own calls go to. */
  readonly tool: RecordingUpstream;
  readonly sidecar: RunningSidecar;
  readonly port: number;
  /** PEM of the authority that vouches for the port. */
  readonly ca: string;
  readonly authority: TestAuthority;
  /** A token of the identity provider's. */
  token(claims?: Record<string, unknown>): string;
  /** One request over a connection of its own, with alice's token unless told otherwise. */
  ask(path: string, options?: AskOptions): Promise<HttpAnswer>;
  /** A TLS connection on which bytes are written as they are. */
  raw(): Promise<TLSSocket>;
  close(): Promise<void>;
}

export interface AskOptions {
  readonly method?: string;
  readonly json?: unknown;
  readonly body?: string | Uint8Array;
  /** `undefined` leaves one out. */
  readonly headers?: Record<string, string | string[] | undefined>;
  readonly connection?: AgentOptions & { readonly agent?: import('node:https').Agent };
}

export interface InboundOptions extends WorldOptions {
  /** Of the Agent document; grants alice unless told otherwise. Empty: leaves the field out. */
  readonly callers?: string;
  readonly sessions?: string;
  readonly inbound?: {
    readonly headers?: readonly string[];
    readonly socket?: string;
    readonly url?: string;
    readonly tls?: { readonly authorities_file?: string; readonly identity?: string };
    readonly public_url?: string;
    readonly session_binding?: 'certificate' | 'address';
    readonly client_ca_file?: string;
    /** PEM: every connection must show a certificate of theirs. */
    readonly clientAuthorities?: string;
  };
  /** What stands in the policy beside agent, tool and issuer. */
  readonly documents?: string;
  /** Files of the sidecar's folder of secrets, by their paths. */
  readonly secrets?: Readonly<Record<string, string>>;
  readonly sidecar?: SidecarOptions;
}

export const ALICE_ALONE = 'callers: [{ roles: [support-rep] }]';

export function inboundPolicy(side: Pick<InboundSide, 'world' | 'tool'>, callers: string, sessions?: string, documents = ''): string {
  return `apiVersion: sallyport.dev/v1
kind: Agent
name: ${AGENT}
owner: team-support
uses: [orders]
${callers}
${sessions ?? 'sessions: { roots: [operator], idle: 15m, max: 8h }'}
---
kind: ToolServer
name: orders
http: { url: "${side.tool.url}" }
network: loopback
---
${READ_ORDERS.trim()}
${issuerDocument(side.world.idp)}${documents === '' ? '' : `---\n${documents}`}`;
}

export async function startInbound(options: InboundOptions = {}): Promise<InboundSide> {
  const [agent, tool, authority] = [await recordingUpstream(), await recordingUpstream(), await testAuthority()];
  const world = await startWorld(options);
  await world.admin.publish(inboundPolicy({ world, tool }, options.callers ?? ALICE_ALONE, options.sessions, options.documents));
  const { socket, url = agent.url, headers = [], tls, clientAuthorities, ...more } = options.inbound ?? {};
  const clientCa = join(world.dir, 'client-ca.pem');
  if (clientAuthorities !== undefined) writeFileSync(clientCa, clientAuthorities);
  const inbound = {
    ...(await inboundConfig({ world, authority }, url)),
    ...more,
    headers,
    ...(clientAuthorities === undefined ? {} : { client_ca_file: clientCa }),
    agent: socket === undefined ? { url, ...(tls === undefined ? {} : { tls }) } : { socket },
  };
  const secrets =
    options.secrets === undefined ? {} : { secrets: { folder: layDown(join(world.dir, 'secrets'), options.secrets), refresh_ms: 500 } };
  const sidecar = await world.startSidecar({ ...options.sidecar, config: { ...secrets, ...options.sidecar?.config, inbound } });
  await eventually(() => sidecar.ready(), 'readiness');
  const port = inboundPort(sidecar);
  const ca = certificatePem(authority.ca.certificate);
  const token = (claims: Record<string, unknown> = {}): string => world.idp.mint(world.clock.wall() as Instant, { claims });
  return {
    world,
    agent,
    tool,
    sidecar,
    port,
    ca,
    authority,
    token,
    ask: (path, asked = {}) => askAgent({ port, ca, path, token }, asked),
    raw: () =>
      new Promise((resolve, reject) => {
        const secured = tlsConnect({ host: '127.0.0.1', port, ca });
        secured.once('secureConnect', () => resolve(secured));
        secured.once('error', reject);
      }),
    async close() {
      await world.close();
      await agent.close();
      await tool.close();
    },
  };
}

/** The section of a sidecar's configuration, with a certificate of the authority's, for an agent at a URL. */
export async function inboundConfig(
  { world, authority }: Pick<InboundSide, 'world' | 'authority'>,
  url: string,
): Promise<NonNullable<SidecarConfig['inbound']>> {
  const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
  const { chain, privatePem } = await authority.issue('/sidecar/support-triage/one', names);
  const [certificate, key] = [join(world.dir, 'inbound.pem'), join(world.dir, 'inbound.key')];
  writeFileSync(certificate, chain.map((der) => certificatePem(der)).join(''));
  writeFileSync(key, privatePem, { mode: 0o600 });
  const listen = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;
  return { listen, certificate_file: certificate, key_file: key, session_binding: 'none', headers: [], agent: { url } };
}

/** The port on which a running sidecar's agent is reached. */
export function inboundPort({ sidecar }: RunningSidecar): number {
  const address = sidecar.addresses().inbound;
  return address?.kind === 'tcp' ? address.port : 0;
}

interface Target {
  readonly port: number;
  readonly ca: string;
  readonly path: string;
  readonly token: () => string;
}

/** One request over a connection of its own. */
export function askAgent(
  { port, ca, path, token }: Target,
  { method = 'POST', json, body, headers = {}, connection }: AskOptions,
): Promise<HttpAnswer> {
  const content = json === undefined ? body : JSON.stringify(json);
  const all = {
    authorization: `Bearer ${token()}`,
    ...(json === undefined ? {} : { 'content-type': 'application/json' }),
    ...headers,
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as Record<string, string | string[]>;
  return new Promise((resolve, reject) => {
    const sent = httpsRequest({ host: '127.0.0.1', port, path, method, ca, headers: given, agent: false, ...connection }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => JSON.parse(text) as Record<string, unknown>,
        });
      });
    });
    sent.on('error', reject);
    sent.end(content);
  });
}

/** The code of a refusal, or the status of an answer. */
export function codeOf(answer: HttpAnswer): string {
  return answer.headers['content-type'] === 'application/problem+json' ? String(answer.json()['code']) : String(answer.status);
}
