import { array, assert, constant, nat, oneof, property } from 'fast-check';
import { expect, test } from 'vitest';
import { roster, type Seat } from './roster.ts';

test('whoever joined and has not left is there, once, whatever the order of comings and goings', () => {
  assert(
    property(array(oneof(constant('join' as const), nat({ max: 20 })), { maxLength: 60 }), (steps) => {
      const there = roster<number>();
      const seats = new Map<number, Seat>();
      const gone: Seat[] = [];
      let next = 0;
      for (const step of steps) {
        if (step === 'join') {
          seats.set(next, there.join(next));
          next += 1;
          continue;
        }
        const [leaver] = [...seats].slice(step % (seats.size + 1));
        if (leaver === undefined) {
          // Leaving twice takes nobody else's place.
          gone.at(-1)?.leave();
          continue;
        }
        leaver[1].leave();
        gone.push(leaver[1]);
        seats.delete(leaver[0]);
      }
      expect(there.members().toSorted((a, b) => a - b)).toEqual([...seats.keys()]);
      expect(there.size).toBe(seats.size);
    }),
  );
});

test('members may leave while the list of them is read', () => {
  const there = roster<string>();
  const seats = ['a', 'b', 'c'].map((name) => there.join(name));
  const seen: string[] = [];
  for (const name of there.members()) {
    seen.push(name);
    for (const seat of seats) seat.leave();
  }
  expect(seen).toEqual(['a', 'b', 'c']);
  expect(there.size).toBe(0);
});
