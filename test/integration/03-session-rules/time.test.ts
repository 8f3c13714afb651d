/** Rules that end: by the age of a session, and by the calendar. The clock is the test's. */

import { formatInstant, type Instant } from '@sallyport/model';
import type { FakeClock } from '@sallyport/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, codeOf } from '../../support/answers.ts';
import { governed, type Governed } from '../../support/governed.ts';
import { pass, testClock, type HttpAnswer } from '../../support/world.ts';

const MINUTE_MS = 60_000;
const REFUSED = [403, 'no_matching_policy'] as const;

const tool = (name: string): string => `
kind: Tool
name: orders/${name}
effect: write
route: { method: POST, path: /${name} }
---`;

/** `at` minutes after the beginning, as policies write it. */
const documents = (at: (minutes: number) => string, hour: (hours: number) => string): string => `
${['young', 'granted', 'over', 'to_come', 'at_hours', 'off_hours'].map(tool).join('')}
kind: Policy
agent: support-triage
rules:
  - { id: ten-minutes, allow: [orders/young], for: { roles: [support-rep] }, session: { max_age: 10m } }
  # The same grant three times: as it holds now, as it held, as it will hold.
  - { id: granted, allow: [orders/granted], for: { roles: [support-rep] }, valid: { from: "${at(-60)}", until: "${at(5)}" } }
  - { id: over, allow: [orders/over], for: { roles: [support-rep] }, valid: { until: "${at(-1)}" } }
  - { id: to-come, allow: [orders/to_come], for: { roles: [support-rep] }, valid: { from: "${at(5)}" } }
  - { id: at-hours, allow: [orders/at_hours], for: { roles: [support-rep] }, hours: { from: "${hour(-2)}", to: "${hour(2)}" } }
  - { id: off-hours, allow: [orders/off_hours], for: { roles: [support-rep] }, hours: { from: "${hour(2)}", to: "${hour(-2)}" } }
---
kind: Test
given: { roles: [support-rep], session: { age: 599s } }
cases:
  - { call: orders/young, expect: allow }
`;

describe('rules that end', () => {
  let clock: FakeClock;
  let desk: Governed;
  let begun: Instant;
  const call = (session: string, name: string): Promise<HttpAnswer> => desk.call(session, name);

  beforeAll(async () => {
    clock = testClock();
    begun = clock.wall();
    const at = (minutes: number): string => formatInstant((begun + minutes * MINUTE_MS) as Instant);
    desk = await governed(
      documents(at, (hours) => at(hours * 60).slice(11, 16)),
      { clock },
    );
  });
  afterAll(() => desk?.close());

  it('[R3.63] a grant holds between its instants, and at its hours', async () => {
    const session = await desk.session();
    for (const name of ['granted', 'at_hours']) expect([name, ...codeOf(await call(session, name))]).toEqual([name, ...ALLOWED]);
    expect(desk.arrived()).toEqual(['POST /granted {}', 'POST /at_hours {}']);
    for (const [name, rule, detail] of [
      ['over', 'over', 'held until'],
      ['to_come', 'to-come', 'holds from'],
      ['off_hours', 'off-hours', 'UTC'],
    ] as const) {
      const refused = await call(session, name);
      expect([name, ...codeOf(refused)]).toEqual([name, ...REFUSED]);
      expect(await desk.record(refused)).toMatchObject({ rule_id: rule, detail: expect.stringContaining(detail) as string });
    }
    expect(desk.arrived()).toEqual([]);
  });

  it('[R3.63] the same grant is over when its time is, in a session that goes on, and another one begins', async () => {
    const session = await desk.session();
    expect(codeOf(await call(session, 'granted'))).toEqual(ALLOWED);
    await pass(clock, begun + 5 * MINUTE_MS - clock.wall() - 1_000, 1_000);
    expect(codeOf(await call(session, 'granted'))).toEqual(ALLOWED);
    expect(codeOf(await call(session, 'to_come'))).toEqual(REFUSED);
    desk.arrived();
    await pass(clock, 1_000, 1_000);
    expect(codeOf(await call(session, 'granted'))).toEqual(REFUSED);
    expect(desk.arrived()).toEqual([]);
    expect(codeOf(await call(session, 'to_come'))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['POST /to_come {}']);
  });

  it('[R3.62] a session of nine minutes and fifty-nine seconds may; two seconds later it may not, though its token is good', async () => {
    const session = await desk.session();
    await pass(clock, 10 * MINUTE_MS - 1_000, 1_000);
    expect(codeOf(await call(session, 'young'))).toEqual(ALLOWED);
    expect(desk.arrived()).toEqual(['POST /young {}']);
    await pass(clock, 2_000, 1_000);
    const refused = await call(session, 'young');
    expect(codeOf(refused)).toEqual([403, 'session_precondition_failed']);
    expect(await desk.record(refused)).toMatchObject({ rule_id: 'ten-minutes', detail: expect.stringContaining('10m') as string });
    expect(desk.arrived()).toEqual([]);
    // The token and the session are what they were; a new session is young again.
    expect(codeOf(await call(session, 'to_come'))).toEqual(ALLOWED);
    expect(codeOf(await call(await desk.session(), 'young'))).toEqual(ALLOWED);
  });
});
