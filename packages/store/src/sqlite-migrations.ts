/** Bringing one service's tables up to date. Steps run in order, once; a step that was applied is compared by digest. */

import type { DatabaseSync } from 'node:sqlite';
import { invariant } from '@sallyport/model';
import type { Migration, Row } from './database.ts';
import { digestOfStep, judgeApplied } from './migration-steps.ts';
import type { Authorizer } from './sqlite-authorizer.ts';

/** Within the caller's transaction: all missing steps, or none. */
export function migrate(options: {
  readonly db: DatabaseSync;
  readonly authorizer: Authorizer;
  readonly service: string;
  readonly migrations: readonly Migration[];
}): void {
  const { db, authorizer, service, migrations } = options;
  const applied = db.prepare('select step, name, digest from store_migrations where service = ? order by step').all(service);
  judgeApplied(applied as Row[], { service, migrations });
  const record = db.prepare('insert into store_migrations (service, step, name, digest) values (?, ?, ?, ?)');
  for (const [index, migration] of migrations.entries()) {
    if (index < applied.length) continue;
    authorizer.as({ service, mayChangeSchema: true }, () => db.exec(migration.sql));
    record.run(service, index + 1, migration.name, digestOfStep(migration));
  }
  assertTables(db, service);
}

/** What the authorizer cannot see while a step runs: the form of the tables, and keys that point elsewhere. */
function assertTables(db: DatabaseSync, service: string): void {
  const tables = db.prepare("select name, strict from pragma_table_list where schema = 'main' and type = 'table'").all();
  for (const { name, strict } of tables) {
    if (!String(name).startsWith(`${service}_`)) continue;
    invariant(strict === 1, `a table is STRICT: ${String(name)}`);
    for (const key of db.prepare('select "table" as parent from pragma_foreign_key_list(?)').all(name ?? ''))
      invariant(String(key['parent']).startsWith(`${service}_`), `a foreign key stays within its service: ${String(name)}`);
  }
}
