/** The JSON that a tool's answer holds, for what a policy remembers of results. Judged as strictly as arguments are. */

import { judge } from '@sallyport/strict';
import type { Dialect } from './gate.ts';

/** `undefined` where it holds none that has one meaning. Of an MCP result: its structured content, else its one JSON text. */
export function resultOf(dialect: Dialect, bytes: Uint8Array): unknown {
  const tree = treeOf(bytes);
  return dialect === 'mcp' ? contentOf(member(tree, 'result')) : tree;
}

function contentOf(result: unknown): unknown {
  const structured = member(result, 'structuredContent');
  if (structured !== undefined) return structured;
  const content = member(result, 'content');
  const [only, ...others] = Array.isArray(content) ? (content as readonly unknown[]) : [];
  const text = member(only, 'text');
  return others.length === 0 && typeof text === 'string' ? treeOf(new TextEncoder().encode(text)) : undefined;
}

function treeOf(bytes: Uint8Array): unknown {
  const judged = judge(bytes, { limits: { bytesMax: Math.max(bytes.byteLength, 1) } });
  return judged.ok ? judged.value.tree : undefined;
}

function member(value: unknown, name: string): unknown {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name);
  return isRecord ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
