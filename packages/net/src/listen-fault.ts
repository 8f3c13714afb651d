/** Why a port could not be opened, in words that say what to do. */

import { Fault } from '@sallyport/model';

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is in use by another process',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not open it',
};

/** A Fault `listen_failed` for an address as it was configured. */
export function listenFault(where: string, cause: unknown): Fault {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = REASONS[code] ?? (cause instanceof Error ? cause.message : String(cause));
  return new Fault('listen_failed', 'internal', `cannot listen on \`${where}\`: ${reason}`, { cause });
}
