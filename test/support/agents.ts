/**
 * Several agents, each beside a real sidecar of its own, that call each other over mutual TLS under the world's workload CA;
 * a tool that records what reaches it; and strangers with keys of their own, who send what no honest sidecar would.
 */

import { signHop } from '@sallyport/credentials';
import {
  certificatePem,
  generateKey,
  issueCertificate,
  randomBytes,
  signerFromPem,
  type CertificateAuthority,
} from '@sallyport/crypto/keys';
import { decodeBase64, type CertificateUsage } from '@sallyport/crypto';
import { nextHop, type Hop, type HopGrant, type ProvenHop, type SpiffeId } from '@sallyport/identity';
import type { AgentName, Clock, Instant } from '@sallyport/model';
import type { SidecarConfig } from '@sallyport/sidecar';
import { recordingUpstream, testAuthority, type RecordingUpstream } from '@sallyport/testkit';
import { readFileSync, writeFileSync } from 'node:fs';
import type { AgentOptions } from 'node:https';
import { join } from 'node:path';
import { askAgent, inboundPort } from './inbound.ts';
import { eventually, startWorld, type HttpAnswer, type RunningSidecar, type SidecarOptions, type World } from './world.ts';

/** A trust domain and the CA of its workloads. */
export interface Domain {
  readonly trustDomain: string;
  readonly ca: CertificateAuthority;
}

/** One agent with its sidecar. */
export interface AgentSide {
  readonly name: string;
  /** The agent: what its sidecar forwards to. */
  readonly stub: RecordingUpstream;
  readonly sidecar: RunningSidecar;
  readonly port: number;
  readonly url: string;
  readonly id: SpiffeId;
}

export interface Agents {
  readonly world: World;
  readonly domain: Domain;
  /** A trust domain that policies may pin; every port asks for certificates of its CA as well. */
  readonly partner: Domain;
  readonly tool: RecordingUpstream;
  readonly sides: Readonly<Record<string, AgentSide>>;
  /** The session token that an agent was given with the last request that reached it. */
  tokenGiven(name: string): string;
  close(): Promise<void>;
}

/** Starts the sidecars, then publishes the policy, which may name where they are and the tool. */
export async function startAgents(
  names: readonly string[],
  policy: (about: { sides: Readonly<Record<string, AgentSide>>; tool: string; world: World; partner: Domain }) => string,
  configOf: (name: string) => NonNullable<SidecarOptions['config']> = () => ({}),
): Promise<Agents> {
  const [world, tool] = [await startWorld(), await recordingUpstream()];
  const domain: Domain = { trustDomain: 'demo.local', ca: workloadCa(world.dir) };
  const partner: Domain = await testAuthority('partner.example');
  const sides: Record<string, AgentSide> = {};
  for (const name of names) {
    const stub = await recordingUpstream();
    const id = `spiffe://demo.local/sidecar/${name}/${name}` as SpiffeId;
    const inbound = await inboundOf(world, [domain, partner], { name, url: stub.url });
    const sidecar = await world.startSidecar({ name, agent: name as AgentName, config: { ...configOf(name), inbound } });
    const port = inboundPort(sidecar);
    sides[name] = { name, stub, sidecar, port, url: `https://127.0.0.1:${port}`, id };
  }
  await world.admin.publish(policy({ sides, tool: tool.url, world, partner }));
  for (const { sidecar, name } of Object.values(sides)) await eventually(() => sidecar.ready(), `readiness of ${name}`);
  return {
    world,
    domain,
    partner,
    tool,
    sides,
    tokenGiven: (name) => sides[name]?.stub.requests.at(-1)?.headers['sallyport-session'] as string,
    async close() {
      await world.close();
      await tool.close();
      for (const { stub } of Object.values(sides)) await stub.close();
    },
  };
}

/** The CA that `root init` made; a test may issue with it what an attacker in the fleet would hold. */
function workloadCa(dir: string): CertificateAuthority {
  const pem = readFileSync(join(dir, 'control-plane', 'workload-ca.crt'), 'utf8');
  const certificate = decodeBase64(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''));
  if (certificate === undefined) throw new Error('the workload CA is PEM');
  return { certificate, privatePem: readFileSync(join(dir, 'control-plane', 'workload-ca.pem'), 'utf8') };
}

/** A port that asks every caller for a certificate of our workloads. */
async function inboundOf(
  world: World,
  [domain, ...others]: readonly [Domain, ...Domain[]],
  { name, url }: { name: string; url: string },
): Promise<NonNullable<SidecarConfig['inbound']>> {
  const { chain, privatePem } = await issue(domain, `/sidecar/${name}/${name}`, 'tls-server');
  const file = (ending: string, content: string): string => {
    const path = join(world.dir, `${name}-inbound.${ending}`);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  return {
    listen: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    certificate_file: file('pem', chain.map((der) => certificatePem(der)).join('')),
    key_file: file('key', privatePem),
    client_ca_file: file('ca', [domain, ...others].map(({ ca }) => certificatePem(ca.certificate)).join('')),
    headers: [],
    session_binding: 'none',
    agent: { url },
  };
}

export interface Issued {
  readonly chain: readonly Uint8Array[];
  readonly privatePem: string;
}

const HOUR_MS = 3_600_000;

export async function issue(
  { trustDomain, ca }: Domain,
  path: string,
  usage: CertificateUsage,
  life: { notBefore?: number; notAfter?: number } = {},
): Promise<Issued> {
  const key = generateKey('es256');
  const now = Math.floor(Date.now() / 1_000) * 1_000;
  const leaf = await issueCertificate({
    ca,
    subjectPublicKey: { alg: 'es256', raw: key.publicRaw },
    spiffeId: `spiffe://${trustDomain}${path}`,
    usage,
    dnsNames: usage === 'tls-server' ? ['localhost'] : [],
    ipAddresses: usage === 'tls-server' ? ['127.0.0.1'] : [],
    notBefore: (life.notBefore ?? now - HOUR_MS / 2) as Instant,
    notAfter: (life.notAfter ?? now + HOUR_MS / 2) as Instant,
    serial: randomBytes(16),
  });
  return { chain: [leaf, ca.certificate], privatePem: key.privatePem };
}

/** A sidecar whose keys the test holds: it opens connections and signs hops, honest but for what it is told. */
export interface PosedSidecar {
  readonly id: SpiffeId;
  readonly connection: AgentOptions;
  /** A hop after those given; `bend` is what it signs against the rules. */
  hop(entered: readonly ProvenHop[], grant: Partial<HopGrant> & Pick<HopGrant, 'audience'>, bend?: Partial<Hop>): Promise<string>;
}

export async function posedSidecar(domain: Domain, agent: string, clock: Clock): Promise<PosedSidecar> {
  const path = `/sidecar/${agent}/posed`;
  const id = `spiffe://${domain.trustDomain}${path}` as SpiffeId;
  const [tls, assertion] = [await issue(domain, path, 'tls-client'), await issue(domain, path, 'assertion')];
  const signing = { signer: signerFromPem(assertion.privatePem), chain: assertion.chain.slice(0, 1) };
  return {
    id,
    connection: { cert: certificatePem(tls.chain[0] ?? new Uint8Array()), key: tls.privatePem },
    async hop(entered, grant, bend = {}) {
      const made = nextHop({
        entered,
        self: id,
        transaction: 'transaction-1',
        root: { kind: 'human', subject: 'alice@company.com', tenant: 'acme', authenticatedAt: (clock.wall() - 60_000) as Instant },
        scopes: ['orders:read'],
        authority: 'retained',
        depthMax: 8,
        now: clock.wall(),
        ...grant,
      });
      if (!made.ok) throw new Error(made.error.detail);
      return signHop({ ...made.value, ...bend }, signing);
    },
  };
}

/** One request to an agent's inbound port by a posed sidecar, with the hops that it shows. */
export function callAgent(
  { world, domain }: Pick<Agents, 'world' | 'domain'>,
  to: AgentSide,
  asked: { as?: PosedSidecar; hops?: readonly string[]; headers?: Record<string, string>; connection?: AgentOptions },
): Promise<HttpAnswer> {
  const { as, hops } = asked;
  const ca = certificatePem(domain.ca.certificate);
  return askAgent(
    { port: to.port, ca, path: `/agents/${to.name}/invoke`, token: () => world.idp.mint(world.clock.wall()) },
    {
      json: { question: 'which order?' },
      headers: {
        authorization: undefined,
        ...(hops === undefined ? {} : { 'sallyport-delegation': hops.join(', ') }),
        ...asked.headers,
      },
      connection: { ...as?.connection, ...asked.connection, checkServerIdentity: () => undefined },
    },
  );
}
