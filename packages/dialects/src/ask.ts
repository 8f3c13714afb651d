/** What every dialect makes of a tool call: the names and raw arguments that the gates judge. Nothing here is permitted yet. */

import { Bug, type ServerName } from '@sallyport/model';
import { type Judged, judge } from '@sallyport/strict';

/** One call of one tool, as its protocol spelled it. */
export interface ToolAsk {
  readonly server: ServerName;
  /** The tool's own half of its name, as sent; it may name nothing. */
  readonly tool: string;
  /** The arguments' part of the judged body: what a tool's schema validates. */
  readonly arguments: Judged;
}

/** An answer that is whole: what a denial or a local answer becomes on the wire. */
export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

const encoder = new TextEncoder();
const EMPTY_OBJECT = encoder.encode('{}');

/** Absent arguments are no arguments: `{}`, so that a schema's `required` still speaks. */
export function noArguments(): Judged {
  const judged = judge(EMPTY_OBJECT);
  if (!judged.ok) throw new Bug('the empty object is JSON');
  return judged.value;
}

/** The members of a judged part that is an object, else `undefined`. Only own members are ever looked at. */
export function membersOf(judged: Judged | undefined): Readonly<Record<string, unknown>> | undefined {
  const tree = judged?.tree;
  return typeof tree === 'object' && tree !== null && !Array.isArray(tree) ? (tree as Readonly<Record<string, unknown>>) : undefined;
}

/** JSON text as UTF-8. */
export function jsonBytes(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}
