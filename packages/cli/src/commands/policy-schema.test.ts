import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { terminal } from '../testing/terminal.ts';
import type { Terminal } from '../testing/terminal.ts';

const PUBLISHED = readFileSync(join(import.meta.dirname, '../../../../docs/reference/policy.schema.json'), 'utf8');

let at: Terminal;
beforeAll(() => {
  at = terminal();
});
afterAll(() => at.close());

it.each([[[]], [['--json']]])('policy schema %j: the schema that is published, as one document', async (flags) => {
  const ran = await at.type('policy', 'schema', ...flags);
  expect([ran.exit, ran.err]).toEqual([0, '']);
  expect(JSON.parse(ran.out)).toEqual(JSON.parse(PUBLISHED));
});

it('policy schema takes no file: the schema is the same for every policy', async () => {
  expect((await at.type('policy', 'schema', 'policy.yaml')).exit).toBe(2);
});
