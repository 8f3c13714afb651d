/** Reading a record line. Unknown members are kept: the log is evidence, and a newer writer may say more (audit-v1 section 3.4). */

import { Bug } from '@sallyport/model';
import type { Instant, Problem, Result } from '@sallyport/model';
import type { RecordBody, RecordPlace } from './record.ts';

/** A record as read: its place, its body with every member of its kind, and whatever else the line held. */
export type AuditRecord = RecordPlace & RecordBody & { readonly at: Instant };

/** Reads one line (without its line feed); all problems at once. An unknown kind is a problem: it cannot be interpreted. */
export function readRecord(_line: Uint8Array): Result<AuditRecord, readonly Problem[]> {
  throw new Bug('to come');
}
