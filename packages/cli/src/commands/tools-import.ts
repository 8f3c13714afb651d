/** `sallyport tools import`: what a running MCP server says of its tools, as a lock file beside the policy. */

import { join } from 'node:path';
import { isServerName } from '@sallyport/model';
import type { Json, ServerName } from '@sallyport/model';
import { command } from '../command.ts';
import type { Command } from '../command.ts';
import { at, outProblem, readText, writeFile } from '../files.ts';
import type { Exit, Io } from '../io.ts';
import { flag, many, text, textOr } from '../option.ts';
import { counted, refusal, table } from '../output.ts';
import type { Output, Refusal } from '../output.ts';
import { importTools } from '../onboard/import-tools.ts';
import type { Imported } from '../onboard/import-tools.ts';
import type { ImportNote } from '../onboard/import-note.ts';
import { diffText } from '../onboard/lock-diff.ts';
import { lockFileName } from '../onboard/lock-file.ts';
import { openWire, serverRefusal } from '../onboard/open-wire.ts';
import { quotedText } from '../onboard/visible-text.ts';

const LOCK_BYTES_MAX = 1_048_576;

export const toolsImport: Command = command({
  name: 'tools import',
  group: 'Policy',
  summary: 'write down what a running MCP server says of its tools',
  details: [
    'Asks the server for all of its tools and writes `tools.SERVER.lock.yaml` into the folder of the policy: names, descriptions and argument schemas, as Tool documents that nobody edits. From then on agents see these words and no others, whatever the server says later. Nothing is allowed by an import; what people say of a tool goes into a ToolOverlay document in another file.',
    "An effect is taken from the server's annotations, and is destructive where there is none. A later import may make it stricter, and never less strict. Hidden characters are written out; a tool whose name or values hold them is refused. What of a schema is outside docs/spec/arguments-v1.md is told with what became of it.",
    'Imported again, it shows what changed. Exits with 1 under --check where anything did, and under --strict where something could not be kept as it was; in both cases nothing is written.',
  ],
  arguments: [
    { name: 'SERVER', says: 'name of the tool server, as in the policy' },
    { name: 'COMMAND', says: 'a stdio server to start and ask, behind `--`', isOptional: true, isRest: true },
  ],
  options: {
    policy: textOr('--policy DIR', 'folder of the policy', 'policy'),
    url: text('--url URL', 'where it listens (default: as its ToolServer document says)'),
    tokenFile: text('--token-file FILE', 'a token to show it, for servers that want one'),
    out: text('--out FILE', 'the lock file (default: tools.SERVER.lock.yaml in the folder of the policy)'),
    only: many('--only NAME', 'only this tool; `get_*` for a prefix (repeatable)'),
    check: flag('--check', 'write nothing; exit with 1 where the server says something else than the lock file'),
    strict: flag('--strict', 'exit with 1 where something could not be kept as it was'),
  },
  examples: [
    { line: 'tools import everything', says: 'a server that the policy in policy/ declares' },
    { line: 'tools import files --url http://127.0.0.1:3002/mcp --check', says: 'in CI: has it changed?' },
    { line: 'tools import files -- npx @modelcontextprotocol/server-filesystem /srv', says: 'a stdio server' },
  ],
  async run({ arguments: [server = '', ...argv], options, io, out }) {
    if (!isServerName(server))
      return out.refuse(
        refusal(
          2,
          `${quotedText(server)} is no name of a tool server`,
          'lower-case letters, digits and dashes; say where it is with --url',
        ),
      );
    const file = options.out ?? join(options.policy, lockFileName(server));
    const misplaced =
      options.check || options.out === undefined
        ? undefined
        : outProblem(at(io.cwd, options.out), { as: 'replacement', shown: options.out });
    if (misplaced !== undefined) return out.refuse({ exit: 64, problems: [misplaced] });
    const before = readText(at(io.cwd, file), { bytesMax: LOCK_BYTES_MAX, shown: file });
    const isThere = before.ok || !before.error.message.includes('there is no such file');
    if (!before.ok && isThere) return out.refuse({ exit: 64, problems: [before.error] });
    const wire = await openWire({ server, argv, url: options.url, policy: options.policy, tokenFile: options.tokenFile }, io);
    if (!wire.ok) return out.refuse(wire.error);
    try {
      const imported = await importTools(wire.value, { server, before: before.ok ? before.value : undefined, only: options.only });
      if (!imported.ok) {
        const problems = imported.error.map((problem) => ({ ...problem, ...(problem.file === undefined ? {} : { file }) }));
        return await out.refuse({ exit: 1, problems });
      }
      return await finish(imported.value, { ...options, file, hadOne: before.ok }, { io, out });
    } catch (error) {
      const refused = serverRefusal(error, wire.value.name, io);
      if (refused === undefined) throw error;
      return out.refuse(refused);
    }
  },
});

interface Wanted {
  readonly file: string;
  readonly hadOne: boolean;
  readonly check: boolean;
  readonly strict: boolean;
}

async function finish(imported: Imported, wanted: Wanted, { io, out }: { readonly io: Io; readonly out: Output }): Promise<Exit> {
  const isBent = wanted.strict && imported.notes.some(({ done }) => done !== 'unchanged');
  const isDrifted = wanted.check && !imported.isSame;
  if (imported.wasEdited && !wanted.check) return out.refuse(edited(wanted.file));
  const isWritten = !wanted.check && !isBent && !imported.isSame;
  if (isWritten) {
    const written = writeFile(at(io.cwd, wanted.file), imported.text, { mode: 0o644, as: 'replacement' });
    if (!written.ok) return out.refuse({ exit: 64, problems: [{ ...written.error, file: wanted.file }] });
  }
  const verdict = verdictOf(imported, { ...wanted, isBent, isWritten });
  await out.answer(
    importedJson(imported, { file: wanted.file, isWritten }),
    [...importedText(imported, wanted.hadOne), verdict].join('\n'),
  );
  return isBent || isDrifted ? 1 : 0;
}

function edited(file: string): Refusal {
  return {
    exit: 1,
    problems: [
      {
        path: '',
        file,
        message: 'was edited since it was generated, and the edits would be lost',
        remedy: 'move them into a ToolOverlay document in another file, and delete this one',
      },
    ],
  };
}

function verdictOf(
  imported: Imported,
  { file, check, isBent, isWritten, hadOne }: Wanted & { readonly isBent: boolean; readonly isWritten: boolean },
): string {
  if (isBent) return 'nothing is written (--strict): not everything could be kept as it was';
  if (isWritten) return `wrote ${file}\nnothing of it is allowed yet: name the tools in a rule, then sallyport policy check`;
  if (!check || imported.isSame) return `${file} says the same already`;
  if (imported.wasEdited) return `${file} was edited since it was generated`;
  return hadOne ? `${file} says something else than the server` : `there is no ${file}`;
}

/** What people read: what is new or different, and what could not be kept. */
export function importedText({ server, saidName, version, locked, notes, changes }: Imported, hadOne: boolean): readonly string[] {
  const said = saidName === '' ? '' : `, calls itself ${quotedText(saidName)}`;
  const head = `${server}: ${counted(locked.length, 'tool')} (MCP ${version}${said})`;
  const rows = locked.map(({ name, effect }) => [`  ${name.slice(server.length + 1)}`, effect ?? 'destructive, for want of a word']);
  const body = hadOne ? diffText(changes) : rows.length === 0 ? [] : [table(rows)];
  return [head, ...body, ...notesText(notes)];
}

/** Those that say nothing about values are counted: they are many, and nobody has to act on them. */
function notesText(notes: readonly ImportNote[]): readonly string[] {
  const told = notes.filter(({ done }) => done !== 'unchanged');
  const silent = notes.length - told.length;
  return [
    ...told.map(({ tool, path, done, says }) => `${done}: ${[tool, path].filter((part) => part !== '').join(' ')}: ${says}`),
    ...(silent === 0 ? [] : [`${counted(silent, 'keyword')} that say nothing about values dropped (--json tells them)`]),
  ];
}

export function importedJson(
  { server, saidName, version, locked, notes, changes, digest }: Imported,
  { file, isWritten }: { readonly file: string; readonly isWritten: boolean },
): Json {
  return {
    server: server satisfies ServerName,
    said_name: saidName,
    mcp_version: version,
    file,
    written: isWritten,
    digest,
    tools: locked.map(({ name, effect }) => ({ tool: name, effect: effect ?? 'destructive' })),
    changes: changes.map(({ tool, kind, fields }) => ({
      tool,
      kind,
      fields: fields.map(({ field, before, after }) => ({ field, before: before ?? null, after: after ?? null })),
    })),
    notes: notes.map(({ tool, path, done, says }) => ({ tool, path, done, says })),
  };
}
