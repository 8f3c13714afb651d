/** Demands on the moment: from when to when a rule holds, and at which hours of which days. */

import { formatInstant } from '@sallyport/model';
import { quote } from '../reader/node.ts';
import { atLeastOne, formatMinutes, formatOffset, instant, timeOfDay, utcOffset } from '../reader/read-more.ts';
import { fields, list, oneOf } from '../reader/read.ts';
import { DAYS } from '../rule.ts';
import type { DemandValues } from '../rule.ts';
import type { Demand } from './demand.ts';

export const valid: Demand<DemandValues['valid']> = {
  field: 'valid',
  read: (node, problems) => {
    const declared = fields(node, problems, '`valid`', ['from', 'until']);
    if (declared === undefined || !atLeastOne(declared, ['from', 'until'], problems)) return undefined;
    const [from, until] = [declared.get('from', instant), declared.get('until', instant)];
    if (from !== undefined && until !== undefined && from >= until)
      return problems.add(node.place, '`from` is not before `until`, so the rule can never match', { remedy: 'mend one of the two' });
    return { ...(from === undefined ? {} : { from }), ...(until === undefined ? {} : { until }) };
  },
  encode: ({ from, until }) => ({
    ...(from === undefined ? {} : { from: formatInstant(from) }),
    ...(until === undefined ? {} : { until: formatInstant(until) }),
  }),
  judge: ({ from, until }, { input: { now } }) => {
    if (from !== undefined && now < from) return { subject: 'from', detail: `holds from ${formatInstant(from)}` };
    if (until !== undefined && now >= until) return { subject: 'until', detail: `held until ${formatInstant(until)}` };
    return undefined;
  },
  facts: ({ now }) => ({ now: formatInstant(now) }),
  remedy: ({ from, until }) =>
    `call ${from === undefined ? '' : `from ${formatInstant(from)} `}${until === undefined ? '' : `before ${formatInstant(until)}`}`.trim(),
};

const DAY_MINUTES = 1_440;
/** 1970-01-01 was a Thursday. */
const EPOCH_DAY = 3;

export const hours: Demand<DemandValues['hours']> = {
  field: 'hours',
  read: (node, problems) => {
    const declared = fields(node, problems, '`hours`', ['days', 'from!', 'to!', 'utc_offset']);
    if (declared === undefined) return undefined;
    const days = declared.get('days', list('`days`', oneOf('day', DAYS), { min: 1, key: (entry) => entry })) ?? DAYS;
    const from = declared.get('from', timeOfDay('`from`', DAY_MINUTES - 1));
    const to = declared.get('to', timeOfDay('`to`', DAY_MINUTES));
    const offset = declared.get('utc_offset', utcOffset) ?? 0;
    if (from === undefined || to === undefined) return undefined;
    if (from === to)
      return problems.add(node.place, `${quote('from')} and ${quote('to')} are the same, so the rule can never match`, {
        remedy: 'from "00:00" to "24:00" is the whole day',
      });
    return { days, from, to, offset };
  },
  encode: ({ days, from, to, offset }) => ({
    days: DAYS.filter((day) => days.includes(day)),
    from: formatMinutes(from),
    to: formatMinutes(to),
    utc_offset: formatOffset(offset),
  }),
  judge: (value, { input: { now } }) => {
    const { days, from, to, offset } = value;
    const minutes = Math.floor(now / 60_000) + offset;
    const [day, minute] = [Math.floor(minutes / DAY_MINUTES), ((minutes % DAY_MINUTES) + DAY_MINUTES) % DAY_MINUTES];
    const isOn = (at: number): boolean => days.includes(DAYS[(((at + EPOCH_DAY) % 7) + 7) % 7] ?? 'mon');
    // Hours that pass midnight belong to the day on which they began.
    const isInside =
      from < to ? isOn(day) && minute >= from && minute < to : (isOn(day) && minute >= from) || (isOn(day - 1) && minute < to);
    return isInside ? undefined : { subject: 'hours', detail: `holds ${describe(value)}` };
  },
  facts: ({ now }) => ({ now: formatInstant(now) }),
  remedy: (value) => `call ${describe(value)}`,
};

function describe({ days, from, to, offset }: DemandValues['hours']): string {
  const on = days.length === DAYS.length ? 'every day' : `on ${DAYS.filter((day) => days.includes(day)).join(', ')}`;
  return `${on} between ${formatMinutes(from)} and ${formatMinutes(to)} (UTC${formatOffset(offset)})`;
}
