/**
 * Whose statement SQLite may compile: a service reads and writes tables that carry its name, and changes the schema only
 * while it migrates. No statement of a service attaches files, sets pragmas or ends transactions.
 */

import { constants } from 'node:sqlite';
import type { DatabaseSync } from 'node:sqlite';

/** On whose behalf statements compile now. */
export interface Actor {
  readonly service: string;
  readonly mayChangeSchema: boolean;
}

export interface Authorizer {
  /** Runs `act` with statements compiled as this actor's. Without an actor, they are the store's own. */
  as<T>(actor: Actor, act: () => T): T;
}

const READS_AND_WRITES: ReadonlySet<number> = new Set([
  constants.SQLITE_READ,
  constants.SQLITE_INSERT,
  constants.SQLITE_UPDATE,
  constants.SQLITE_DELETE,
]);
const HARMLESS: ReadonlySet<number> = new Set([constants.SQLITE_SELECT, constants.SQLITE_FUNCTION, constants.SQLITE_RECURSIVE]);
/** Actions on the schema whose first argument is the object's name. */
const OBJECT_CHANGES: ReadonlySet<number> = new Set([
  constants.SQLITE_CREATE_TABLE,
  constants.SQLITE_CREATE_VIEW,
  constants.SQLITE_DROP_TABLE,
  constants.SQLITE_DROP_VIEW,
  constants.SQLITE_REINDEX,
]);
/** Actions on the schema whose second argument is the table. */
const TABLE_CHANGES: ReadonlySet<number> = new Set([
  constants.SQLITE_CREATE_INDEX,
  constants.SQLITE_DROP_INDEX,
  constants.SQLITE_CREATE_TRIGGER,
  constants.SQLITE_DROP_TRIGGER,
  constants.SQLITE_ALTER_TABLE,
]);
/** Reading a JSON parameter as rows touches no table. */
const TABLE_FUNCTIONS: ReadonlySet<string> = new Set(['json_each', 'json_tree']);
/** SQLite's own bookkeeping of a change of schema; statements cannot write there themselves (`defensive`). */
const SCHEMA: ReadonlySet<string> = new Set(['sqlite_master', 'pragma_quick_check']);
/** What adding a column runs to see whether the rows that are there fit it. */
const SCHEMA_PRAGMA = 'quick_check';
const AUTOMATIC_INDEX = 'sqlite_autoindex_';

export function authorizer(db: DatabaseSync): Authorizer {
  // Owner: this authorizer; set for the length of `as`, read by SQLite's callback inside it.
  let actor: Actor | undefined;
  db.setAuthorizer((action, first, second) =>
    actor === undefined || isAllowed(actor, { action, first: first ?? '', second: second ?? '' })
      ? constants.SQLITE_OK
      : constants.SQLITE_DENY,
  );
  return {
    as(next, act) {
      const before = actor;
      actor = next;
      try {
        return act();
      } finally {
        actor = before;
      }
    },
  };
}

function isAllowed(actor: Actor, { action, first, second }: { action: number; first: string; second: string }): boolean {
  const isOwn = (name: string): boolean => name.startsWith(`${actor.service}_`);
  if (HARMLESS.has(action)) return true;
  if (READS_AND_WRITES.has(action)) {
    if (isOwn(first) || TABLE_FUNCTIONS.has(first)) return true;
    return actor.mayChangeSchema && SCHEMA.has(first);
  }
  if (!actor.mayChangeSchema) return false;
  if (action === constants.SQLITE_PRAGMA) return first === SCHEMA_PRAGMA;
  if (OBJECT_CHANGES.has(action)) return isOwn(first) || first.startsWith(`${AUTOMATIC_INDEX}${actor.service}_`);
  if (TABLE_CHANGES.has(action)) return isOwn(second) && (action === constants.SQLITE_ALTER_TABLE || isOwnIndex(actor, first));
  return false;
}

function isOwnIndex({ service }: Actor, name: string): boolean {
  return name.startsWith(`${service}_`) || name.startsWith(`${AUTOMATIC_INDEX}${service}_`);
}
