/** The DSSE envelope of a checkpoint or export manifest: exactly one signature, exact payload bytes (DSSE v1). */

/** As it stands in JSON. */
export interface Envelope {
  readonly payloadType: string;
  /** Standard base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** Signs with the audit key, wherever it lives; `Signer` of `@sallyport/crypto/keys` fits. */
export interface AuditSigner {
  readonly keyId: string;
  /** 64 bytes, Ed25519. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}
