/**
 * The signed bytes behind a row. The object store vouches that bytes are those of their digest; here the payload inside
 * must be the one that the row names, so that a row that was pointed at another object, however well that is signed, is
 * noticed and not served.
 */

import type { Digest } from '@sallyport/model';
import type { Transaction } from '@sallyport/store';
import { digestOfPayload, parseEnvelope, readRelease } from '@sallyport/trust';
import type { FreshnessLeaf } from '@sallyport/trust';
import type { AuditService } from '../audit/api.ts';
import type { Objects } from '../objects/api.ts';
import type { PublishTables } from './store.ts';

export interface SignedObjects {
  bundle(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
  release(tx: Transaction, digest: Digest): Promise<Uint8Array | undefined>;
  /**
   * The current release of every area and ring, for a statement to attest: without those whose row says something else
   * than was signed, and those that are older than what this process has read before. Each is alerted.
   */
  heads(tx: Transaction): Promise<readonly FreshnessLeaf[]>;
}

export interface SignedObjectsOptions {
  readonly tables: PublishTables;
  readonly objects: Objects;
  readonly audit: Pick<AuditService, 'alert'>;
}

const nameOf = ({ area, ring, releaseSeq }: { readonly area: string; readonly ring: string; readonly releaseSeq: number }): string =>
  `${area} ${ring} ${releaseSeq}`;

export function signedObjects({ tables, objects, audit }: SignedObjectsOptions): SignedObjects {
  const alert = (code: 'OBJECT_EDITED' | 'BEHIND', detail: string): void =>
    void audit.alert({ code, subject: null, detail, source: 'publish' });
  const envelopeOf = async (tx: Transaction, kind: 'Bundle' | 'Release', digest: Digest): Promise<Uint8Array | undefined> => {
    const row = kind === 'Bundle' ? await tables.bundle(tx, digest) : await tables.release(tx, digest);
    const envelope = row === undefined ? undefined : await objects.readIn(tx, row.envelope);
    // Bytes that are not what was stored were reported by the store.
    if (envelope === undefined || !envelope.ok) return undefined;
    const parsed = parseEnvelope(kind, envelope.value);
    if (parsed.ok && digestOfPayload(parsed.value.payload) === digest) return envelope.value;
    alert('OBJECT_EDITED', `the row of ${kind} \`${digest}\` names another object`);
    return undefined;
  };

  /** For which place and number a release was signed. */
  const signedFor = async (tx: Transaction, digest: Digest): Promise<string | undefined> => {
    const envelope = await envelopeOf(tx, 'Release', digest);
    const parsed = envelope === undefined ? undefined : parseEnvelope('Release', envelope);
    const release = parsed?.ok === true ? readRelease(parsed.value.payload) : undefined;
    return release?.ok === true ? nameOf(release.value) : undefined;
  };

  // Owner: this closure. `signed` is what the heads of the last reading were signed for; `highest` the numbers read so far.
  let signed = new Map<Digest, string>();
  const highest = new Map<string, number>();

  const heads = async (tx: Transaction): Promise<readonly FreshnessLeaf[]> => {
    const rows = await tables.heads(tx);
    const seen = new Map<Digest, string>();
    const leaves = new Map<string, FreshnessLeaf>();
    for (const { area, ring, digest, releaseSeq } of rows) {
      const said = signed.get(digest) ?? (await signedFor(tx, digest));
      if (said !== undefined) seen.set(digest, said);
      if (said === nameOf({ area, ring, releaseSeq })) leaves.set(`${area} ${ring}`, { area, ring, release: digest, releaseSeq });
      else alert('OBJECT_EDITED', `the row of release \`${digest}\` says area ${area}, ring ${ring}, number ${releaseSeq}`);
    }
    signed = seen;
    for (const [place, { releaseSeq }] of leaves) highest.set(place, Math.max(highest.get(place) ?? 0, releaseSeq));
    for (const [place, number] of highest) {
      const held = leaves.get(place)?.releaseSeq ?? 0;
      if (held === number) continue;
      alert('BEHIND', `${place} was at release ${number}, and the database has ${held}: was it restored from a backup?`);
      leaves.delete(place);
    }
    return [...leaves.values()];
  };

  return {
    heads,
    bundle: async (tx, digest) => envelopeOf(tx, 'Bundle', digest),
    release: async (tx, digest) => envelopeOf(tx, 'Release', digest),
  };
}
