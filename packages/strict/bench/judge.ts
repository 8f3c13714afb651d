/** What judging costs beside `JSON.parse` alone, on a tool call of 1.2 KB: `node --conditions=sallyport-src packages/strict/bench/judge.ts`. */

import { judge } from '@sallyport/strict';

const call = {
  jsonrpc: '2.0',
  id: 17,
  method: 'tools/call',
  params: {
    name: 'create_expense_report',
    arguments: {
      employee_id: 'alice@company.com',
      amount: 127.5,
      currency: 'EUR',
      cost_center: 'eng-team-001',
      receipt: 'Taxi from the airport to the office, 14 November, paid by card. '.repeat(6),
      lines: Array.from({ length: 6 }, (_, i) => ({ position: i + 1, text: `line ${i + 1}`, amount: 21.25, tags: ['travel', 'taxi'] })),
      approved: false,
      comment: null,
    },
    _meta: { 'dev.sallyport/session': 'x'.repeat(120), progressToken: 'p-17' },
  },
};
const source = new TextEncoder().encode(JSON.stringify(call));
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function microseconds(run: () => void): number {
  const [rounds, batch] = [40, 2_000];
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < batch; i++) run();
    times.push(((performance.now() - start) * 1000) / batch);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] as number;
}

const parse = microseconds(() => {
  JSON.parse(decoder.decode(source));
});
const judged = microseconds(() => judge(source));
const line = { bench: 'judge', figure: 'judge_1200_bytes', value: judged, unit: 'us', baseline: parse, ratio: judged / parse };
process.stdout.write(`${JSON.stringify(line)}\n`);
