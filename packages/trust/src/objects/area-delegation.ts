/** AreaDelegation: who may publish for one area. Teams and leavers never need a root ceremony. Spec section 4.2. */

import { formatInstant } from '@sallyport/model';
import type { Area, Instant, Result } from '@sallyport/model';
import * as z from 'zod/mini';
import { encodePayload, readPayload } from '../payload.ts';
import type { Rejection } from '../rejection.ts';
import { area, head, instant, positive } from '../shapes.ts';
import { keyRecordToWire, keyRecords, roleRecord, roleRecordToWire } from './keys.ts';
import type { KeyRecord, RoleRecord } from './keys.ts';

export interface AreaDelegation {
  /** Rises with every change for this area. */
  readonly number: number;
  /** Exactly this area; nothing below it. */
  readonly area: Area;
  readonly keys: readonly KeyRecord[];
  readonly publishers: RoleRecord;
  readonly expiresAt: Instant;
}

const shape: z.ZodMiniType<AreaDelegation> = z.pipe(
  z.strictObject({ ...head('AreaDelegation'), number: positive, area, keys: keyRecords, publishers: roleRecord, expires_at: instant }),
  z.transform((wire): AreaDelegation => ({
    number: wire.number,
    area: wire.area,
    keys: wire.keys,
    publishers: wire.publishers,
    expiresAt: wire.expires_at,
  })),
);

export function readAreaDelegation(payload: Uint8Array): Result<AreaDelegation, Rejection> {
  return readPayload('AreaDelegation', payload, shape);
}

/** The payload bytes to sign. */
export function encodeAreaDelegation(delegation: AreaDelegation): Uint8Array {
  return encodePayload('AreaDelegation', {
    number: delegation.number,
    area: delegation.area,
    keys: delegation.keys.map(keyRecordToWire),
    publishers: roleRecordToWire(delegation.publishers),
    expires_at: formatInstant(delegation.expiresAt),
  });
}
