/**
 * What the TLS of a tool's server is held to and shown, as the policy says it: authorities of the policy or the workload
 * CA, and as client this sidecar's own certificate or one from files, each the latest there is. docs/spec/server-tls.md.
 */

import { certificatePem } from '@sallyport/crypto/keys';
import { parseSpiffeId } from '@sallyport/identity';
import { deny, invariant, type Clock, type ClientFiles, type Denial, type Destination, type ServerTls } from '@sallyport/model';
import { UpstreamFault, type TlsOf, type UpstreamTls } from '@sallyport/net';
import { decodeBase64 } from '@sallyport/crypto';
import type { Identity } from '../enrolment/identity-files.ts';
import { readClientPair } from './client-pair.ts';
import { HeldSecret, type SecretTimes } from './held-secret.ts';

/** The part of an identity with which a sidecar opens connections. */
export type ConnectingIdentity = Pick<Identity, 'spiffeId' | 'tlsChain' | 'tlsPem'>;

export interface ServerTlsRoom {
  /** What `workload` means from now on. */
  use(identity: ConnectingIdentity): void;
  /** A denial where a certificate that is to be shown cannot be had: then nothing may be sent. */
  ready(destination: Destination): Promise<Denial | undefined>;
  readonly of: TlsOf;
}

export interface ServerTlsOptions {
  readonly clock: Clock;
  /** Absent: no file can be named. */
  readonly folder: string | undefined;
  readonly times: SecretTimes;
}

/** Declarations, and pairs of files, held at a time: as many as two bundles can name. */
const HELD_MAX = 2_000;

export function serverTlsRoom(options: ServerTlsOptions): ServerTlsRoom {
  return new ServerTlsTerms(options);
}

interface Workload {
  readonly trustDomain: string;
  readonly authorities: readonly string[];
  readonly client: Pair;
}

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

interface Entry {
  readonly declared: ServerTls;
  readonly files: HeldSecret | undefined;
  /** Owner: `of`. What was handed out last, and what it was made of. */
  made?: { readonly tls: UpstreamTls; readonly workload: Workload | undefined; readonly shown: string | undefined };
}

class ServerTlsTerms implements ServerTlsRoom {
  readonly #options: ServerTlsOptions;
  // Owner of all below: this object. The oldest entries go first.
  #workload: Workload | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #files = new Map<string, HeldSecret>();
  /** A declaration lives as long as the policy that made it. */
  readonly #known = new WeakMap<ServerTls, Entry>();

  constructor(options: ServerTlsOptions) {
    this.#options = options;
  }

  use({ spiffeId, tlsChain, tlsPem }: ConnectingIdentity): void {
    const id = parseSpiffeId(spiffeId);
    const authority = tlsChain.at(-1);
    invariant(id.ok && authority !== undefined, 'a certificate names a workload, and its chain ends in the authority');
    const client = { certificate: tlsChain.slice(0, -1).map(certificatePem).join(''), key: tlsPem };
    this.#workload = { trustDomain: id.value.trustDomain, authorities: [certificatePem(authority)], client };
  }

  async ready({ server, tls }: Destination): Promise<Denial | undefined> {
    const files = tls === undefined ? undefined : this.#entryOf(tls).files;
    if (files === undefined) return undefined;
    await files.refresh();
    if (files.value() !== undefined) return undefined;
    return deny('credential_unavailable', `client certificate for \`${server}\`: ${files.state.failure ?? 'outdated'}`);
  }

  readonly of: TlsOf = async ({ server, tls }) => {
    invariant(tls !== undefined, 'asked where something is said of TLS');
    const entry = this.#entryOf(tls);
    await entry.files?.refresh();
    const shown = entry.files?.use();
    if (entry.files !== undefined && shown === undefined) throw unmet(server, 'its client certificate cannot be had');
    const { made } = entry;
    if (made !== undefined && made.workload === this.#workload && made.shown === shown) return made.tls;
    const next = termsOf(server, tls, { workload: this.#workload, shown });
    entry.made = { tls: next, workload: this.#workload, shown };
    return next;
  };

  #entryOf(declared: ServerTls): Entry {
    const known = this.#known.get(declared);
    if (known !== undefined) return known;
    const { authorities, identity, sidecarOf, client } = declared;
    const key = JSON.stringify([authorities ?? null, identity ?? null, sidecarOf ?? null, client ?? null]);
    const entry = kept(this.#entries, key, () => ({ declared, files: this.#filesOf(client) }));
    this.#known.set(declared, entry);
    return entry;
  }

  #filesOf(client: ServerTls['client']): HeldSecret | undefined {
    if (client === undefined || client === 'workload') return undefined;
    const { clock, folder, times } = this.#options;
    const read = async (files: ClientFiles) =>
      folder === undefined ? ({ failure: 'not_configured' } as const) : readClientPair(folder, files, clock.wall());
    return kept(this.#files, JSON.stringify([client.certificate, client.key]), () => new HeldSecret(() => read(client), { clock, times }));
  }
}

function kept<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const [first] = map.keys();
  if (map.size >= HELD_MAX && first !== undefined) map.delete(first);
  const made = make();
  map.set(key, made);
  return made;
}

function termsOf(
  server: string,
  { authorities, identity, sidecarOf, client }: ServerTls,
  { workload, shown }: { readonly workload: Workload | undefined; readonly shown: string | undefined },
): UpstreamTls {
  const own = (): Workload => {
    if (workload === undefined) throw unmet(server, 'this sidecar has no identity yet');
    return workload;
  };
  // Its CA speaks for its own trust domain, whatever a certificate under it says.
  const under = sidecarOf === undefined ? undefined : `spiffe://${sidecarOf.trustDomain ?? own().trustDomain}/sidecar/${sidecarOf.name}/`;
  if (authorities === 'workload' && (under ?? identity)?.startsWith(`spiffe://${own().trustDomain}/`) !== true)
    throw unmet(server, `\`${identity ?? ''}\` is not of the trust domain of the workload CA`);
  const pems = authorities === 'workload' ? own().authorities : authorities?.map(pemOf);
  const pair = client === 'workload' ? own().client : shown === undefined ? undefined : pairOf(shown);
  return {
    ...(pems === undefined ? {} : { authorities: pems }),
    ...(identity === undefined ? {} : { identity }),
    ...(under === undefined ? {} : { identityUnder: under }),
    ...(pair === undefined ? {} : { client: pair }),
  };
}

function pairOf(shown: string): Pair {
  const [certificate = '', key = ''] = shown.split('\0');
  return { certificate, key };
}

function pemOf(base64: string): string {
  const der = decodeBase64(base64);
  invariant(der !== undefined, 'the reader of policies decoded it');
  return certificatePem(der);
}

function unmet(server: string, why: string): UpstreamFault {
  return new UpstreamFault('upstream_untrusted', `\`${server}\`: ${why}`, { wasSent: false });
}
