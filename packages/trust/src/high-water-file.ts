/**
 * The high-water mark as bytes: one line of JSON and one line with its digest, so that a torn or bit-flipped file is
 * unreadable rather than lower. The digest is no signature: who can write the file can also delete it, and both end in
 * `mustProve`. docs/spec/trust-v1.md section 10.2.
 */

import { digestOf, fromUtf8, utf8 } from '@sallyport/crypto';
import { fail, formatInstant, invariant, ok } from '@sallyport/model';
import type { Instant, Problem, Result, Revision } from '@sallyport/model';
import * as z from 'zod/mini';
import { EMPTY_HIGH_WATER } from './high-water.ts';
import type { HighWater } from './high-water.ts';
import { API_VERSION } from './kinds.ts';
import { HIGH_WATER_BYTES_MAX, HIGH_WATER_ROWS_MAX } from './limits.ts';
import { readJson } from './payload.ts';
import { area, count, digest, instant, positive, ring } from './shapes.ts';

const mark = { number: positive, digest };
const rows = <T extends z.core.$ZodType>(shape: T): z.ZodMiniArray<T> => z.array(shape).check(z.maxLength(HIGH_WATER_ROWS_MAX));

const shape: z.ZodMiniType<HighWater> = z.pipe(
  z.strictObject({
    api_version: z.literal(API_VERSION),
    kind: z.literal('HighWater'),
    written_at: instant,
    root: z.nullable(z.strictObject(mark)),
    delegations: rows(z.strictObject({ area, ...mark })),
    online_keys: z.nullable(z.strictObject(mark)),
    releases: rows(z.strictObject({ area, ring, ...mark })),
    revisions: rows(z.strictObject({ area, revision: positive })),
    freshness: z.nullable(z.strictObject({ ...mark, issued_at_max: instant, signer_time: instant, signer_slack_ms: count })),
    revocation: z.strictObject({ seq: count, head: z.nullable(digest), awaits_recovery: z.boolean() }),
    charged: rows(z.strictObject({ statement: digest, age_ms: count })),
    directory: z.optional(z.strictObject(mark)),
  }),
  z.transform((wire): HighWater => ({
    root: wire.root ?? undefined,
    delegations: wire.delegations,
    onlineKeys: wire.online_keys ?? undefined,
    releases: wire.releases,
    revisions: wire.revisions.map((row) => ({ area: row.area, revision: row.revision as Revision })),
    freshness:
      wire.freshness === null
        ? undefined
        : {
            number: wire.freshness.number,
            digest: wire.freshness.digest,
            issuedAtMax: wire.freshness.issued_at_max,
            signerTime: wire.freshness.signer_time,
            signerSlackMs: wire.freshness.signer_slack_ms,
          },
    revocation: { seq: wire.revocation.seq, head: wire.revocation.head, awaitsRecovery: wire.revocation.awaits_recovery },
    charged: wire.charged.map((row) => ({ statement: row.statement, ageMs: row.age_ms })),
    ...(wire.directory === undefined ? {} : { directory: wire.directory }),
  })),
);

/** The file's bytes. `writtenAt` is for people; no rule reads it. */
export function encodeHighWater(highWater: HighWater, writtenAt: Instant): Uint8Array {
  const { freshness } = highWater;
  const line = JSON.stringify({
    api_version: API_VERSION,
    kind: 'HighWater',
    written_at: formatInstant(writtenAt),
    root: highWater.root ?? null,
    delegations: highWater.delegations,
    online_keys: highWater.onlineKeys ?? null,
    releases: highWater.releases,
    revisions: highWater.revisions,
    freshness:
      freshness === undefined
        ? null
        : {
            number: freshness.number,
            digest: freshness.digest,
            issued_at_max: formatInstant(freshness.issuedAtMax),
            signer_time: formatInstant(freshness.signerTime),
            signer_slack_ms: freshness.signerSlackMs,
          },
    revocation: { seq: highWater.revocation.seq, head: highWater.revocation.head, awaits_recovery: highWater.revocation.awaitsRecovery },
    charged: highWater.charged.map((row) => ({ statement: row.statement, age_ms: row.ageMs })),
    ...(highWater.directory === undefined ? {} : { directory: highWater.directory }),
  });
  const bytes = utf8(`${line}\n${digestOf(utf8(line))}\n`);
  invariant(bytes.byteLength <= HIGH_WATER_BYTES_MAX, 'the high-water mark has outgrown its file');
  return bytes;
}

/** The mark that the bytes hold, or every reason why they hold none. */
export function decodeHighWater(bytes: Uint8Array): Result<HighWater, readonly Problem[]> {
  const problem = (message: string): Result<never, readonly Problem[]> => fail([{ path: '', message }]);
  if (bytes.byteLength > HIGH_WATER_BYTES_MAX) return problem(`more than ${HIGH_WATER_BYTES_MAX} bytes`);
  const [line, sum, rest, ...more] = (fromUtf8(bytes) ?? '').split('\n');
  // A torn write lacks its end; an edited line lacks its digest.
  if (line === undefined || sum === undefined || rest !== '' || more.length > 0) return problem('not one line and its digest');
  if (digestOf(utf8(line)) !== sum) return problem('the digest does not fit the line');
  const json = readJson(utf8(line), HIGH_WATER_BYTES_MAX);
  if (!json.ok) return json;
  const read = shape.safeParse(json.value);
  if (read.success) return ok(read.data);
  return fail(
    read.error.issues.map((issue) => ({ path: issue.path.map(String).join('.'), message: `not what was written: ${issue.code}` })),
  );
}

export interface Recalled {
  readonly highWater: HighWater;
  /**
   * The past is unknown: deny everything until a live proof. True on the very first start, too, because to this process
   * a wiped disk looks the same.
   */
  readonly mustProve: boolean;
  /** Why, for the log; empty where the mark was read. */
  readonly problems: readonly Problem[];
}

/** What a start goes on from: the file's bytes, or `undefined` where there is no file. */
export function recallHighWater(bytes: Uint8Array | undefined): Recalled {
  const forgotten = (problems: readonly Problem[]): Recalled => ({ highWater: EMPTY_HIGH_WATER, mustProve: true, problems });
  if (bytes === undefined) return forgotten([{ path: '', message: 'there is no high-water file' }]);
  const decoded = decodeHighWater(bytes);
  if (!decoded.ok) return forgotten(decoded.error);
  // Without a freshness mark nothing was ever proven here, or a new root took it back.
  return { highWater: decoded.value, mustProve: decoded.value.freshness === undefined, problems: [] };
}
