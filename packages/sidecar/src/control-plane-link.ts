/** Part of the composition root: everything that speaks to the control plane while the process lives. No request waits for it. */

import { Audit, Enrolment, PolicyPlane } from '@sallyport/contract';
import { parseSpiffeId } from '@sallyport/identity';
import { invariant, type Clock, type Random } from '@sallyport/model';
import { createClient, openChannel, tlsHolder, type Channel, type TlsHolder } from '@sallyport/net';
import { backoff, type Backoff, type Drain } from '@sallyport/runtime';
import type { Journal } from '@sallyport/store';
import type { Log } from '@sallyport/telemetry';
import { ship } from './audit/shipper.ts';
import type { Activator } from './bundle/activator.ts';
import { followStream, type Vitals } from './bundle/stream-source.ts';
import type { SidecarConfig } from './config.ts';
import { keepRenewed } from './enrolment/enroller.ts';
import type { Identity, IdentityFiles } from './enrolment/identity-files.ts';

export interface LinkOptions {
  readonly config: SidecarConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly build: string;
  readonly drain: Drain;
  readonly activator: Activator;
  readonly journal: Journal;
  readonly files: IdentityFiles;
  readonly vitals: () => Vitals;
  readonly onConnected: (isConnected: boolean) => void;
  readonly onAck: () => void;
  readonly onAlert: (code: string, detail: string) => void;
  readonly onRenewed: (identity: Identity) => void;
}

const RETRY_MS_MIN = 200;
const RETRY_MS_MAX = 15_000;

/** Starts the policy stream, shipping and renewal; the drain ends them. */
export function linkToControlPlane(identity: Identity, options: LinkOptions): void {
  const { drain, log, random, clock, files } = options;
  const tls = tlsHolder(materialOf(identity));
  invariant(tls.ok, 'the identity was read with its key');
  const channel = openLink(tls.value, identity, options);
  const retry = (): Backoff => backoff({ minMs: RETRY_MS_MIN, maxMs: RETRY_MS_MAX, random });
  drain.track('policy stream', followPolicy(channel, retry(), options));
  drain.track('shipping', shipRecords(channel, retry(), options));
  const renewed = (next: Identity): void => {
    const replaced = tls.value.replace(materialOf(next));
    if (!replaced.ok) log.error('certificate_not_replaced', { reason: replaced.error.map(({ message }) => message).join('; ') });
    options.onRenewed(next);
  };
  const renewal = keepRenewed(identity, {
    files,
    clock,
    backoff: retry(),
    fraction: () => (random(1)[0] ?? 0) / 255,
    client: () => createClient(Enrolment, channel),
    signal: drain.draining,
    onRenewed: renewed,
    onFailure: (reason) => log.warn('renewal_failed', { reason }),
  });
  drain.track('renewal', renewal);
}

function followPolicy(channel: Channel, retry: Backoff, options: LinkOptions): Promise<void> {
  const { activator, clock, build, vitals, log, drain } = options;
  // Owner: this stream; so that a control plane that stays away is logged once.
  let isConnected: boolean | undefined;
  return followStream(
    {
      activator,
      client: () => createClient(PolicyPlane, channel),
      clock,
      backoff: retry,
      build,
      vitals,
      onConnection: (state, reason) => {
        if (isConnected === (state === 'connected')) return;
        isConnected = state === 'connected';
        options.onConnected(isConnected);
        log.info(`policy_stream_${state}`, reason === '' ? {} : { reason });
      },
    },
    { signal: drain.draining },
  );
}

/** Shipping goes on through the drain, until everything is acknowledged or the grace is over. */
function shipRecords(channel: Channel, retry: Backoff, options: LinkOptions): Promise<void> {
  const { journal, clock, drain } = options;
  const over = new AbortController();
  const endWhenShipped = (): void => {
    if (drain.draining.aborted && journal.status.unacknowledgedRecords === 0) over.abort();
  };
  drain.cut.addEventListener('abort', () => over.abort(), { once: true });
  drain.draining.addEventListener('abort', endWhenShipped, { once: true });
  // Owner: this shipping; so that a collector that stays away is logged once.
  let isLost = false;
  const onAck = (): void => {
    isLost = false;
    options.onAck();
    endWhenShipped();
  };
  const onLost = (reason: string): void => {
    if (!isLost) options.log.warn('audit_stream_lost', { reason });
    isLost = true;
  };
  return ship(
    { journal, clock, backoff: retry, client: () => createClient(Audit, channel), onAlert: options.onAlert, onAck, onLost },
    { signal: over.signal },
  );
}

function openLink(tls: TlsHolder, identity: Identity, { config, clock, drain }: LinkOptions): Channel {
  const { address } = config.control_plane;
  const parsed = parseSpiffeId(identity.spiffeId);
  invariant(parsed.ok, 'a certificate names a workload');
  const trust = { kind: 'peer', tls, trustDomain: parsed.value.trustDomain, purpose: 'control_plane' } as const;
  const channel = openChannel({ host: address.host, port: address.port, trust, clock });
  drain.cut.addEventListener('abort', () => channel.close(), { once: true });
  return channel;
}

function materialOf({ tlsChain, tlsPem }: Identity): {
  chain: readonly Uint8Array[];
  privatePem: string;
  authorities: readonly Uint8Array[];
} {
  const authority = tlsChain.at(-1);
  return { chain: tlsChain, privatePem: tlsPem, authorities: authority === undefined ? [] : [authority] };
}
