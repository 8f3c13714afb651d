/**
 * The signed bytes behind a row. The object store vouches that bytes are those of their digest; here the payload inside
 * must be the one that the row names, so that a row that was pointed at another object, however well that is signed, is
 * noticed and not served.
 */

import type { Digest } from '@sallyport/model';
import type { Transaction } from '@sallyport/store';
import { digestOfPayload, parseEnvelope } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Objects } from '../objects/api.ts';
import type { PublishTables } from './store.ts';

export interface SignedObjects {
  bundle(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
  release(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
}

export interface SignedObjectsOptions {
  readonly tables: PublishTables;
  readonly objects: Objects;
  readonly audit: Pick<AuditService, 'alert'>;
}

export function signedObjects({ tables, objects, audit }: SignedObjectsOptions): SignedObjects {
  const envelopeOf = async (tx: Transaction, kind: 'Bundle' | 'Release', digest: Digest): Promise<Uint8Array | undefined> => {
    const row = kind === 'Bundle' ? await tables.bundle(tx, digest) : await tables.release(tx, digest);
    const envelope = row === undefined ? undefined : await objects.readIn(tx, row.envelope);
    // Bytes that are not what was stored were reported by the store.
    if (envelope === undefined || !envelope.ok) return undefined;
    const parsed = parseEnvelope(kind, envelope.value);
    if (parsed.ok && digestOfPayload(parsed.value.payload) === digest) return envelope.value;
    const detail = `the row of ${kind} \`${digest}\` names another object`;
    void audit.alert({ code: 'OBJECT_EDITED', subject: null, detail, source: 'publish' });
    return undefined;
  };
  return {
    bundle: async (tx, digest) => envelopeOf(tx, 'Bundle', digest),
    release: async (tx, digest) => envelopeOf(tx, 'Release', digest),
  };
}
