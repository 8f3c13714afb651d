import { createLog } from '@sallyport/telemetry';
import { fakeClock } from '@sallyport/testkit';
import { expect, it } from 'vitest';
import { refusalLog } from './refusal-log.ts';

it('a flood of refused connections is sixty lines a minute, and one that counts the rest', async () => {
  const clock = fakeClock();
  const lines: { event: string; count?: number; address?: string }[] = [];
  const log = createLog({ level: 'info', name: 'test', clock, write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const refused = refusalLog(log, clock);
  const flood = (times: number): void => {
    for (let i = 0; i < times; i++)
      refused({ code: 'malformed_request', detail: 'HPE_INVALID_METHOD', address: `127.0.0.1:${i}`, status: 400, isWithinExchange: false });
  };
  flood(1_000);
  expect(lines).toHaveLength(60);
  await clock.advance(60_000);
  flood(1);
  expect(lines.slice(60)).toMatchObject([
    { event: 'connections_refused', count: 940 },
    { event: 'connection_refused', address: '127.0.0.1:0' },
  ]);
  await clock.advance(60_000);
  flood(2);
  expect(lines).toHaveLength(64);
});
