import { describe, expect, it } from 'vitest';
import { isContradiction, isUnseen, type Refusal } from './mcp-refusal.ts';

const refusal = (status: number, code?: number): Refusal => ({ status, code, error: undefined });

describe('a call that a server refused by its status', () => {
  it.each<[string, Refusal, Parameters<typeof isUnseen>[1], { again: boolean; contradicts: boolean }]>([
    [
      'a session that is over: nothing was seen',
      refusal(404),
      { era: 'legacy', isSessionOver: true, isRead: false },
      { again: true, contradicts: true },
    ],
    [
      '400 to a legacy read: it may have been seen',
      refusal(400),
      { era: 'legacy', isSessionOver: false, isRead: true },
      { again: false, contradicts: true },
    ],
    [
      'a modern error to a legacy write: nothing was run',
      refusal(400, -32_022),
      { era: 'legacy', isSessionOver: false, isRead: false },
      { again: true, contradicts: true },
    ],
    [
      'another revision to a modern write: nothing was run',
      refusal(400, -32_022),
      { era: 'modern', isSessionOver: false, isRead: false },
      { again: true, contradicts: true },
    ],
    [
      'other headers wanted: again would be the same',
      refusal(400, -32_020),
      { era: 'modern', isSessionOver: false, isRead: true },
      { again: false, contradicts: false },
    ],
    [
      'a capability wanted',
      refusal(400, -32_021),
      { era: 'modern', isSessionOver: false, isRead: true },
      { again: false, contradicts: false },
    ],
    [
      '400 without a word to a modern read',
      refusal(400),
      { era: 'modern', isSessionOver: false, isRead: true },
      { again: true, contradicts: true },
    ],
    [
      '400 without a word to a modern write: it may have been seen',
      refusal(400),
      { era: 'modern', isSessionOver: false, isRead: false },
      { again: false, contradicts: true },
    ],
    [
      '500 says nothing of the era',
      refusal(500),
      { era: 'modern', isSessionOver: false, isRead: true },
      { again: false, contradicts: false },
    ],
    [
      '403 says nothing of the era',
      refusal(403),
      { era: 'legacy', isSessionOver: false, isRead: true },
      { again: false, contradicts: false },
    ],
  ])('%s', (_, refused, call, { again, contradicts }) => {
    expect([isUnseen(refused, call), isContradiction(refused, call.era)]).toEqual([again, contradicts]);
  });
});
