/** Places inside a document, written as in `Problem`: `params.items[3].name`. */

/** A step into a document: an object's key or an array's index. */
export type Step = string | number;

const PLAIN_KEY = /^[A-Za-z0-9_$-]+$/;
const KEY_CHARACTERS_MAX = 64;

/** The text of a place. Keys with other characters than letters, digits, `_`, `$` and `-` are quoted; long ones are cut. */
export function formatPlace(steps: readonly Step[], prefix = ''): string {
  return steps.reduce<string>((place, step) => {
    if (typeof step === 'number') return `${place}[${step}]`;
    const key = shorten(step);
    if (!PLAIN_KEY.test(key)) return `${place}[${JSON.stringify(key)}]`;
    return place === '' ? key : `${place}.${key}`;
  }, prefix);
}

/** A sender's own words in a message: at most 64 code points. */
export function shorten(text: string): string {
  // Cut before splitting into code points, so that a long text costs nothing.
  const points = Array.from(text.slice(0, KEY_CHARACTERS_MAX * 2));
  const isLong = points.length > KEY_CHARACTERS_MAX || text.length > KEY_CHARACTERS_MAX * 2;
  return isLong ? `${points.slice(0, KEY_CHARACTERS_MAX).join('')}…` : text;
}
