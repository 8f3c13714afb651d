/** The act in which the control plane is killed: calls go on for as long as policy is fresh, end, and come back. */

import { Fault } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import type { Answered } from './mcp-client.ts';
import { FRESHNESS_TTL_MS } from './stage.ts';
import { act } from './telling.ts';
import type { Telling } from './telling.ts';

const ASK_EVERY_MS = 150;
/** Between the end of the ttl and the first refusal there may lie one question and one answer. */
const LATE_MS_MAX = 1_000;
const OUTAGE_MS_MAX: number = FRESHNESS_TTL_MS * 4;

/** `call` is one that is allowed whenever policy is fresh. */
export async function loseControlPlane(telling: Telling, call: () => Promise<Answered>): Promise<void> {
  const { stage, steps, io } = telling;
  const ttl = `${FRESHNESS_TTL_MS / 1_000} s`;
  await act(telling, {
    name: 'outage',
    title: 'The control plane is killed',
    says: [`Sidecars decide by themselves, for as long as they can know that their policy is current: here ${ttl}, and no longer.`],
  });
  const { controlPlane, sidecar } = stage;
  if (controlPlane === undefined || sidecar === undefined) throw new Fault('aborted', 'internal', 'nothing runs');
  controlPlane.kill('SIGKILL');
  await controlPlane.ended;
  steps.take(
    { name: 'kill -9 of the control plane', expected: 'it is gone', seen: controlPlane.isRunning ? 'it runs' : 'it is gone' },
    { mark: 'ok', title: 'kill -9 of the control plane', details: [] },
  );
  const outage = await watch(telling, call);
  const limit = FRESHNESS_TTL_MS + LATE_MS_MAX;
  steps.take(
    { name: 'calls go on without it', expected: 'allowed', seen: outage.allowed > 0 ? 'allowed' : 'refused at once' },
    {
      mark: 'ALLOW',
      title: `${outage.allowed} calls go on without it`,
      details: [`the last one ${seconds(outage.lastAllowedMs)} after the kill`],
    },
  );
  const late =
    outage.lastAllowedMs <= limit ? `nothing allowed after ${limit / 1_000} s` : `allowed ${seconds(outage.lastAllowedMs)} after`;
  steps.take(
    {
      name: 'and end when policy may be out of date',
      expected: `503 policy_stale, nothing allowed after ${limit / 1_000} s`,
      seen: `${outage.end.status} ${outage.end.code}, ${late}`,
    },
    { mark: 'DENY', title: 'and end when policy may be out of date', details: ['503 policy_stale: it fails closed'] },
  );
  const restarted = io.clock.boot();
  await stage.startControlPlane();
  const isBack = await stage.until(async () => (await call()).isAllowed, { everyMs: ASK_EVERY_MS });
  const isSame = stage.sidecar?.pid === sidecar.pid && sidecar.isRunning;
  steps.take(
    {
      name: 'the control plane is started again',
      expected: 'allowed, by the same sidecar process',
      seen: `${isBack ? 'allowed' : 'refused'}, by ${isSame ? 'the same' : 'another'} sidecar process`,
    },
    {
      mark: 'ALLOW',
      title: 'it is started again, and service returns by itself',
      details: [`after ${seconds(io.clock.boot() - restarted)}, by the same sidecar process`],
    },
  );
}

interface Outage {
  readonly allowed: number;
  readonly end: Answered;
  /** When the last call that was allowed was made, from the kill on. */
  readonly lastAllowedMs: number;
}

async function watch({ screen, io }: Telling, call: () => Promise<Answered>): Promise<Outage> {
  const killed = io.clock.boot();
  let lastAllowedMs = 0;
  let toldSeconds = 0;
  for (let allowed = 0; ; allowed += 1) {
    const askedMs = io.clock.boot() - killed;
    const answered = await call();
    if (!answered.isAllowed || askedMs > OUTAGE_MS_MAX) return { allowed, end: answered, lastAllowedMs };
    lastAllowedMs = askedMs;
    const second = Math.floor(askedMs / 1_000);
    if (second > toldSeconds) {
      toldSeconds = second;
      screen.note(`${second} s  still allowed`);
    }
    if (!(await delay(io.clock, ASK_EVERY_MS, { signal: io.signal }))) throw new Fault('aborted', 'internal', 'stopped');
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
