/** The two failures that are thrown: a Fault (the world let us down) and a Bug (we did). Both deny. */

export type FaultCode =
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'upstream_protocol'
  | 'upstream_untrusted'
  | 'upstream_too_large'
  | 'control_plane_unreachable'
  | 'enrolment_refused'
  | 'journal_failed'
  | 'store_failed'
  | 'config_invalid'
  | 'listen_failed'
  | 'aborted';

export type FaultSource = 'upstream' | 'downstream' | 'control_plane' | 'internal';

/** An I/O failure with a closed code. `message` is for the log, never for the caller. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: FaultCode;
  readonly source: FaultSource;

  constructor(code: FaultCode, source: FaultSource, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.source = source;
  }
}

/** A broken promise of our own code. The runner answers `internal` and counts `bug_total`. */
export class Bug extends Error {
  override readonly name = 'Bug';
}

/** Throws a Bug unless the condition holds. */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Bug(why);
}

/** For the default arm of a switch over a closed union: adding a member without an arm does not compile. */
export function unreachable(value: never): never {
  throw new Bug(`unexpected value ${JSON.stringify(value)}`);
}
