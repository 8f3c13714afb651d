/** What of an answer a workflow branches on. */

import type { HttpAnswer } from './world.ts';

/** The status, and of a refusal its code. */
export function codeOf(answer: HttpAnswer): readonly [status: number, code: unknown] {
  return [answer.status, answer.status < 300 ? 'ok' : answer.json()['code']];
}

export const ALLOWED = [200, 'ok'] as const;
