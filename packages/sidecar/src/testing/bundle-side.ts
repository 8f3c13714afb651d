/**
 * The sidecar's own activator, vault and holder on a simulated disk and a fake clock, fed by the trust simulator: what
 * an attacker between the signers and the pointer can reach. Everything but signers, disk and time is the real thing.
 */

import { randomBytes } from '@sallyport/crypto/keys';
import type { Digest, Instant, PartName, Result } from '@sallyport/model';
import { buildParts, parseDocuments, type Beneath, type LayerParts, type PolicyFile } from '@sallyport/policy';
import type { FileSystem } from '@sallyport/runtime';
import {
  fakeClock,
  simulatedDisk,
  SIMULATED_START,
  type Bend,
  type FakeClock,
  type Published,
  type PublishedBundle,
  type PublishedDirectory,
  type SimulatedDisk,
  type TrustSimulator,
} from '@sallyport/testkit';
import type { Bundle, PolicyState, Receiver, Rejection } from '@sallyport/trust';
import { Activator } from '../bundle/activator.ts';
import type { Candidate, FetchParts, Verdict } from '../bundle/candidate.ts';
import { createHolder, type Holder } from '../bundle/holder.ts';
import { compilePolicy, testPolicy } from '../bundle/policy-bytes.ts';
import { openVault } from '../bundle/vault.ts';
import type { Vet } from '../bundle/vetting.ts';

/** Requests that may wait for a fresh bundle at once. */
export const WAITING_MAX = 2;
export const FOLDER = '/state/bundle';

/** One start of the bundle side: between `load` and the next loss of power. */
export interface BundleSide {
  readonly activator: Activator;
  readonly holder: Holder;
  readonly clock: FakeClock;
  /** Codes of what was refused in this start, with the kind: `release ROLLBACK`. */
  readonly refusals: readonly string[];
  offer(candidate: Candidate): Promise<Result<Verdict, Rejection>>;
  offerBundle(bundle: PublishedBundle, parts?: Partial<Record<PartName, Uint8Array>>): Promise<Result<Verdict, Rejection>>;
  offerRelease(release: Pick<Published<unknown>, 'envelope'>): Promise<Result<Verdict, Rejection>>;
  offerDirectory(directory: PublishedDirectory, content?: Uint8Array): Promise<Result<Verdict, Rejection>>;
  /** A question, answered honestly by the simulator at the clock's wall time. */
  prove(simulator: TrustSimulator): Promise<Result<Verdict, Rejection>>;
  /** An honest statement of now. */
  hear(simulator: TrustSimulator): Promise<Result<Verdict, Rejection>>;
  /** Lets time pass second by second, charging ages as a running process does. */
  run(ms: number): Promise<void>;
  state(): PolicyState;
  /** `release 3` where calls pass, otherwise `denies (<reason>)`. */
  serves(): string;
}

export interface BundleSideOptions {
  readonly simulator: TrustSimulator;
  readonly fs: FileSystem;
  readonly clock?: FakeClock;
  readonly receiver?: Partial<Receiver>;
  readonly pin?: Digest;
  readonly allowDevelopmentRoot?: boolean;
  readonly vet?: Vet;
}

/** The same verdicts as the worker's, on this thread. */
export const vetHere: Vet = async (bytes) => {
  const compiled = compilePolicy(bytes);
  return compiled.ok ? testPolicy(compiled.value) : compiled;
};

/** Starts on what the disk holds, as the process does. */
export async function startBundleSide(options: BundleSideOptions): Promise<BundleSide> {
  const { simulator, fs, clock = startClock(), receiver = {}, pin = simulator.pin, allowDevelopmentRoot = true, vet = vetHere } = options;
  const refusals: string[] = [];
  const holder = createHolder({ clock, waitingMax: WAITING_MAX });
  const activator = new Activator({
    pin,
    allowDevelopmentRoot,
    receiver: { area: simulator.area, ring: simulator.ring, identity: identityOf(simulator), ...receiver },
    clock,
    random: randomBytes,
    vault: openVault(fs, FOLDER),
    holder,
    vet,
    events: { activated: () => undefined, rejected: (kind, { code }) => void refusals.push(`${kind} ${code}`) },
  });
  await activator.load();
  const side: BundleSide = {
    activator,
    holder,
    clock,
    refusals,
    offer: (candidate) => activator.offer(candidate),
    offerBundle: (bundle, parts = bundle.parts) =>
      activator.offer({ kind: 'bundle', envelope: bundle.envelope, delegation: bundle.delegation, fetch: fetchFrom(parts) }),
    offerDirectory: ({ envelope, content: honest }, content = honest) =>
      activator.offer({ kind: 'directory', envelope, fetch: async () => content }),
    offerRelease: ({ envelope }) => activator.offer({ kind: 'release', envelope }),
    prove: async (from) => activator.offer({ kind: 'live_proof', offer: (await from.proveLive(clock.wall(), activator.ask())).offer }),
    hear: async (from) => activator.offer({ kind: 'freshness', offer: (await from.stateFreshness(clock.wall())).offer }),
    async run(ms) {
      for (let left = ms; left > 0; left -= 1_000) {
        await clock.advance(Math.min(left, 1_000));
        await activator.charge();
      }
    },
    state: () => holder.state(),
    serves: () => {
      const held = holder.read();
      if (held.state === 'fresh') return `release ${held.snapshot.releaseSeq}`;
      const state = holder.state();
      return `denies (${state.kind === 'stale' ? state.reason : state.kind})`;
    },
  };
  return side;
}

export function identityOf(simulator: TrustSimulator): string {
  return `spiffe://${simulator.trustDomain}/sidecar/support-triage/one`;
}

/** Both clocks at the simulator's start. A machine that has started again counts boot time from elsewhere. */
export function startClock(of: { readonly wall?: Instant; readonly boot?: number } = {}): FakeClock {
  return fakeClock({ wall: of.wall ?? SIMULATED_START, boot: of.boot ?? 1_000_000 });
}

/** The clock of the next boot of the same machine: the wall clock went on, boot time began anew. */
export function nextBoot(clock: FakeClock, { awayMs = 0 }: { readonly awayMs?: number } = {}): FakeClock {
  return fakeClock({ wall: (clock.wall() + awayMs) as Instant, boot: (clock.boot() + 7_000_000) % 9_000_000 });
}

/** Brings what it was given, whatever is asked for. */
export function fetchFrom(parts: Partial<Record<PartName, Uint8Array>>): FetchParts {
  return async () => parts;
}

/** A policy that compiles and passes its own tests; `version` makes its catalog differ, `tools` makes it long. */
function policyFiles(version: number, tools: number): readonly PolicyFile[] {
  const allowed = ['orders/get_order', ...Array.from({ length: tools - 1 }, (_, index) => `orders/more_${index}`)].join(', ');
  const more = Array.from({ length: tools - 1 }, (_, index) => ({ path: `policy/tool-${index}.yaml`, text: moreTool(index) }));
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
  - { id: read-orders, allow: [${allowed}], for: { roles: [support-rep] } }
---
kind: Test
given: { roles: [support-rep] }
cases:
  - { call: orders/get_order, args: { order_id: O-1 }, expect: allow }
`;
  return [{ path: 'policy/orders.yaml', text }, ...more];
}

function moreTool(index: number): string {
  return `apiVersion: sallyport.dev/v1
kind: Tool
name: orders/more_${index}
route: { method: GET, path: "/more/${index}" }
effect: read
description: "${`Says more about ${index}. `.repeat(60).trim()}"
`;
}

/** A bundle of a broader area, or of the simulator's own, that was built as a layer beneath these. */
export async function publishLayer(
  simulator: TrustSimulator,
  area: string,
  { text, above = [], ...bend }: Bend<Bundle> & { readonly text: string; readonly above?: readonly PublishedBundle[] },
): Promise<PublishedBundle> {
  const beneath = { name: area, above: above.map(({ payload, parts }): LayerParts => ({ name: payload.area, parts })) };
  const { parts, features } = buildOnce(
    [{ path: `${area}.yaml`, text }],
    beneath,
    above.map(({ digest }) => digest),
  );
  const { edit = (bundle: Bundle): Bundle => bundle, ...rest } = bend;
  const layer = { ...rest, parts, edit: (bundle: Bundle): Bundle => edit({ ...bundle, features }) };
  return area === simulator.area ? simulator.publishBundle(layer) : simulator.publishLayer(area, layer);
}

type Built = Pick<Extract<ReturnType<typeof buildParts>, { readonly ok: true }>['value'], 'parts' | 'features'>;
/** By text: a power-loss test publishes the same policy hundreds of times. */
const built = new Map<string, Built>();

function buildOnce(files: readonly PolicyFile[], beneath?: Beneath, above: readonly Digest[] = []): Built {
  const name = JSON.stringify([files, beneath?.name, above]);
  const known = built.get(name);
  if (known !== undefined) return known;
  const source = parseDocuments(files, beneath);
  const made = source.ok ? buildParts(source.value, beneath) : source;
  if (!made.ok) throw new Error(JSON.stringify(made.error, undefined, 1));
  built.set(name, made.value);
  return made.value;
}

export interface PolicyOptions extends Bend<Bundle> {
  /** Makes the parts differ. */
  readonly version?: number;
  /** How many tools; each takes about 1.3 KB of the catalog. */
  readonly tools?: number;
  readonly files?: readonly PolicyFile[];
}

/** A signed bundle that compiles and passes its tests. */
export async function publishPolicy(
  simulator: TrustSimulator,
  { version = 1, tools = 1, files = policyFiles(version, tools), ...bend }: PolicyOptions = {},
): Promise<PublishedBundle> {
  const { parts, features } = buildOnce(files);
  const { edit = (bundle: Bundle): Bundle => bundle, ...rest } = bend;
  return simulator.publishBundle({ ...rest, parts, edit: (bundle) => edit({ ...bundle, features }) });
}

/** A sidecar that serves release 1 of `simulator`, on a disk of its own. */
export async function servingSide(
  simulator: TrustSimulator,
  options: Omit<BundleSideOptions, 'simulator' | 'fs'> = {},
): Promise<{ side: BundleSide; disk: SimulatedDisk; bundle: PublishedBundle; release: Published<unknown> }> {
  const disk = simulatedDisk();
  const side = await startBundleSide({ ...options, simulator, fs: disk.fs });
  const bundle = await publishPolicy(simulator);
  const release = await simulator.publishRelease(bundle);
  await feed(side, simulator, { bundle, release });
  return { side, disk, bundle, release };
}

/** Roots, keys, a proof, a bundle and its release, in the order in which a stream brings them. */
export async function feed(
  side: BundleSide,
  simulator: TrustSimulator,
  { bundle, release }: { readonly bundle: PublishedBundle; readonly release: Pick<Published<unknown>, 'envelope'> },
): Promise<void> {
  const must = async (what: string, taken: Promise<Result<Verdict, Rejection>>): Promise<void> => {
    const result = await taken;
    if (!result.ok) throw new Error(`${what}: ${result.error.code}: ${result.error.detail}`);
  };
  for (const envelope of simulator.chain) await must('root', side.offer({ kind: 'root', envelope }));
  await must('online keys', side.offer({ kind: 'online_keys', envelope: simulator.onlineKeys.envelope }));
  await must('bundle', side.offerBundle(bundle));
  await must('proof', side.prove(simulator));
  await must('release', side.offerRelease(release));
}
