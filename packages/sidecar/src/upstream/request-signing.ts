/**
 * Signs requests on their way out (RFC 9421), by the key of the assertion that goes with them: what arrives is what left,
 * or its receiver sees that it is not. docs/spec/request-signatures-v1.md.
 */

import { digestOf, encodeBase64, encodeBase64Url } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import { contentDigestOf, requestToSign, signatureField } from '@sallyport/identity';
import { deny, type Clock, type Denial, type Destination, type Random } from '@sallyport/model';
import type { SentEvidence } from '../pipeline/gate.ts';
import type { Header } from '../secrets/credentials.ts';

/** A request as it is about to be sent, but for what the dialler adds. */
export interface UnsignedRequest {
  readonly method: string;
  /** Origin form. */
  readonly path: string;
  readonly headers: readonly Header[];
  readonly body?: Uint8Array | undefined;
}

/** The headers with which it goes out. Rejects with `Unsendable` where it cannot be signed as it has to be. */
export type SignRequest = (request: UnsignedRequest) => Promise<readonly Header[]>;

export interface SigningTerms {
  readonly destination: Pick<Destination, 'scheme' | 'host' | 'port'>;
  /** That goes with it: its key signs, also where another one has taken its place meanwhile. */
  readonly assertion: string;
  /** Covered besides what always is. */
  readonly fields: readonly string[];
  /** Gets what was signed last. */
  readonly evidence: SentEvidence | undefined;
}

export interface RequestSigners {
  for(terms: SigningTerms): SignRequest;
}

/** What cannot be sent as the policy wants it sent, and why. */
export class Unsendable extends Error {
  readonly denial: Denial;

  constructor(denial: Denial) {
    super(denial.detail);
    this.denial = denial;
  }
}

const NONCE_BYTES = 16;
const EMPTY = new Uint8Array();

export interface RequestSignersOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Of this assertion; `undefined` where it is held no more. */
  readonly signerOf: (assertion: string) => Signer | undefined;
}

export function requestSigners({ clock, random, signerOf }: RequestSignersOptions): RequestSigners {
  return {
    for: ({ destination, assertion, fields, evidence }) => {
      const authority = authorityOf(destination);
      return async ({ method, path, headers, body = EMPTY }) => {
        const key = signerOf(assertion);
        if (key === undefined)
          throw new Unsendable(deny('identity_unavailable', 'this sidecar has no certificate to sign requests with yet'));
        const digest: Header = ['content-digest', contentDigestOf(body)];
        const rawHeaders = [...headers, digest].flat();
        const of = { fields, keyId: key.keyId, nonce: encodeBase64Url(random(NONCE_BYTES)), now: clock.wall() };
        const signed = requestToSign({ method, target: path, authority, scheme: destination.scheme, rawHeaders }, of);
        if (!signed.ok) throw new Unsendable(deny('obligation_unsupported', `the request cannot be signed: ${signed.error}`));
        const { base, input } = signed.value;
        const signature = await key.sign(base);
        if (evidence !== undefined) {
          evidence.digest = digestOf(body);
          evidence.signature = encodeBase64(signature);
        }
        return [...headers, digest, ['signature-input', input], ['signature', signatureField(signature)]];
      };
    },
  };
}

/** As the dialler writes it into `Host`. */
function authorityOf({ scheme, host, port }: SigningTerms['destination']): string {
  return port === (scheme === 'https' ? 443 : 80) ? host : `${host}:${port}`;
}
