import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OUTCOME_RESULTS, RECORD_FIELDS, RECORD_KINDS } from './fields.ts';
import type { FindingReason } from './verify.ts';

const page = readFileSync(new URL('../../../docs/spec/audit-v1.md', import.meta.url), 'utf8');

/** The rows of the table under a heading, cells without decoration. */
function rowsUnder(heading: string): readonly (readonly string[])[] {
  const [, section = ''] = page.split(`\n### ${heading}\n`);
  const [table = ''] = section.split(/\n(?:###|3\.3)/);
  const rows = table.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => row.split('|').map((cell) => cell.trim().replaceAll('`', '')));
}

describe('docs/spec/audit-v1.md', () => {
  it.each(RECORD_KINDS)('lists the members of %s as they are written, in order, with form and class', (kind) => {
    expect(rowsUnder(kind).map(([, name, form, group]) => ({ name, form, class: group }))).toEqual(
      RECORD_FIELDS[kind].map(({ name, form, class: group }) => ({ name, form, class: group })),
    );
  });

  it('has a section for each kind, and no other', () => {
    expect([...page.matchAll(/^### ([A-Z]+)$/gm)].map(([, kind]) => kind)).toEqual([...RECORD_KINDS]);
  });

  it('names every result of an OUTCOME and every reason of a finding', () => {
    for (const result of OUTCOME_RESULTS) expect(page).toContain(`\`${result}\``);
    const reasons: Readonly<Record<FindingReason, true>> = {
      unreadable: true,
      edited: true,
      deleted: true,
      reordered: true,
      inserted: true,
      truncated: true,
      forked: true,
      forged_signature: true,
      untrusted_certificate: true,
      wrong_identity: true,
      outside_certificate_life: true,
      unlinked_restart: true,
    };
    for (const reason of Object.keys(reasons)) expect(page).toContain(`\`${reason}\``);
  });
});
