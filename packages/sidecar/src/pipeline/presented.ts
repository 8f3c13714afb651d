/** An access token as a request carries it: a bearer's, or bound to a key that the request proves. */

import type { OperatorTokenContext } from '@sallyport/credentials';
import { deny, fail, ok, type Denial, type Result } from '@sallyport/model';
import type { Framed } from './facts.ts';
import type { Ports } from './ports.ts';

/** Of the port that was asked: a proof names it. */
type Scheme = Ports['schemes'][keyof Ports['schemes']];

export interface Presented {
  readonly token: string;
  /** Absent for a bearer's token. */
  readonly possession?: Exclude<OperatorTokenContext['possession'], 'proven' | undefined>;
}

/**
 * RFC 6750 section 2.1 and RFC 9449 section 7.1: exactly one scheme and one token. The address that a proof must name is the
 * one that was asked for; which names the port answers to is framing's to judge.
 */
export function presentedBy({ method, target, headers }: Framed['head'], scheme: Scheme): Result<Presented, Denial> {
  const header = headers.get('authorization');
  if (header === undefined) return fail(deny('unauthenticated', 'no Authorization header'));
  const [, kind = '', token = ''] = /^(Bearer|DPoP) ([A-Za-z0-9\-._~+/]+=*)$/i.exec(header) ?? [];
  if (token === '') return fail(deny('unauthenticated', 'Authorization is not one bearer or DPoP token'));
  const proof = headers.get('dpop');
  if (kind.toLowerCase() === 'dpop') {
    const authority = target.port === undefined ? target.host : `${target.host}:${target.port}`;
    return ok({ token, possession: { proof, method, url: `${scheme}://${authority}${target.path}` } });
  }
  // A client that sends a proof means its token to be bound; taken as a bearer's, nobody would notice that it is not.
  return proof === undefined ? ok({ token }) : fail(deny('unauthenticated', 'a DPoP proof beside a bearer token'));
}

/** As `presentedBy`, for a request whose head was proven before and has spent its proof. */
export function presentedAgain(
  head: Framed['head'],
  scheme: Scheme,
): Result<Pick<OperatorTokenContext, 'possession'> & { readonly token: string }, Denial> {
  const presented = presentedBy(head, scheme);
  if (!presented.ok || presented.value.possession === undefined) return presented;
  return ok({ token: presented.value.token, possession: 'proven' });
}
