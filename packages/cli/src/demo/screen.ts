/**
 * The demo as people see it: acts, steps and short paragraphs, folded to the terminal, coloured where it is one. It decides
 * nothing, and is silent under `--json`.
 */

import { Fault } from '@sallyport/model';
import type { Io } from '../io.ts';
import type { Shown, Step } from './steps.ts';

export interface Screen {
  /** Lines as they stand. */
  print(...lines: readonly string[]): void;
  /** A paragraph, folded. */
  say(text: string): void;
  /** A remark below a step. */
  note(text: string): void;
  /** Opens an act: its number, its title, and what to look for. Waits for Enter before any but the first, where one pauses. */
  act(title: string, ...says: readonly string[]): Promise<void>;
  step(step: Step, options: { readonly isHeld: boolean; readonly shown: Shown | undefined }): void;
}

export interface ScreenOptions {
  readonly isSilent: boolean;
  /** Whether to wait for Enter between acts. */
  readonly isPausing: boolean;
  /** How many acts there will be. */
  readonly acts: number;
}

const WIDTH_MAX = 80;
const WIDTH_MIN = 32;
const MARGIN = 3;
/** Of marks and their gap: `ALLOW` is the longest. */
const MARK_COLUMNS = 7;

export function createScreen(io: Io, { isSilent, isPausing, acts }: ScreenOptions): Screen {
  const width = Math.max(WIDTH_MIN, Math.min(io.columns ?? WIDTH_MAX, WIDTH_MAX));
  const paint = painter(io);
  // Owner: `act`.
  let act = 0;
  const print = (...lines: readonly string[]): void => {
    if (!isSilent) void io.write(lines.map((line) => `${line}\n`).join(''));
  };
  const say = (text: string): void => print(...fold(text, { width, indent: MARGIN }));
  const pause = async (): Promise<void> => {
    if (isSilent || !isPausing || io.nextLine === undefined) return;
    void io.write(`\n${' '.repeat(MARGIN)}${paint('dim', '[Enter] ')}`);
    await io.nextLine({ signal: io.signal });
    if (io.signal.aborted) throw new Fault('aborted', 'internal', 'stopped');
    if (!io.isTerminal) print('');
  };
  const mark = (shown: Shown): void => {
    const [first = '', ...more] = fold(shown.title, { width: width - MARGIN - MARK_COLUMNS, indent: 0 });
    const isBeside = more.length === 0 && first.length + (shown.right?.length ?? 0) + 2 <= width - MARGIN - MARK_COLUMNS;
    const gap = ' '.repeat(Math.max(2, width - MARGIN - MARK_COLUMNS - first.length - (shown.right?.length ?? 0)));
    const right = shown.right === undefined || !isBeside ? '' : `${gap}${paint('dim', shown.right)}`;
    print(`${' '.repeat(MARGIN)}${paint(STYLES[shown.mark], shown.mark.padEnd(MARK_COLUMNS))}${paint('bold', first)}${right}`);
    const indent = MARGIN + MARK_COLUMNS;
    for (const line of more) print(`${' '.repeat(indent)}${paint('bold', line)}`);
    const below = (style: Style, texts: readonly (string | undefined)[]): void => {
      for (const text of texts) if (text !== undefined) print(...fold(text, { width, indent }).map((line) => paint(style, line)));
    };
    below('dim', [isBeside ? undefined : shown.right, shown.asked]);
    below('plain', [shown.answer]);
    below('dim', shown.details);
  };

  return {
    print,
    say,
    note: (text) => print(...fold(text, { width, indent: MARGIN + MARK_COLUMNS }).map((line) => paint('dim', line))),
    async act(title, ...says) {
      act += 1;
      if (act > 1) await pause();
      print('', ...fold(`${act}/${acts} ${title}`, { width, indent: 0 }).map((line) => paint('bold', line)));
      for (const one of says) say(one);
      print('');
    },
    step({ name, expected, seen }, { isHeld, shown }) {
      if (isHeld) mark(shown ?? { mark: 'ok', title: name, details: seen === '' ? [] : [seen] });
      else {
        print(`${' '.repeat(MARGIN)}${paint('red', 'NO'.padEnd(MARK_COLUMNS))}${paint('bold', name)}`);
        for (const [label, text] of [['promised', expected] as const, ['seen    ', seen] as const])
          print(...fold(`${label}  ${text}`, { width, indent: MARGIN + MARK_COLUMNS }));
      }
    },
  };
}

type Style = 'plain' | 'bold' | 'dim' | 'green' | 'red' | 'yellow';
const STYLES: Readonly<Record<Shown['mark'], Style>> = { ok: 'green', ALLOW: 'green', DENY: 'yellow' };
const SGR: Readonly<Record<Style, number>> = { plain: 0, bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** Colour where a person looks and has not asked for none (no-color.org). */
function painter({ isTerminal, env }: Io): (style: Style, text: string) => string {
  const isColoured = isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return (style, text) => (isColoured && style !== 'plain' && text !== '' ? `\u{1b}[${SGR[style]}m${text}\u{1b}[0m` : text);
}

/** Lines of at most `width` columns, broken between words; a word that is longer than a line is broken where it must be. */
export function fold(text: string, { width, indent }: { readonly width: number; readonly indent: number }): readonly string[] {
  const room = Math.max(1, width - indent);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    let rest = word;
    if (line !== '' && line.length + 1 + rest.length > room) {
      lines.push(line);
      line = '';
    }
    while (rest.length > room) {
      lines.push(rest.slice(0, room));
      rest = rest.slice(room);
    }
    line = line === '' ? rest : `${line} ${rest}`;
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines.map((one) => `${' '.repeat(indent)}${one}`);
}
