/** Which steps of a service's schema were applied, whichever engine remembers it: a step that was applied may never change. */

import { digestOf, utf8 } from '@sallyport/crypto';
import { Fault } from '@sallyport/model';
import type { Migration, Row } from './database.ts';

/** `applied` are the steps that the engine remembers, in order, with `name` and `digest`. Throws a Fault where they are not these. */
export function judgeApplied(
  applied: readonly Row[],
  { service, migrations }: { readonly service: string; readonly migrations: readonly Migration[] },
): void {
  for (const [index, step] of applied.entries()) {
    const known = migrations[index];
    if (known === undefined) throw foreign(service, `step ${index + 1} (\`${String(step['name'])}\`) is unknown to this build`);
    if (step['digest'] !== digestOfStep(known))
      throw foreign(service, `step ${index + 1} (\`${known.name}\`) was applied with other statements`);
  }
}

export function digestOfStep({ name, sql }: Migration): string {
  return digestOf(utf8(`${name}\0${sql}`));
}

function foreign(service: string, why: string): Fault {
  return new Fault('store_failed', 'internal', `the tables of \`${service}\` belong to another build: ${why}`);
}
