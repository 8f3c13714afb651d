/** The words that the shapes of several objects are made of. Each reads one JSON value into one domain value. */

import { decodeBase64, readVerifyKey } from '@sallyport/crypto';
import { isArea, isDigest, isRing, parseInstant } from '@sallyport/model';
import type { Area, Digest, Instant, Ring } from '@sallyport/model';
import * as z from 'zod/mini';
import { API_VERSION } from './kinds.ts';
import type { SignedKind } from './kinds.ts';

/** A text read into a value by `parse`, refused with `expected` where that answers `undefined`. */
export function textOf<T>(parse: (text: string) => T | undefined, expected: string): z.ZodMiniType<T> {
  return z.pipe(
    z.string(),
    z.transform((text, context): T => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', input: text, message: `expected ${expected}`, continue: false });
      return z.NEVER;
    }),
  );
}

/** A JSON value read into a value by `parse`, refused with `expected` where that answers `undefined`. */
export function jsonOf<T>(parse: (json: unknown) => T | undefined, expected: string): z.ZodMiniType<T> {
  return z.pipe(
    z.unknown(),
    z.transform((json, context): T => {
      const value = parse(json);
      if (value !== undefined) return value;
      context.issues.push({ code: 'custom', input: json, message: `expected ${expected}`, continue: false });
      return z.NEVER;
    }),
  );
}

/** A count or sequence number from 1 up to what a double holds exactly. */
export const positive: z.ZodMiniType<number> = z.int().check(z.minimum(1));
/** A count from 0. */
export const count: z.ZodMiniType<number> = z.int().check(z.minimum(0));
export const instant: z.ZodMiniType<Instant> = textOf(parseInstant, 'an instant such as `2026-11-20T07:31:23.000Z`');
export const digest: z.ZodMiniType<Digest> = textOf((text) => (isDigest(text) ? text : undefined), '`sha256:` and 64 hex digits');
export const area: z.ZodMiniType<Area> = textOf((text) => (isArea(text) ? text : undefined), 'an area');
export const ring: z.ZodMiniType<Ring> = textOf((text) => (isRing(text) ? text : undefined), 'a ring');

// SPIFFE-ID section 2.1: lower-case letters, digits, dots, dashes and underscores.
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
export const trustDomain: z.ZodMiniType<string> = textOf((text) => (TRUST_DOMAIN.test(text) ? text : undefined), 'a SPIFFE trust domain');

/** As policy-v1 writes the names of attributes (5.2). */
const ATTRIBUTE_NAME = /^[a-z][a-z0-9_]{0,62}$/;
export const isAttributeName = (text: string): boolean => ATTRIBUTE_NAME.test(text);
export const attributeName: z.ZodMiniType<string> = textOf(
  (text) => (isAttributeName(text) ? text : undefined),
  'the name of an attribute',
);

/** Standard base64 of `min` to `max` bytes. */
export function bytes(min: number, max: number): z.ZodMiniType<Uint8Array> {
  const parse = (text: string): Uint8Array | undefined => {
    const value = text.length > max * 2 ? undefined : decodeBase64(text);
    return value !== undefined && value.byteLength >= min && value.byteLength <= max ? value : undefined;
  };
  return textOf(parse, min === max ? `standard base64 of ${min} bytes` : `standard base64 of ${min} to ${max} bytes`);
}

/** An Ed25519 public key that can verify. */
export const publicKey: z.ZodMiniType<Uint8Array> = textOf((text) => {
  const raw = decodeBase64(text);
  return raw !== undefined && readVerifyKey('ed25519', raw) !== undefined ? raw : undefined;
}, 'an Ed25519 public key, 32 bytes in base64');

/** `api_version` and `kind`, the head of every payload. */
export function head<K extends SignedKind>(kind: K): { api_version: z.ZodMiniType<typeof API_VERSION>; kind: z.ZodMiniType<K> } {
  return { api_version: z.literal(API_VERSION), kind: z.literal(kind) };
}
