import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { UnderWay } from '../pipeline/ports.ts';
import { Serving, sessionsServed } from './sessions-served.ts';

type Step = { readonly does: 'arrives' } | { readonly does: 'begins' | 'ends'; readonly which: number; readonly session: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: fc.constant('arrives' as const) }),
  fc.record({ does: fc.constantFrom('begins' as const, 'ends' as const), which: fc.nat(9), session: fc.nat(3) }),
);

describe('sessions that are served', () => {
  test('are those of the exchanges that have begun one and are not over, whatever comes in which order, twice or too late', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const all = sessionsServed();
        const sessions: UnderWay[] = [0, 1, 2, 3].map(() => ({ exchanges: 0 }));
        const exchanges: { serving: Serving; session: number | undefined; isOver: boolean }[] = [];
        for (const one of steps) {
          if (one.does === 'arrives') exchanges.push({ serving: new Serving(all), session: undefined, isOver: false });
          else {
            const exchange = exchanges[one.which];
            const session = sessions[one.session];
            if (exchange === undefined || session === undefined) continue;
            if (one.does === 'begins') {
              exchange.serving.begin(session);
              if (!exchange.isOver) exchange.session = one.session;
            } else {
              exchange.serving.end();
              exchange.isOver = true;
              exchange.session = undefined;
            }
          }
          const served = new Set(exchanges.map(({ session }) => session).filter((session) => session !== undefined));
          expect(all.count).toBe(served.size);
          for (const [index, { exchanges: count }] of sessions.entries())
            expect(count).toBe(exchanges.filter(({ session }) => session === index).length);
        }
        for (const { serving } of exchanges) serving.end();
        expect([all.count, ...sessions.map((session) => session.exchanges)]).toEqual([0, 0, 0, 0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
