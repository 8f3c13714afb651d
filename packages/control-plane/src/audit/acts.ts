/**
 * Acts of administrators on their way into the own stream. An act is remembered in the transaction that carries it out
 * and written to the segments before its answer goes out, so that after a kill at any moment there is neither an act
 * without its record nor a record without its act. Each has a random name, written into the record, by which a start
 * tells what is recorded already.
 */

import { readRecord } from '@sallyport/audit';
import type { ActBody } from '@sallyport/audit';
import { encodeHex } from '@sallyport/crypto';
import type { Random } from '@sallyport/model';
import type { Database, Transaction } from '@sallyport/store';
import type { ActsTable, WaitingAct } from './acts-table.ts';
import type { OwnStream } from './own-stream.ts';

/** Who did what to what; see `ActBody` for the words. */
export type Act = Omit<ActBody, 'kind'>;

export interface Acts {
  /** Remembers an act, in the transaction that carries it out. */
  remember(tx: Transaction, act: Act): Promise<void>;
  /** Resolves when every act remembered so far is in the own stream, on disk. Rejects with a Fault when it cannot be. */
  record(): Promise<void>;
}

export interface ActsOptions {
  readonly database: Database;
  readonly table: ActsTable;
  readonly random: Random;
  readonly own: OwnStream;
  /** Names of the acts that a start found in the segments. */
  readonly recovered: ReadonlySet<string>;
}

const NAME_BYTES = 8;
const NAME = /^act ([0-9a-f]{16})(?:; |$)/;

export function createActs({ database, table, random, own, recovered }: ActsOptions): Acts {
  // Owner: this closure.
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    const waiting = await database.read(async (tx) => table.waiting(tx));
    const unrecorded = waiting.filter(({ name }) => !recovered.has(name));
    if (unrecorded.length > 0) await own.record(unrecorded.map((act) => ({ kind: 'ACT', ...bodyOf(act) })));
    if (waiting.length === 0) return;
    await database.transaction(async (tx) => {
      for (const { number } of waiting) await table.drop(tx, number);
    });
  };

  return {
    remember: async (tx, act) => table.add(tx, { name: encodeHex(random(NAME_BYTES)), body: JSON.stringify(act) }),
    async record() {
      // A failed writer leaves its acts in the table; the next one takes them too.
      const mine = writing.then(write, write);
      writing = mine.catch(() => undefined);
      return mine;
    },
  };
}

/** The name of the act in an own line; `undefined` for every other line. */
export function actName(line: Uint8Array): string | undefined {
  const record = readRecord(line);
  return record.ok && record.value.kind === 'ACT' ? NAME.exec(record.value.detail ?? '')?.[1] : undefined;
}

function bodyOf({ name, body }: WaitingAct): Act {
  const act = JSON.parse(body) as Act;
  const detail = act.detail === undefined || act.detail === null || act.detail === '' ? '' : `; ${act.detail}`;
  return { ...act, detail: `act ${name}${detail}` };
}
