/**
 * The signature that a sidecar puts on a request it forwards: which parts it covers, for how long, and how it is written.
 * Signs and verifies nothing and reads no clock. docs/spec/request-signatures-v1.md.
 */

import { encodeBase64 } from '@sallyport/crypto';
import { type Instant, type Result, fail, ok } from '@sallyport/model';
import { type SignedRequest, signatureBase } from './signature-base.ts';
import { type InnerList, serializeInnerList } from './structured-fields.ts';

/** Which of several signatures is the sidecar's. */
export const REQUEST_SIGNATURE_TAG = 'sallyport-request';

/** Longest `expires - created`. */
export const REQUEST_SIGNATURE_MS = 60_000;

/** The registered name of ES256 (RFC 9421, section 3.3.4). */
export const REQUEST_SIGNATURE_ALG = 'ecdsa-p256-sha256';

/** What every signature covers; a `content-type` besides, where there is one. */
export const REQUEST_COMPONENTS: readonly string[] = ['@method', '@authority', '@path', '@query', 'content-digest', 'sallyport-assertion'];

const LABEL = 'sallyport';

export interface RequestSigning {
  /** Header fields to be covered besides, in lower case. */
  readonly fields: readonly string[];
  readonly keyId: string;
  readonly nonce: string;
  readonly now: Instant;
}

/** The bytes to sign, and the value of `Signature-Input`. Fails with the reason where a field to be covered is not there. */
export function requestToSign(request: SignedRequest, signing: RequestSigning): Result<{ base: Uint8Array; input: string }, string> {
  const names = coveredOf(request, signing.fields);
  const created = Math.floor(signing.now / 1_000);
  const input: InnerList = {
    items: names.map((value) => ({ value, parameters: NONE })),
    parameters: new Map<string, string | number>([
      ['created', created],
      ['expires', created + REQUEST_SIGNATURE_MS / 1_000],
      ['nonce', signing.nonce],
      ['keyid', signing.keyId],
      ['alg', REQUEST_SIGNATURE_ALG],
      ['tag', REQUEST_SIGNATURE_TAG],
    ]),
  };
  const base = signatureBase(request, names, input);
  return base.ok ? ok({ base: base.value, input: `${LABEL}=${serializeInnerList(input)}` }) : fail(base.error);
}

/** What must be covered of this request: a field that says what the body is, is covered whenever it is there. */
export function coveredOf({ rawHeaders }: Pick<SignedRequest, 'rawHeaders'>, fields: readonly string[]): readonly string[] {
  const hasType = rawHeaders.some((name, at) => at % 2 === 0 && name.toLowerCase() === 'content-type');
  return [...new Set([...REQUEST_COMPONENTS, ...(hasType ? ['content-type'] : []), ...fields])];
}

/** The value of `Signature`. */
export function signatureField(signature: Uint8Array): string {
  return `${LABEL}=:${encodeBase64(signature)}:`;
}

const NONE: InnerList['parameters'] = new Map();
