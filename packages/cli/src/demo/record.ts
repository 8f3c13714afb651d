/** The act about the record: it is whole, it proves itself offline, and one byte that was changed is found. */

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CallEvent } from '@sallyport/audit';
import { Fault } from '@sallyport/model';
import type { Stage } from './stage.ts';
import type { Decided, Telling } from './telling.ts';
import { answerOf } from './typed.ts';

const EXPORT = 'export.ndjson';
const EDITED = 'edited.ndjson';

/** Waits until every decision is in the record of the control plane. */
export async function takeRecord({ stage, steps }: Telling, decided: readonly Decided[]): Promise<void> {
  // Owner: this function; what was read last.
  let calls: readonly CallEvent[] = [];
  const missing = (): number => decided.filter(({ id }) => !calls.some((call) => call.decision_id === id)).length;
  await stage.until(async () => {
    calls = await readCalls(stage);
    return missing() === 0;
  });
  const all = decided.length;
  steps.take(
    { name: 'every call above is in the record', expected: `${all} of ${all}`, seen: `${all - missing()} of ${all}` },
    { mark: 'ok', title: `all ${all} calls above are in it, refused ones too`, details: [] },
  );
}

async function readCalls(stage: Stage): Promise<readonly CallEvent[]> {
  const { bytes } = await stage.type(['audit', 'tail', '--json']);
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as CallEvent);
}

/** Exports the record and verifies it; then changes one byte of `target` in a copy, and verifies that. */
export async function proveRecord({ stage, steps }: Telling, target: Decided | undefined): Promise<void> {
  const exported = await stage.type(['audit', 'tail', '--view', 'records']);
  writeFileSync(join(stage.dir, EXPORT), exported.bytes);
  const proven = await verify(stage, EXPORT);
  steps.take(
    { name: 'audit verify', expected: 'verified', seen: proven.verified ? 'verified' : proven.summary },
    {
      mark: 'ok',
      title: 'what proves it',
      details: [`audit verify: ${proven.records} records are whole and signed, offline, from the root pin on`],
    },
  );
  if (target === undefined) throw new Fault('aborted', 'internal', 'there is no call whose record could be changed');
  const { line, from, to } = editRecord(stage, target);
  const { verified, first_bad: bad } = await verify(stage, EDITED);
  const seen = verified || bad === null ? 'verified' : `${bad.reason} at line ${bad.line}, decision ${bad.decision_id ?? '-'}`;
  steps.take(
    { name: 'audit verify, after one byte was changed', expected: `edited at line ${line}, decision ${target.id}`, seen },
    {
      mark: 'ok',
      title: `one byte of a copy is changed: ${from} becomes ${to}`,
      details: [`audit verify: edited at line ${line}, decision ${target.id}`],
    },
  );
}

interface Verified {
  readonly verified: boolean;
  readonly summary: string;
  readonly records: number;
  readonly first_bad: { readonly reason: string; readonly line: number; readonly decision_id: string | null } | null;
}

/** As `audit verify --json` answers. */
async function verify(stage: Stage, file: string): Promise<Verified> {
  return answerOf(await stage.type(['audit', 'verify', file, '--json'])) as unknown as Verified;
}

interface Edit {
  /** Of the changed record, from 1. */
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

/** Changes one letter of the operator in the record of a decision, in a copy. */
function editRecord(stage: Stage, { id, operator }: Decided): Edit {
  copyFileSync(join(stage.dir, EXPORT), join(stage.dir, EDITED));
  const lines = readFileSync(join(stage.dir, EDITED), 'utf8').split('\n');
  const index = lines.findIndex((line) => line.includes('"kind":"DECISION"') && line.includes(`"decision_id":"${id}"`));
  const renamed = operator.replace(/^(...)./, '$1x');
  lines[index] = (lines[index] ?? '').replace(`"operator":"${operator}"`, `"operator":"${renamed}"`);
  writeFileSync(join(stage.dir, EDITED), lines.join('\n'));
  return { line: index + 1, from: operator, to: renamed };
}
