import type { Tool, ToolName } from '@sallyport/model';
import { judge } from '@sallyport/strict';
import type { Judged, TypedArguments } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { NOTES_MAX, notesOf } from './notes.ts';

const TOOL = { name: 'crm/list' as ToolName, remember: { id: ['items', '[]', 'id'] } } as unknown as Tool;
const NO_ARGUMENTS = {} as TypedArguments;

function judged(text: string): Judged {
  const result = judge(new TextEncoder().encode(text));
  if (!result.ok) throw new Error('not judged');
  return result.value;
}

const remembered = (result: Judged | 'unreadable' | undefined): unknown =>
  notesOf({ tool: TOOL, args: NO_ARGUMENTS, result, comparedArguments: [] }).remembered;

describe('what is kept for comparing', () => {
  const compared = (id: string): string | undefined =>
    notesOf({ tool: TOOL, args: { id } as unknown as TypedArguments, comparedArguments: ['id'] }).compared['id'];

  it('is short, whatever was sent: a thousand calls with a megabyte each are no gigabyte', () => {
    const [one, other] = [compared(`${'x'.repeat(1_000_000)}1`), compared(`${'x'.repeat(1_000_000)}2`)];
    expect([one?.length, other?.length, one === other]).toEqual([71, 71, false]);
  });

  it('of a text that looks like the digest of another is not that digest', () => {
    expect(compared(compared('x'.repeat(300)) ?? '')).not.toBe(compared('x'.repeat(300)));
  });
});

describe('what is noted of a result', () => {
  it('a value behind more repetitions than are kept is noted: a server cannot push one out of sight', () => {
    const items = [...Array.from({ length: NOTES_MAX + 1 }, () => ({ id: 'x' })), { id: 'secret' }];
    expect(remembered(judged(JSON.stringify({ items })))).toEqual({ id: ['x', 'secret'] });
  });

  it('numbers are noted as they are spelled: two that one double stands for are two', () => {
    const items = '{"items":[{"id":9007199254740992},{"id":9007199254740993},{"id":12.50},{"id":-0},{"id":1e400}]}';
    expect(remembered(judged(items))).toEqual({ id: ['9007199254740992', '9007199254740993', '12.5', '0'] });
    expect(remembered(judged(`{"items":[{"id":${'9'.repeat(300)}}]}`))).toEqual({ id: [] });
  });

  it('of one that cannot be read every word is unknown, and of none there is nothing', () => {
    expect(notesOf({ tool: TOOL, args: NO_ARGUMENTS, result: 'unreadable', comparedArguments: [] })).toMatchObject({
      remembered: {},
      unknown: ['id'],
    });
    expect(remembered(undefined)).toEqual({ id: [] });
  });

  it('names of prototypes are names like any other', () => {
    const tool = { ...TOOL, remember: { a: ['__proto__'], b: ['constructor', 'name'], c: ['length'] } } as unknown as Tool;
    const notes = (text: string): unknown => notesOf({ tool, args: NO_ARGUMENTS, result: judged(text), comparedArguments: [] }).remembered;
    expect(notes('{}')).toEqual({ a: [], b: [], c: [] });
    expect(notes('[1]')).toEqual({ a: [], b: [], c: [] });
    expect(notes('{"__proto__":"x"}')).toEqual({ a: ['x'], b: [], c: [] });
  });
});
