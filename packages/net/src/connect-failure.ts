/**
 * Why there is no connection, told once and in words: grpc-js wraps what Node and OpenSSL say in its own sentence, with
 * file names and numbers that help nobody. Only what a peer of ours can meet is told apart; the rest keeps its text.
 */

/** What stands in the way, for whoever knows a remedy. */
export type ConnectFailure = 'nobody_listens' | 'unknown_name' | 'unreachable' | 'no_tls' | 'another_root' | 'not_admitted';

interface Told {
  readonly message: string;
  readonly failure?: ConnectFailure;
}

interface Kind {
  readonly failure: ConnectFailure;
  readonly pattern: RegExp;
  /** `$1` is the first group of the pattern. */
  readonly says: string;
}

const KINDS: readonly Kind[] = [
  { failure: 'nobody_listens', pattern: /connect ECONNREFUSED (\S+)/, says: 'nothing listens at $1' },
  { failure: 'unknown_name', pattern: /Name resolution failed for target (?:dns:)?(\S+)/, says: 'the name of $1 has no address' },
  { failure: 'unreachable', pattern: /connect (?:EHOSTUNREACH|ENETUNREACH|ETIMEDOUT) (\S+)/, says: '$1 cannot be reached' },
  {
    failure: 'no_tls',
    pattern: /wrong version number|packet length too long|SSL routines:[^:]*:http request/,
    says: 'what listens there does not speak TLS',
  },
  {
    failure: 'another_root',
    pattern: /self-signed certificate|unable to (?:verify|get)|certificate signature failure/,
    says: 'the certificate there is of another root',
  },
  {
    failure: 'not_admitted',
    pattern: /alert (?:unknown ca|bad certificate|certificate \w+)/,
    says: 'our certificate is not admitted there',
  },
];

/** The details of an `unavailable`, as they come from grpc-js. */
export function connectFailure(details: string): Told {
  for (const { failure, pattern, says } of KINDS) {
    const match = pattern.exec(details);
    if (match !== null) return { failure, message: says.replace('$1', (match[1] ?? '').replace(/\.$/, '')) };
  }
  const inner = /^No connection established\. Last error: (?:Error: )?([\s\S]*?)\.? Resolution note:[\s\S]*$/.exec(details)?.[1];
  return { message: (inner ?? details).replaceAll(/\s+/g, ' ').trim() };
}
