/** How a command speaks: its answer on standard output, as text or as one JSON document; everything else beside it. */

import { formatProblem } from '@sallyport/model';
import type { FaultCode, Json, JsonObject, Problem } from '@sallyport/model';
import type { Exit, Io } from './io.ts';

/** What kind of no it is, for programs; a Fault has its own code. */
export type RefusalCode = 'answer_is_no' | 'used_wrongly' | 'config_invalid' | 'stopped' | 'internal' | FaultCode;

/** Why there is no good answer: every problem, and the exit code that says what kind of no it is. */
export interface Refusal {
  readonly exit: Exclude<Exit, 0>;
  readonly problems: readonly Problem[];
  /** Where the exit code says too little. */
  readonly code?: RefusalCode;
}

export interface Output {
  readonly isJson: boolean;
  /** The answer in the form that was asked for. */
  answer(json: Json, text: string): Promise<void>;
  /** Text of the answer that only people want; nothing under `--json`. */
  say(text: string): Promise<void>;
  /** What is going on, on standard error. */
  progress(text: string): void;
  /** Says why not: on standard error, and under `--json` as the answer. Resolves to the exit code. */
  refuse(refusal: Refusal): Promise<Exit>;
}

export function createOutput(io: Io, options: { readonly isJson: boolean; readonly command: string }): Output {
  const { isJson, command } = options;
  const print = async (json: Json): Promise<void> => io.write(`${JSON.stringify(json)}\n`);
  return {
    isJson,
    async answer(json, text) {
      await (isJson ? print(json) : io.write(`${text}\n`));
    },
    async say(text) {
      if (!isJson) await io.write(`${text}\n`);
    },
    progress(text) {
      io.note(`${text}\n`);
    },
    async refuse(refused) {
      if (isJson) await print(refusalJson(refused));
      else
        for (const problem of refused.problems)
          io.note(`${problem.file === undefined ? `sallyport ${command}: ` : ''}${formatProblem(problem)}\n`);
      return refused.exit;
    },
  };
}

/** A refusal of one sentence without a place. */
export function refusal(exit: Refusal['exit'], message: string, remedy?: string): Refusal {
  return { exit, problems: [{ path: '', message, ...(remedy === undefined ? {} : { remedy }) }] };
}

const CODES: Readonly<Record<Refusal['exit'], RefusalCode>> = {
  1: 'answer_is_no',
  2: 'used_wrongly',
  64: 'config_invalid',
  130: 'stopped',
};

/** A refusal as it stands in JSON: what kind, the first problem in one line with what to do about it, and all of them. */
export function refusalJson({ exit, problems, code = CODES[exit] }: Refusal): JsonObject {
  const first = problems.find(({ severity }) => severity === undefined) ?? problems[0];
  const { remedy, ...rest } = first ?? { path: '', message: code };
  return { exit, code, message: formatProblem(rest), remedy: remedy ?? null, problems: problems.map(problemJson) };
}

/** A problem as it stands in JSON; absent members stay absent. */
export function problemJson({ path, message, remedy, file, line, column, severity }: Problem): Json {
  return Object.fromEntries(
    Object.entries({ file, line, column, path: path === '' ? undefined : path, severity, message, remedy }).filter(
      (entry): entry is [string, string | number] => entry[1] !== undefined,
    ),
  );
}

/** `spiffe://acme.test/admin/alice` as people say it: `admin/alice`. The trust domain is the reader's own. */
export function shownIdentity(spiffeId: string): string {
  return spiffeId.replace(/^spiffe:\/\/[^/]+\//, '');
}

/** Columns of text, each as wide as its widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((wide, row) => {
    for (const [column, cell] of row.entries()) wide[column] = Math.max(wide[column] ?? 0, cell.length);
    return wide;
  }, []);
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `1 rule`, `2 rules`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
