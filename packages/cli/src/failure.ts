/** What was thrown, in words: one line for people, the whole chain on demand. */

import { Fault } from '@sallyport/model';
import type { FaultCode } from '@sallyport/model';

/** A Fault is the world's doing and speaks for itself; anything else is ours. */
export function errorText(error: unknown, isVerbose: boolean): string {
  if (isVerbose) return errorChain(error);
  if (error instanceof Fault) return error.message;
  return `this should not have happened: ${error instanceof Error ? error.message : String(error)}`;
}

/** The same for programs. */
export function errorCode(error: unknown): FaultCode | 'internal' {
  return error instanceof Fault ? error.code : 'internal';
}

function errorChain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by: ${errorChain(error.cause)}`;
}
