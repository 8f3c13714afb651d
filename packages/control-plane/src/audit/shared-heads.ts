/**
 * How far each stream is acknowledged, by whichever control plane: on a database that several share, a sidecar that
 * changes over goes on where the other has acknowledged, and one that tells two control planes two histories is found
 * out. The records themselves stay in the segments of the process that took them. docs/spec/control-plane.md section 8.2a.
 */

import { headHex } from '@sallyport/audit';
import { decodeHex, encodeHex } from '@sallyport/crypto';
import type { VerifyKey } from '@sallyport/crypto';
import type { SpiffeId } from '@sallyport/identity';
import type { StreamId } from '@sallyport/model';
import type { Database, Migration, Row, ServiceDatabase, Transaction } from '@sallyport/store';
import type { HeldStream } from './streams.ts';

export const HEADS_MIGRATIONS: readonly Migration[] = [
  {
    name: 'acknowledged heads',
    sql: `CREATE TABLE heads_stream (
      stream TEXT PRIMARY KEY,
      seq INTEGER NOT NULL,
      head TEXT NOT NULL,
      held TEXT NOT NULL
    ) STRICT`,
  },
];

export type PutOutcome = 'kept' | 'forked' | 'overtaken';

export interface SharedHeads {
  /** How far the stream is acknowledged anywhere; `undefined` for an unknown one. */
  find(stream: StreamId): Promise<HeldStream | undefined>;
  /**
   * Resolves when everybody can know that the stream is held so far, before which nothing is acknowledged. `forked` where
   * another record is acknowledged at its place; `overtaken` where somebody else has gone on with the stream since this
   * process last looked: then nothing is acknowledged either, because the two may not be one history.
   */
  put(held: HeldStream): Promise<PutOutcome>;
}

export async function openSharedHeads(database: Database): Promise<SharedHeads> {
  const table = headsTable(await database.service('heads', HEADS_MIGRATIONS));
  // Owner: this closure. Streams that wait while a transaction runs share the next one.
  let waiting = new Map<StreamId, HeldStream>();
  let next: Promise<ReadonlyMap<StreamId, PutOutcome>> | undefined;
  /** How far each stream was when this process last looked. */
  const known = new Map<StreamId, number>();
  let running: Promise<unknown> = Promise.resolve();

  const write = async (): Promise<ReadonlyMap<StreamId, PutOutcome>> => {
    const batch = waiting;
    waiting = new Map();
    next = undefined;
    const outcomes = await database.transaction(async (tx) => {
      const put = new Map<StreamId, PutOutcome>();
      for (const [stream, held] of batch) put.set(stream, await table.put(tx, held, known.get(stream) ?? 0));
      return put;
    });
    for (const [stream, outcome] of outcomes) if (outcome === 'kept') known.set(stream, batch.get(stream)?.chain.seq ?? 0);
    return outcomes;
  };

  return {
    async find(stream) {
      const found = await database.read(async (tx) => table.find(tx, stream));
      if (found !== undefined) known.set(stream, found.chain.seq);
      return found;
    },
    async put(held) {
      waiting.set(held.stream, held);
      next ??= running.then(write);
      const mine = next;
      running = mine.catch(() => undefined);
      return (await mine).get(held.stream) ?? 'overtaken';
    },
  };
}

interface HeadsTable {
  find(tx: Transaction, stream: StreamId): Promise<HeldStream | undefined>;
  /** Only where the stream is at `base`. */
  put(tx: Transaction, held: HeldStream, base: number): Promise<PutOutcome>;
}

function headsTable(database: ServiceDatabase): HeadsTable {
  const select = database.prepare('SELECT seq, head, held FROM heads_stream WHERE stream = ?');
  const insert = database.prepare('INSERT INTO heads_stream (stream, seq, head, held) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING');
  const update = database.prepare('UPDATE heads_stream SET seq = ?, head = ?, held = ? WHERE stream = ? AND seq = ?');
  return {
    async find(tx, stream) {
      const row = await select.get(tx, stream);
      return row === undefined ? undefined : parseHeld(stream, row);
    },
    async put(tx, held, base) {
      const { stream, chain } = held;
      const [seq, head, text] = [chain.seq, headHex(chain), writeHeld(held)];
      const { changes } = base === 0 ? await insert.run(tx, stream, seq, head, text) : await update.run(tx, seq, head, text, stream, base);
      if (changes > 0) return 'kept';
      const row = await select.get(tx, stream);
      if (row?.['seq'] !== seq) return 'overtaken';
      return row['head'] === head ? 'kept' : 'forked';
    },
  };
}

/** A stream as far as it is held, as text. */
export function writeHeld({ writer, agent, chain, previous, auditKey, isClosed }: HeldStream): string {
  const { alg, raw } = auditKey;
  return JSON.stringify({ writer, agent, seq: chain.seq, head: headHex(chain), previous, alg, key: encodeHex(raw), isClosed });
}

/** The same back; `undefined` where the text is none that `writeHeld` makes. */
export function readHeld(stream: StreamId, text: string): HeldStream | undefined {
  const { writer, agent, seq, head, previous, alg, key, isClosed } = JSON.parse(text) as {
    readonly writer: SpiffeId;
    readonly agent: string;
    readonly seq: number;
    readonly head: string;
    readonly previous: HeldStream['previous'];
    readonly alg: VerifyKey['alg'];
    readonly key: string;
    readonly isClosed: boolean;
  };
  const [bytes, raw] = [decodeHex(head), decodeHex(key)];
  if (bytes === undefined || raw === undefined) return undefined;
  return { stream, writer, agent, chain: { stream, seq, head: bytes }, previous, auditKey: { alg, raw }, isClosed };
}

/** A row whose parts do not agree was edited: it counts as none. */
function parseHeld(stream: StreamId, row: Row): HeldStream | undefined {
  const held = readHeld(stream, row['held'] as string);
  return held !== undefined && held.chain.seq === row['seq'] && headHex(held.chain) === row['head'] ? held : undefined;
}
