/** Readers that several fields of rules share: counts, times of day, instants. */

import { parseInstant } from '@sallyport/model';
import type { Instant } from '@sallyport/model';
import type { Node, Problems } from './node.ts';
import type { Fields, Reader } from './read.ts';

/** A whole number between two bounds, inclusive. */
export function count(what: string, min: number, max: number): Reader<number> {
  return (node, problems) => {
    const value = node.kind === 'scalar' && /^(0|[1-9][0-9]{0,8})$/.test(node.text) ? Number(node.text) : undefined;
    if (value !== undefined && value >= min && value <= max) return value;
    return problems.add(node.place, `${what} must be a whole number from ${min} to ${max}`);
  };
}

/** `true`; what would say nothing is left out. */
export const isTrue: Reader<true> = (node, problems) =>
  node.kind === 'scalar' && node.value === true ? true : problems.add(node.place, 'must be `true`', { remedy: 'or leave it out' });

/** Whether a map that may leave out each of its fields has one; reported where it has none. */
export function atLeastOne(declared: Fields, keys: readonly string[], problems: Problems): boolean {
  if (keys.some((key) => declared.has(key))) return true;
  problems.add(declared.place, 'demands nothing', { remedy: `give at least one of ${keys.join(', ')}` });
  return false;
}

/** `2026-12-31T23:59:59Z`: RFC 3339 in UTC, with or without milliseconds. */
export const instant: Reader<Instant> = (node, problems) => {
  const text = node.kind === 'scalar' ? node.text : '';
  const read = parseInstant(/^[^.]*Z$/.test(text) ? text.replace('Z', '.000Z') : text);
  return read ?? problems.add(node.place, 'must be an instant in UTC', { remedy: 'such as 2026-12-31T23:59:59Z' });
};

/** `09:30` as minutes from midnight; `24:00` only where it ends something. */
export function timeOfDay(what: string, minutesMax: number): Reader<number> {
  return (node: Node, problems: Problems) => {
    const match = node.kind === 'scalar' ? /^([01][0-9]|2[0-4]):([0-5][0-9])$/.exec(node.text) : null;
    const minutes = match === null ? Number.NaN : Number(match[1]) * 60 + Number(match[2]);
    return minutes <= minutesMax ? minutes : problems.add(node.place, `${what} must be a time of day`, { remedy: 'such as "09:30"' });
  };
}

/** `+01:00` as minutes east of UTC. */
export const utcOffset: Reader<number> = (node, problems) => {
  const match = node.kind === 'scalar' ? /^([+-])(0[0-9]|1[0-4]):([0-5][0-9])$/.exec(node.text) : null;
  if (match === null) return problems.add(node.place, 'must be an offset from UTC', { remedy: 'such as "+01:00"' });
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
};

/** Minutes as `09:30`. */
export function formatMinutes(minutes: number): string {
  return `${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`;
}

export function formatOffset(minutes: number): string {
  return `${minutes < 0 ? '-' : '+'}${formatMinutes(Math.abs(minutes))}`;
}
