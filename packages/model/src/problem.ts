/** What a parser says is wrong: every problem at once, each with its place and, where we know it, the remedy. */

export interface Problem {
  /** Where in the value: `rules[0].allow[1]`, `limits.body_bytes_max`; empty for the whole. */
  readonly path: string;
  /** Lower case, no full stop, the author's own words in backticks. */
  readonly message: string;
  readonly remedy?: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  readonly column?: number;
  /** A problem unless said otherwise; a warning never fails a build. */
  readonly severity?: 'warning';
}

/** `policy/refund.yaml:12:5: rules[0].allow[1]: unknown tool … (did you mean …)`, one line. */
export function formatProblem(problem: Problem): string {
  const position = problem.line === undefined ? '' : `:${problem.line}${problem.column === undefined ? '' : `:${problem.column}`}`;
  const place = [problem.file === undefined ? '' : problem.file + position, problem.path].filter((part) => part !== '').join(': ');
  const severity = problem.severity === undefined ? '' : `${problem.severity}: `;
  const remedy = problem.remedy === undefined ? '' : ` (${problem.remedy})`;
  return `${place === '' ? '' : `${place}: `}${severity}${problem.message}${remedy}`;
}

/** The nearest of `known` to a mistyped `text`, for `did you mean`, or `undefined` when none is near. */
export function nearest(text: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(text.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(text, candidate, bestDistance);
    // A name of one sign is no more like another than any: nothing of it stayed.
    if (distance < bestDistance && distance < text.length) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment): what fingers do. */
function editDistance(a: string, b: string, giveUpAt: number): number {
  if (Math.abs(a.length - b.length) >= giveUpAt) return giveUpAt;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? (before[j - 2] ?? 0) + 1 : substitution;
      next.push(Math.min(substitution, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? giveUpAt;
}
