/**
 * How callers of an agent may prove who they are, as a bundle holds it: kinds, keys, windows, and who a verified id is
 * here. Secrets stand here by name alone; public keys and salted hashes stand here themselves. docs/spec/callers.md.
 */

import type { AttributeValue } from './attribute.ts';
import type { PinnedJwk } from './bundle.ts';
import type { PrincipalId, TenantId } from './ids.ts';
import type { Instant } from './instant.ts';

/** Who a credential's subject is here. Nothing else that the credential or the request says becomes a fact. */
export interface CallerIdentity {
  readonly id: PrincipalId;
  readonly kind: 'person' | 'service';
  readonly tenant: TenantId;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

/** One row of a mapping; a subject without a row has no access. */
export interface CallerMapping {
  /** Compared byte for byte, in the spelling of the method: docs/spec/callers.md, section 3. */
  readonly subject: string;
  readonly identity: CallerIdentity;
}

interface CallerMethodBase {
  /** Unique in a bundle; the record names it. */
  readonly name: string;
  readonly principals: readonly CallerMapping[];
}

/** Slack's request signature, version v0. Subjects are `<team id>/<user id>`. */
export interface SlackMethod extends CallerMethodBase {
  readonly kind: 'slack';
  /** Names the signing secret. */
  readonly secret: string;
}

/** What a generic HMAC is computed over, in order. A text stands as it is, the rest is taken from the request. */
export type HmacPart =
  | { readonly text: string }
  | { readonly header: string }
  | { readonly take: 'timestamp' | 'method' | 'target' | 'authority' | 'key_id' | 'body' };

/** A signed webhook of any sender: named headers, a template of what is signed, HMAC-SHA-256. Subjects are key ids. */
export interface HmacMethod extends CallerMethodBase {
  readonly kind: 'hmac';
  readonly headers: {
    readonly signature: string;
    readonly timestamp: string;
    /** Names the key; absent where the method has exactly one. */
    readonly keyId?: string;
  };
  /** Stands before the signature in its header: `sha256=`. Empty where nothing does. */
  readonly signaturePrefix: string;
  readonly encoding: 'hex' | 'base64';
  readonly timestampUnit: 's' | 'ms';
  readonly template: readonly HmacPart[];
  /** How far a timestamp may lie from now, either way. At most 300 000. */
  readonly windowMs: number;
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
}

/** What the bundle keeps of one API key: enough to recognise it, not enough to make it. */
export interface ApiKeyEntry {
  /** The middle part of the key: 8 to 32 of `[a-z0-9]`. */
  readonly id: string;
  /** At least 16 bytes, base64url. */
  readonly salt: string;
  /** HMAC-SHA-256 keyed with the salt over the whole key, base64url. */
  readonly hash: string;
  readonly issuedAt: Instant;
  readonly expiresAt: Instant | null;
}

/** `sp_<id>_<secret>` as a Bearer token or in a header of its own. Subjects are key ids. */
export interface ApiKeyMethod extends CallerMethodBase {
  readonly kind: 'api_key';
  /** Lower case; `authorization` means the Bearer scheme. */
  readonly header: string;
  readonly keys: readonly ApiKeyEntry[];
}

/** A client certificate of the TLS connection. Subjects are `uri:…`, `dns:…` or `cn:…`. */
export interface MtlsMethod extends CallerMethodBase {
  readonly kind: 'mtls';
  /** CA certificates, DER in base64. */
  readonly authorities: readonly string[];
  /** Revocation lists, DER in base64. */
  readonly revocationLists: readonly string[];
  /** Whether a certificate whose issuer has no fresh list here is refused. */
  readonly requiresRevocationList: boolean;
}

/** A key of an HTTP signature: a public one stands here, a shared one is named. */
export type HttpSignatureKey =
  | { readonly id: string; readonly alg: 'ed25519' | 'ecdsa-p256-sha256'; readonly publicKey: string }
  | { readonly id: string; readonly alg: 'hmac-sha256'; readonly secret: string };

/** HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530). Subjects are key ids. */
export interface HttpSignatureMethod extends CallerMethodBase {
  readonly kind: 'http_signature';
  /** The application's name for this use of signatures; every signature must bear it. */
  readonly tag: string;
  /** Longest accepted `expires - created`. At most 300 000. */
  readonly lifetimeMsMax: number;
  /** How far the signer's clock may run ahead. At most 60 000. */
  readonly clockSkewMsMax: number;
  /** Fields that must be signed besides method, authority, path, query and content digest; lower case. */
  readonly fields: readonly string[];
  readonly keys: readonly HttpSignatureKey[];
}

/** A key of a cluster as it stands in the bundle: RSA of at least 2048 bits (RS256), or P-256 (ES256). */
export type ClusterJwk = PinnedJwk | { readonly kid: string; readonly kty: 'RSA'; readonly n: string; readonly e: string };

/** A projected service-account token, bound to a pod. Subjects are `system:serviceaccount:<namespace>:<name>`. */
export interface KubernetesMethod extends CallerMethodBase {
  readonly kind: 'kubernetes';
  /** Compared with `iss` byte for byte. */
  readonly issuer: string;
  /** Must be the only one in `aud`: a token that serves elsewhere could be replayed from there. */
  readonly audience: string;
  /** Longest accepted `exp - iat`. */
  readonly tokenLifetimeMsMax: number;
  readonly keys: readonly ClusterJwk[];
}

/** Every way for a caller to prove who it is, tokens of issuers apart. */
export type CallerMethodConfig = SlackMethod | HmacMethod | ApiKeyMethod | MtlsMethod | HttpSignatureMethod | KubernetesMethod;
