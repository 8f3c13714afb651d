/** Options of a command as values: what is typed, what it means, and the type that it is read to. */

import { fail, nearest, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';

/** An option that reads to a `T`. */
export interface Option<T> {
  /** `--out FILE`; a switch has no value: `--json`. */
  readonly flags: string;
  /** One clause for help and reference, no full stop. */
  readonly says: string;
  readonly isRequired: boolean;
  readonly isRepeatable: boolean;
  /** As shown in help; empty where leaving it out has no name. */
  readonly shownDefault: string;
  /** The closed list of what may be given, where there is one. */
  readonly words?: readonly string[];
  /** Given texts, in order; a switch gives one empty text. What is wrong is one clause. */
  readonly read: (given: readonly string[]) => Result<T, string>;
}

export type Options = Readonly<Record<string, Option<unknown>>>;
export type Values<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

const BASE = { isRequired: false, isRepeatable: false, shownDefault: '' };

/** True where it is given. */
export function flag(flags: string, says: string): Option<boolean> {
  return { ...BASE, flags, says, read: (given) => ok(given.length > 0) };
}

/** Text, or `undefined` where it is left out. */
export function text(flags: string, says: string): Option<string | undefined> {
  return { ...BASE, flags, says, read: (given) => ok(given.at(-1)) };
}

/** Text that stands for itself where it is left out. */
export function textOr(flags: string, says: string, otherwise: string): Option<string> {
  return { ...BASE, flags, says, shownDefault: otherwise, read: (given) => ok(given.at(-1) ?? otherwise) };
}

/** Text without which the command cannot begin. */
export function required(flags: string, says: string): Option<string> {
  const read: Option<string>['read'] = (given) => {
    const last = given.at(-1);
    return last === undefined ? fail('is missing') : ok(last);
  };
  return { ...BASE, flags, says, isRequired: true, read };
}

/** May be given more than once. */
export function many(flags: string, says: string): Option<readonly string[]> {
  return { ...BASE, flags, says, isRepeatable: true, read: (given) => ok(given) };
}

/** One word of a closed list; the first is meant where none is given. */
export function choice<const W extends string>(flags: string, says: string, words: readonly [W, ...W[]]): Option<W> {
  const read: Option<W>['read'] = (given) => {
    const last = given.at(-1);
    if (last === undefined) return ok(words[0]);
    const word = words.find((one) => one === last);
    const near = nearest(last, words);
    return word === undefined
      ? fail(`\`${last}\` is none of ${words.join(', ')}${near === undefined ? '' : ` (did you mean ${near}?)`}`)
      : ok(word);
  };
  return { ...BASE, flags, says: `${says} (${words.join(', ')})`, shownDefault: words[0], words, read };
}

/** A whole number from 1, or `undefined` where it is left out. */
export function positive(flags: string, says: string): Option<number | undefined> {
  const read: Option<number | undefined>['read'] = (given) => {
    const last = given.at(-1);
    if (last === undefined) return ok(last);
    const value = Number(last);
    return /^[1-9][0-9]{0,15}$/.test(last) && Number.isSafeInteger(value) ? ok(value) : fail(`\`${last}\` is not a whole number from 1`);
  };
  return { ...BASE, flags, says, read };
}

interface Span {
  readonly otherwise: string;
  readonly minMs: number;
  readonly maxMs: number;
}

/** A span of time in milliseconds, written with its unit: `90s`, `15m`, `1h`, `30d`. */
export function duration(flags: string, says: string, { otherwise, minMs, maxMs }: Span): Option<number> {
  const read: Option<number>['read'] = (given) => {
    const last = given.at(-1) ?? otherwise;
    const ms = parseSpan(last);
    if (ms === undefined) return fail(`\`${last}\` is not a span of time such as 90s, 15m, 1h or 30d`);
    return ms >= minMs && ms <= maxMs ? ok(ms) : fail(`\`${last}\` is outside ${formatSpan(minMs)} to ${formatSpan(maxMs)}`);
  };
  return { ...BASE, flags, says, shownDefault: otherwise, read };
}

/** A span of time in milliseconds, or `undefined` where it is left out. */
export function maybeDuration(flags: string, says: string, range: Omit<Span, 'otherwise'>): Option<number | undefined> {
  const { read } = duration(flags, says, { ...range, otherwise: formatSpan(range.minMs) });
  return { ...BASE, flags, says, read: (given) => (given.length === 0 ? ok(undefined) : read(given)) };
}

const UNITS: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
];

/** Milliseconds of `90s`; `undefined` for anything else. */
export function parseSpan(span: string): number | undefined {
  const match = /^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$/.exec(span);
  const unit = UNITS.find(([name]) => name === match?.[2]);
  return match === null || unit === undefined ? undefined : Number(match[1]) * unit[1];
}

/** The shortest exact way to write a span: `15m`, `90s`, `1500ms`. */
export function formatSpan(ms: number): string {
  const [unit, size] = UNITS.find(([, one]) => ms >= one && ms % one === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
