import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createSteps } from '../demo/steps.ts';
import { terminal } from '../testing/terminal.ts';
import { ATTACKS } from './attacks/all.ts';
import { verdictOf } from './stage.ts';

describe('the verdict on an attack', () => {
  const steps = (...seen: readonly string[]): ReturnType<typeof createSteps> => {
    const taken = createSteps({ onStep: () => undefined });
    for (const one of seen) taken.take({ name: 'n', expected: 'refused', seen: one });
    return taken;
  };
  it.each([
    ['every promise kept', ['refused', 'refused'], '', 'held'],
    ['one promise broken', ['refused', 'allowed'], '', 'BROKEN'],
    ['a promise broken, and then a fault', ['allowed'], 'the sidecar has ended', 'BROKEN'],
    ['a fault on the way', ['refused'], 'the sidecar has ended', 'unproven'],
    ['nothing looked at', [], '', 'unproven'],
  ] as const)('%s', (_, seen, why, verdict) => expect(verdictOf(steps(...seen), why)).toBe(verdict));
});

describe('sallyport chaos', () => {
  it('is told of in the guide: each attack as it says itself, and what it leaves', () => {
    const guide = readFileSync(join(import.meta.dirname, '../../../../docs/guides/chaos.md'), 'utf8');
    const rows = guide.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows).toEqual(ATTACKS.map(({ name, does, leaves }) => `| \`${name}\` | ${does} | ${leaves} |`));
  });

  it('stages nothing where a name is mistyped, and says which was meant', async () => {
    const at = terminal();
    expect(await at.type('chaos', 'run', 'freeze', 'rolback')).toMatchObject({
      exit: 2,
      out: '',
      err: expect.stringContaining('did you mean rollback?'),
    });
    at.close();
  });

  it('lists each attack once, under a name that is one word to type', async () => {
    const at = terminal();
    const { attacks } = (await at.type('chaos', 'list', '--json')).json() as { attacks: { attack: string }[] };
    expect(attacks.map(({ attack }) => attack)).toEqual([...new Set(ATTACKS.map(({ name }) => name))]);
    for (const { attack } of attacks) expect(attack).toMatch(/^[a-z]+(-[a-z]+)*$/);
    at.close();
  });
});
