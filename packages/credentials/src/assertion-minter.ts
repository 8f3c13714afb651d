/**
 * Makes assertions: signs what a call is, with the key that the control plane certified for this alone, and lays the
 * certificate beside it, so that a tool needs no network to believe it. docs/spec/assertions-v1.md, section 2.
 */

import { encodeBase64, encodeBase64Url, utf8 } from '@sallyport/crypto';
import type { Signer } from '@sallyport/crypto/keys';
import { ASSERTION_BYTES_MAX, ASSERTION_TYP, assertionClaims, type Asserted } from '@sallyport/identity';
import { invariant, type Instant, type Random } from '@sallyport/model';

export interface AssertionMinterOptions {
  /** ES256. */
  readonly signer: Signer;
  /** DER, leaf first; without the CA, which whoever verifies has pinned. */
  readonly chain: readonly Uint8Array[];
  readonly random: Random;
}

export interface AssertionMinter {
  /** How every assertion of this minter begins: its header, which names key and certificate. */
  readonly head: string;
  /** For at most 60 seconds from `now`; `undefined` where it would not fit into `ASSERTION_BYTES_MAX`. */
  mint(asserted: Asserted, now: Instant): Promise<string | undefined>;
}

const TOKEN_ID_BYTES = 16;

export function assertionMinter({ signer, chain, random }: AssertionMinterOptions): AssertionMinter {
  invariant(signer.alg === 'es256' && chain.length > 0, 'assertions are signed with a certified P-256 key');
  const x5c = chain.map((der) => encodeBase64(der));
  // The same for every assertion of this certificate.
  const header = encodeJson({ alg: 'ES256', kid: signer.keyId, typ: ASSERTION_TYP, x5c });
  return {
    head: `${header}.`,
    async mint(asserted, now) {
      const tokenId = encodeBase64Url(random(TOKEN_ID_BYTES));
      const signingInput = `${header}.${encodeJson(assertionClaims(asserted, { tokenId, now }))}`;
      const token = `${signingInput}.${encodeBase64Url(await signer.sign(utf8(signingInput)))}`;
      return token.length <= ASSERTION_BYTES_MAX ? token : undefined;
    },
  };
}

function encodeJson(value: object): string {
  return encodeBase64Url(utf8(JSON.stringify(value)));
}
