/** `npm run bench` as a command: that it notices what is slow, and says so. What is fast enough is for the bench alone. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readBenchReport } from './bench-line.ts';

const reports = mkdtempSync(join(tmpdir(), 'sallyport-bench-report-'));
afterAll(() => rmSync(reports, { recursive: true }));

/** Longer than any bound on what a call may take more, and short enough for 64 connections to keep up. */
const SLOW_MS = 50;

test('a proxy that holds every answer back ends the bench with 1, and the figure is named', { timeout: 120_000 }, () => {
  const args = ['proxy', '--quick', '--source', '--only', 'latency', '--inject-slow-ms', String(SLOW_MS), '--reports', reports];
  const script = join(import.meta.dirname, 'bench.ts');
  const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  expect(stderr).toMatch(/^over its bound: proxy: added_p50_at_1000rps /m);
  expect(status).toBe(1);
  const lines = readBenchReport('bench-proxy.jsonl', readFileSync(join(reports, 'bench-proxy.jsonl'), 'utf8'));
  expect(lines.find(({ figure }) => figure === 'added_p50_at_1000rps')).toMatchObject({ requirements: ['R15.12'] });
});
