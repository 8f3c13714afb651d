/** The JSON that a tool's answer holds, for what a policy remembers of results. Judged as strictly as arguments are. */

import { judge, type JsonProblemCode, type Judged } from '@sallyport/strict';
import type { AnswerUnit } from './gate.ts';

/**
 * `undefined` where it holds none, `unreadable` where it holds JSON of which more than one meaning or no bound is known. Of
 * an MCP result: its structured content, else its one JSON text, as its server spelled them and however it was called.
 */
export function resultOf({ bytes, result }: AnswerUnit): Judged | 'unreadable' | undefined {
  const read = treeOf(result ?? bytes);
  return result === undefined || typeof read !== 'object' ? read : contentOf(read);
}

function contentOf(result: Judged): Judged | 'unreadable' | undefined {
  const structured = result.at('structuredContent');
  if (structured !== undefined) return structured;
  const text = result.at('content', 1) === undefined ? result.at('content', 0, 'text')?.tree : undefined;
  return typeof text === 'string' ? treeOf(new TextEncoder().encode(text)) : undefined;
}

/** What is no JSON at all says nothing; everything else that is refused says something that we do not know. */
const NO_JSON: ReadonlySet<JsonProblemCode> = new Set(['invalid_json', 'invalid_utf8']);

function treeOf(bytes: Uint8Array): Judged | 'unreadable' | undefined {
  const judged = judge(bytes, { limits: { bytesMax: Math.max(bytes.byteLength, 1) } });
  if (judged.ok) return judged.value;
  return judged.error.every(({ code }) => NO_JSON.has(code)) ? undefined : 'unreadable';
}
