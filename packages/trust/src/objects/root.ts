/** Root: which keys may sign what, in one trust domain. Shape only; `roots.ts` decides what is trusted. Spec section 4.1. */

import { encodeBase64 } from '@sallyport/crypto';
import { formatInstant } from '@sallyport/model';
import type { Instant, Result } from '@sallyport/model';
import * as z from 'zod/mini';
import { CERTIFICATE_AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX, DIRECTORY_ATTRIBUTES_MAX } from '../limits.ts';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { attributeName, bytes, head, instant, positive, trustDomain } from '../shapes.ts';
import { keyRecordToWire, keyRecords, roleFields, roleRecord, roleRecordToWire } from './keys.ts';
import type { KeyRecord, RoleRecord } from './keys.ts';

export type Profile = 'development' | 'production';

/** Path prefixes of SPIFFE ids that a certificate authority may be allowed. One ending in `/` covers what is below it. */
export const CA_PREFIXES = ['/control-plane', '/sidecar/', '/admin/', '/collector'] as const;
export type CaPrefix = (typeof CA_PREFIXES)[number];

export interface CertificateAuthorityRecord {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly prefixes: readonly CaPrefix[];
}

/** The roles that every Root has, their keys in itself. Publishers stand in delegations, freshness keys in OnlineKeys. */
export const ROOT_ROLES = ['root', 'registrar', 'release', 'revocation'] as const;
export type RootRole = (typeof ROOT_ROLES)[number];
/** Every role whose keys can stand in Root; `directory` may be missing. */
export const KEY_ROLES = ['root', 'registrar', 'release', 'revocation', 'directory'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

export interface Root {
  /** 1, 2, 3, … without a gap. */
  readonly number: number;
  readonly profile: Profile;
  readonly trustDomain: string;
  readonly expiresAt: Instant;
  readonly keys: readonly KeyRecord[];
  readonly roles: Readonly<Record<RootRole, RoleRecord>> & {
    /** A release that goes back needs this many distinct keys. */
    readonly release: RoleRecord & { readonly rollbackThreshold: number };
    /** Who says what the directory says; without it nobody does. */
    readonly directory?: RoleRecord;
  };
  readonly ceilings: {
    readonly freshnessTtlMsMax: number;
    /** All that the directory may ever say of principals, by name. Where the role is, and nowhere else. */
    readonly directoryAttributes?: readonly string[];
  };
  readonly certificateAuthorities: readonly CertificateAuthorityRecord[];
}

const attributeNames: z.ZodMiniType<string[]> = z.array(attributeName).check(z.minLength(1), z.maxLength(DIRECTORY_ATTRIBUTES_MAX));

const shape: z.ZodMiniType<Root> = z.pipe(
  z.strictObject({
    ...head('Root'),
    number: positive,
    profile: z.enum(['development', 'production']),
    trust_domain: trustDomain,
    expires_at: instant,
    keys: keyRecords,
    roles: z.strictObject({
      root: roleRecord,
      registrar: roleRecord,
      release: z.strictObject({ ...roleFields, rollback_threshold: positive }),
      revocation: roleRecord,
      directory: z.optional(roleRecord),
    }),
    ceilings: z.strictObject({ freshness_ttl_ms_max: positive, directory_attributes: z.optional(attributeNames) }),
    certificate_authorities: z
      .array(
        z.strictObject({
          certificate: bytes(1, CERTIFICATE_BYTES_MAX),
          prefixes: z.array(z.enum(CA_PREFIXES)).check(z.minLength(1), z.maxLength(CA_PREFIXES.length)),
        }),
      )
      .check(z.maxLength(CERTIFICATE_AUTHORITIES_MAX)),
  }),
  z.transform((wire): Root => {
    const { release, directory, ...others } = wire.roles;
    const { directory_attributes: directoryAttributes } = wire.ceilings;
    return {
      number: wire.number,
      profile: wire.profile,
      trustDomain: wire.trust_domain,
      expiresAt: wire.expires_at,
      keys: wire.keys,
      roles: {
        ...others,
        ...(directory === undefined ? {} : { directory }),
        release: { keyIds: release.keyids, threshold: release.threshold, rollbackThreshold: release.rollback_threshold },
      },
      ceilings: {
        freshnessTtlMsMax: wire.ceilings.freshness_ttl_ms_max,
        ...(directoryAttributes === undefined ? {} : { directoryAttributes }),
      },
      certificateAuthorities: wire.certificate_authorities,
    };
  }),
);

/** Reads a Root's payload, verified or about to be: a Root names the keys that it is verified by. */
export function readRoot(payload: Uint8Array): Result<Root, Rejection> {
  return readPayload('Root', payload, shape);
}

/** The payload bytes to sign. */
export function encodeRoot(root: Root): Uint8Array {
  const { root: rootRole, registrar, release, revocation, directory } = root.roles;
  const { freshnessTtlMsMax, directoryAttributes } = root.ceilings;
  return encodePayload('Root', {
    number: root.number,
    profile: root.profile,
    trust_domain: root.trustDomain,
    expires_at: formatInstant(root.expiresAt),
    keys: root.keys.map(keyRecordToWire),
    roles: {
      root: roleRecordToWire(rootRole),
      registrar: roleRecordToWire(registrar),
      release: { ...roleRecordToWire(release), rollback_threshold: release.rollbackThreshold },
      revocation: roleRecordToWire(revocation),
      ...(directory === undefined ? {} : { directory: roleRecordToWire(directory) }),
    },
    ceilings: {
      freshness_ttl_ms_max: freshnessTtlMsMax,
      ...(directoryAttributes === undefined ? {} : { directory_attributes: directoryAttributes }),
    },
    certificate_authorities: root.certificateAuthorities.map(({ certificate, prefixes }) => ({
      certificate: encodeBase64(certificate),
      prefixes,
    })),
  });
}
