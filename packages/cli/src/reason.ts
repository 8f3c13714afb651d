/** Why something was taken back: what everybody reads in the log, so never nothing, and never a book. */

import { fail, ok } from '@sallyport/model';
import type { Result } from '@sallyport/model';
import { required } from './option.ts';
import type { Option } from './option.ts';

const REASON_CHARS_MAX = 500;

export function judgeReason(reason: string): Result<string, string> {
  return reason.trim() === '' || reason.length > REASON_CHARS_MAX ? fail(`a reason has 1 to ${REASON_CHARS_MAX} characters`) : ok(reason);
}

const base = required('--reason TEXT', 'why, for everybody who reads the log');

export const reasonOption: Option<string> = {
  ...base,
  read(given) {
    const text = base.read(given);
    return text.ok ? judgeReason(text.value) : text;
  },
};
