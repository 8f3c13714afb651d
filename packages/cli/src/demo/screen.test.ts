import { systemClock, systemRandom } from '@sallyport/runtime';
import { describe, expect, it } from 'vitest';
import type { Io } from '../io.ts';
import { createScreen, fold } from './screen.ts';
import type { Screen, ScreenOptions } from './screen.ts';

interface Seen {
  readonly screen: Screen;
  readonly text: () => string;
  readonly lines: () => readonly string[];
}

/** A screen, and what is on it. */
function screenOn(io: Partial<Io> = {}, options: Partial<ScreenOptions> = {}): Seen {
  let text = '';
  const screen = createScreen(
    {
      write: async (chunk) => void (text += String(chunk)),
      note: () => undefined,
      env: {},
      cwd: '/',
      signal: new AbortController().signal,
      clock: systemClock(),
      random: systemRandom,
      isTerminal: true,
      ...io,
    },
    { isSilent: false, isPausing: false, acts: 2, ...options },
  );
  return { screen, text: () => text, lines: () => text.split('\n').slice(0, -1) };
}

const STEP = { name: 'a call', expected: 'deny', seen: 'deny' };
const SHOWN = { mark: 'DENY', title: "Bob's cost center instead of hers", right: 'tool got 0 calls', details: ['by a rule'] } as const;
const ESCAPE = '\u{1b}[';

describe('the screen of the demo', () => {
  it.each([32, 40, 60, 80, 200])('keeps within a terminal of %i columns, and within 80', async (columns) => {
    const { screen, lines } = screenOn({ columns, isTerminal: false });
    await screen.act(
      'A policy: checked, tested, signed, in force',
      'Sidecars decide by themselves, for as long as they can know that their policy is current.',
    );
    screen.step(STEP, { isHeld: true, shown: SHOWN });
    screen.step({ ...STEP, seen: `a-word-${'that-has-no-end-'.repeat(20)}` }, { isHeld: false, shown: undefined });
    expect(lines().filter((line) => line.length > Math.min(columns, 80))).toEqual([]);
    // Nothing is lost where there is little room.
    expect(
      lines()
        .map((line) => line.trim())
        .join(' '),
    ).toContain('tool got 0 calls');
  });

  it('colours a terminal, and nothing else: no pipe, no dumb terminal, nobody who said NO_COLOR', () => {
    const told = (io: Partial<Io>): string => {
      const { screen, text } = screenOn(io);
      screen.step(STEP, { isHeld: true, shown: SHOWN });
      return text();
    };
    expect(told({})).toContain(ESCAPE);
    for (const io of [{ isTerminal: false }, { env: { NO_COLOR: '1' } }, { env: { TERM: 'dumb' } }]) expect(told(io)).not.toContain(ESCAPE);
    expect(told({ env: { NO_COLOR: '' } })).toContain(ESCAPE);
  });

  it('shows a step that does not hold as what was promised and what was seen, whatever was to be shown', () => {
    const { screen, text } = screenOn({ isTerminal: false });
    screen.step({ ...STEP, seen: 'allow' }, { isHeld: false, shown: SHOWN });
    expect(text()).toBe('   NO     a call\n          promised  deny\n          seen      allow\n');
  });

  it('is silent where the answer is JSON, and waits for nobody there', async () => {
    const { screen, text } = screenOn({ nextLine: () => Promise.reject(new Error('nobody waits')) }, { isSilent: true, isPausing: true });
    for (const title of ['one', 'two']) await screen.act(title);
    screen.step(STEP, { isHeld: true, shown: SHOWN });
    expect(text()).toBe('');
  });

  it('waits for Enter before every act but the first, and is stopped there by Ctrl-C', async () => {
    const stop = new AbortController();
    let waits = 0;
    const nextLine = async (): Promise<void> => {
      waits += 1;
      if (waits === 2) stop.abort();
    };
    const { screen } = screenOn({ nextLine, signal: stop.signal }, { isPausing: true });
    await screen.act('one');
    expect(waits).toBe(0);
    await screen.act('two');
    expect(waits).toBe(1);
    await expect(screen.act('three')).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('folding', () => {
  it.each([
    ['one two', 7, ['one two']],
    ['one two', 6, ['one', 'two']],
    ['onetwo', 3, ['one', 'two']],
    ['a onetwo b', 3, ['a', 'one', 'two', 'b']],
    ['', 3, ['']],
  ] as const)('%j in %i columns', (text, width, lines) => expect(fold(text, { width, indent: 0 })).toEqual(lines));

  it('indents every line, within the width', () => expect(fold('one two', { width: 6, indent: 2 })).toEqual(['  one', '  two']));
});
