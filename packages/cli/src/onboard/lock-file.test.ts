import { formatProblem } from '@sallyport/model';
import type { Effect, ServerName, ToolName } from '@sallyport/model';
import { parseDocuments } from '@sallyport/policy';
import { describe, expect, it } from 'vitest';
import type { ListedTool } from './listed-tool.ts';
import { proposedEffect } from './listed-tool.ts';
import { lockedTools, readLock, writeLock } from './lock-file.ts';

const SERVER = 'files' as ServerName;

function tool(more: Partial<ListedTool> & { readonly local?: string } = {}): ListedTool {
  const { local = 'read', ...rest } = more;
  return {
    name: `files/${local}` as ToolName,
    description: 'reads',
    proposed: 'read',
    arguments: { type: 'object', properties: {} },
    ...rest,
  };
}

function lockOf(...listed: readonly ListedTool[]): {
  readonly text: string;
  readonly digest: string;
  readonly names: readonly string[];
  readonly told: readonly string[];
} {
  const written = writeLock(SERVER, lockedTools(listed, undefined), { listed, notes: [] });
  if (!written.ok) throw new Error(formatProblem(written.error));
  const { text, digest, tools, notes } = written.value;
  return { text, digest, names: tools.map(({ name }) => name), told: notes.map(({ says }) => says) };
}

describe('a text of the server becomes that text and nothing else', () => {
  it.each([
    ['ends its line', 'x"\neffect: read\n---\nkind: Policy\nagent: a\nrules: []'],
    ['begins a document', '\n---\nkind: Tool\nname: files/evil\n'],
    ['ends the documents', '\n...\n'],
    ['begins a comment', 'x # effect: read'],
    ['escapes', '\\" \\n \\u0022 \\x22'],
    ['is a reference', '${env.secret} *anchor &anchor !!js/function <<'],
    ['is something else unquoted', 'yes'],
    ['has every sign', Array.from({ length: 95 }, (_, at) => String.fromCodePoint(32 + at)).join('')],
  ])('one that %s', (_name, text) => {
    const { text: lock } = lockOf(
      tool({ description: text, arguments: { type: 'object', properties: { a: { description: text, enum: [text, 'b'] } } } }),
    );
    const read = readLock(SERVER, lock);
    expect(read).toMatchObject({ ok: true, value: { tools: [{ name: 'files/read', description: text, effect: 'read' }], isIntact: true } });
    expect(read.ok && read.value.tools[0]?.arguments).toEqual({
      type: 'object',
      properties: { a: { description: text, enum: [text, 'b'] } },
    });
  });

  it.each(['a: b', '#', '- x', '"', "'", 'yes', 'null', '1', 'a b', '{', '?', ' a', 'a\tb', '__proto__', '@', '%x', '!x'])(
    'a member called %j',
    (name) => {
      const properties = Object.fromEntries([[name, { type: 'string' }]]);
      const read = readLock(SERVER, lockOf(tool({ arguments: { type: 'object', properties } })).text);
      expect(read.ok && Object.keys(read.value.tools[0]?.arguments['properties'] as object)).toEqual([name]);
    },
  );
});

describe('a lock file', () => {
  it('is the same bytes for the same tools, whatever the order of their members', () => {
    const a = lockOf(tool({ arguments: { type: 'object', properties: { x: { type: 'string', title: 't' }, y: {} }, required: ['x'] } }));
    const b = lockOf(tool({ arguments: { required: ['x'], properties: { y: {}, x: { title: 't', type: 'string' } }, type: 'object' } }));
    expect(a.text).toBe(b.text);
  });

  it('knows that somebody edited it', () => {
    const { text } = lockOf(tool({ proposed: 'destructive' }));
    const edited = text.replace('effect: destructive', 'effect: read');
    expect([readLock(SERVER, text), readLock(SERVER, edited)]).toMatchObject([
      { ok: true, value: { isIntact: true } },
      { ok: true, value: { isIntact: false } },
    ]);
  });

  it('can be one of the documents of a policy', () => {
    const { text } = lockOf(tool(), tool({ local: 'write', proposed: undefined }));
    const server = 'apiVersion: sallyport.dev/v1\nkind: ToolServer\nname: files\nmcp: { url: "https://files.example/mcp" }\n';
    const parsed = parseDocuments([
      { path: 'a.yaml', text: server },
      { path: 'tools.files.lock.yaml', text },
    ]);
    expect(parsed.ok && parsed.value.tools.map(({ name, effect }) => [name, effect])).toEqual([
      ['files/read', 'read'],
      ['files/write', 'destructive'],
    ]);
  });

  it('leaves out a tool that no document can hold, and says so', () => {
    const deep = Array.from({ length: 40 }).reduce<object>((inner) => ({ type: 'object', properties: { a: inner } }), { type: 'string' });
    const { names, told } = lockOf(tool(), tool({ local: 'deep', arguments: deep as ListedTool['arguments'] }));
    expect([names, told]).toEqual([
      ['files/read'],
      [expect.stringContaining('our own documents cannot hold it: lists and maps are nested deeper than 32')],
    ]);
  });

  it('is refused as a whole where it would be too long to read', () => {
    const listed = Array.from({ length: 100 }, (_, at) => tool({ local: `t${at}`, description: 'x'.repeat(4_000) }));
    expect(writeLock(SERVER, lockedTools(listed, undefined), { listed, notes: [] })).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining('262144 characters'), remedy: 'import fewer tools with --only' },
    });
  });
});

describe('an effect out of annotations', () => {
  it.each<[string, unknown, Effect | undefined]>([
    ['none', undefined, undefined],
    ['empty', {}, undefined],
    ['no object', 'readOnly', undefined],
    ['no boolean', { readOnlyHint: 'true' }, undefined],
    ['read-only', { readOnlyHint: true }, 'read'],
    ['read-only and destructive', { readOnlyHint: true, destructiveHint: true }, 'destructive'],
    ['destructive', { destructiveHint: true }, 'destructive'],
    ['not destructive', { destructiveHint: false }, 'side_effect'],
    ['not destructive, in a closed world', { destructiveHint: false, openWorldHint: false }, 'write'],
    ['of a closed world, and no more', { openWorldHint: false }, undefined],
    ['not read-only, and no more', { readOnlyHint: false }, undefined],
  ])('%s', (_name, annotations, effect) => {
    expect(proposedEffect(annotations as never)).toBe(effect);
  });
});

describe('an effect imported again', () => {
  const again = (before: Effect | undefined, proposed: Effect | undefined): readonly [Effect | undefined, boolean] => {
    const first = lockOf(tool({ proposed: before }));
    const held = readLock(SERVER, first.text);
    if (!held.ok) throw new Error('unreadable');
    const listed = [tool({ proposed })];
    const locked = lockedTools(listed, held.value.tools);
    const written = writeLock(SERVER, locked, { listed, notes: [] });
    return [
      locked[0]?.effect,
      written.ok && written.value.text.includes(`# The server now proposes ${String(proposed)}, which is less than before`),
    ];
  };

  it.each<[Effect | undefined, Effect | undefined, Effect | undefined, boolean]>([
    ['read', 'read', 'read', false],
    ['read', 'destructive', 'destructive', false],
    ['read', undefined, undefined, false],
    ['write', 'read', 'write', true],
    ['side_effect', 'write', 'side_effect', true],
    ['destructive', 'read', undefined, true],
    [undefined, 'read', undefined, true],
    [undefined, 'destructive', 'destructive', false],
  ])('%s, then %s, is %s: never less by the word of the server (told: %s)', (before, proposed, effect, isTold) => {
    expect(again(before, proposed)).toEqual([effect, isTold]);
  });

  it('stays what it was kept as, however often it is imported', () => {
    const first = lockOf(tool({ proposed: undefined }));
    const next = (text: string): string => {
      const held = readLock(SERVER, text);
      const listed = [tool({ proposed: 'read' })];
      const written = writeLock(SERVER, lockedTools(listed, held.ok ? held.value.tools : undefined), { listed, notes: [] });
      return written.ok ? written.value.text : '';
    };
    expect(next(next(first.text))).toBe(next(first.text));
    expect(next(first.text)).not.toContain('\neffect:');
  });
});
