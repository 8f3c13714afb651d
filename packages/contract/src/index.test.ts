import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as contract from './index.ts';

const GEN = join(import.meta.dirname, 'gen');
const modules = readdirSync(GEN, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('_pb.ts'));

test.each(modules)('exports every schema, service and enum of %s by its own name', async (file) => {
  const generated = (await import(join(GEN, file))) as Record<string, unknown>;
  const names = Object.keys(generated).filter((name) => !name.startsWith('file_'));
  expect(names.length).toBeGreaterThan(0);
  const missing = names.filter((name) => Reflect.get(contract, name) !== generated[name]);
  expect(missing).toEqual([]);
});

test('keeps a field that it does not know, so that an older relay does not cut a newer message', () => {
  const newer = new Uint8Array([
    ...contract.toBinary(contract.AuditHeadSchema, contract.create(contract.AuditHeadSchema, { stream: 'a' })),
    0xf8,
    0x06,
    0x01,
  ]);
  const read = contract.fromBinary(contract.AuditHeadSchema, newer);
  expect(contract.toBinary(contract.AuditHeadSchema, read)).toEqual(newer);
});
