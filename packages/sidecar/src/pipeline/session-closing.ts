/** The end of a session by whoever holds a token of it. */

import type { WireAnswer } from '@sallyport/dialects';
import type { Denial, Result, RuleId } from '@sallyport/model';
import { ok } from '@sallyport/model';
import type { LocalAnswer } from './gate.ts';
import { wholeAnswer } from './local-answers.ts';
import type { OpenSession, Ports } from './ports.ts';

/** Either side may end it: the agent that holds it, and the client whose it is. What was under way in it is cut. */
export function closingOf(open: Result<OpenSession, Denial>, { sessions }: Ports): Result<LocalAnswer, Denial> {
  if (!open.ok) return open;
  const { id } = open.value;
  return ok({
    verdict: 'local',
    what: 'session',
    ruleId: CLOSING_RULE,
    produce: () => {
      sessions.close(id);
      return wholeAnswer(NOTHING, { result: 'local', detail: `session ${id} ended` });
    },
  });
}

const CLOSING_RULE = 'local:session-end' as RuleId;
const NOTHING: WireAnswer = { status: 204, headers: { 'cache-control': 'no-store' }, body: new Uint8Array() };
