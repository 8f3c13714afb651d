/**
 * A stranger's text made safe to read and to pin: what a reader or a model would not see, or would see elsewhere than it
 * stands, is written out. Letters of every script stay as they are.
 */

/**
 * Controls but line feed and tab; format characters (bidi controls, zero widths, soft hyphens, tags: the means of text
 * that a person does not see and a model reads); line and paragraph separators; private use and unassigned code points;
 * fillers that print nothing; variation selectors but the one that makes an emoji of a sign.
 */
const HIDDEN =
  /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\u115F\u1160\u3164\uFFA0\u2800]|[\uFE00-\uFE0E]|[\u{E0100}-\u{E01EF}]|(?<=\uFE0F)\uFE0F/gu;

/** The same text with line ends of one kind, and every hidden character as `\u{202e}`. */
export function visibleText(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(HIDDEN, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Whether there is nothing to write out. */
export function isPlainText(text: string): boolean {
  return visibleText(text) === text;
}

/** Cut to `charsMax` UTF-16 units at a whole code point, with a mark where something is gone. */
export function shortText(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const cut = text.slice(0, charsMax - 1);
  return `${/[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut}…`;
}

/** A stranger's name or message as part of one line: what would begin another line of ours is written out too. */
export function visibleLine(text: string): string {
  return visibleText(text).replaceAll(/[\n\t]/g, (found) => (found === '\n' ? '\\n' : '\\t'));
}

/** One line of at most 200 characters in quotes, for comments and messages. */
export function quotedText(text: string): string {
  return JSON.stringify(shortText(visibleText(text), 200));
}
