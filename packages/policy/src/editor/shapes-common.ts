/** Shapes that several kinds of documents share: names, words, texts, conditions. */

import { EFFECTS } from '@sallyport/model';
import { METHODS } from '../grammar/catalog.ts';
import { ALL_PURPOSE, CEL_RESERVED } from '../reader/forms.ts';
import { LIMITS, LIST_CAPS } from '../reader/limits.ts';
import { list, map } from './shape.ts';
import type { Shape, TextShape } from './shape.ts';

export const text = (words: string, pattern?: string, charsMax: number = LIMITS.textCharsMax): TextShape => ({
  is: 'text',
  words,
  charsMax,
  ...(pattern === undefined ? {} : { pattern }),
});

export const NAME: TextShape = text('a name: 1 to 63 of a-z, 0-9 and -, starting with a letter', '^[a-z][a-z0-9-]{0,62}$');
export const RULE_ID: TextShape = text(
  'a name: 1 to 63 of a-z, 0-9 and -, starting with a letter; neither `default-deny` nor `observe`',
  '^(?!(?:default-deny|observe)$)[a-z][a-z0-9-]{0,62}$',
);
export const CLASS: TextShape = text('a class: 1 to 63 of a-z, 0-9, - and _, starting with a letter', '^[a-z][a-z0-9_-]{0,62}$');
export const TOOL: TextShape = text('a tool: server/tool', '^[a-z][a-z0-9-]{0,62}/[A-Za-z0-9_.-]{1,128}$');
export const SELECTED: TextShape = text(
  'a tool (server/tool), or a prefix of one (server/get_*)',
  '^[a-z][a-z0-9-]{0,62}/(?:[A-Za-z0-9_.-]{1,128}|[A-Za-z0-9_.-]{0,127}\\*)$',
);
/** Two of these in one name: it looks like another. */
const ONE_SCRIPT = ['Latin', 'Cyrillic', 'Greek', 'Armenian']
  .flatMap((one, at, all) => all.slice(at + 1).map((other) => `(?!(?=.*\\p{Script=${one}}).*\\p{Script=${other}})`))
  .join('');
const SEEN = '[^\\s\\p{C}\\p{Default_Ignorable_Code_Point}]{1,256}';
/** No white space, since credentials separate by it; nothing invisible; no `${env.x}`, which is not substituted there. */
export const TOKEN: TextShape = text(
  'a name without white space and invisible characters, of one script, at most 256 long',
  `^(?!.*\\$\\{)${ONE_SCRIPT}${SEEN}$`,
);
const SEPARATORS = '[-_.:/]*';
/** The words that name everything, in any case and with anything between their letters. */
const BROAD = [...ALL_PURPOSE]
  .map((broad) => Array.from(broad, (letter) => `[${letter}${letter.toUpperCase()}]`).join(SEPARATORS))
  .join('|');
export const SCOPE: TextShape = text(
  'a scope: a name without white space and invisible characters, of one script, at most 256 long, that does not name everything',
  `^(?!.*\\$\\{)(?!.*\\*)(?!${SEPARATORS}(?:${BROAD})${SEPARATORS}$)${ONE_SCRIPT}${SEEN}$`,
);
/** Whom a mapping names: not the words for nobody in particular. */
export const PRINCIPAL: TextShape = text(
  'a name without white space and invisible characters, of one script, at most 256 long; neither `anonymous` nor `-`',
  `^(?!(?:anonymous|-)$)(?!.*\\$\\{)${ONE_SCRIPT}${SEEN}$`,
);
export const TOKEN_OR_REFERENCE: TextShape = text(
  'a name without white space and invisible characters, of one script, at most 256 long; ${env.x} is substituted',
  `^${ONE_SCRIPT}${SEEN}$`,
);
export const WORD: TextShape = text(
  'a word: 1 to 63 of a-z, 0-9 and _, starting with a letter, and not reserved by CEL',
  `^(?!(?:${[...CEL_RESERVED].join('|')})$)[a-z][a-z0-9_]{0,62}$`,
);
export const CLAIM: TextShape = text('the name of a claim', '^[\\x21-\\x7e]{1,128}$');
export const ARGUMENT: TextShape = text('the name of an argument', undefined, 128);
export const INSTANT: TextShape = text(
  'an instant in UTC, such as 2026-12-31T23:59:59Z',
  '^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{3})?Z$',
);

/** Values of attributes, as tokens and mappings bring them. */
export const ATTRIBUTES: Shape = {
  is: 'names',
  of: {
    is: 'either',
    of: [
      { ...text('text'), isEmptyToo: true },
      { is: 'number', of: 'decimal', isNegative: true },
      { is: 'flag' },
      list(text('text'), { max: LIST_CAPS.attribute }),
    ],
  },
  key: WORD,
  min: 0,
  max: LIMITS.listMax,
};

export const condition = (yields: NonNullable<TextShape['yields']>): TextShape => ({
  ...text(`a condition that yields ${yields}`, undefined, LIMITS.expressionCharsMax),
  yields,
});

export const word = (of: readonly string[]): Shape => ({ is: 'word', of });
export const span = (msMax: number): Shape => ({ is: 'span', msMax });
export const count = (min: number, max: number): Shape => ({ is: 'count', min, max });

export const SELECTOR: Shape = {
  is: 'either',
  of: [
    SELECTED,
    map(
      'Selector',
      {
        server: { says: 'Tools of this server.', shape: NAME },
        effect: { says: 'Tools of this effect.', shape: word(EFFECTS) },
        class: { says: 'Tools of this class.', shape: CLASS },
        method: { says: 'Tools whose route has this method.', shape: word(METHODS) },
      },
      { atLeastOne: ['server', 'effect', 'class', 'method'] },
    ),
  ],
};
