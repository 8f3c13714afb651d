import type { ToolName } from '@sallyport/model';
import { NOTES_MAX, type CallNotes } from '@sallyport/policy';
import { describe, expect, it } from 'vitest';
import { sessionNotes } from './session-notes.ts';

const READ = 'crm/read' as ToolName;
const NOTHING: CallNotes = { touched: {}, remembered: {}, compared: {} };

describe('what a session notes', () => {
  it('is what was touched and remembered, each once, and nothing of a name that nobody noted', () => {
    const notes = sessionNotes();
    notes.add(READ, { ...NOTHING, touched: { record: ['7', '8'] }, remembered: { order: ['O-1'] } });
    notes.add(READ, { ...NOTHING, touched: { record: ['7'] } });
    expect(notes.values('touched', 'record')).toEqual(['7', '8']);
    expect(notes.values('remembered', 'order')).toEqual(['O-1']);
    expect(notes.values('touched', 'order')).toEqual([]);
    expect(notes.values('remembered', '__proto__')).toEqual([]);
  });

  it('is unknown where too much was noted, for ever: what was pushed out is not forgotten in silence', () => {
    const notes = sessionNotes();
    notes.add(READ, { ...NOTHING, touched: { record: Array.from({ length: NOTES_MAX }, (_, i) => `r${i}`) } });
    expect(notes.values('touched', 'record')).toHaveLength(NOTES_MAX);
    notes.add(READ, { ...NOTHING, touched: { record: ['one more'] } });
    expect(notes.values('touched', 'record')).toBeUndefined();
    notes.add(READ, { ...NOTHING, touched: { record: ['another'] } });
    expect(notes.values('touched', 'record')).toBeUndefined();
    expect(notes.values('touched', 'other')).toEqual([]);
  });

  it('is unknown, for ever, once a result could not be read', () => {
    const notes = sessionNotes();
    notes.add(READ, { ...NOTHING, unknown: ['order'] });
    notes.add(READ, { ...NOTHING, remembered: { order: ['O-1'] } });
    expect([notes.values('remembered', 'order'), notes.values('touched', 'order')]).toEqual([undefined, []]);
  });

  it('of one call, with all of the values; never some of one and some of another', () => {
    const notes = sessionNotes();
    notes.add(READ, { ...NOTHING, compared: { id: '"7"', part: '"a"' } });
    notes.add(READ, { ...NOTHING, compared: { id: '"8"', part: '"b"' } });
    expect(notes.hasCompletedWith(READ, { id: '"7"' })).toBe(true);
    expect(notes.hasCompletedWith(READ, { id: '"7"', part: '"a"' })).toBe(true);
    expect(notes.hasCompletedWith(READ, { id: '"7"', part: '"b"' })).toBe(false);
    expect(notes.hasCompletedWith(READ, { id: '7' })).toBe(false);
    expect(notes.hasCompletedWith('crm/check' as ToolName, { id: '"7"' })).toBe(false);
  });

  it('lets go of the oldest calls, which are then as if they had not been', () => {
    const notes = sessionNotes();
    for (let n = 0; n <= NOTES_MAX; n++) notes.add(READ, { ...NOTHING, compared: { id: `${n}` } });
    expect([notes.hasCompletedWith(READ, { id: '0' }), notes.hasCompletedWith(READ, { id: '1' })]).toEqual([false, true]);
  });
});
