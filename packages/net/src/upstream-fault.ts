/** How an exchange with an upstream fails: a closed code, and whether the upstream may have seen the request. */

import { Fault } from '@sallyport/model';
import type { FaultCode } from '@sallyport/model';

/**
 * A failed exchange. `wasSent` false proves that no byte of the request left: the call had no effect and its
 * reservations can be cancelled. True proves nothing: the upstream may have done all of it.
 */
export class UpstreamFault extends Fault {
  readonly wasSent: boolean;

  constructor(code: FaultCode, message: string, options: { readonly wasSent: boolean; readonly cause?: unknown }) {
    super(code, 'upstream', message, { cause: options.cause });
    this.wasSent = options.wasSent;
  }
}

/** How far an exchange had come. */
export type Stage = 'connecting' | 'securing' | 'sent' | 'answering';

/** Names what Node says, by the stage in which it says it. */
export function upstreamFault(what: string, stage: Stage, cause: unknown): UpstreamFault {
  if (cause instanceof UpstreamFault) return cause;
  const wasSent = stage === 'sent' || stage === 'answering';
  return new UpstreamFault(codeOf(stage, cause), `while ${WHILE[stage]} ${what}: ${reasonOf(cause)}`, { wasSent, cause });
}

const WHILE: Readonly<Record<Stage, string>> = {
  connecting: 'connecting to',
  securing: 'securing the connection to',
  sent: 'waiting for the answer of',
  answering: 'reading the answer of',
};

function codeOf(stage: Stage, cause: unknown): FaultCode {
  const errno = errnoOf(cause);
  if (errno.startsWith('HPE_')) return 'upstream_protocol';
  switch (stage) {
    case 'connecting':
    case 'sent':
      return 'upstream_unreachable';
    case 'securing':
      // Anything but a lost connection means that the other side could not prove who it is.
      return errno === 'ECONNRESET' || errno === 'EPIPE' ? 'upstream_unreachable' : 'upstream_untrusted';
    case 'answering':
      return 'upstream_protocol';
  }
}

function errnoOf(cause: unknown): string {
  return typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
}

/** A code and Node's own words; never what the upstream sent. */
function reasonOf(cause: unknown): string {
  const errno = errnoOf(cause);
  if (!(cause instanceof Error)) return 'failed';
  const message = cause.message === '' ? 'failed' : cause.message;
  return errno === '' || message.includes(errno) ? message : `${errno}: ${message}`;
}
