/**
 * Which transaction the running code belongs to. A second transaction begun inside one would wait for the first, which
 * waits for it: on one connection for ever, on a pool as soon as it is used up. It is told instead, as the Bug it is.
 */

import { AsyncLocalStorage } from 'node:async_hooks';
import { invariant } from '@sallyport/model';
import type { Transaction } from './database.ts';

/** A transaction as its engine drives it. */
export interface OpenTransaction extends Transaction {
  /** The first failure of a statement: nothing is committed after it. */
  failure: Error | undefined;
  isOpen: boolean;
  isAnnounced: boolean;
}

export interface TransactionScope {
  /** Runs `act` inside the transaction, and closes it for statements when it ends. Rethrows what a statement threw. */
  run<T>(tx: OpenTransaction, act: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Throws a Bug inside a transaction of this scope. */
  refuseNesting(): void;
  /** The transaction of a statement; throws a Bug for one that is over, of another database, or does not allow it. */
  require(tx: Transaction, toWrite: boolean): OpenTransaction;
}

export function transactionScope(): TransactionScope {
  const inside = new AsyncLocalStorage<OpenTransaction>();
  const open = new WeakSet<Transaction>();
  return {
    async run(tx, act) {
      open.add(tx);
      try {
        const result = await inside.run(tx, async () => act(tx));
        if (tx.failure !== undefined) throw tx.failure;
        return result;
      } finally {
        tx.isOpen = false;
      }
    },
    refuseNesting() {
      invariant(inside.getStore()?.isOpen !== true, 'a transaction within a transaction would wait for itself');
    },
    require(tx, toWrite) {
      invariant(open.has(tx), 'a statement runs in a transaction of its own database');
      const known = tx as OpenTransaction;
      invariant(known.isOpen, 'a statement comes before the end of its transaction');
      invariant(!toWrite || known.mode === 'write', 'a reading transaction writes nothing');
      if (known.failure !== undefined) throw known.failure;
      return known;
    },
  };
}

export function openTransaction(mode: Transaction['mode']): OpenTransaction {
  const tx: OpenTransaction = {
    mode,
    failure: undefined,
    isOpen: true,
    isAnnounced: false,
    announce: () => {
      tx.isAnnounced = true;
    },
  };
  return tx;
}
