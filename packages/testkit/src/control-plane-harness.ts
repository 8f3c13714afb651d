/**
 * A real control plane in this process, on ephemeral ports, with keys and signed files from the trust simulator: real
 * sockets, TLS, SQLite and disk. Time is a fake clock unless told otherwise. It starts half an hour ago: TLS itself reads
 * the machine's clock and the control plane's certificates live an hour, so a test can let about half an hour pass.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Audit,
  CreateJoinTokenRequestSchema,
  EnrolRequestSchema,
  Enrolment,
  Fleet,
  Publish,
  PutPartRequestSchema,
  SubmitBundleRequestSchema,
  SubmitReleaseRequestSchema,
  TailRequestSchema,
  TailRequest_View,
  create,
} from '@sallyport/contract';
import type { DescService, SubmitBundleResponse, SubmitReleaseResponse } from '@sallyport/contract';
import { CONTROL_PLANE_CONFIG, compose } from '@sallyport/control-plane';
import type { ControlPlane, ControlPlaneConfig } from '@sallyport/control-plane';
import { digestOf, sha256 } from '@sallyport/crypto';
import { certificatePem, createCsr, generateKey, savePrivateKey } from '@sallyport/crypto/keys';
import { Fault, PART_NAMES, formatProblem, invariant } from '@sallyport/model';
import type { AgentName, Area, Clock, Digest, Instant, PartName, Ring } from '@sallyport/model';
import { createClient, grpcFault, openChannel, tlsHolder } from '@sallyport/net';
import type { Channel, Client, GrpcStatus, TlsMaterial } from '@sallyport/net';
import { buildParts, parseDocuments } from '@sallyport/policy';
import type { PolicyFile } from '@sallyport/policy';
import { readConfig, systemClock, systemRandom } from '@sallyport/runtime';
import { createLog } from '@sallyport/telemetry';
import { CA_PREFIXES, JOIN_SECRET_BYTES, encodeAreaDelegation, encodeJoinToken, signEnvelope } from '@sallyport/trust';
import type { Bundle, CertificateAuthorityRecord, Release } from '@sallyport/trust';
import { fakeClock } from './fake-clock.ts';
import type { FakeClock } from './fake-clock.ts';
import { testAuthority } from './tls-identities.ts';
import type { IssueTestIdentity, TestAuthority } from './tls-identities.ts';
import { trustSimulator } from './trust-simulator.ts';
import type { Bend, Published, PublishedBundle, TrustSimulator } from './trust-simulator.ts';

export interface ControlPlaneHarnessOptions {
  /** A fake clock half an hour ago unless given; `system` where the control plane is a process of its own. */
  readonly clock?: FakeClock | 'system';
  /** Keys of the configuration that differ; sections are merged one level deep. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Files are written and nothing is started. */
  readonly isStopped?: boolean;
  /** Areas with the same publishers, beside the simulator's own. */
  readonly moreAreas?: readonly string[];
  /** Areas with publishers of their own: those of the simulator's layers. */
  readonly layers?: readonly string[];
  /** The simulator's area; `default` unless given. */
  readonly area?: string;
  /** What Root leaves to the directory, whose key the control plane then holds. */
  readonly directoryAttributes?: readonly string[];
  /** CAs that Root lists beside the workload CA. */
  readonly moreAuthorities?: readonly CertificateAuthorityRecord[];
}

/** A sidecar as the control plane knows it: enrolled, with its keys and certificates. */
export interface EnrolledSidecar {
  readonly spiffeId: string;
  readonly counter: bigint;
  readonly tls: TlsMaterial;
  readonly tlsPem: string;
  readonly auditPem: string;
  /** DER, leaf first. */
  readonly auditChain: readonly Uint8Array[];
  /** A connection of its own; closed with the harness. */
  readonly channel: Channel;
}

export interface EnrolOptions {
  readonly agent?: string;
  readonly instance?: string;
  readonly area?: string;
  readonly ring?: string;
}

export interface ControlPlaneHarness {
  readonly clock: FakeClock;
  readonly simulator: TrustSimulator;
  /** The workload CA, which Root 2 lists for every prefix. */
  readonly authority: TestAuthority;
  readonly directory: string;
  /** For running the control plane as a process of its own. */
  readonly configFile: string;
  readonly config: ControlPlaneConfig;
  /** The one that runs now. */
  readonly controlPlane: ControlPlane;
  /** What it has logged, as JSON lines. */
  readonly log: readonly string[];
  start(): Promise<void>;
  /** Speaks to a control plane that somebody else has started with this configuration. */
  attach(addresses: ReturnType<ControlPlane['addresses']>): void;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Ends it in order and starts another on the same disk, on new ports. */
  restart(): Promise<void>;
  /** A connection under a certificate for this path (`/admin/alice`); closed with the harness. */
  channel(path: string, options?: IssueTestIdentity): Promise<Channel>;
  /** A connection under whatever identity is given; closed with the harness, or when it stops. */
  open(tls: TlsMaterial): Channel;
  /** A client under whatever identity is given. */
  connect<S extends DescService>(tls: TlsMaterial, service: S): Client<S>;
  /** A client under a certificate for this path. */
  client<S extends DescService>(service: S, path: string): Promise<Client<S>>;
  /** A client on the enrolment port, which trusts by the CA's digest. */
  enrolment(): Client<typeof Enrolment>;
  /** The text of a new join token, registered by `/admin/alice`. */
  joinToken(options?: EnrolOptions): Promise<string>;
  /** Enrols with a join token made for it. */
  enrol(options?: EnrolOptions): Promise<EnrolledSidecar>;
  /** Builds the parts of a policy. Throws with every problem where it does not build. */
  build(files: readonly PolicyFile[]): Record<PartName, Uint8Array>;
  /** Signs the next bundle of these files, uploads its parts and submits it as `/admin/alice`. */
  publish(
    files?: readonly PolicyFile[],
    bend?: Bend<Bundle>,
  ): Promise<{ readonly bundle: PublishedBundle; readonly answer: SubmitBundleResponse }>;
  /** Uploads the parts and submits what is already signed. */
  submit(bundle: PublishedBundle): Promise<SubmitBundleResponse>;
  /** Signs the next release of this bundle, or of several, the broadest area first, and submits it as `/admin/alice`. */
  release(
    bundle: PublishedBundle | readonly PublishedBundle[],
    options?: Bend<Release> & { readonly leaveBehind?: boolean },
  ): Promise<{ readonly release: Published<Release>; readonly answer: SubmitReleaseResponse }>;
  /** Every record that the log holds now, oldest first, parsed. */
  records(): Promise<readonly Record<string, unknown>[]>;
  /** The ACT records among them. */
  acts(): Promise<readonly Record<string, unknown>[]>;
  /** The ALERT records among them. */
  alerts(): Promise<readonly Record<string, unknown>[]>;
  /** Lets time pass, a second at a time, until the promise settles; a minute at most. */
  passTime(until: Promise<unknown>): Promise<void>;
  /** Stops, closes every connection and removes the files. */
  close(): Promise<void>;
}

/** A small policy that compiles: agent `support-triage` may read orders, and its tests pass. `version` makes its parts differ. */
export function harnessPolicy(version = 1): readonly PolicyFile[] {
  const text = `apiVersion: sallyport.dev/v1
kind: Agent
name: support-triage
owner: team-support
uses: [orders]
---
kind: ToolServer
name: orders
http: { url: "http://127.0.0.1:9" }
network: loopback
---
kind: Tool
name: orders/get_order
route: { method: GET, path: "/orders/{order_id}" }
effect: read
description: "Reads an order, version ${version}"
arguments: { required: [order_id], properties: { order_id: { type: string, pattern: "^O-[0-9]+$" } } }
---
kind: Policy
agent: support-triage
rules:
  - { id: read-orders, allow: [orders/get_order], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/get_order, args: { order_id: O-1 }, expect: allow }
  - { call: orders/get_order, args: { order_id: X-1 }, expect: schema_violation }
`;
  return [{ path: 'policy/orders.yaml', text }];
}

const HALF_AN_HOUR_MS = 1_800_000;
const DAY_MS = 86_400_000;
const DEADLINE_MS = 20_000;
/** Pieces in which parts are uploaded; a message has at most a megabyte. */
const PIECE_BYTES = 262_144;
const ADMIN = '/admin/alice';
const TURNS_PER_SECOND = 200;

/** Files, keys and, unless `isStopped`, a running control plane. */
export async function controlPlaneHarness(options: ControlPlaneHarnessOptions = {}): Promise<ControlPlaneHarness> {
  const clock =
    options.clock === 'system' ? attachedClock() : (options.clock ?? fakeClock({ wall: (Date.now() - HALF_AN_HOUR_MS) as Instant }));
  const { simulator, authority, directory, configFile, config } = await writeFiles(clock, options);
  const channels: Channel[] = [];
  const identities = new Map<string, Promise<TlsMaterial>>();
  const lines: string[] = [];
  const log = createLog({ level: 'debug', name: 'control-plane', clock, write: (line) => lines.push(line) });
  let running: ControlPlane | undefined;
  let addresses: ReturnType<ControlPlane['addresses']> | undefined;
  const addressOf = (port: 'grpc' | 'enrolment'): { readonly host: string; readonly port: number } => {
    invariant(addresses !== undefined, 'the control plane is not running');
    return addresses[port];
  };

  const controlPlane = (): ControlPlane => {
    invariant(running !== undefined, 'the control plane is not running');
    return running;
  };
  const open = (tls: TlsMaterial): Channel => {
    const holder = tlsHolder(tls);
    invariant(holder.ok, 'a test identity is complete');
    const trust = { kind: 'peer', tls: holder.value, trustDomain: simulator.trustDomain, purpose: 'control_plane' } as const;
    const channel = openChannel({ ...addressOf('grpc'), trust, clock });
    channels.push(channel);
    return channel;
  };
  const channel = async (path: string, identity: IssueTestIdentity = {}): Promise<Channel> => {
    const key = `${path} ${JSON.stringify(identity)}`;
    const tls = identities.get(key) ?? authority.issue(path, { usage: 'tls-client', ...identity });
    identities.set(key, tls);
    return open(await tls);
  };
  const client = async <S extends DescService>(service: S, path: string): Promise<Client<S>> => createClient(service, await channel(path));
  const enrolment = (): Client<typeof Enrolment> => {
    const trust = {
      kind: 'ca_digest',
      digest: sha256(authority.ca.certificate),
      trustDomain: simulator.trustDomain,
      purpose: 'control_plane',
    } as const;
    const stranger = openChannel({ ...addressOf('enrolment'), trust, clock });
    channels.push(stranger);
    return createClient(Enrolment, stranger);
  };
  const start = async (): Promise<void> => {
    const next = compose(config, { clock, random: systemRandom, log });
    await next.start();
    running = next;
    addresses = next.addresses();
  };
  const stop = async (): Promise<void> => {
    const ending = running;
    running = undefined;
    addresses = undefined;
    for (const one of channels.splice(0)) one.close();
    await ending?.drain();
  };

  const newToken = async (of: Required<EnrolOptions>): Promise<Uint8Array> => {
    const secret = systemRandom(JOIN_SECRET_BYTES);
    const fleet = await client(Fleet, ADMIN);
    const { agent, area, ring } = of;
    const request = create(CreateJoinTokenRequestSchema, {
      secretHash: sha256(secret),
      agent,
      area,
      ring,
      expiresAtMs: BigInt(clock.wall() + 600_000),
    });
    take('creating a join token', await fleet.createJoinToken(request, { deadlineMs: DEADLINE_MS }));
    return secret;
  };
  const completed = (of: EnrolOptions): Required<EnrolOptions> => ({
    agent: 'support-triage',
    instance: 'one',
    area: simulator.area,
    ring: simulator.ring,
    ...of,
  });

  const submit = async (bundle: PublishedBundle): Promise<SubmitBundleResponse> => {
    const publish = await client(Publish, ADMIN);
    const { out, response } = publish.putPart({ deadlineMs: DEADLINE_MS });
    for (const name of PART_NAMES) {
      const part = bundle.parts[name];
      const digest = digestOf(part);
      for (let from = 0; from < part.byteLength; from += PIECE_BYTES) {
        out.write(create(PutPartRequestSchema, { digest, data: part.subarray(from, from + PIECE_BYTES) }));
        await out.drained();
      }
    }
    out.end();
    take('uploading parts', await response);
    const request = create(SubmitBundleRequestSchema, { envelope: bundle.envelope });
    return take('submitting a bundle', await publish.submitBundle(request, { deadlineMs: DEADLINE_MS }));
  };

  const records = async (kind?: string): Promise<readonly Record<string, unknown>[]> => {
    const lines: Record<string, unknown>[] = [];
    const audit = await client(Audit, '/collector');
    const request = create(TailRequestSchema, { view: TailRequest_View.RECORDS });
    for await (const batch of audit.tail(request, { signal: new AbortController().signal }))
      for (const line of batch.lines) lines.push(JSON.parse(new TextDecoder().decode(line)) as Record<string, unknown>);
    return lines.filter((line) => typeof line['kind'] === 'string' && (kind === undefined || line['kind'] === kind));
  };

  const harness: ControlPlaneHarness = {
    clock,
    simulator,
    authority,
    directory,
    configFile,
    config,
    log: lines,
    start,
    attach(elsewhere) {
      for (const one of channels.splice(0)) one.close();
      addresses = elsewhere;
    },
    stop,
    open,
    channel,
    client,
    connect: (tls, service) => createClient(service, open(tls)),
    enrolment,
    submit,
    get controlPlane() {
      return controlPlane();
    },
    async restart() {
      await stop();
      await start();
    },
    async joinToken(of = {}) {
      const { agent, area, ring } = completed(of);
      const secret = await newToken(completed(of));
      const { host, port } = addressOf('enrolment');
      return encodeJoinToken({
        trustDomain: simulator.trustDomain,
        rootPin: simulator.pin,
        caDigest: digestOf(authority.ca.certificate) as Digest,
        agent: agent as AgentName,
        area: area as Area,
        ring: ring as Ring,
        secret,
        enrolmentAddress: `${host}:${port}`,
      });
    },
    async enrol(of = {}) {
      const { agent, instance } = completed(of);
      const [tls, audit] = [generateKey('es256'), generateKey('ed25519')];
      const request = create(EnrolRequestSchema, {
        tokenSecret: await newToken(completed(of)),
        instance,
        tlsCsr: createCsr(tls.privatePem),
        auditCsr: createCsr(audit.privatePem),
      });
      const certificates = take('enrolling', await enrolment().enrol(request, { deadlineMs: DEADLINE_MS }));
      const material = { chain: certificates.tlsChain, privatePem: tls.privatePem, authorities: [authority.ca.certificate] };
      return {
        spiffeId: `spiffe://${simulator.trustDomain}/sidecar/${agent}/${instance}`,
        counter: certificates.counter,
        tls: material,
        tlsPem: tls.privatePem,
        auditPem: audit.privatePem,
        auditChain: certificates.auditChain,
        channel: open(material),
      };
    },
    build,
    async publish(files = harnessPolicy(), bend = {}) {
      const bundle = await simulator.publishBundle({ ...bend, parts: build(files) });
      return { bundle, answer: await submit(bundle) };
    },
    async release(bundle, { leaveBehind = false, ...bend } = {}) {
      const release = await simulator.publishRelease(bundle, bend);
      const publish = await client(Publish, ADMIN);
      const request = create(SubmitReleaseRequestSchema, { envelope: release.envelope, leaveBehind });
      return { release, answer: take('submitting a release', await publish.submitRelease(request, { deadlineMs: DEADLINE_MS })) };
    },
    records: async () => records(),
    acts: async () => records('ACT'),
    alerts: async () => records('ALERT'),
    async passTime(until) {
      const settled = new AbortController();
      const settle = (): void => settled.abort();
      until.then(settle, settle);
      for (let second = 0; second < 60 && !settled.signal.aborted; second++) {
        await clock.advance(1_000);
        // What a fake second set off travels over real sockets.
        for (let turn = 0; turn < TURNS_PER_SECOND && !settled.signal.aborted; turn++)
          await new Promise<void>((resolve) => setImmediate(resolve));
      }
    },
    async close() {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  if (options.isStopped !== true) await start();
  return harness;
}

/** The machine's clock, where there is no fake one: nothing can be advanced. */
function attachedClock(): FakeClock {
  const clock = systemClock();
  const refuse = (): never => {
    throw new Error('the clock of another process is not in the hands of this test');
  };
  return { ...clock, advance: refuse, setWall: refuse, suspend: refuse, timers: 0 };
}

function build(files: readonly PolicyFile[]): Record<PartName, Uint8Array> {
  const source = parseDocuments(files);
  const built = source.ok ? buildParts(source.value) : source;
  if (built.ok) return { ...built.value.parts };
  throw new Error(built.error.map(formatProblem).join('\n'));
}

interface Written {
  readonly simulator: TrustSimulator;
  readonly authority: TestAuthority;
  readonly directory: string;
  readonly configFile: string;
  readonly config: ControlPlaneConfig;
}

async function writeFiles(
  clock: Clock,
  {
    config: overrides = {},
    moreAuthorities = [],
    moreAreas = [],
    layers = [],
    area = 'default',
    directoryAttributes,
  }: ControlPlaneHarnessOptions,
): Promise<Written> {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-control-plane-'));
  const simulator = await trustSimulator({
    at: (clock.wall() - DAY_MS) as Instant,
    area,
    ...(directoryAttributes === undefined ? {} : { directoryAttributes }),
  });
  const authority = await testAuthority(simulator.trustDomain);
  const { certificate } = authority.ca;
  await simulator.publishRoot({
    edit: (root) => ({ ...root, certificateAuthorities: [{ certificate, prefixes: [...CA_PREFIXES] }, ...moreAuthorities] }),
  });
  const file = (name: string, content: string | Uint8Array): string => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return name;
  };
  const key = (name: string, pem: string): string => {
    const saved = savePrivateKey(join(directory, name), pem);
    invariant(saved.ok, 'a new key file can be written');
    return name;
  };
  const honest = {
    root_files: simulator.chain.map((envelope, index) => file(`${index + 1}.root.json`, envelope)),
    root_pin_file: file('root-pin', `${simulator.pin}\n`),
    allow_development_root: true,
    delegation_files: [
      file('delegation.json', simulator.delegation.envelope),
      ...(await delegationsOf(simulator, moreAreas)).map((envelope, index) => file(`delegation-${index}.json`, envelope)),
      ...(await Promise.all(layers.map((layer) => simulator.delegateLayer(layer)))).map((envelope, index) =>
        file(`delegation-of-layer-${index}.json`, envelope),
      ),
    ],
    online_keys_file: file('online-keys.json', simulator.onlineKeys.envelope),
    freshness_key_file: key('freshness.pem', simulator.privatePem('freshness-1')),
    revocation_key_file: key('revocation.pem', simulator.privatePem('revocation-1')),
    ...(directoryAttributes === undefined ? {} : { directory_key_file: key('directory.pem', simulator.privatePem('directory-1')) }),
    audit_key_file: key('audit.pem', generateKey('ed25519').privatePem),
    workload_ca: { certificate_file: file('ca.crt', certificatePem(certificate)), key_file: key('ca.pem', authority.ca.privatePem) },
    state_dir: 'state',
    listen: { grpc: '127.0.0.1:0', enrolment: '127.0.0.1:0' },
    server_names: ['localhost', '127.0.0.1'],
  };
  // JSON is YAML.
  const configFile = join(directory, file('config.yaml', JSON.stringify(merged(honest, overrides), undefined, 2)));
  const config = readConfig(CONTROL_PLANE_CONFIG, { file: configFile });
  if (!config.ok) throw new Error(config.error.map(formatProblem).join('\n'));
  return { simulator, authority, directory, configFile, config: config.value };
}

async function delegationsOf(simulator: TrustSimulator, areas: readonly string[]): Promise<readonly Uint8Array[]> {
  const registrars = ['registrar-1', 'registrar-2'].map((name) => simulator.signer(name));
  const payloads = areas.map((area) => encodeAreaDelegation({ ...simulator.delegation.payload, area: area as Area }));
  return Promise.all(payloads.map(async (payload) => signEnvelope('AreaDelegation', payload, registrars)));
}

function merged(honest: Readonly<Record<string, unknown>>, overrides: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const isSection = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
  const entries = Object.entries(overrides).map(([key, value]) => {
    const known = honest[key];
    return [key, isSection(value) && isSection(known) ? { ...known, ...value } : value];
  });
  return { ...honest, ...Object.fromEntries(entries) };
}

function take<T>(what: string, answer: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: GrpcStatus }): T {
  if (answer.ok) return answer.value;
  const fault: Fault = grpcFault(what, answer.error);
  throw fault;
}
