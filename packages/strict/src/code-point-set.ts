/** Sets of Unicode code points, as patterns speak of them. */

/** Inclusive ranges in order, none touching the next. */
export type CodePointSet = readonly (readonly [from: number, to: number])[];

export const CODE_POINT_MAX = 0x10_ffff;

export const DIGITS: CodePointSet = [[0x30, 0x39]];
/** Letters, digits and underscore of ASCII, as with the `u` flag alone. */
export const WORDS: CodePointSet = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** WhiteSpace and LineTerminator of ECMA-262. */
export const SPACES: CodePointSet = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
/** Everything but line terminators. */
export const DOT: CodePointSet = complement([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]);

/** Every code point of either set. */
export function union(a: CodePointSet, b: CodePointSet): CodePointSet {
  const merged: [number, number][] = [];
  for (const [from, to] of [...a, ...b].toSorted((left, right) => left[0] - right[0])) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}

/** Every code point that is not in the set. */
export function complement(set: CodePointSet): CodePointSet {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= CODE_POINT_MAX) gaps.push([next, CODE_POINT_MAX]);
  return gaps;
}

/** Categories asked for so far; at most the thirty-odd that exist. Written and read only by `categorySet`. */
const categories = new Map<string, CodePointSet | undefined>();

/** The code points of a general category (`L`, `Lu`, `Nd`), `undefined` where there is none of that name. */
export function categorySet(name: string): CodePointSet | undefined {
  if (!categories.has(name)) categories.set(name, readCategory(name));
  return categories.get(name);
}

function readCategory(name: string): CodePointSet | undefined {
  let member: RegExp;
  try {
    member = new RegExp(`^\\p{${name}}$`, 'u');
  } catch {
    // The engine knows no category of that name.
    return undefined;
  }
  const ranges: [number, number][] = [];
  for (let point = 0; point <= CODE_POINT_MAX; point++) {
    if (!member.test(String.fromCodePoint(point))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === point - 1) last[1] = point;
    else ranges.push([point, point]);
  }
  return ranges;
}
