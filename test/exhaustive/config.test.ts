/** Every configuration key of every app is on its reference page, which is made from the schema that reads the file. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ConfigReference, describeConfig } from '@sallyport/runtime';
import { describe, expect, test } from 'vitest';
import { CONTROL_PLANE_CONFIG } from '../../packages/control-plane/src/config.ts';
import { SIDECAR_CONFIG } from '../../packages/sidecar/src/config.ts';

const APPS: readonly (readonly [app: string, reference: ConfigReference])[] = [
  ['control-plane', describeConfig(CONTROL_PLANE_CONFIG, { title: 'Configuration of the control plane' })],
  ['sidecar', describeConfig(SIDECAR_CONFIG, { title: 'Configuration of the sidecar' })],
];

describe.each(APPS)('the configuration of the %s', (app, reference) => {
  const page = (name: string): string => readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'reference', name), 'utf8');

  test('stands on its page as the schema has it (npm run generate)', () => {
    expect(page(`${app}-config.md`)).toBe(reference.markdown);
  });

  test('has its schema for editors (npm run generate)', () => {
    expect(JSON.parse(page(`${app}-config.schema.json`))).toEqual(reference.jsonSchema);
  });

  test('says of every key what it means', () => {
    const rows = reference.markdown.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.filter((row) => (row.split(' | ')[3] ?? '').trim() === '')).toEqual([]);
  });
});
