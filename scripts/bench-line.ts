/** One figure of a bench as one JSON line: read strictly, written the same way. docs/spec/bench-report.md. */

/** Where a figure must lie, ends included. Exactly one member. */
export type Bound = { readonly max: number } | { readonly min: number };

export interface BenchLine {
  readonly bench: string;
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  /** What was measured beside it in the same run, in the same unit. */
  readonly baseline?: number;
  readonly ratio?: number;
  /** A regression bound: a figure beyond it fails. */
  readonly bound?: Bound;
  /** What was promised, for the reader; judged by nobody. */
  readonly promise?: Bound;
  /** Rows of docs/requirements.json that this figure shows; only together with a bound. */
  readonly requirements: readonly string[];
}

const MEMBERS: readonly string[] = ['bench', 'figure', 'value', 'unit', 'baseline', 'ratio', 'bound', 'promise', 'requirements'];

/** Whether the figure keeps its promise. The ratio is judged where there is one, the value otherwise. */
export function isWithinBound({ value, ratio, bound }: BenchLine): boolean {
  if (bound === undefined) return true;
  const judged = ratio ?? value;
  return 'max' in bound ? judged <= bound.max : judged >= bound.min;
}

/** Parses one line, or throws with every problem it has. */
export function readBenchLine(source: string, text: string): BenchLine {
  const line = parse(source, text);
  const problems = problemsOf(line);
  if (problems.length > 0) throw new Error(`${source}: ${problems.join('; ')}`);
  const { requirements, ...rest } = line as Omit<BenchLine, 'requirements'> & { requirements?: readonly string[] };
  return { ...rest, requirements: requirements ?? [] };
}

/** What a bench says of itself beside its figures: under which circumstances, or what it did not run and why. */
export interface BenchNote {
  readonly bench: string;
  readonly note: string;
}

/** Parses the figures of a report; empty lines and notes are passed over. */
export function readBenchReport(source: string, text: string): readonly BenchLine[] {
  return linesOf(source, text).flatMap(({ line, where }) => (noteIn(where, line) === undefined ? [readBenchLine(where, line)] : []));
}

/** Parses the notes of a report. */
export function readBenchNotes(source: string, text: string): readonly BenchNote[] {
  return linesOf(source, text).flatMap(({ line, where }) => noteIn(where, line) ?? []);
}

function linesOf(source: string, text: string): readonly { line: string; where: string }[] {
  return text
    .split('\n')
    .map((line, index) => ({ line, where: `${source}:${index + 1}` }))
    .filter(({ line }) => line.trim() !== '');
}

/** A line with `note` is a note, and has nothing else than that and `bench`; `undefined` for a figure. */
function noteIn(where: string, text: string): BenchNote | undefined {
  const line = parse(where, text);
  if (!Object.hasOwn(line, 'note')) return undefined;
  const { bench, note, ...rest } = line;
  if (typeof bench === 'string' && typeof note === 'string' && Object.keys(rest).length === 0) return { bench, note };
  throw new Error(`${where}: a note has \`bench\` and \`note\`, both text, and nothing else`);
}

function problemsOf(line: Record<string, unknown>): readonly string[] {
  const isName = (value: unknown): boolean => typeof value === 'string' && value !== '';
  const unknown = Object.keys(line).filter((member) => !MEMBERS.includes(member));
  return [
    ...unknown.map((member) => `unknown member \`${member}\``),
    ...['bench', 'figure', 'unit'].filter((member) => !isName(line[member])).map((member) => `\`${member}\` must be a text`),
    ...(isFiniteNumber(line['value']) ? [] : ['`value` must be a number']),
    ...['baseline', 'ratio']
      .filter((member) => line[member] !== undefined && !isFiniteNumber(line[member]))
      .map((member) => `\`${member}\` must be a number`),
    ...['bound', 'promise']
      .filter((member) => line[member] !== undefined && !isBound(line[member]))
      .map((member) => `\`${member}\` must be \`{"max":n}\` or \`{"min":n}\``),
    ...requirementProblems(line),
  ];
}

function requirementProblems(line: Record<string, unknown>): readonly string[] {
  const ids = line['requirements'];
  if (ids === undefined) return [];
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'string')) return ['`requirements` must be a list of ids'];
  return ids.length > 0 && line['bound'] === undefined ? ['`requirements` without a `bound` proves nothing'] : [];
}

function isBound(value: unknown): value is Bound {
  if (typeof value !== 'object' || value === null) return false;
  const members = Object.entries(value);
  return members.length === 1 && members.every(([name, limit]) => (name === 'max' || name === 'min') && isFiniteNumber(limit));
}

function isFiniteNumber(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value);
}

function parse(source: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${source}: not JSON: ${text.slice(0, 80)}`, { cause: error });
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Error(`${source}: a line must be one JSON object`);
}
