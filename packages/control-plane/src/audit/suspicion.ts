/** What is worth an alert: the closed list of codes, and whom it is about. docs/spec/control-plane.md section 9.3. */

import type { StreamEnd } from '@sallyport/audit';

export const ALERT_CODES = [
  'FORGED_SOURCE',
  'MALFORMED_RECORD',
  'FORK',
  'GAP',
  'AFTER_CLOSE',
  'UNCLOSED',
  'UNLINKED_RESTART',
  'TRUNCATED',
  'CHECKPOINT_INVALID',
  'SEGMENT_EDITED',
  'SEGMENT_MISSING',
  'OBJECT_EDITED',
  'IDENTITY_FORK',
  'BEHIND',
  'CLOCK_STEP',
  'ENDING',
] as const;
export type AlertCode = (typeof ALERT_CODES)[number];

export interface Suspicion {
  readonly code: AlertCode;
  /** The stream and place that it is about. */
  readonly subject: StreamEnd | null;
  readonly detail: string;
  /** Whom it is about: bounds how many one source can raise. */
  readonly source: string;
}
