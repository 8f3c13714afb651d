/**
 * The control plane's own audit stream: what administrators did here, and what it noticed. Same form, same chain, same
 * segments as a sidecar's, under the control plane's own audit key. Nobody but this process writes it.
 */

import { appendRecord, openStream, signCheckpoint } from '@sallyport/audit';
import type { RecordBody } from '@sallyport/audit';
import { encodeBase64, encodeHex } from '@sallyport/crypto';
import type { LocalSigner } from '@sallyport/crypto/keys';
import type { SpiffeId } from '@sallyport/identity';
import { Fault, invariant } from '@sallyport/model';
import type { Clock, Random, StreamId } from '@sallyport/model';
import { endOf } from './held-streams.ts';
import type { HeldStreams } from './held-streams.ts';
import type { Keeper } from './keeper.ts';
import type { HeldStream } from './streams.ts';

export interface OwnStream {
  /** Writes START, linked to where the last own stream ended. */
  open(): Promise<void>;
  /** Resolves when the records are on disk, in order. Rejects with a Fault when they cannot be kept. */
  record(bodies: readonly RecordBody[]): Promise<void>;
  /** The audit key has a new certificate. */
  certify(certificates: readonly Uint8Array[]): Promise<void>;
  /** Signs the head, if anything was written since the last signature. */
  checkpoint(): Promise<void>;
  /** Writes CLOSE with a last checkpoint. Nothing may follow. */
  close(reason: string): Promise<void>;
  readonly stream: StreamId;
}

export interface OwnStreamOptions {
  readonly streams: HeldStreams;
  readonly keeper: Keeper;
  readonly clock: Clock;
  readonly random: Random;
  readonly signer: LocalSigner;
  readonly identity: SpiffeId;
  /** Chain of the audit key, DER, leaf first. */
  readonly certificates: () => readonly Uint8Array[];
  readonly build: string;
  /** A checkpoint follows after this many records. */
  readonly checkpointRecords: number;
}

export function createOwnStream(options: OwnStreamOptions): OwnStream {
  const { streams, keeper, clock, identity, signer } = options;
  const stream = encodeHex(options.random(16)) as StreamId;
  const previous = streams.ofWriter(identity).at(-1);
  // Owner: this stream. `held` moves on only when a line is durable; `tail` is the end of the queue of writers.
  let held: HeldStream = {
    stream,
    writer: identity,
    agent: '-',
    chain: openStream({ stream, previous: previous?.chain ?? null }),
    previous: previous === undefined ? null : endOf(previous),
    auditKey: { alg: signer.alg, raw: signer.publicRaw },
    isClosed: false,
  };
  let unsigned = 0;
  let tail: Promise<unknown> = Promise.resolve();

  const write = async (bodies: readonly RecordBody[]): Promise<void> => {
    invariant(!held.isClosed, 'nothing follows the CLOSE of a stream');
    let { chain } = held;
    const lines: Uint8Array[] = [];
    for (const body of bodies) {
      const appended = appendRecord(chain, clock.wall(), body);
      lines.push(appended.line);
      chain = appended.state;
    }
    const next = { ...held, chain, isClosed: bodies.some((body) => body.kind === 'CLOSE') };
    const kept = await keeper.keep(lines, { isOwn: true });
    if (!kept.ok) throw kept.error === 'full' ? new Fault('store_failed', 'internal', 'the audit segments are full') : kept.error;
    held = next;
    streams.set(next);
    unsigned += bodies.length;
  };

  const sign = async (): Promise<Awaited<ReturnType<typeof signCheckpoint>>> =>
    signCheckpoint(held.chain, { at: clock.wall(), sidecar: identity, signer });

  /** One writer at a time: the next line's place is known only when the one before is kept. */
  const queued = async (act: () => Promise<void>): Promise<void> => {
    const mine = tail.then(act, act);
    tail = mine.catch(() => undefined);
    return mine;
  };

  const checkpoint = async (): Promise<void> => {
    if (unsigned === 0 || held.isClosed) return;
    await write([{ kind: 'CHECKPOINT', envelope: await sign() }]);
    unsigned = 0;
  };

  return {
    stream,
    open: async () =>
      queued(async () =>
        write([
          {
            kind: 'START',
            sidecar: identity,
            agent: '-',
            instance: '-',
            build: options.build,
            certificates: options.certificates().map(encodeBase64),
            previous: held.previous,
          },
        ]),
      ),
    record: async (bodies) =>
      queued(async () => {
        await write(bodies);
        if (unsigned >= options.checkpointRecords) await checkpoint();
      }),
    certify: async (certificates) => queued(async () => write([{ kind: 'CERTIFICATE', certificates: certificates.map(encodeBase64) }])),
    checkpoint: async () => queued(checkpoint),
    close: async (reason) => queued(async () => write([{ kind: 'CLOSE', reason, envelope: await sign() }])),
  };
}
