/** No RPC in proto/ without a row in the table of who may call it, and no door open that is not meant to be. */

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AUTHORIZATION } from '../../packages/control-plane/src/authorization.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** What the contract says, read from its source rather than from what was generated. */
const rpcs = globSync('proto/**/*.proto', { cwd: ROOT })
  .map((path) => readFileSync(join(ROOT, path), 'utf8'))
  .flatMap((text) => [...text.matchAll(/^service (\w+) \{([\s\S]*?)^\}/gm)])
  .flatMap(([, service = '', body = '']) =>
    [...body.matchAll(/^\s+rpc (\w+)\(/gm)].map((match) => `${service}.${lowerFirst(match[1] ?? '')}`),
  );
const rows = Object.entries(AUTHORIZATION).flatMap(([service, methods]) =>
  Object.entries(methods).map(([method, admitted]: [string, unknown]) => ({ rpc: `${service}.${method}`, admitted })),
);

function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

test('the contract is really read', () => {
  expect(rpcs).toEqual(expect.arrayContaining(['PolicyPlane.subscribe', 'Audit.ship', 'Enrolment.enrol', 'Publish.submitRelease']));
});

describe('who may call', () => {
  test('every RPC has a row, and every row is an RPC', () => {
    expect(rows.map(({ rpc }) => rpc).toSorted()).toEqual(rpcs.toSorted());
  });

  test('only enrolment admits a caller without a certificate', () => {
    expect(rows.filter(({ admitted }) => admitted === 'unproven').map(({ rpc }) => rpc)).toEqual(['Enrolment.enrol']);
  });

  test('no row is empty, and none admits everybody', () => {
    for (const { rpc, admitted } of rows.filter((row) => row.admitted !== 'unproven')) {
      expect(admitted, rpc).toSatisfy((list: readonly string[]) => list.length > 0 && list.length <= 2);
    }
  });
});
