/** An import as a whole: ask the server, make a lock file of its answer, and say how it differs from the one that is there. */

import { fail, ok } from '@sallyport/model';
import type { Problem, Result, ServerName } from '@sallyport/model';
import type { ImportNote } from './import-note.ts';
import { listTools } from './list-tools.ts';
import { readListed } from './listed-tool.ts';
import type { ListedTool } from './listed-tool.ts';
import { diffTools } from './lock-diff.ts';
import type { ToolChange } from './lock-diff.ts';
import { lockedTools, readLock, writeLock } from './lock-file.ts';
import type { LockedTool } from './lock-file.ts';
import type { McpWire } from './mcp-wire.ts';

export interface Imported {
  readonly server: ServerName;
  /** What it calls itself, as it came; and the revision of MCP that it speaks. */
  readonly saidName: string;
  readonly version: string;
  readonly listed: readonly ListedTool[];
  readonly locked: readonly LockedTool[];
  readonly notes: readonly ImportNote[];
  /** The file's content, and the digest of what it declares. */
  readonly text: string;
  readonly digest: string;
  /** Against the lock file before; every tool is added where there was none. */
  readonly changes: readonly ToolChange[];
  /** The lock file before does not hold what its header says. */
  readonly wasEdited: boolean;
  readonly isSame: boolean;
}

export interface ImportOptions {
  /** A name, or needed to make one once the server has said its own. */
  readonly server: ServerName | ((saidName: string) => ServerName);
  /** The lock file that is there. */
  readonly before: string | undefined;
  /** Local names, `*` at the end for a prefix; empty for all. */
  readonly only: readonly string[];
}

/** Rejects with a Fault where the server cannot be reached or does not answer as it should. */
export async function importTools(
  wire: McpWire,
  { server: named, before, only }: ImportOptions,
): Promise<Result<Imported, readonly Problem[]>> {
  const list = await listTools(wire);
  const server = typeof named === 'string' ? named : named(list.serverName);
  const old = before === undefined ? undefined : readLock(server, before);
  if (old !== undefined && !old.ok) return old;
  const read = readListed(server, list.tools);
  const wanted = (name: string): boolean => only.length === 0 || only.some((pattern) => matches(pattern, name));
  const listed = read.tools.filter(({ name }) => wanted(name.slice(server.length + 1)));
  const notes = read.notes.filter(({ tool }) => wanted(tool));
  const written = writeLock(server, lockedTools(listed, old?.value.tools), { listed, notes });
  if (!written.ok) return fail([written.error]);
  const { text, digest, tools } = written.value;
  return ok({
    server,
    saidName: list.serverName,
    version: list.version,
    listed,
    locked: tools,
    notes: written.value.notes,
    text,
    digest,
    changes: diffTools(old?.value.tools ?? [], tools),
    wasEdited: old?.value.isIntact === false,
    isSame: before === text,
  });
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
