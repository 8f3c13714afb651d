/** Acts on their way into the own stream of the process that carried them out. */

import type { Migration, ServiceDatabase, Transaction } from '@sallyport/store';

export const ACTS_MIGRATIONS: readonly Migration[] = [
  {
    name: 'acts that may not be recorded yet',
    sql: `CREATE TABLE acts_waiting (
      number INTEGER PRIMARY KEY,
      replica TEXT NOT NULL,
      name TEXT NOT NULL,
      body TEXT NOT NULL
    ) STRICT`,
  },
];

/** An act that may not be in the own stream yet. */
export interface WaitingAct {
  readonly number: number;
  readonly name: string;
  readonly body: string;
}

export interface ActsTable {
  add(tx: Transaction, act: Omit<WaitingAct, 'number'>): Promise<void>;
  /** Those of this process, in the order in which they were carried out. */
  waiting(tx: Transaction): Promise<readonly WaitingAct[]>;
  drop(tx: Transaction, number: number): Promise<void>;
}

/** `replica` names this process: another one's acts belong into that one's own stream. */
export function actsTable(database: ServiceDatabase, replica: string): ActsTable {
  const insert = database.prepare('INSERT INTO acts_waiting (number, replica, name, body) VALUES (?, ?, ?, ?)');
  const remove = database.prepare('DELETE FROM acts_waiting WHERE number = ?');
  const all = database.prepare('SELECT number, name, body FROM acts_waiting WHERE replica = ? ORDER BY number');
  return {
    add: async (tx, { name, body }) => void (await insert.run(tx, await database.nextSequence(tx, 'act'), replica, name, body)),
    waiting: async (tx) =>
      (await all.all(tx, replica)).map((row) => ({
        number: row['number'] as number,
        name: row['name'] as string,
        body: row['body'] as string,
      })),
    drop: async (tx, number) => void (await remove.run(tx, number)),
  };
}
