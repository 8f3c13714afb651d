/**
 * The seam between the inbound leg and the ways in which a caller proves who it is: what a method is given, what it
 * answers, and in which two steps. docs/spec/callers.md.
 */

import type { CallerMethodConfig, Denial, Digest, Instant, Principal, Result } from '@sallyport/model';

/** A request as it came, before anything was interpreted. */
export interface CallerRequest {
  readonly method: string;
  /** As on the wire. */
  readonly target: string;
  /** The `host` or `:authority` that the framing was judged by; lower case, the port as it was sent. */
  readonly authority: string;
  /** Names and values in turn, as Node gives them, already judged by `readHeaders` of strict. */
  readonly rawHeaders: readonly string[];
  /** Of the leg that it came by; `https` unless told. */
  readonly scheme?: 'http' | 'https';
  /** The bytes as received, content coding not undone; `undefined` while unread. No body is an empty array. */
  readonly body: Uint8Array | undefined;
  /** DER, leaf first, of a connection whose handshake has proven the key; `undefined` where the peer showed none. */
  readonly peerCertificate: readonly Uint8Array[] | undefined;
  /** RFC 9266 channel binding, for methods that tie a credential to its connection. No method asks for it yet. */
  readonly tlsExporter?: Uint8Array;
}

/** The snapshot of the call that the credential is judged by. */
export interface CallerContext {
  readonly now: Instant;
  /** The bundle whose configuration the method was made from. */
  readonly bundle: Digest;
  /** The same request has been verified before and has spent what it had: everything is judged anew, and nothing spent. */
  readonly isAgain?: boolean;
}

/** What a verified credential proves. */
export interface CallerProof {
  /** The method's name in the bundle. */
  readonly method: string;
  readonly kind: CallerMethodConfig['kind'];
  /** As the credential names it: what the mapping was asked for. */
  readonly subject: string;
  readonly principal: Principal;
  /** What a revocation by time is compared with: when the request was signed, or the credential issued. */
  readonly authenticatedAt: Instant;
  /** What a revocation of this one credential names: `<method>:<key id, serial or token id>`. */
  readonly credentialId: string;
  /** When the credential ends; `null` where it has no end of its own. */
  readonly expiresAt: Instant | null;
}

export interface CallerMethod {
  readonly name: string;
  readonly kind: CallerMethodConfig['kind'];
  /** Whether `verify` needs the body; then `judgeHead` comes before a byte of it is read. */
  readonly needsBody: boolean;
  /** Whether the head, or the connection, carries a credential of this method, good or bad. */
  isPresented(request: CallerRequest): boolean;
  /** What the head alone refuses; `undefined` where the body is worth reading. Spends no nonce. */
  judgeHead(request: CallerRequest, context: CallerContext): Denial | undefined;
  /**
   * Judges everything, the head again, and spends the nonce, token id or signature where the method has one. Never throws
   * or rejects for what a request holds; a request whose body is needed and unread is a Bug.
   */
  verify(request: CallerRequest, context: CallerContext): Result<CallerProof, Denial> | Promise<Result<CallerProof, Denial>>;
}

/** Resolves the names of secrets that a bundle uses; `undefined` where there is none now (`identity_unavailable`). */
export type SecretOf = (name: string) => Uint8Array | undefined;
