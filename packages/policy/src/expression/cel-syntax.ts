/**
 * What stops the CEL parser, in the author's own signs: the library names its tokens (`RPAREN`, `EOF`), which nobody has
 * typed. What it says besides, such as its bounds, passes as it stands.
 */

import { quote } from '../reader/node.ts';
import type { ExpressionProblem } from './expression.ts';

const SIGNS: Readonly<Record<string, string>> = {
  PLUS: '+',
  MINUS: '-',
  MULTIPLY: '*',
  DIVIDE: '/',
  MODULO: '%',
  EQ: '==',
  NE: '!=',
  LT: '<',
  LE: '<=',
  GT: '>',
  GE: '>=',
  AND: '&&',
  OR: '||',
  NOT: '!',
  IN: 'in',
  LPAREN: '(',
  RPAREN: ')',
  LBRACKET: '[',
  RBRACKET: ']',
  LBRACE: '{',
  RBRACE: '}',
  DOT: '.',
  COMMA: ',',
  COLON: ':',
  QUESTION: '?',
};

/** What other languages write, and what is written here. */
const SPELLED: Readonly<Record<string, string>> = { '=': '==', '<>': '!=', and: '&&', or: '||', not: '!', '&': '&&', '|': '||' };

/** `said` is the library's first line, in lower case. */
export function syntaxProblem(text: string, said: string, start: number): ExpressionProblem {
  const told = tell(text, said, start);
  return told === undefined ? { message: said, start } : { ...told, start };
}

function tell(text: string, said: string, start: number): Pick<ExpressionProblem, 'message' | 'remedy'> | undefined {
  if (text.trim() === '') return { message: 'is empty', remedy: 'write a condition, or leave it out' };
  const [, wanted, got] = /^expected (\w+), got (\w+)$/.exec(said) ?? /^unexpected ()token: (\w+)$/.exec(said) ?? [];
  if (got === 'EOF') return { message: `ends in the middle: ${missingAt(text, wanted ?? '')}` };
  if (got !== undefined && wanted !== '')
    return { message: `${quote(wordAt(text, start))} cannot stand here`, remedy: wantedText(wanted ?? '') };
  if (got !== undefined || said.startsWith('unexpected character')) return misplaced(text, start);
  if (said.startsWith('unterminated')) return { message: 'the text that begins here has no closing quote' };
  return undefined;
}

function missingAt(text: string, wanted: string): string {
  const sign = SIGNS[wanted];
  if (sign !== undefined) return `${quote(sign)} is missing`;
  const last = /(?:[\w.]+|[^\w\s]+)\s*$/.exec(text)?.[0].trim() ?? '';
  return `a ${wanted === 'IDENTIFIER' ? 'name' : 'value'} is missing after ${quote(last)}`;
}

function wantedText(wanted: string): string {
  const sign = SIGNS[wanted];
  return sign === undefined ? 'a name is missing before it' : `${quote(sign)} is missing before it`;
}

function misplaced(text: string, start: number): Pick<ExpressionProblem, 'message' | 'remedy'> {
  // `<>` is read as two signs, and the second is what cannot stand.
  const word = text.slice(start - 1, start + 1) === '<>' ? '<>' : wordAt(text, start);
  const spelled = Object.hasOwn(SPELLED, word) ? SPELLED[word] : undefined;
  const remedy = spelled === undefined ? (/^[\w"']/.test(word) ? 'join two conditions with && or ||' : undefined) : `write ${spelled}`;
  return { message: `${quote(word)} cannot stand here`, ...(remedy === undefined ? {} : { remedy }) };
}

/** The word, number, text or sign that begins there. */
function wordAt(text: string, start: number): string {
  return /^(?:\w[\w.]*|"[^"]*"?|'[^']*'?|[=<>!&|]{1,2}|.)/su.exec(text.slice(start).trimStart())?.[0] ?? '';
}
