/** Calls, one after another, until they are refused: for how long a sidecar goes on, and how it ends. */

import { Fault } from '@sallyport/model';
import { delay } from '@sallyport/runtime';
import type { Scene } from './attack.ts';

export const ALLOWED = '200 ok';
export const STALE = '503 policy_stale';
const ASK_EVERY_MS = 100;
/** A sidecar that has not ended by then does not end. */
const TTLS_MAX = 4;
/** What invariant 2 leaves between the deadline and the last call that is let through. */
const LATE_MS_MAX = 1_000;

export interface Watched {
  readonly allowed: number;
  /** The first answer that was a refusal, or the last answer. */
  readonly end: string;
  /** When the last call that was allowed was made, from `since` on. */
  readonly lastAllowedMs: number;
}

/** `since` is when the last word of the control plane can have come, by `io.clock.boot()`. */
export async function watchUntilRefused({ subject, ground, io }: Scene, since: number): Promise<Watched> {
  let lastAllowedMs = 0;
  for (let allowed = 0; ; allowed += 1) {
    const askedMs = io.clock.boot() - since;
    const end = await subject.read();
    if (end !== ALLOWED || askedMs > ground.ttlMs * TTLS_MAX) return { allowed, end, lastAllowedMs };
    lastAllowedMs = askedMs;
    if (!(await delay(io.clock, ASK_EVERY_MS, { signal: io.signal }))) throw new Fault('aborted', 'internal', 'stopped');
  }
}

/** The steps that every end of freshness has in common: on time, 503, readiness down, liveness up. */
export async function takeEnd(scene: Scene, { end, lastAllowedMs }: Watched): Promise<void> {
  const { steps, subject, ground } = scene;
  const limitMs = ground.ttlMs + LATE_MS_MAX;
  const late = lastAllowedMs <= limitMs ? 'on time' : `${lastAllowedMs - ground.ttlMs} ms late`;
  steps.take({ name: `calls end within ${limitMs / 1_000} s`, expected: `${STALE}, on time`, seen: `${end}, ${late}` });
  const { ready, state } = await subject.ready();
  const live = (await subject.isLive()) ? 'live' : 'not live';
  steps.take({ name: 'it says so', expected: 'not ready, stale, live', seen: `${ready ? 'ready' : 'not ready'}, ${state}, ${live}` });
}

/** The step that ends most attacks: the line is as it was, and the same process serves again. */
export async function takeRecovery({ steps, subject, ground }: Scene): Promise<void> {
  const { pid } = subject;
  const isBack = await subject.enforces(ground.second.releaseSeq);
  const answer = isBack ? await subject.read() : 'never ready';
  const same = subject.pid === pid ? 'by itself' : 'as another process';
  steps.take({ name: 'service comes back', expected: `${ALLOWED}, by itself`, seen: `${answer}, ${same}` });
}

/** The step of everything that tries to bring other policy: what only the first release allows is still refused. */
export async function takeStillInForce({ steps, subject, ground }: Scene): Promise<void> {
  const before = ground.tool.calls.length;
  const [read, refund] = [await subject.read(), await subject.refund()];
  const refunds = ground.tool.calls.slice(before).filter(({ line }) => line.includes('refund')).length;
  steps.take({
    name: 'policy in force',
    expected: `release ${ground.second.releaseSeq}: read ${ALLOWED}, refund 403 tool_not_allowed, 0 refunds at the tool`,
    seen: `release ${(await subject.ready()).release_seq ?? 'none'}: read ${read}, refund ${refund}, ${refunds} refunds at the tool`,
  });
}
