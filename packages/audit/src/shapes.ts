/** The words of signed audit statements, and the reading of their payloads: strict JSON with exactly these members. */

import { parseInstant } from '@sallyport/model';
import type { Instant, StreamId } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import * as z from 'zod/mini';
import { isStreamId } from './chain.ts';
import type { StreamEnd } from './record.ts';

export const API_VERSION = 'sallyport.dev/v1';
/** Streams that one export may hold. */
export const EXPORT_STREAMS_MAX = 10_000;
export const STATEMENT_BYTES_MAX = 2_097_152;
const MEMBERS_MAX = 100_000;
const DEPTH_MAX = 4;

function textOf<T>(parse: (text: string) => T | undefined, expected: string): z.ZodMiniType<T> {
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

const matching =
  (pattern: RegExp) =>
  (text: string): string | undefined =>
    pattern.test(text) ? text : undefined;

export const positive: z.ZodMiniType<number> = z.int().check(z.minimum(1));
export const count: z.ZodMiniType<number> = z.int().check(z.minimum(0));
export const instant: z.ZodMiniType<Instant> = textOf(parseInstant, 'an instant');
export const streamId: z.ZodMiniType<StreamId> = textOf((text) => (isStreamId(text) ? text : undefined), 'a stream id');
export const head: z.ZodMiniType<string> = textOf(matching(/^[0-9a-f]{64}$/), '64 hex digits');
export const digestText: z.ZodMiniType<string> = textOf(matching(/^sha256:[0-9a-f]{64}$/), 'a digest');
export const spiffeId: z.ZodMiniType<string> = textOf(matching(/^spiffe:\/\/[a-z0-9._-]{1,255}\/[A-Za-z0-9._/-]{1,1024}$/), 'a SPIFFE id');
export const streamEnd: z.ZodMiniType<StreamEnd> = z.strictObject({ stream: streamId, seq: positive, head });

/** Reads verified payload bytes by a shape; `undefined` for anything else, unknown members included. */
export function readPayload<T>(payload: Uint8Array, shape: z.ZodMiniType<T>): T | undefined {
  const judged = judge(payload, { limits: { bytesMax: STATEMENT_BYTES_MAX, depthMax: DEPTH_MAX, membersMax: MEMBERS_MAX } });
  if (!judged.ok) return undefined;
  const read = shape.safeParse(judged.value.tree);
  return read.success ? read.data : undefined;
}
