import { formatProblem } from '@sallyport/model';
import { describe, expect, it } from 'vitest';
import { buildParts } from '../compile/build.ts';
import { parseDocuments } from '../compile/documents.ts';
import type { PolicySource } from '../compile/documents.ts';

const CATALOG = `apiVersion: sallyport.dev/v1
kind: ToolServer
name: files
mcp: { url: "https://files.internal/mcp" }
---
kind: Tool
name: files/read
description: the server's words
---
kind: Tool
name: files/delete
effect: destructive
classes: [pii]
`;

function parsed(overlays: string): ReturnType<typeof parseDocuments> {
  return parseDocuments([
    { path: 'lock.yaml', text: CATALOG },
    { path: 'mine.yaml', text: `apiVersion: sallyport.dev/v1\n${overlays}` },
  ]);
}

function source(overlays: string): PolicySource {
  const result = parsed(overlays);
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value;
}

function said(overlays: string): readonly string[] {
  const result = parsed(overlays);
  const problems = result.ok ? result.value.warnings : result.error;
  return problems.map(formatProblem).filter((problem) => !problem.includes('no rule allows'));
}

describe('a ToolOverlay', () => {
  it('replaces what it says, adds classes, and leaves the rest as it is declared', () => {
    const [deleted, read] = source(`kind: ToolOverlay
name: files/read
effect: read
classes: [pii]
---
kind: ToolOverlay
name: files/delete
classes: [money, pii]
description: Deletes a file for good.
deny_as: error
`).tools;
    expect(read).toMatchObject({ name: 'files/read', effect: 'read', classes: ['pii'], description: "the server's words" });
    expect(deleted).toMatchObject({
      effect: 'destructive',
      classes: ['pii', 'money'],
      description: 'Deletes a file for good.',
      denyAs: 'error',
    });
  });

  it('makes the same parts as a Tool that says all of it', () => {
    const parts = (text: string): unknown => {
      const built = buildParts(source(text));
      return built.ok ? built.value.parts.catalog : built.error;
    };
    expect(parts('kind: ToolOverlay\nname: files/read\nclasses: [a]\n---\nkind: ToolOverlay\nname: files/delete\nclasses: [b]\n')).toEqual(
      parts('kind: ToolOverlay\nname: files/delete\nclasses: [b]\n---\nkind: ToolOverlay\nname: files/read\nclasses: [a]\n'),
    );
  });

  it('is pointed out where it says less of the effect than the tool itself', () => {
    expect(said('kind: ToolOverlay\nname: files/delete\neffect: read\n')).toEqual([
      'mine.yaml:4:9: effect: warning: `files/delete` is declared as destructive, and read is less (does the one who wrote this know more than the server says?)',
    ]);
    expect(said('kind: ToolOverlay\nname: files/read\neffect: read\n')).toEqual([]);
  });

  it.each([
    ['of no tool', 'kind: ToolOverlay\nname: files/raed\n', 'mine.yaml:3:7: name: no tool `files/raed` (did you mean `files/read`)'],
    [
      'of a tool that has one',
      'kind: ToolOverlay\nname: files/read\n---\nkind: ToolOverlay\nname: files/read\neffect: write\n',
      'mine.yaml:6:7: name: tool `files/read` has another overlay (at mine.yaml:3)',
    ],
    [
      'that would widen the arguments',
      'kind: ToolOverlay\nname: files/read\narguments: { additionalProperties: true }\n',
      'mine.yaml:4:1: arguments: `arguments` is not a field of a ToolOverlay (known are name, effect, classes, description, deny_as)',
    ],
    [
      'of an unknown effect',
      'kind: ToolOverlay\nname: files/read\neffect: harmless\n',
      'mine.yaml:4:9: effect: `harmless` is not an effect',
    ],
  ])('%s is refused', (_name, text, problem) => {
    expect(said(text).join('\n')).toContain(problem);
    expect(parsed(text).ok).toBe(false);
  });
});

it('what no rule allows is one thing to say for a server, however many tools it has', () => {
  const tools = Array.from({ length: 7 }, (_, at) => `---\nkind: Tool\nname: files/t${at}\n`).join('');
  const result = parseDocuments([{ path: 'lock.yaml', text: `${CATALOG}${tools}` }]);
  expect(result.ok && result.value.warnings.map(formatProblem)).toEqual([
    'lock.yaml:3:7: name: warning: no rule allows 9 tools of `files`: read, delete, t0, t1, t2, … (for agents they do not exist)',
  ]);
});

describe('warnings without end', () => {
  const many = Array.from({ length: 300 }, (_, at) => `  - { id: r${at}, allow: [files/t${at}] }\n`).join('');
  const tools = Array.from({ length: 300 }, (_, at) => `---\nkind: Tool\nname: files/t${at}\n`).join('');
  const policy = (more: string): ReturnType<typeof parseDocuments> =>
    parseDocuments([
      { path: 'lock.yaml', text: `${CATALOG}${tools}` },
      {
        path: 'rules.yaml',
        text: `apiVersion: sallyport.dev/v1\nkind: Agent\nname: a\nowner: o\nuses: [files]\n---\nkind: Policy\nagent: a\nrules:\n${many}${more}`,
      },
    ]);

  it('never keep a policy from being built', () => {
    const result = policy('');
    expect(result.ok && [result.value.warnings.length, result.value.warnings.at(-1)]).toEqual([
      201,
      { path: '', message: 'and 101 more warnings', severity: 'warning' },
    ]);
  });

  it('never hide a problem', () => {
    const result = policy('  - { id: zz, allow: [files/nothing] }\n');
    expect(result.ok ? [] : result.error.filter(({ severity }) => severity === undefined).map(({ message }) => message)).toEqual([
      'no tool `files/nothing`',
    ]);
  });
});
