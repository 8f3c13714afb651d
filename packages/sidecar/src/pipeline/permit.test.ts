import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mintPermit, Permit, type Permitted } from './permit.ts';

const PERMITTED = { decisionId: 'D1', tool: { name: 'orders/get' } } as unknown as Permitted;

describe('a permit', () => {
  it('is spent once: one decision forwards one call', () => {
    const permit = mintPermit(PERMITTED);
    expect(permit.take()).toBe(PERMITTED);
    expect(() => permit.take()).toThrow('spent twice');
  });

  it('is nothing that looks like one', () => {
    const forged: unknown = { take: () => PERMITTED };
    expect(forged instanceof Permit).toBe(false);
    expect(() => Permit.prototype.take.call(forged)).toThrow(TypeError);
    const grown = Object.create(Permit.prototype) as Permit;
    expect(() => grown.take()).toThrow(TypeError);
  });

  it('shows nothing of what it permits before it is taken', () => {
    const permit = mintPermit(PERMITTED);
    expect([JSON.stringify(permit), Object.keys(permit)]).toEqual(['{}', []]);
  });

  it('is minted in one file', () => {
    const root = new URL('../', import.meta.url);
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.startsWith('testing/'),
    );
    const minting = files.filter((name) => /\bmintPermit\b/.test(readFileSync(new URL(name, root), 'utf8')));
    expect(minting.toSorted()).toEqual(['pipeline/permit.ts', 'pipeline/pipeline.ts']);
  });
});
