import { describe, expect, it } from 'vitest';
import { isPlainText, quotedText, shortText, visibleText } from './visible-text.ts';

describe('what a person does not see, a model does not read either', () => {
  it.each([
    ['a bidi override', 'delete \u202Eeman', 'delete \\u{202e}eman'],
    ['a bidi isolate', '\u2066x\u2069', '\\u{2066}x\\u{2069}'],
    ['zero width characters', 'a\u200Bb\u200Dc\u2060d', 'a\\u{200b}b\\u{200d}c\\u{2060}d'],
    ['tags, which spell words in no font', '\u{E0068}\u{E0069}', '\\u{e0068}\\u{e0069}'],
    ['variation selectors, which carry bytes', 'x\uFE00\u{E0100}', 'x\\u{fe00}\\u{e0100}'],
    ['a chain of emoji selectors', '\u2764\uFE0F\uFE0F', '\u2764\uFE0F\\u{fe0f}'],
    ['an escape sequence of terminals', '\u001B[2Jgone', '\\u{1b}[2Jgone'],
    ['a carriage return that overwrites the line', 'safe\rrm -rf', 'safe\\u{d}rm -rf'],
    ['separators that are no line feed', 'a\u2028b\u2029c\u0085d', 'a\\u{2028}b\\u{2029}c\\u{85}d'],
    ['fillers that print nothing', '\u3164\u2800', '\\u{3164}\\u{2800}'],
    ['private use', '\uE000', '\\u{e000}'],
    ['a byte order mark', '\uFEFFx', '\\u{feff}x'],
  ])('%s is written out', (_name, text, shown) => {
    expect([visibleText(text), isPlainText(text)]).toEqual([shown, false]);
  });

  it.each(['plain', 'two\nlines\tand a tab', 'Größe, 価格, цена, מחיר, السعر', 'a heart \u2764\uFE0F', '👍🏽'])(
    '%j stays as it is',
    (text) => {
      expect([visibleText(text), isPlainText(text)]).toEqual([text, true]);
    },
  );

  it('gives line ends one form', () => {
    expect(visibleText('a\r\nb')).toBe('a\nb');
  });
});

describe('a text that is cut', () => {
  it('ends at a whole character, with a mark', () => {
    expect([shortText('abcd', 4), shortText('abcde', 4), shortText('ab👍x', 4)]).toEqual(['abcd', 'abc…', 'ab…']);
  });

  it('stands on one line in quotes', () => {
    expect(quotedText('a\n"b"\u202E')).toBe('"a\\n\\"b\\"\\\\u{202e}"');
    expect(quotedText('x'.repeat(10_000)).length).toBeLessThan(210);
  });
});
