import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type RouteTemplate, overlapOf, routeTable } from './route-table.ts';

const word = fc.constantFrom('a', 'A', 'b', 'c');
const templates = fc.array(
  fc.array(
    fc.oneof(
      word.map((literal) => ({ literal, folded: literal.toLowerCase() })),
      fc.constantFrom({ argument: 'x' }, { argument: 'y' }),
    ),
    { minLength: 1, maxLength: 4 },
  ),
  { maxLength: 8 },
);

/** As many as can stand in one table, in order. */
function together(all: readonly RouteTemplate[]): readonly RouteTemplate[] {
  const kept: RouteTemplate[] = [];
  for (const one of all) if (kept.every((other) => ['disjoint', 'ordered'].includes(overlapOf(one, other)))) kept.push(one);
  return kept;
}

const fits = (template: RouteTemplate, segments: readonly string[], fold: (text: string) => string): boolean =>
  template.length === segments.length &&
  template.every((segment, i) => 'argument' in segment || fold(segment.literal) === fold(segments[i] ?? ''));
const literals = (template: RouteTemplate): number => template.filter((segment) => 'literal' in segment).length;

test('whatever the table, a path fits one route or none: the one with most literals, and none that case alone keeps from another', () => {
  fc.assert(
    fc.property(templates, fc.array(word, { minLength: 1, maxLength: 4 }), (all, segments) => {
      const kept = together(all);
      const table = routeTable(kept.map((template) => ({ method: 'GET', template, value: template })));
      const candidates = kept
        .filter((template) => fits(template, segments, (text) => text.toLowerCase()))
        .toSorted((a, b) => literals(b) - literals(a));
      const [best, second] = candidates;
      // That two fit equally well is what `overlapOf` rules out.
      expect(best !== undefined && second !== undefined && literals(best) === literals(second)).toBe(false);
      const expected = best !== undefined && fits(best, segments, (text) => text) ? best : undefined;
      expect(table.match('GET', segments)?.value).toBe(expected);
    }),
    { numRuns: 3_000 },
  );
});
