/**
 * Believes a signed request, or says why not: that the sidecar which asserts the call sent exactly this method, place, body
 * and head. Offline, by the pinned workload CA alone. docs/spec/request-signatures-v1.md, section 3.
 */

import { utf8, verify, type VerifyKey } from '@sallyport/crypto';
import {
  REQUEST_SIGNATURE_ALG,
  REQUEST_SIGNATURE_MS,
  REQUEST_SIGNATURE_TAG,
  coveredNames,
  coveredOf,
  findSignature,
  isContentDigest,
  readField,
  readSignatureParameters,
  signatureBase,
  type SignatureParameters,
} from '@sallyport/identity';
import { type Instant, type Result, fail, ok } from '@sallyport/model';
import type { AssertionFailure } from './failure.ts';
import { systemNow } from './now.ts';
import type { RequestFailure } from './request-failure.ts';
import { CLOCK_SKEW_MS_MAX, judgeAssertion, type Assertion, type VerifyOptions } from './verify-assertion.ts';

/** A request as it was received, before anything was made of it. */
export interface ReceivedRequest {
  readonly method: string;
  /** As on the request line: `/orders?limit=5`. */
  readonly target: string;
  /** Names and values in turn, as they came: `request.rawHeaders` of `node:http`. */
  readonly rawHeaders: readonly string[];
  /** The bytes as they came, nothing decoded; empty where there are none. */
  readonly body: Uint8Array | string;
}

export interface RequestOptions extends Omit<VerifyOptions, 'arguments' | 'replay'> {
  /** What the sidecar dials, lower case, with the port unless it is the scheme's own; the `Host` as received unless told. */
  readonly authority?: string;
  /** How the sidecar reaches it; `https` unless told. */
  readonly scheme?: 'http' | 'https';
  /** Header fields that have to be covered, in lower case, beside what always is. */
  readonly fields?: readonly string[];
  /** Each signature is good once; without a memory the same request can be sent again for as long as it lives. */
  readonly replay?: VerifyOptions['replay'];
}

export type RequestVerification =
  | { readonly ok: true; readonly assertion: Assertion }
  | { readonly ok: false; readonly code: AssertionFailure | RequestFailure; readonly detail: string };

interface NotBelieved {
  readonly code: AssertionFailure | RequestFailure;
  /** For the receiver's own log; never for the caller. */
  readonly detail: string;
}

/** Never throws for anything in the request; throws `TypeError` for options that would believe nobody or everybody. */
export function verifyRequest(request: ReceivedRequest, options: RequestOptions): RequestVerification {
  const judged = judgeRequest(request, options);
  return judged.ok ? { ok: true, assertion: judged.value } : { ok: false, ...judged.error };
}

function judgeRequest(request: ReceivedRequest, options: RequestOptions): Result<Assertion, NotBelieved> {
  const now = options.now ?? systemNow();
  const { replay, authority: _, scheme: __, fields: ___, ...asserted } = options;
  const token = readField(request.rawHeaders, 'sallyport-assertion');
  if (!token.ok) return no('malformed', token.error);
  const judged = judgeAssertion(token.value, { ...asserted, now });
  if (!judged.ok) return judged;
  const { assertion, key } = judged.value;
  const signed = judgeSignature(request, options, { assertion, key });
  if (!signed.ok) return signed;
  const parameters = signed.value;
  const untimely = problemOfTimes(parameters, now as Instant);
  if (untimely !== undefined) return fail(untimely);
  const isFirst: unknown =
    replay === undefined || replay.isFirst(`${parameters.keyId} ${parameters.nonce}`, parameters.expiresAt + CLOCK_SKEW_MS_MAX, now);
  // Nothing but a plain yes, as of assertions.
  return isFirst === true ? ok(assertion) : no('request_replayed', parameters.nonce);
}

/** What is signed, by whom, and that it is what was received. */
function judgeSignature(
  request: ReceivedRequest,
  { fields = [], authority, scheme = 'https' }: RequestOptions,
  { assertion, key }: { readonly assertion: Assertion; readonly key: VerifyKey },
): Result<SignatureParameters, NotBelieved> {
  const { method, target, rawHeaders, body } = request;
  const found = findSignature(rawHeaders, REQUEST_SIGNATURE_TAG);
  if (!found.ok) return no('request_unsigned', found.error);
  const { input, signature } = found.value;
  const parameters = readSignatureParameters(input);
  if (!parameters.ok) return no('request_signature_malformed', parameters.error);
  const { keyId, alg } = parameters.value;
  if (alg !== REQUEST_SIGNATURE_ALG) return no('request_signature_malformed', '`alg` is another one');
  // By the sidecar that asserts the call, and by no other of the trust domain.
  if (keyId !== assertion.keyId) return no('request_key_mismatch', '`keyid` is not the key of the assertion');
  const names = coveredNames(input);
  if (!names.ok) return no('request_signature_malformed', names.error);
  const missing = coveredOf({ rawHeaders }, fields).find((name) => !names.value.includes(name));
  if (missing !== undefined) return no('request_not_covered', `\`${missing}\` is not signed`);
  const digest = readField(rawHeaders, 'content-digest');
  if (!digest.ok || digest.value === undefined) return no('request_signature_malformed', '`content-digest` is not there once');
  const host = authority ?? hostOf(rawHeaders);
  if (host === undefined) return no('request_signature_malformed', '`host` is not there once');
  const base = signatureBase({ method, target, authority: host, scheme, rawHeaders }, names.value, input);
  if (!base.ok) return no('request_signature_malformed', base.error);
  if (!verify(key, base.value, signature)) return no('request_signature_invalid', 'not by the key of the assertion, over this request');
  const bytes = typeof body === 'string' ? utf8(body) : body;
  if (!isContentDigest(digest.value, bytes)) return no('request_digest_mismatch', '`content-digest` is not that of the body');
  return ok(parameters.value);
}

function hostOf(rawHeaders: readonly string[]): string | undefined {
  const host = readField(rawHeaders, 'host');
  return host.ok ? host.value?.toLowerCase() : undefined;
}

function problemOfTimes({ createdAt, expiresAt }: SignatureParameters, now: Instant): NotBelieved | undefined {
  const lifeMs = expiresAt - createdAt;
  if (!(lifeMs > 0 && lifeMs <= REQUEST_SIGNATURE_MS))
    return { code: 'request_untimely', detail: `lives ${lifeMs} ms of at most ${REQUEST_SIGNATURE_MS}` };
  if (createdAt > now + CLOCK_SKEW_MS_MAX) return { code: 'request_untimely', detail: `created ${createdAt - now} ms in the future` };
  if (now >= expiresAt) return { code: 'request_untimely', detail: `expired ${now - expiresAt} ms ago` };
  return undefined;
}

function no(code: NotBelieved['code'], detail: string): { readonly ok: false; readonly error: NotBelieved } {
  return fail({ code, detail });
}
